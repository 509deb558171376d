// Network cards, by sysfs and rtnetlink.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "sys/fd.h"

namespace curlingiron {

// Which links count as NICs, beside those that a configuration makes (VLANs, bonds).
enum class NicRule {
  Physical,     // a device behind them, no wireless
  AnyEthernet,  // virtual ones too: tests on veth pairs
};

struct Nic {
  std::string name;    // eth0
  std::string mac;     // "52:54:00:12:34:56", the permanent one where the kernel tells
  std::string driver;  // "e1000"; empty when unknown
  int index = 0;
  bool carrier = false;
};

// Physical Ethernet NICs (a device behind them, no `master`), by sysfs and netlink. `root` holds
// sys/.
Result<std::vector<Nic>> list_nics(const UniqueFd& root);

// A device behind it, and not wireless. `root` holds sys/.
bool is_physical(const UniqueFd& root, std::string_view interface);
// "e1000"; empty when unknown.
std::string driver_of(const UniqueFd& root, std::string_view interface);

}  // namespace curlingiron
