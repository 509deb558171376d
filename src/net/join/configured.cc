#include "net/join/configured.h"

#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>

namespace curlingiron {

std::optional<Route> kernel_route(const RouteConfig& config, const IndexOf& index_of) {
  Route route;
  static_cast<RouteFacts&>(route) = config;
  route.destination = network_of(config.destination);
  // As set by an administrator, whoever set it before: nobody else takes care of it now.
  route.protocol = RTPROT_STATIC;
  for (const HopConfig& hop : config.hops) {
    std::optional<int> index = index_of(hop.device);
    if (!index) return std::nullopt;
    route.hops.push_back({hop, *index});
  }
  return route;
}

std::optional<Neighbour> kernel_neighbour(const NeighbourConfig& config, const IndexOf& index_of) {
  std::optional<int> index = index_of(config.device);
  if (!index) return std::nullopt;
  Neighbour neighbour;
  static_cast<NeighbourFacts&>(neighbour) = config;
  neighbour.index = *index;
  // What was only learnt is asked for again when it is used (RFC 4861 section 7.3.2).
  neighbour.state = config.permanent ? NUD_PERMANENT : NUD_STALE;
  return neighbour;
}

Rule kernel_rule(Rule rule, const std::function<std::string(const std::string& device)>& name_of) {
  if (!rule.iif.empty()) rule.iif = name_of(rule.iif);
  if (!rule.oif.empty()) rule.oif = name_of(rule.oif);
  rule.protocol = RTPROT_STATIC;
  return rule;
}

AssignedAddress kernel_address(const AddressConfig& config, int index) {
  AssignedAddress address;
  static_cast<AddressFacts&>(address) = config;
  address.index = index;
  if (config.no_prefix_route) address.flags |= IFA_F_NOPREFIXROUTE;
  // Duplicates of what an administrator chose are not looked for, as of IPv4: the kernel would wait
  // a second, and where no router has spoken it asks for no neighbour from an address it is not
  // sure of.
  if (config.origin == Origin::Static) address.flags |= IFA_F_NODAD;
  return address;
}

}  // namespace curlingiron
