// What the options of a verb say of the installation.
#pragma once

#include <string>

#include "base/result.h"
#include "formats/network_config.h"
#include "formats/settings.h"
#include "host/options.h"
#include "payload/initramfs.h"

namespace curlingiron {

// What the options say: the settings, and as lines of /curlingiron/config.
struct CheckedSettings {
  Settings settings;
  std::string config;
};
Result<CheckedSettings> check_settings(const SettingOptions& options);

// The text of --network, which /init will be able to read.
Result<NetworkConfig> load_network(const std::string& file);
// What of the plan depends on the network: the text, and the modules for its links.
void set_network(const NetworkConfig& network, const Settings& settings, InitramfsPlan& plan);

}  // namespace curlingiron
