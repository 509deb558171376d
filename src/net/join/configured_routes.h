// The routes, rules and neighbours of a configuration, kept in the kernel as far as the devices
// they name are there. Decides, and does what it decides through interfaces, so that a test needs
// no kernel.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "formats/netlink/types.h"
#include "formats/network_config.h"
#include "net/join/device_map.h"

namespace curlingiron {

// Where routes go: the kernel.
class RouteTarget {
 public:
  virtual ~RouteTarget() = default;
  // Beside others of the same destination and metric.
  virtual Result<void> add_route(const Route& route) = 0;
  virtual Result<void> remove_route(const Route& route) = 0;
  virtual Result<void> add_rule(const Rule& rule) = 0;
  virtual Result<void> add_neighbour(const Neighbour& neighbour) = 0;
};

class ConfiguredRoutes {
 public:
  // All of them outlive it.
  ConfiguredRoutes(const NetworkConfig& config, RouteTarget& target, const DeviceMap& devices);

  // Sets what is missing and can be set now. What cannot be set is reported once.
  void set_missing();

  // Routes of a device may have gone; as soon as they can be they are set again. `floats`: it has
  // the floating address.
  void forget(const std::string& device, bool floats);
  // The routes of the floating address go, before that goes to another device.
  void remove_floating();
  // A default route whose device has another gateway now (`replaced`) is withdrawn, until
  // restore_withdrawn().
  void withdraw_replaced(
      const std::function<bool(const std::string& device, Family family)>& replaced);
  void restore_withdrawn();

  // A gateway of a default route by this device, of an origin that is in force there.
  std::optional<IpAddress> gateway(const std::string& device, bool floats, Family family,
                                   const std::function<bool(Origin)>& in_force) const;

 private:
  enum class State : uint8_t { Missing, Set, Withdrawn };
  enum class Gateway { AsConfigured, AlwaysOnLink };

  void set_rules();
  void set_neighbours();
  bool set_route(size_t i, Gateway gateway);
  void remove_route(size_t i, State state);

  const NetworkConfig& config_;
  RouteTarget& target_;
  const DeviceMap& devices_;
  struct Kept {
    State state = State::Missing;
    Route route;  // as it was set
  };

  std::vector<Kept> routes_;  // of config_.routes, as those that follow
  std::vector<bool> rules_set_;
  std::vector<bool> neighbours_set_;
  std::map<size_t, std::string> reported_;  // why a route could not be set
};

}  // namespace curlingiron
