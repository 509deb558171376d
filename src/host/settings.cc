#include "host/settings.h"

#include <algorithm>
#include <map>

#include "base/text.h"
#include "formats/payload_layout.h"
#include "host/machine.h"
#include "image/wanted.h"
#include "payload/ca_bundle.h"
#include "sys/file.h"

namespace curlingiron {

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

// Of --ca, or else as it was built in, or of this machine; judged here, where their files have
// names.
Result<void> read_ca_bundle(const SettingOptions& options, const ByteVector& built_in,
                            CheckedSettings& checked) {
  std::string name = concat("--ca ", options.ca);
  ByteVector pem;
  if (!options.ca.empty()) {
    if (checked.settings.insecure) {
      return Error("--ca says whom to trust, and insecure trusts everybody; leave one of them out");
    }
    UniqueFd here = TRY(open_root("."));
    pem = TRY_CONTEXT("--ca", read_file(here, options.ca, kCaBundleFile.largest));
  } else {
    if (checked.settings.insecure) return {};
    if (!built_in.empty()) {
      checked.ca_bundle = built_in;
      checked.access.trusted =
          TRY_CONTEXT("the CA bundle of the payload", read_access(built_in, {})).trusted;
      return {};
    }
    UniqueFd root = TRY(open_root("/"));
    std::optional<std::string> bundle = system_ca_bundle(root);
    if (!bundle) return {};
    name = std::move(*bundle);
    pem = TRY(read_file(root, name, kCaBundleFile.largest));
  }
  checked.ca_bundle = TRY_CONTEXT(name, compact_ca_bundle(pem));
  checked.access.trusted = TRY_CONTEXT(name, read_access(checked.ca_bundle, {})).trusted;
  return {};
}

// The settings that the options give.
std::vector<std::string> keys_given(const SettingOptions& options) {
  std::vector<std::string> keys;
  auto add = [&](const std::string& value, std::string_view key) {
    if (!value.empty()) keys.emplace_back(key);
  };
  add(options.sha256, "sha256");
  add(options.image_sha256, "image-sha256");
  add(options.member, "member");
  add(options.sums, "sums");
  add(options.public_key, "pubkey");
  add(options.signature, "sig");
  if (options.grow) keys.emplace_back("grow");
  for (const std::string& setting : options.set) {
    keys.push_back(setting.substr(0, setting.find('=')));
  }
  if (!options.sources.empty()) keys.emplace_back("src");
  return keys;
}

// The options name an image that is none of those that `words` name.
bool names_another(const SettingOptions& options, const std::vector<SettingWord>& words) {
  std::vector<std::string_view> before;
  for (const auto& [key, value] : words) {
    if (key == "src") before.push_back(value);
  }
  std::vector<std::string_view> named(options.sources.begin(), options.sources.end());
  for (std::string_view setting : options.set) {
    constexpr std::string_view kSource = "src=";
    if (setting.starts_with(kSource)) named.push_back(trim(setting.substr(kSource.size())));
  }
  auto is_new = [&](std::string_view image) {
    return std::ranges::find(before, image) == before.end();
  };
  return !before.empty() && std::ranges::any_of(named, is_new);
}

}  // namespace

bool holds_secret(std::string_view key, std::string_view value) {
  if (!is_secret_key(key)) return false;
  if (!is_url_key(key)) return true;
  Result<Url> url = parse_url(value);
  return !url.ok() || url.value().display() != url.value().text();
}

std::string shown_setting(std::string_view key, std::string_view value) {
  if (value.empty()) return printable(key);
  if (!is_secret_key(key)) return printable(concat(key, "=", value));
  Result<Url> url = parse_url(value);
  bool shows = is_url_key(key) && url.ok();
  return concat(key, "=", shows ? url.value().display() : "(not shown)");
}

Result<CheckedSettings> check_settings(const SettingOptions& options,
                                       const InitramfsSettings& before) {
  CheckedSettings checked;
  std::map<std::string, std::string, std::less<>> given;
  auto add = [&](std::string_view key, std::string_view value) -> Result<void> {
    TRY(apply_setting(key, value, checked.settings));
    auto [there, is_first] = given.emplace(key, value);
    if (!is_first && there->second != value && !is_repeatable_key(key)) {
      return Error(concat(key, ": is given twice, each time another value; give one of them"));
    }
    checked.config += TRY(format_setting(key, value));
    return {};
  };
  // What is said of one image is not said of another.
  static constexpr std::string_view kOfTheImage[] = {"src", "sha256", "image-sha256", "sums",
                                                     "sig", "member", "header",       "pin"};
  std::vector<std::string> given_keys = keys_given(options);
  std::vector<SettingWord> words = TRY(split_config(before.config));
  bool another = names_another(options, words);
  for (const auto& [key, value] : words) {
    bool replaced = std::ranges::find(given_keys, key) != given_keys.end();
    bool of_another = another && std::ranges::find(kOfTheImage, key) != std::end(kOfTheImage);
    if (!replaced && !of_another) TRY(add(key, value));
  }
  // apply_setting() names the key, which is the option's name, too.
  for (const std::string& source : options.sources) TRY(add("src", source));
  if (!options.sha256.empty()) TRY(add("sha256", options.sha256));
  if (!options.image_sha256.empty()) TRY(add("image-sha256", options.image_sha256));
  if (!options.member.empty()) TRY(add("member", options.member));
  if (!options.sums.empty()) TRY(add("sums", options.sums));
  if (!options.public_key.empty()) TRY(add("pubkey", TRY(public_key(options.public_key))));
  if (!options.signature.empty()) TRY(add("sig", options.signature));
  if (options.grow) TRY(add("grow", ""));
  for (const std::string& setting : options.set) {
    auto [key, value] = TRY_CONTEXT("--set", split_setting(setting));
    TRY_CONTEXT("--set", add(key, value));
  }
  TRY(read_ca_bundle(options, before.ca_bundle, checked));
  if (options.certificate.empty() && !before.client_certificate.empty()) {
    checked.client_certificate = before.client_certificate;
    checked.access.client_certificate = TRY_CONTEXT("the client certificate of the payload",
                                                    read_access({}, before.client_certificate))
                                            .client_certificate;
  }
  if (!options.certificate.empty()) {
    std::string name = concat("--cert ", options.certificate);
    UniqueFd here = TRY(open_root("."));
    checked.client_certificate =
        TRY_CONTEXT("--cert", read_file(here, options.certificate, kClientCertificateFile.largest));
    if (checked.client_certificate.empty()) {
      return Error(concat(name, ": is empty; put certificate and key into it, in PEM"));
    }
    checked.access.client_certificate =
        TRY_CONTEXT(name, read_access({}, checked.client_certificate)).client_certificate;
  }
  return checked;
}

Result<NetworkConfig> load_network(const std::string& file) {
  UniqueFd root = TRY(open_root("/"));
  std::string text =
      TRY_CONTEXT(file, read_text(root, TRY_CONTEXT(file, real_path(file)), kNetworkFile.largest));
  return TRY_CONTEXT(file, parse_network_config(text));
}

void set_network(const NetworkConfig& network, const Settings& settings, InitramfsPlan& plan) {
  if (!network.empty()) plan.settings.network = format_network_config(network);
  NetworkConfig used = settings.network;
  used.complete_from(network);
  if (used.has_vlans()) plan.links.push_back({"8021q", "VLAN of the network"});
  if (used.has_bonds()) plan.links.push_back({"bonding", "bond of the network"});
}

}  // namespace curlingiron
