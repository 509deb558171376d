// The text of a network config, written.
#include <algorithm>

#include "base/text.h"
#include "formats/network_words.h"

namespace curlingiron {
namespace {

template <typename T, size_t N>
std::string word_or_number(const Named<T> (&words)[N], const T& value) {
  std::string_view word = word_for(words, value);
  return word.empty() ? concat(value) : std::string(word);
}

std::string origin_words(Origin origin) {
  if (origin == Origin::Static) return {};
  return concat(" from ", word_for(kOrigins, origin));
}

std::string device_words(std::string_view device) {
  return device.empty() ? std::string() : concat(" dev ", device);
}

std::string format_bond(const BondConfig& bond) {
  std::string text =
      concat(" bond ", join(bond.members, ","), " mode ", bond_mode_name(bond.options.mode));
  if (!bond.primary.empty()) text += concat(" primary ", bond.primary);
  for (const BondOption& option : bond_options()) {
    const BondOptions::Number& value = bond.options.*option.value;
    if (!value) continue;
    bool has_word = *value < option.words.size() && !option.words[*value].empty();
    text += concat(" ", option.name, " ",
                   has_word ? std::string(option.words[*value]) : concat(*value));
  }
  std::vector<std::string> targets;
  for (Ipv4 target : bond.options.arp_targets) targets.push_back(format_ipv4(target));
  if (!targets.empty()) text += concat(" arp_ip_target ", join(targets, ","));
  return text;
}

std::string format_line(const LinkConfig& link) {
  std::string text = concat("link ", link.name.empty() ? "*" : link.name);
  if (link.mac) text += concat(" mac ", format_mac(*link.mac));
  if (link.set_mac) text += concat(" address ", format_mac(*link.set_mac));
  if (link.mtu != 0) text += concat(" mtu ", link.mtu);
  if (link.vlan) {
    text += concat(" vlan ", link.vlan->options.id, " on ", link.vlan->lower,
                   link.vlan->options.qinq ? " qinq" : "");
  }
  if (link.bond) text += format_bond(*link.bond);
  if (link.ipv4 != Ipv4Method::Unset) text += concat(" ipv4 ", word_for(kIpv4Methods, link.ipv4));
  if (link.ipv6 != Ipv6Method::Unset) text += concat(" ipv6 ", word_for(kIpv6Methods, link.ipv6));
  return text;
}

std::string format_line(const AddressConfig& address) {
  std::string text = concat("address ", format_prefix(address.prefix));
  if (address.peer) text += concat(" peer ", format_ip(*address.peer));
  text += device_words(address.device);
  if (address.broadcast) text += concat(" broadcast ", format_ipv4(*address.broadcast));
  if (address.scope != 0) text += concat(" scope ", word_or_number(kScopes, address.scope));
  if (address.metric != 0) text += concat(" metric ", address.metric);
  if (address.no_prefix_route) text += " noprefixroute";
  return text + origin_words(address.origin);
}

std::string hop_words(const HopConfig& hop) {
  std::string text;
  if (hop.gateway) text += concat(" via ", format_ip(*hop.gateway));
  text += device_words(hop.device);
  if (hop.on_link) text += " onlink";
  return text;
}

// "default" where the gateway shows of which family.
std::string destination_of(const RouteConfig& route) {
  const IpPrefix& destination = route.destination;
  bool has_family = !route.hops.empty() && route.hops[0].gateway &&
                    route.hops[0].gateway->family() == destination.address.family();
  if (destination.length == 0 && destination.address.is_zero() && has_family) return "default";
  return format_prefix(destination);
}

std::string format_line(const RouteConfig& route) {
  std::string text = "route ";
  if (route.type != RouteType::Unicast) text += concat(word_for(kRouteTypes, route.type), " ");
  text += destination_of(route);
  if (route.source) text += concat(" from ", format_prefix(*route.source));
  bool single = route.hops.size() == 1 && route.hops[0].weight == 1;
  if (single) text += hop_words(route.hops[0]);
  if (route.table != kMainTable) text += concat(" table ", word_or_number(kTables, route.table));
  if (route.metric != 0) text += concat(" metric ", route.metric);
  if (route.scope != usual_scope(route)) {
    text += concat(" scope ", word_or_number(kScopes, route.scope));
  }
  if (route.tos != 0) text += concat(" tos ", route.tos);
  if (route.preferred) text += concat(" src ", format_ip(*route.preferred));
  for (const RouteMetric& metric : route_metrics()) {
    const RouteMetrics::Number& value = route.metrics.*metric.value;
    bool locked = (route.metrics.lock >> metric.number & 1) != 0;
    if (value) text += concat(" ", metric.name, locked ? " lock " : " ", *value);
  }
  if (route.preference != 0) {
    text += concat(" pref ", word_or_number(kPreferences, route.preference));
  }
  text += origin_words(route.origin);
  if (single) return text;
  for (const HopConfig& hop : route.hops) {
    text += concat(" nexthop", hop_words(hop), " weight ", hop.weight);
  }
  return text;
}

template <typename T>
std::string range_words(std::string_view word, const std::optional<NumberRange<T>>& range) {
  if (!range) return {};
  if (range->first == range->last) return concat(" ", word, " ", range->first);
  return concat(" ", word, " ", range->first, "-", range->last);
}

std::string format_line(const Rule& rule) {
  std::string text = concat("rule ", rule.priority);
  if (rule.family == Family::V6 && !rule.from && !rule.to) text += " inet6";
  if (rule.invert) text += " not";
  if (rule.from) text += concat(" from ", format_prefix(*rule.from));
  if (rule.to) text += concat(" to ", format_prefix(*rule.to));
  if (!rule.iif.empty()) text += concat(" iif ", rule.iif);
  if (!rule.oif.empty()) text += concat(" oif ", rule.oif);
  if (rule.mark != 0 || rule.mask != 0) text += concat(" fwmark ", rule.mark, "/", rule.mask);
  if (rule.tos != 0) text += concat(" tos ", rule.tos);
  if (rule.ip_protocol != 0) {
    text += concat(" ipproto ", word_or_number(kIpProtocols, rule.ip_protocol));
  }
  text += range_words("sport", rule.source_ports);
  text += range_words("dport", rule.destination_ports);
  text += range_words("uidrange", rule.users);
  if (rule.suppress_prefix) text += concat(" suppress_prefixlength ", *rule.suppress_prefix);
  switch (rule.action) {
    case RuleAction::Lookup: return text + concat(" lookup ", word_or_number(kTables, rule.table));
    case RuleAction::Goto: return text + concat(" goto ", rule.jump);
    case RuleAction::Nop:
    case RuleAction::Blackhole:
    case RuleAction::Unreachable:
    case RuleAction::Prohibit: return text + concat(" ", word_for(kRuleActions, rule.action));
  }
  return text;
}

std::string format_line(const NeighbourConfig& neighbour) {
  return concat("neighbour ", format_ip(neighbour.address), " mac ", format_mac(neighbour.mac),
                device_words(neighbour.device), neighbour.permanent ? " permanent" : "");
}

std::string format_line(const NameServerConfig& server) {
  return concat("nameserver ", format_ip(server.address),
                server.port == 53 ? std::string() : concat(" port ", server.port),
                device_words(server.device), origin_words(server.origin));
}

template <typename T>
void add_lines(std::string& text, const std::vector<T>& items) {
  for (const T& item : items) text += concat(format_line(item), "\n");
}

}  // namespace

std::string format_network_config(const NetworkConfig& config) {
  std::string text;
  add_lines(text, config.links);
  add_lines(text, config.addresses);
  add_lines(text, config.routes);
  add_lines(text, config.rules);
  add_lines(text, config.neighbours);
  add_lines(text, config.nameservers);
  if (!config.search.empty()) text += concat("search ", join(config.search, " "), "\n");
  if (config.captured) text += "captured\n";
  return text;
}

}  // namespace curlingiron
