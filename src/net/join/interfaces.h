// The interfaces that take part, and which of them a device of the configuration is.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "formats/network_config.h"
#include "net/join/device_map.h"
#include "net/join/interface.h"

namespace curlingiron {

class Interfaces final : public DeviceMap {
 public:
  using ByIndex = std::map<int, Interface>;

  explicit Interfaces(const NetworkConfig& config) : config_(config) {}  // outlives this

  ByIndex& all() { return all_; }
  const ByIndex& all() const { return all_; }
  Interface* at(std::optional<int> index);  // null: it is not there
  const Interface* at(std::optional<int> index) const;
  // By the name that the configuration or, where it has none, the kernel knows it by.
  const Interface* find(std::string_view device) const;
  bool is_configured_here(const LinkConfig& wanted) const;

  // It carries others, and has nothing of its own to report.
  bool only_carries(const Interface& interface) const;

  // Who has the address that may be any NIC's.
  void set_floating(std::optional<int> index) { floating_ = index; }
  bool floats(const Interface& interface) const { return floating_ == interface.link().index; }
  void set_loopback(int index) { loopback_ = index; }
  std::optional<int> loopback() const { return loopback_; }

  std::optional<int> index_of(const std::string& device) const override;
  std::optional<int> index_with_carrier(const std::string& device) const override;
  std::optional<std::string> kernel_name(const std::string& device) const override;
  std::optional<int> index_for_hop(const std::string& device,
                                   const RouteConfig& route) const override;

 private:
  const Interface* for_hop(const std::string& device, const RouteConfig& route) const;

  const NetworkConfig& config_;
  ByIndex all_;
  std::optional<int> floating_;
  std::optional<int> loopback_;  // once its addresses are set
};

}  // namespace curlingiron
