#include "host/settings.h"

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

// Of --ca, or else of this machine; judged here, where their files have names.
Result<void> read_ca_bundle(const SettingOptions& options, CheckedSettings& checked) {
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

}  // namespace

Result<CheckedSettings> check_settings(const SettingOptions& options) {
  CheckedSettings checked;
  std::map<std::string, std::string, std::less<>> given;
  auto add = [&](std::string_view key, std::string_view value) -> Result<void> {
    TRY(apply_setting(key, value, checked.settings));
    auto [before, is_first] = given.emplace(key, value);
    if (!is_first && before->second != value && !is_repeatable_key(key)) {
      return Error(concat(key, ": is given twice, each time another value; give one of them"));
    }
    checked.config += TRY(format_setting(key, value));
    return {};
  };
  // apply_setting() names the key, which is the option's name, too.
  for (const std::string& source : options.sources) TRY(add("src", source));
  if (!options.sha256.empty()) TRY(add("sha256", options.sha256));
  if (!options.image_sha256.empty()) TRY(add("image-sha256", options.image_sha256));
  if (!options.member.empty()) TRY(add("member", options.member));
  if (!options.sums.empty()) TRY(add("sums", options.sums));
  if (!options.public_key.empty()) TRY(add("pubkey", TRY(public_key(options.public_key))));
  if (!options.signature.empty()) TRY(add("sig", options.signature));
  for (const std::string& setting : options.set) {
    auto [key, value] = TRY_CONTEXT("--set", split_setting(setting));
    TRY_CONTEXT("--set", add(key, value));
  }
  TRY(read_ca_bundle(options, checked));
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
  if (!network.empty()) plan.network = format_network_config(network);
  NetworkConfig used = settings.network;
  used.complete_from(network);
  if (used.has_vlans()) plan.links.push_back({"8021q", "VLAN of the network"});
  if (used.has_bonds()) plan.links.push_back({"bonding", "bond of the network"});
}

}  // namespace curlingiron
