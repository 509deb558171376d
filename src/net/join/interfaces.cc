#include "net/join/interfaces.h"

#include <algorithm>

namespace curlingiron {
namespace {

constexpr std::string_view kLoopback = "lo";

}  // namespace

const Interface* Interfaces::at(std::optional<int> index) const {
  auto found = index ? all_.find(*index) : all_.end();
  return found == all_.end() ? nullptr : &found->second;
}

Interface* Interfaces::at(std::optional<int> index) {
  return const_cast<Interface*>(std::as_const(*this).at(index));
}

const Interface* Interfaces::find(std::string_view device) const {
  bool configured = config_.find(device) != nullptr;
  for (const auto& [index, interface] : all_) {
    // Another NIC may have that name in this kernel.
    if ((configured ? interface.plan().config_name : interface.link().name) == device) {
      return &interface;
    }
  }
  return nullptr;
}

bool Interfaces::is_configured_here(const LinkConfig& wanted) const {
  return wanted.name.empty() || std::any_of(all_.begin(), all_.end(), [&](const auto& entry) {
           return entry.second.plan().config_name == wanted.name;
         });
}

bool Interfaces::only_carries(const Interface& interface) const {
  const LinkPlan& plan = interface.plan();
  return !plan.bond.empty() ||
         (is_lower(config_, plan.name) && plan.addresses.empty() && !plan.dhcp4);
}

std::optional<int> Interfaces::index_of(const std::string& device) const {
  const Interface* found = find(device);
  if (found == nullptr) return std::nullopt;
  return found->link().index;
}

std::optional<int> Interfaces::index_with_carrier(const std::string& device) const {
  const Interface* found = find(device);
  if (found == nullptr || !found->carrier()) return std::nullopt;
  return found->link().index;
}

std::optional<std::string> Interfaces::kernel_name(const std::string& device) const {
  if (device == kLoopback) return device;
  const Interface* found = find(device);
  if (found == nullptr) return std::nullopt;
  return found->link().name;
}

// A route without a device goes where the address went that was given without one, or to the link
// that reaches its gateway.
const Interface* Interfaces::for_hop(const std::string& device, const RouteConfig& route) const {
  if (!device.empty()) return find(device);
  if (const Interface* floating = at(floating_)) return floating;
  for (const HopConfig& hop : route.hops) {
    for (const auto& [index, interface] : all_) {
      if (hop.gateway && interface.reaches(*hop.gateway)) return &interface;
    }
  }
  return nullptr;
}

std::optional<int> Interfaces::index_for_hop(const std::string& device,
                                             const RouteConfig& route) const {
  if (device == kLoopback) return loopback_;
  const Interface* found = for_hop(device, route);
  if (found == nullptr || !found->has_set(route.origin)) return std::nullopt;
  return found->link().index;
}

}  // namespace curlingiron
