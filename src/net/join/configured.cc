#include "net/join/configured.h"

#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>

namespace curlingiron {

std::optional<Route> kernel_route(const RouteConfig& config, const IndexOf& index_of) {
  Route route;
  route.family = config.destination.address.family();
  route.destination = network_of(config.destination);
  route.source = config.source;
  route.table = config.table;
  // As set by an administrator, whoever set it before: nobody else takes care of it now.
  route.protocol = RTPROT_STATIC;
  route.scope = config.scope;
  route.type = config.type;
  route.tos = config.tos;
  route.metric = config.metric;
  route.preferred = config.preferred;
  route.metrics = config.metrics;
  route.preference = config.preference;
  for (const HopConfig& hop : config.hops) {
    std::optional<int> index = index_of(hop.device);
    if (!index) return std::nullopt;
    route.hops.push_back({*index, hop.gateway, hop.on_link, hop.weight});
  }
  return route;
}

std::optional<Neighbour> kernel_neighbour(const NeighbourConfig& config, const IndexOf& index_of) {
  std::optional<int> index = index_of(config.device);
  if (!index) return std::nullopt;
  Neighbour neighbour;
  neighbour.index = *index;
  neighbour.address = config.address;
  neighbour.mac = config.mac;
  // What was only learnt is asked for again when it is used (RFC 4861 section 7.3.2).
  neighbour.state = config.permanent ? NUD_PERMANENT : NUD_STALE;
  return neighbour;
}

Rule kernel_rule(const RuleConfig& config,
                 const std::function<std::string(const std::string& device)>& name_of) {
  Rule rule;
  rule.family = config.family;
  rule.priority = config.priority;
  rule.from = config.from;
  rule.to = config.to;
  if (!config.iif.empty()) rule.iif = name_of(config.iif);
  if (!config.oif.empty()) rule.oif = name_of(config.oif);
  rule.mark = config.mark;
  rule.mask = config.mask;
  rule.table = config.table;
  rule.action = static_cast<uint8_t>(config.action);
  rule.jump = config.jump;
  rule.invert = config.invert;
  rule.tos = config.tos;
  rule.suppress_prefix = config.suppress_prefix;
  rule.protocol = RTPROT_STATIC;
  rule.ip_protocol = config.ip_protocol;
  rule.source_ports = config.source_ports;
  rule.destination_ports = config.destination_ports;
  rule.users = config.users;
  return rule;
}

AssignedAddress kernel_address(const AddressConfig& config, int index) {
  AssignedAddress address;
  address.index = index;
  address.prefix = config.prefix;
  address.peer = config.peer;
  address.broadcast = config.broadcast;
  address.metric = config.metric;
  address.scope = config.scope;
  if (config.no_prefix_route) address.flags |= IFA_F_NOPREFIXROUTE;
  // Duplicates of what an administrator chose are not looked for, as of IPv4: the kernel would wait
  // a second, and where no router has spoken it asks for no neighbour from an address it is not
  // sure of.
  if (config.origin == Origin::Static) address.flags |= IFA_F_NODAD;
  return address;
}

}  // namespace curlingiron
