#include "formats/network_config.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/bytes.h"
#include "base/text.h"

namespace curlingiron {
namespace {

constexpr size_t kLongestName = 15;  // IFNAMSIZ - 1
constexpr std::string_view kLoopback = "lo";

constexpr uint8_t kScopeLink = 253;
constexpr uint8_t kScopeHost = 254;

Error unknown_device(std::string_view what, std::string_view name) {
  return Error(
      concat(what, " names the device \"", printable(name, 40), "\", which has no link line"));
}

Result<void> check_device(const NetworkConfig& config, std::string_view what,
                          std::string_view name) {
  if (name.empty() || name == kLoopback || config.find(name) != nullptr) return {};
  return unknown_device(what, name);
}

// What a link is made of: links that must be there before it.
std::vector<std::string> parts_of(const LinkConfig& link) {
  if (link.bond) return link.bond->members;
  if (link.vlan) return {link.vlan->lower};
  return {};
}

Result<void> check_parts(const NetworkConfig& config, const LinkConfig& link) {
  if (link.bond && link.vlan) return Error(concat(link.name, " cannot be both a VLAN and a bond"));
  for (const std::string& part : parts_of(link)) {
    if (part.empty() || config.find(part) == nullptr) return unknown_device(link.name, part);
  }
  if (!link.bond) return {};
  const BondConfig& bond = *link.bond;
  if (bond.members.empty()) return Error(concat(link.name, ": a bond takes members"));
  if (!bond.primary.empty() &&
      std::find(bond.members.begin(), bond.members.end(), bond.primary) == bond.members.end()) {
    return Error(concat(link.name, ": its primary ", bond.primary, " is none of its members"));
  }
  return {};
}

Result<void> check_members(const NetworkConfig& config) {
  std::map<std::string_view, std::string_view> owners;
  for (const LinkConfig& link : config.links) {
    if (!link.bond) continue;
    for (const std::string& member : link.bond->members) {
      auto [owner, added] = owners.emplace(member, link.name);
      if (!added) {
        return Error(concat(member, " is a member of both ", owner->second, " and ", link.name));
      }
    }
  }
  return {};
}

Result<void> check_links(const NetworkConfig& config) {
  constexpr size_t kMostLinks = 1024;
  if (config.links.size() > kMostLinks) return Error("more than 1024 links");
  for (const LinkConfig& link : config.links) {
    if (!link.name.empty() && !is_link_name(link.name)) {
      return Error(concat("\"", printable(link.name, 40), "\" is no name of a link"));
    }
    for (const LinkConfig& other : config.links) {
      if (&other == &link) break;
      if (other.name == link.name) return Error(concat(link.name, " is described twice"));
      if (link.mac && other.mac == link.mac) {
        return Error(concat(other.name, " and ", link.name, " have the same mac"));
      }
    }
    TRY(check_parts(config, link));
  }
  TRY(check_members(config));
  std::vector<const LinkConfig*> makeable = order_of_making(config);
  for (const LinkConfig& link : config.links) {
    if (std::find(makeable.begin(), makeable.end(), &link) == makeable.end()) {
      return Error(concat(link.name, " lies on itself"));
    }
  }
  return {};
}

Result<void> check_route(const NetworkConfig& config, const RouteConfig& route) {
  std::string what = concat("route ", format_prefix(route.destination));
  Family family = route.family();
  if (is_dead_end(route.type) != route.hops.empty()) {
    return Error(concat(what, route.hops.empty()
                                  ? " says neither via nor dev"
                                  : " leads nowhere, and takes neither via nor dev"));
  }
  for (const HopConfig& hop : route.hops) {
    TRY(check_device(config, what, hop.device));
    if (hop.gateway && hop.gateway->family() != family && family == Family::V6) {
      return Error(concat(what, ": its gateway is of the other family"));
    }
    if (hop.weight < 1 || hop.weight > 256) return Error(concat(what, ": a weight is 1 to 256"));
    if (!hop.gateway && hop.device.empty()) return Error(concat(what, " says neither via nor dev"));
  }
  bool mixed = (route.preferred && route.preferred->family() != family) ||
               (route.source && route.source->address.family() != family);
  if (mixed) return Error(concat(what, ": addresses of two families"));
  return {};
}

}  // namespace

uint8_t usual_scope(const RouteConfig& route) {
  if (route.destination.address.is_v6()) return 0;
  if (route.type == RouteType::Local) return kScopeHost;
  if (route.hops.empty() || route.hops[0].gateway) return 0;
  return kScopeLink;
}

bool NetworkConfig::empty() const { return !says_how() && nameservers.empty() && search.empty(); }

bool NetworkConfig::says_how() const {
  return !links.empty() || !addresses.empty() || !routes.empty() || !rules.empty() ||
         !neighbours.empty();
}

void NetworkConfig::complete_from(NetworkConfig lower) {
  if (says_how()) return;
  lower.nameservers.insert(lower.nameservers.begin(), nameservers.begin(), nameservers.end());
  *this = std::move(lower);
}

bool NetworkConfig::has_vlans() const {
  return std::any_of(links.begin(), links.end(),
                     [](const LinkConfig& link) { return link.vlan.has_value(); });
}

bool NetworkConfig::has_bonds() const {
  return std::any_of(links.begin(), links.end(),
                     [](const LinkConfig& link) { return link.bond.has_value(); });
}

const LinkConfig* NetworkConfig::find(std::string_view name) const {
  for (const LinkConfig& link : links) {
    if (link.name == name) return &link;
  }
  return nullptr;
}

LinkConfig& link_of(NetworkConfig& config, std::string_view name) {
  for (LinkConfig& link : config.links) {
    if (link.name == name) return link;
  }
  LinkConfig& link = config.links.emplace_back();
  link.name = std::string(name);
  return link;
}

std::vector<const LinkConfig*> order_of_making(const NetworkConfig& config) {
  std::vector<const LinkConfig*> order;
  std::set<std::string_view> made;
  for (bool grown = true; grown;) {
    grown = false;
    for (const LinkConfig& link : config.links) {
      if (made.contains(link.name)) continue;
      std::vector<std::string> parts = parts_of(link);
      bool ready = std::all_of(parts.begin(), parts.end(),
                               [&](const std::string& part) { return made.contains(part); });
      if (!ready) continue;
      made.insert(link.name);
      order.push_back(&link);
      grown = true;
    }
  }
  return order;
}

Result<uint32_t> parse_bond_value(const BondOption& option, std::string_view text) {
  std::string known;
  for (uint32_t i = 0; i < option.words.size() && !option.words[i].empty(); ++i) {
    if (option.words[i] == text) return i;
    known += concat(known.empty() ? "" : ", ", option.words[i]);
  }
  Result<uint32_t> number = parse_u32(text);
  uint64_t most = (uint64_t{1} << (8 * option.bytes)) - 1;
  if (number.ok() && number.value() <= most) return number;
  if (known.empty())
    return Error(concat("\"", printable(text, 40), "\" is no number up to ", most));
  return Error(concat("\"", printable(text, 40), "\" is none of ", known));
}

bool is_link_name(std::string_view name) {
  if (name.empty() || name.size() > kLongestName || name == "." || name == "..") return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return c > ' ' && c < 127 && std::string_view("/:,#*\"").find(c) == std::string_view::npos;
  });
}

bool is_domain(std::string_view name) {
  constexpr std::string_view kMarks = "-._";
  constexpr size_t kLongest = 253;
  return !name.empty() && name.size() <= kLongest &&
         std::all_of(name.begin(), name.end(), [&](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  kMarks.find(c) != std::string_view::npos;
         });
}

std::string name_of_mac(const MacAddress& mac) { return concat("nic", to_hex(mac)); }

Result<void> check_network_config(const NetworkConfig& config) {
  constexpr size_t kMostAddresses = 4096;
  TRY(check_links(config));
  if (config.addresses.size() > kMostAddresses) return Error("more than 4096 addresses");
  for (const AddressConfig& address : config.addresses) {
    std::string what = concat("address ", format_prefix(address.prefix));
    TRY(check_device(config, what, address.device));
    if (address.peer && address.peer->family() != address.prefix.address.family()) {
      return Error(concat(what, ": its peer is of the other family"));
    }
    for (const AddressConfig& other : config.addresses) {
      if (&other == &address) break;
      if (other.device == address.device && other.prefix == address.prefix &&
          other.peer == address.peer) {
        return Error(concat(what, " is described twice"));
      }
    }
  }
  for (const RouteConfig& route : config.routes) TRY(check_route(config, route));
  for (const Rule& rule : config.rules) {
    std::string what = concat("rule ", rule.priority);
    TRY(check_device(config, what, rule.iif));
    TRY(check_device(config, what, rule.oif));
    for (const std::optional<IpPrefix>& prefix : {rule.from, rule.to}) {
      if (prefix && prefix->address.family() != rule.family) {
        return Error(concat(what, ": addresses of two families"));
      }
    }
  }
  for (const NeighbourConfig& neighbour : config.neighbours) {
    TRY(check_device(config, concat("neighbour ", format_ip(neighbour.address)), neighbour.device));
  }
  for (const NameServerConfig& server : config.nameservers) {
    TRY(check_device(config, concat("nameserver ", format_ip(server.address)), server.device));
  }
  return {};
}

}  // namespace curlingiron
