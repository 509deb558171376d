#include "host/host.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "base/log.h"
#include "base/text.h"
#include "base/units.h"
#include "formats/payload_layout.h"
#include "sys/clock.h"
#include "sys/file.h"
#include "sys/power.h"
#include "sys/terminal.h"

extern "C" {
extern const uint8_t curlingiron_init_begin[];
extern const uint8_t curlingiron_init_end[];
}

namespace curlingiron {
namespace {}  // namespace

ConstBytes embedded_init() { return {curlingiron_init_begin, curlingiron_init_end}; }

Result<KernelImage> running_kernel_image(const UniqueFd& root, const std::string& release) {
  const std::string places[] = {
      concat("boot/vmlinuz-", release),
      concat("boot/kernel-", release),
      concat("lib/modules/", release, "/vmlinuz"),
      concat("usr/lib/modules/", release, "/vmlinuz"),
      "boot/vmlinuz-linux",
      "boot/vmlinuz",
      "vmlinuz",
  };
  std::string tried;
  for (const std::string& place : places) {
    if (!exists(root, place)) {
      tried += concat(tried.empty() ? "/" : ", /", place);
      continue;
    }
    Result<KernelImage> image = read_kernel_image(root, place);
    if (image.ok() && image.value().release == release) return image;
    tried += concat(tried.empty() ? "/" : ", /", place,
                    image.ok() ? concat(" (which is ", image.value().release, ")")
                               : " (not readable as a kernel)");
  }
  return Error(concat("no image of the running kernel ", release, " found (looked for ", tried,
                      "); name it with --kernel FILE"));
}

Result<KernelImage> wanted_kernel_image(const UniqueFd& root, const std::string& path) {
  if (!path.empty()) return read_kernel_image(root, TRY(real_path(path)).substr(1));
  KernelName running = TRY(kernel_name());
  return running_kernel_image(root, running.release);
}

Result<std::string> system_ca_bundle() {
  static constexpr const char* kPlaces[] = {
      "/etc/ssl/certs/ca-certificates.crt",                 // Debian, Arch, Gentoo
      "/etc/pki/tls/certs/ca-bundle.crt",                   // Fedora, RHEL
      "/etc/ssl/ca-bundle.pem",                             // openSUSE
      "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  // RHEL 7
      "/etc/ssl/cert.pem",                                  // Alpine
  };
  UniqueFd root = TRY(open_root("/"));
  for (const char* place : kPlaces) {
    if (exists(root, place)) return std::string(place);
  }
  return Error(
      "this machine has no CA bundle (package ca-certificates), so https cannot be verified; "
      "install "
      "it, or pass --ca FILE");
}

Result<ByteVector> load_ca_bundle(const std::string& file) {
  std::string path = file.empty() ? TRY(system_ca_bundle()) : file;
  UniqueFd here = TRY(open_root("."));
  return read_file(here, path, kCaBundleFile.largest);
}

Result<ByteVector> load_client_certificate(const std::string& file) {
  if (file.empty()) return ByteVector();
  UniqueFd here = TRY(open_root("."));
  ByteVector pem = TRY_CONTEXT("--cert", read_file(here, file, kClientCertificateFile.largest));
  if (as_text(pem).find("PRIVATE KEY-----") == std::string_view::npos) {
    return Error(concat("--cert: ", file,
                        ": holds no private key; put certificate and key into one PEM file"));
  }
  return pem;
}

namespace {

// minisign and signify keep a key in a file of two lines, of which the second one is the key.
Result<std::string> public_key(const std::string& given) {
  UniqueFd here = TRY(open_root("."));
  if (!exists(here, given)) return given;
  std::string text = TRY_CONTEXT(given, read_text(here, given));
  for (std::string_view line : split(text, '\n')) {
    line = trim(line);
    if (!line.empty() && !line.starts_with("untrusted comment:")) return std::string(line);
  }
  return Error(concat(given, ": holds no public key; name the .pub file of minisign or signify"));
}

}  // namespace

Result<CheckedSettings> check_settings(const SettingOptions& options) {
  CheckedSettings checked;
  auto add = [&](std::string_view key, std::string_view value) -> Result<void> {
    TRY(apply_setting(key, value, checked.settings));
    checked.config += TRY(format_setting(key, value));
    return {};
  };
  // apply_setting() names the key, which is the option's name, too.
  for (const std::string& source : options.sources) TRY(add("src", source));
  if (!options.sha256.empty()) TRY(add("sha256", options.sha256));
  if (!options.image_sha256.empty()) TRY(add("image-sha256", options.image_sha256));
  if (!options.sums.empty()) TRY(add("sums", options.sums));
  if (!options.public_key.empty()) TRY(add("pubkey", TRY(public_key(options.public_key))));
  if (!options.signature.empty()) TRY(add("sig", options.signature));
  for (const std::string& setting : options.set) {
    size_t equals = setting.find('=');
    std::string_view key = std::string_view(setting).substr(0, equals);
    std::string_view value = equals == std::string::npos
                                 ? std::string_view()
                                 : std::string_view(setting).substr(equals + 1);
    TRY_CONTEXT("--set", add(key, value));
  }
  return checked;
}

Result<std::unique_ptr<ImageStream>> open_image(const SettingOptions& options,
                                                const Settings& settings, ImageUse use) {
  ImageOrigin origin = TRY_CONTEXT("IMAGE", parse_origin(settings.sources));
  HttpOptions http = http_options(settings);
  http.ca_file = options.ca;
  http.client_certificate = options.certificate;
  bool https = std::any_of(origin.mirrors.begin(), origin.mirrors.end(),
                           [](const Url& url) { return url.scheme == UrlScheme::Https; });
  if (http.ca_file.empty() && https) http.ca_file = TRY(system_ca_bundle());
  ImageProofs proofs = wanted_proofs(settings);
  std::unique_ptr<ImageStream> image =
      TRY(ImageStream::open(origin, http, proofs, now() + kSourcePatience, use));
  bool authenticated =
      !image->tls().empty() && (!settings.insecure || !settings.pinned_key.empty());
  if (origin.kind == OriginKind::Http && !authenticated && !proofs.any()) {
    log_warning(
        concat(origin.name(),
               ": nothing proves that this is the image you mean; use https or pass --sha256"));
  }
  return image;
}

std::string describe_image(const ImageStream& image, const Settings& settings) {
  std::string text(format_name(image.format()));
  if (image.served_size()) text += concat(", ", format_size(*image.served_size()));
  if (!image.tls().empty()) {
    text += concat(", ", image.tls());
    if (settings.insecure)
      text += settings.pinned_key.empty() ? " (unverified)" : " (by its pinned key)";
  }
  ImageProofs proofs = wanted_proofs(settings);
  std::vector<std::string> by;
  if (proofs.sha256) by.emplace_back("sha256");
  if (proofs.image_sha256) by.emplace_back("image-sha256");
  if (!proofs.sums.empty()) by.emplace_back("sums");
  if (!proofs.public_key.empty()) by.emplace_back("signature");
  if (!by.empty()) text += concat(", to be proven by ", join(by, ", "));
  return text;
}

Result<NetworkConfig> load_network(const std::string& file) {
  UniqueFd root = TRY(open_root("/"));
  std::string text =
      TRY_CONTEXT(file, read_text(root, TRY_CONTEXT(file, real_path(file)), kNetworkFile.largest));
  return TRY_CONTEXT(file, parse_network_config(text));
}

void set_network(const NetworkConfig& network, const Settings& settings, InitramfsPlan& plan) {
  if (!network.empty()) plan.network = format_network_config(network);
  // The settings win as a whole.
  const NetworkConfig& used = settings.network.says_how() ? settings.network : network;
  if (used.has_vlans()) plan.links.push_back({"8021q", "VLAN of the network"});
  if (used.has_bonds()) plan.links.push_back({"bonding", "bond of the network"});
}

Result<bool> confirm_overwrite(const std::string& path) {
  if (!is_terminal(STDIN_FILENO)) {
    return Error("nobody to ask: standard input is not a terminal; pass --yes if you mean it");
  }
  std::string name = path.substr(path.rfind('/') + 1);
  std::fprintf(stderr, "\nAll data on %s will be lost. Type %s to go on: ", path.c_str(),
               name.c_str());
  std::string answer;
  for (int c = std::getchar(); c != EOF && c != '\n'; c = std::getchar())
    answer += static_cast<char>(c);
  std::string_view typed = trim(answer);
  return typed == name || typed == path;
}

Compression quickest_compression(const std::optional<std::vector<Compression>>& known) {
  if (!known) return Compression::Gzip;
  for (Compression candidate : {Compression::Zstd, Compression::Gzip, Compression::Xz}) {
    if (std::find(known->begin(), known->end(), candidate) != known->end()) return candidate;
  }
  return Compression::None;
}

Result<std::vector<ExtraEntry>> collect_added(const UniqueFd& root,
                                              const std::vector<std::string>& specs,
                                              const Settings& settings) {
  std::vector<ExtraEntry> extras = TRY_CONTEXT("--add", collect_extras(root, specs));
  if (settings.on_failure == AfterFailure::Shell && !find_rescue_shell(extras)) {
    log_warning("onfail=shell: no shell is added; give --add /bin/busybox:/bin/sh");
  }
  return extras;
}

Signatures signatures_for(const UniqueFd& root, bool keep) {
  if (keep) return Signatures::Keep;
  Result<std::string> enforce = read_line(root, "sys/module/module/parameters/sig_enforce");
  if (enforce.ok() && enforce.value() == "Y") return Signatures::Keep;
  Result<std::string> lockdown = read_line(root, "sys/kernel/security/lockdown");
  if (lockdown.ok() && lockdown.value().find("[none]") == std::string::npos)
    return Signatures::Keep;
  return Signatures::Strip;
}

}  // namespace curlingiron
