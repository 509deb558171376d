#include "host/host.h"

#include <algorithm>

#include "base/text.h"
#include "base/units.h"
#include "sys/file.h"
#include "sys/power.h"

extern "C" {
extern const uint8_t curlingiron_init_begin[];
extern const uint8_t curlingiron_init_end[];
}

namespace curlingiron {
namespace {

constexpr size_t kLargestCaBundle = 8_MiB;

}  // namespace

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
  return read_file(here, path, kLargestCaBundle);
}

Result<std::string> settings_config(const SettingOptions& options) {
  std::string config;
  Settings checked;
  auto add = [&](std::string_view key, std::string_view value) -> Result<void> {
    TRY(apply_setting(key, value, checked));
    config += TRY(format_setting(key, value));
    return {};
  };
  // apply_setting() names the key, which is the option's name, too.
  if (!options.sha256.empty()) TRY(add("sha256", options.sha256));
  if (!options.image_sha256.empty()) TRY(add("image-sha256", options.image_sha256));
  for (const std::string& setting : options.set) {
    size_t equals = setting.find('=');
    std::string_view key = std::string_view(setting).substr(0, equals);
    std::string_view value = equals == std::string::npos
                                 ? std::string_view()
                                 : std::string_view(setting).substr(equals + 1);
    TRY_CONTEXT("--set", add(key, value));
  }
  return config;
}

Result<Settings> parse_settings(const std::string& config) {
  Settings settings;
  TRY(apply_config(config, settings));
  return settings;
}

Compression quickest_compression(const std::optional<std::vector<Compression>>& known) {
  if (!known) return Compression::Gzip;
  for (Compression candidate : {Compression::Zstd, Compression::Gzip, Compression::Xz}) {
    if (std::find(known->begin(), known->end(), candidate) != known->end()) return candidate;
  }
  return Compression::None;
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
