// What the devices of a configuration are in this kernel, at this moment.
#pragma once

#include <optional>
#include <string>

#include "formats/network_config.h"

namespace curlingiron {

class DeviceMap {
 public:
  virtual ~DeviceMap() = default;
  // nullopt, here and below: it is not there.
  virtual std::optional<int> index_of(const std::string& device) const = 0;
  virtual std::optional<int> index_with_carrier(const std::string& device) const = 0;
  virtual std::optional<std::string> kernel_name(const std::string& device) const = 0;
  // The interface that a hop of `route` leaves by; nullopt also while the addresses of the route's
  // origin are not in force there. An empty `device`: that of the floating address, or the one that
  // reaches a gateway.
  virtual std::optional<int> index_for_hop(const std::string& device,
                                           const RouteConfig& route) const = 0;
};

}  // namespace curlingiron
