#include "net/join/configured_routes.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "base/text.h"
#include "net/join/configured.h"

namespace curlingiron {

ConfiguredRoutes::ConfiguredRoutes(const NetworkConfig& config, RouteTarget& target,
                                   const DeviceMap& devices)
    : config_(config),
      target_(target),
      devices_(devices),
      routes_(config.routes.size()),
      rules_set_(config.rules.size(), false),
      neighbours_set_(config.neighbours.size(), false) {}

// A route may need another one that the configuration names after it: those to the link first, then
// again as long as it helps.
void ConfiguredRoutes::set_missing() {
  set_rules();
  set_neighbours();
  bool helped = true;
  while (helped) {
    helped = false;
    for (size_t i = 0; i < routes_.size(); ++i)
      helped = set_route(i, Gateway::AsConfigured) || helped;
  }
  // A gateway outside all prefixes is as good as on the link: nothing else leads to it.
  for (size_t i = 0; i < routes_.size(); ++i) set_route(i, Gateway::AlwaysOnLink);
}

// A rule that names an interface waits for it.
void ConfiguredRoutes::set_rules() {
  auto there = [&](const std::string& device) {
    return device.empty() || devices_.kernel_name(device).has_value();
  };
  for (size_t i = 0; i < rules_set_.size(); ++i) {
    const Rule& wanted = config_.rules[i];
    if (rules_set_[i] || !there(wanted.iif) || !there(wanted.oif)) continue;
    Rule rule = kernel_rule(wanted, [&](const std::string& device) {
      return devices_.kernel_name(device).value_or(device);
    });
    rules_set_[i] = true;
    if (auto added = target_.add_rule(rule); !added.ok()) {
      log_warning(concat("rule ", wanted.priority,
                         " of the network settings is not set; what needs it fails"),
                  added.error());
    }
  }
}

void ConfiguredRoutes::set_neighbours() {
  for (size_t i = 0; i < neighbours_set_.size(); ++i) {
    if (neighbours_set_[i]) continue;
    std::optional<Neighbour> neighbour = kernel_neighbour(
        config_.neighbours[i],
        [&](const std::string& device) { return devices_.index_with_carrier(device); });
    if (!neighbour) continue;
    neighbours_set_[i] = true;
    if (auto added = target_.add_neighbour(*neighbour); !added.ok()) {
      log_debug(concat("neighbour ", format_ip(neighbour->address), ": ", added.error().message()));
    }
  }
}

// True where it is set now and was not before.
bool ConfiguredRoutes::set_route(size_t i, Gateway gateway) {
  if (routes_[i].state != State::Missing) return false;
  const RouteConfig& wanted = config_.routes[i];
  std::optional<Route> route = kernel_route(
      wanted, [&](const std::string& device) { return devices_.index_for_hop(device, wanted); });
  if (!route) return false;
  bool last_try = gateway == Gateway::AlwaysOnLink;
  for (NextHop& hop : route->hops) {
    if (last_try && hop.gateway) hop.on_link = true;
  }
  Result<void> added = target_.add_route(*route);
  if (added.ok()) routes_[i] = {State::Set, *route};
  if (!added.ok() && last_try) {
    std::string what = concat("route to ", format_prefix(route->destination),
                              " of the network settings is not set (", added.error().message(),
                              "); check its gateway and device");
    if (std::exchange(reported_[i], what) != what) log_warning(what);
  }
  return added.ok();
}

void ConfiguredRoutes::remove_route(size_t i, State state) {
  if (routes_[i].state != State::Set) return;
  // It may have gone with its link.
  [[maybe_unused]] Result<void> removed = target_.remove_route(routes_[i].route);
  routes_[i].state = state;
}

void ConfiguredRoutes::forget(const std::string& device, bool floats) {
  for (size_t i = 0; i < routes_.size(); ++i) {
    const std::vector<HopConfig>& hops = config_.routes[i].hops;
    bool there = std::any_of(hops.begin(), hops.end(), [&](const HopConfig& hop) {
      return hop.device.empty() ? floats : hop.device == device;
    });
    if (there && routes_[i].state == State::Set) routes_[i].state = State::Missing;
  }
  for (size_t i = 0; i < neighbours_set_.size(); ++i) {
    if (config_.neighbours[i].device == device) neighbours_set_[i] = false;
  }
}

void ConfiguredRoutes::remove_floating() {
  for (size_t i = 0; i < routes_.size(); ++i) {
    const std::vector<HopConfig>& hops = config_.routes[i].hops;
    bool floats = std::any_of(hops.begin(), hops.end(),
                              [](const HopConfig& hop) { return hop.device.empty(); });
    if (floats) remove_route(i, State::Missing);
  }
}

void ConfiguredRoutes::withdraw_replaced(
    const std::function<bool(const std::string& device, Family family)>& replaced) {
  for (size_t i = 0; i < routes_.size(); ++i) {
    const RouteConfig& wanted = config_.routes[i];
    if (wanted.destination.length != 0) continue;
    bool other = std::any_of(wanted.hops.begin(), wanted.hops.end(), [&](const HopConfig& hop) {
      return replaced(hop.device, wanted.family());
    });
    if (other) remove_route(i, State::Withdrawn);
  }
}

void ConfiguredRoutes::restore_withdrawn() {
  for (Kept& each : routes_) {
    if (each.state == State::Withdrawn) each.state = State::Missing;
  }
}

std::optional<IpAddress> ConfiguredRoutes::gateway(
    const std::string& device, bool floats, Family family,
    const std::function<bool(Origin)>& in_force) const {
  for (const RouteConfig& wanted : config_.routes) {
    bool is_default =
        wanted.family() == family && wanted.destination.length == 0 && wanted.table == kMainTable;
    if (!is_default || !in_force(wanted.origin)) continue;
    for (const HopConfig& hop : wanted.hops) {
      bool here = hop.device == device || (hop.device.empty() && floats);
      if (here && hop.gateway) return hop.gateway;
    }
  }
  return std::nullopt;
}

}  // namespace curlingiron
