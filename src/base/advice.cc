#include "base/advice.h"

#include <algorithm>
#include <iterator>

#include "base/text.h"

namespace curlingiron {
namespace {

// Those that have options of their own.
constexpr std::string_view kOptions[] = {"image-sha256", "member", "pubkey",
                                         "sha256",       "sig",    "sums"};

SettingStyle chosen_style = SettingStyle::Setting;

}  // namespace

void set_setting_style(SettingStyle style) { chosen_style = style; }

std::string as_typed(std::string_view setting) {
  // Certificates are no setting: they are put into the initramfs.
  if (setting == "ca") {
    return chosen_style == SettingStyle::Option ? "--ca FILE" : "--ca FILE to flash or build";
  }
  if (chosen_style == SettingStyle::Setting) return std::string(setting);
  size_t equals = std::min(setting.find('='), setting.size());
  std::string_view key = setting.substr(0, equals);
  if (std::find(std::begin(kOptions), std::end(kOptions), key) == std::end(kOptions)) {
    return concat("--set ", setting);
  }
  return concat("--", key, " ", setting.substr(std::min(equals + 1, setting.size())));
}

}  // namespace curlingiron
