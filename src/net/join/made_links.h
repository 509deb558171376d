// Bonds and VLANs of a configuration, made as soon as what they lie on is there. Decides, and does
// what it decides through interfaces, so that a test needs no kernel.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "formats/netlink/types.h"
#include "formats/network_config.h"
#include "net/join/device_map.h"

namespace curlingiron {

// Where links are made: the kernel. As RouteSocket has them.
class LinkTarget {
 public:
  virtual ~LinkTarget() = default;
  virtual Result<std::vector<Link>> links() = 0;
  virtual Result<int> create_vlan(const std::string& name, int lower,
                                  const VlanOptions& options) = 0;
  virtual Result<int> create_bond(const std::string& name, const BondOptions& options,
                                  int primary) = 0;
  virtual Result<void> remove_link(int index) = 0;
  virtual Result<void> set_down(int index) = 0;
  virtual Result<void> set_master(int index, int master) = 0;
};

class MadeLinks {
 public:
  // `appeared` is called with each link that was made, as the kernel has it. All of them outlive
  // this.
  MadeLinks(const NetworkConfig& config, LinkTarget& target, const DeviceMap& devices,
            std::function<void(const Link&)> appeared);

  // Makes what is missing and can be made now; again with each NIC that shows itself, and when
  // wake() has come, as a module may still be loading.
  void make(Time time);
  std::optional<Time> wake() const { return again_at_; }

  bool holds(int index) const;  // made here
  void forget(int index);       // it has gone
  // Why this one could not be made; null: no try has failed.
  const std::string* trouble(const std::string& name) const;
  void remove_all();

 private:
  bool made(const std::string& name, const Result<int>& index);
  bool make_bond(const LinkConfig& wanted);
  bool make_vlan(const LinkConfig& wanted);
  bool remove_bond(const std::string& name);
  int master_of(int index);

  const NetworkConfig& config_;
  LinkTarget& target_;
  const DeviceMap& devices_;
  std::function<void(const Link&)> appeared_;
  std::vector<int> made_;                       // in this order
  std::map<std::string, std::string> trouble_;  // by name
  std::optional<Time> again_at_;
  Duration pause_;
};

}  // namespace curlingiron
