// What the options of a verb say of the installation.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "formats/network_config.h"
#include "formats/settings.h"
#include "host/options.h"
#include "image/wanted.h"
#include "payload/initramfs.h"

namespace curlingiron {

// What the options say.
struct CheckedSettings {
  Settings settings;
  std::string config;  // the settings as lines of /curlingiron/config
  // PEM, each read once, as it may be a pipe. The bundle of --ca, or else of this machine, compact
  // (payload/ca_bundle.h); empty where it has none, and with insecure.
  ByteVector ca_bundle;
  ByteVector client_certificate;  // of --cert; empty: none
  ImageAccess access;             // with what is in them
};
// Files are read, and what is in them is judged. `before`: what was built into a payload, which
// holds for whatever the options do not say. Where it names an image and the options name another,
// nothing that was said of the former holds for that.
Result<CheckedSettings> check_settings(const SettingOptions& options,
                                       const InitramfsSettings& before = {});
// Whether a setting's value holds a password or a token.
bool holds_secret(std::string_view key, std::string_view value);
// A setting for people and for files that everybody may read: KEY or KEY=VALUE, without secrets.
std::string shown_setting(std::string_view key, std::string_view value);

// The text of --network, which /init will be able to read.
Result<NetworkConfig> load_network(const std::string& file);
// What of the plan depends on the network: the text, and the modules for its links.
void set_network(const NetworkConfig& network, const Settings& settings, InitramfsPlan& plan);

}  // namespace curlingiron
