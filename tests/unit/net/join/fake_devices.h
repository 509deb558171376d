// Devices that are there as a test says.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>

#include "net/join/device_map.h"

namespace curlingiron {

class FakeDevices final : public DeviceMap {
 public:
  std::map<std::string, int> there;
  std::set<std::string> without_carrier;
  std::set<std::string> not_in_force;        // devices whose planned addresses are not set
  std::map<std::string, std::string> names;  // of the kernel, where they differ

  std::optional<int> index_of(const std::string& device) const override {
    auto found = there.find(device);
    if (found == there.end()) return std::nullopt;
    return found->second;
  }
  std::optional<int> index_with_carrier(const std::string& device) const override {
    return without_carrier.count(device) != 0 ? std::nullopt : index_of(device);
  }
  std::optional<std::string> kernel_name(const std::string& device) const override {
    if (there.count(device) == 0) return std::nullopt;
    auto found = names.find(device);
    return found == names.end() ? device : found->second;
  }
  std::optional<int> index_for_hop(const std::string& device, const RouteConfig&) const override {
    return not_in_force.count(device) != 0 ? std::nullopt : index_of(device);
  }
};

}  // namespace curlingiron
