// Configured routes, rules and neighbours as the kernel has them. Pure.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "formats/netlink/types.h"
#include "formats/network_config.h"

namespace curlingiron {

// The index of an interface by its name in the configuration; nullopt: it is not there (yet).
using IndexOf = std::function<std::optional<int>(const std::string& device)>;

// nullopt while an interface is not there.
std::optional<Route> kernel_route(const RouteConfig& config, const IndexOf& index_of);
std::optional<Neighbour> kernel_neighbour(const NeighbourConfig& config, const IndexOf& index_of);
// `name_of`: what the kernel calls an interface of the configuration.
Rule kernel_rule(Rule rule, const std::function<std::string(const std::string& device)>& name_of);
AssignedAddress kernel_address(const AddressConfig& config, int index);

}  // namespace curlingiron
