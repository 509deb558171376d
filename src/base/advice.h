// Advice that can be typed as it stands: a message names a setting as this program's user gives it.
#pragma once

#include <string>
#include <string_view>

namespace curlingiron {

enum class SettingStyle {
  Setting,  // "boot=any": of a kernel command line or a config
  Option,   // "--set boot=any", "--sha256 HEX": of a command
};

// Once, in a program's main. Setting where it is not called.
void set_setting_style(SettingStyle style);
// `setting`: "boot=any", "sha256=HEX", "insecure"; "ca" for the certificates of authorities.
std::string as_typed(std::string_view setting);

}  // namespace curlingiron
