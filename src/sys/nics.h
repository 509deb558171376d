// Network cards, by sysfs and rtnetlink.
#pragma once

#include <string>
#include <string_view>

#include "sys/fd.h"

namespace curlingiron {

// Which links count as NICs, beside those that a configuration makes (VLANs, bonds).
enum class NicRule {
  Physical,     // a device behind them, no wireless
  AnyEthernet,  // virtual ones too: tests on veth pairs
};

// A device behind it, and not wireless. `root` holds sys/.
bool is_physical(const UniqueFd& root, std::string_view interface);
// A radio. `root` holds sys/.
bool is_wireless(const UniqueFd& root, std::string_view interface);
// "e1000"; empty when unknown.
std::string driver_of(const UniqueFd& root, std::string_view interface);

}  // namespace curlingiron
