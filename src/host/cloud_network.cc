#include "host/cloud_network.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "base/address.h"
#include "base/text.h"
#include "host/yaml.h"

namespace curlingiron {
namespace {

using Json = nlohmann::ordered_json;

// As both name them; those of other names are netplan's alone, and cloud-init fails over them.
struct BondWord {
  std::string_view option;
  const char* key;
};
constexpr BondWord kBondWords[] = {{"miimon", "mii-monitor-interval"},
                                   {"updelay", "up-delay"},
                                   {"downdelay", "down-delay"},
                                   {"lacp_rate", "lacp-rate"},
                                   {"xmit_hash_policy", "transmit-hash-policy"},
                                   {"ad_select", "ad-select"},
                                   {"fail_over_mac", "fail-over-mac-policy"},
                                   {"primary_reselect", "primary-reselect-policy"},
                                   {"min_links", "min-links"},
                                   {"num_peer_notif", "gratuitous-arp"},
                                   {"arp_interval", "arp-interval"},
                                   {"arp_validate", "arp-validate"}};

class Translation {
 public:
  explicit Translation(const NetworkConfig& network) : network_(network) {}

  CloudNetwork run() && {
    for (const LinkConfig& link : network_.links) {
      if (!link.name.empty()) add_link(link);
    }
    add_addresses();
    add_routes();
    add_rules();
    if (has_tables_) {
      notes_.emplace_back(
          "tables and rules are for a new system with netplan; another one has these routes in its "
          "main table");
    }
    add_nameservers();
    drop_useless_cards();
    if (links_.empty()) return {"", std::move(notes_)};
    Json json;
    json["version"] = 2;
    for (const char* kind : {"ethernets", "bonds", "vlans"}) {
      Json entries = Json::object();
      for (auto& [name, entry] : links_) {
        if (entry.kind == kind) entries[name] = std::move(entry.json);
      }
      if (!entries.empty()) json[kind] = std::move(entries);
    }
    return {concat("# Of the system that was here before.\n", to_yaml(json)), std::move(notes_)};
  }

 private:
  struct Entry {
    std::string kind;
    Json json;
    bool is_used = false;  // it has an address of its own, or another link lies on it
  };

  Entry* find(const std::string& name) {
    auto found = std::ranges::find(links_, name, &std::pair<std::string, Entry>::first);
    return found == links_.end() ? nullptr : &found->second;
  }

  bool is_static(const LinkConfig& link, Family family) const {
    return std::ranges::any_of(network_.addresses, [&](const AddressConfig& address) {
      return address.device == link.name && address.origin == Origin::Static &&
             address.prefix.address.family() == family;
    });
  }

  void add_link(const LinkConfig& link) {
    Entry entry{.kind = link.bond ? "bonds" : link.vlan ? "vlans" : "ethernets", .json = {}};
    Json& json = entry.json;
    if (entry.kind == "ethernets") {
      if (link.mac) {
        json["match"] = {{"macaddress", format_mac(*link.mac)}};
        json["set-name"] = link.name;
      }
      if (link.set_mac) json["macaddress"] = format_mac(*link.set_mac);
    }
    if (link.vlan) {
      json["id"] = link.vlan->options.id;
      json["link"] = link.vlan->lower;
      if (link.vlan->options.qinq) {
        notes_.push_back(concat(link.name, ": is an 802.1ad VLAN, which the seed cannot say"));
      }
    }
    if (link.bond) add_bond(link, json);
    bool leased = link.ipv4 == Ipv4Method::Dhcp ||
                  (link.ipv4 == Ipv4Method::Unset && !is_static(link, Family::V4));
    // A member of a bond, or a card that only carries VLANs, has no addresses of its own.
    if (is_lower(link.name) && link.ipv4 == Ipv4Method::Unset) leased = false;
    json["dhcp4"] = leased;
    bool advertised =
        link.ipv6 == Ipv6Method::Auto || link.ipv6 == Ipv6Method::Dhcp6 ||
        (link.ipv6 == Ipv6Method::Unset && !is_static(link, Family::V6) && !is_lower(link.name));
    bool leased6 = link.ipv6 == Ipv6Method::Dhcp6 ||
                   std::ranges::any_of(network_.addresses, [&](const AddressConfig& address) {
                     return address.device == link.name && address.origin == Origin::Dhcp6;
                   });
    json["dhcp6"] = leased6;
    json["accept-ra"] = advertised;
    if (link.mtu != 0) json["mtu"] = link.mtu;
    entry.is_used = leased || leased6 || advertised || entry.kind != "ethernets";
    links_.emplace_back(link.name, std::move(entry));
  }

  bool is_lower(std::string_view name) const {
    return std::ranges::any_of(network_.links, [&](const LinkConfig& link) {
      bool of_vlan = link.vlan && link.vlan->lower == name;
      return of_vlan ||
             (link.bond && std::ranges::find(link.bond->members, name) != link.bond->members.end());
    });
  }

  void add_bond(const LinkConfig& link, Json& json) {
    json["interfaces"] = link.bond->members;
    if (link.set_mac) json["macaddress"] = format_mac(*link.set_mac);
    Json parameters = {{"mode", bond_mode_name(link.bond->options.mode)}};
    for (const BondOption& option : bond_options()) {
      const BondOptions::Number& value = link.bond->options.*option.value;
      if (!value) continue;
      auto word = std::ranges::find(kBondWords, option.name, &BondWord::option);
      if (word == std::end(kBondWords)) {
        notes_.push_back(concat(link.name, ": the bond's ", option.name,
                                " cannot be said in the seed: the new system has its default"));
        continue;
      }
      bool named = *value < option.words.size() && !option.words[*value].empty();
      parameters[word->key] = named ? Json(option.words[*value]) : Json(*value);
    }
    if (!link.bond->options.arp_targets.empty()) {
      Json targets = Json::array();
      for (Ipv4 target : link.bond->options.arp_targets) targets.push_back(format_ipv4(target));
      parameters["arp-ip-target"] = std::move(targets);
    }
    if (!link.bond->primary.empty()) parameters["primary"] = link.bond->primary;
    json["parameters"] = std::move(parameters);
  }

  void add_addresses() {
    for (const AddressConfig& address : network_.addresses) {
      if (address.origin != Origin::Static) continue;
      Entry* entry = find(address.device);
      if (entry == nullptr) {
        notes_.push_back(concat(format_prefix(address.prefix),
                                ": belongs to no card that has a name; it is not handed over"));
        continue;
      }
      if (address.prefix.address.is_link_local() && address.prefix.address.is_v6()) continue;
      entry->json["addresses"].push_back(format_prefix(address.prefix));
      entry->is_used = true;
    }
  }

  // The network of one of the device's own addresses.
  bool is_near(const std::string& device, const IpAddress& gateway) const {
    if (gateway.is_link_local() && gateway.is_v6()) return true;
    return std::ranges::any_of(network_.addresses, [&](const AddressConfig& address) {
      bool is_host = address.prefix.length == (gateway.is_v4() ? 32 : 128);
      return address.device == device && !is_host && contains(address.prefix, gateway);
    });
  }

  static bool leads_only_to(const RouteConfig& route, const IpAddress& address) {
    return route.destination.address == address && route.hops.size() == 1 &&
           route.destination.length == (address.is_v4() ? 32 : 128) && !route.hops[0].gateway;
  }

  // It only leads to a gateway, for which add_path_to_gateway() has a route.
  bool is_path_to_gateway(const RouteConfig& route) const {
    return std::ranges::any_of(network_.routes, [&](const RouteConfig& other) {
      return other.hops.size() == 1 && other.hops[0].gateway &&
             other.hops[0].device == route.hops[0].device &&
             leads_only_to(route, *other.hops[0].gateway);
    });
  }

  // Another one to the same place, so that its metric decides.
  bool has_rival(const RouteConfig& route) const {
    return std::ranges::count_if(network_.routes, [&](const RouteConfig& other) {
             return other.table == route.table &&
                    format_prefix(other.destination) == format_prefix(route.destination);
           }) > 1;
  }

  void add_routes() {
    for (const RouteConfig& route : network_.routes) {
      if (route.origin != Origin::Static) continue;
      std::string shown =
          route.destination.length == 0 ? "default" : format_prefix(route.destination);
      if (route.hops.empty() || route.type != RouteType::Unicast) {
        notes_.push_back(concat("route ", shown, ": leads nowhere; it is not handed over"));
        continue;
      }
      if (is_path_to_gateway(route)) continue;
      const HopConfig& hop = route.hops[0];
      Entry* entry = find(hop.device);
      if (entry == nullptr) {
        notes_.push_back(concat("route ", shown, ": by no card that has a name; not handed over"));
        continue;
      }
      if (route.hops.size() > 1) {
        notes_.push_back(concat("route ", shown, ": has several paths; the first is handed over"));
      }
      add_route(route, hop, entry->json);
    }
  }

  // cloud-init hands version 2 to netplan as it is, and translates it for all others, where of a
  // route "to" and "via" are left, and before version 23 "::/0" became "::/64". Its older words for
  // the gateway are understood by each of them, and ifupdown makes "onlink" of these by itself.
  void add_route(const RouteConfig& route, const HopConfig& hop, Json& link) {
    bool near = !hop.gateway || (!hop.on_link && is_near(hop.device, *hop.gateway));
    if (!near) add_path_to_gateway(*hop.gateway, link);
    bool is_v4 = route.family() == Family::V4;
    bool plain = route.destination.length == 0 && route.table == kMainTable && hop.gateway &&
                 hop.gateway->is_v4() == is_v4 && !route.preferred && !route.metrics.mtu;
    if (plain && !has_rival(route) && has_static_address(hop.device, route.family())) {
      link[is_v4 ? "gateway4" : "gateway6"] = format_ip(*hop.gateway);
      return;
    }
    Json json = {{"to", format_prefix(route.destination)}};
    if (hop.gateway) {
      json["via"] = format_ip(*hop.gateway);
      if (!near) json["on-link"] = true;
    } else {
      set_on_link(is_v4, json);
    }
    if (has_rival(route) && route.metric != 0) json["metric"] = route.metric;
    if (route.table != kMainTable) {
      json["table"] = route.table;
      has_tables_ = true;
    }
    if (route.preferred) json["from"] = format_ip(*route.preferred);
    if (route.metrics.mtu) json["mtu"] = *route.metrics.mtu;
    link["routes"].push_back(std::move(json));
  }

  // A route that is on the link itself: cloud-init fails over one that has no "via".
  static void set_on_link(bool is_v4, Json& json) {
    json["via"] = is_v4 ? "0.0.0.0" : "::";
    if (is_v4) json["scope"] = "link";
  }

  // Where "on-link" is lost, this is how the gateway is found.
  static void add_path_to_gateway(const IpAddress& gateway, Json& link) {
    Json json = {{"to", concat(format_ip(gateway), gateway.is_v4() ? "/32" : "/128")}};
    set_on_link(gateway.is_v4(), json);
    Json& routes = link["routes"];
    if (std::ranges::find(routes, json) == routes.end()) routes.push_back(std::move(json));
  }

  bool has_static_address(const std::string& device, Family family) const {
    return std::ranges::any_of(network_.addresses, [&](const AddressConfig& address) {
      const IpAddress& ip = address.prefix.address;
      return address.device == device && address.origin == Origin::Static &&
             ip.family() == family && !(ip.is_v6() && ip.is_link_local());
    });
  }

  void add_rules() {
    for (const Rule& rule : network_.rules) {
      bool plain = rule.action == RuleAction::Lookup && !rule.invert && rule.iif.empty() &&
                   rule.oif.empty() && rule.ip_protocol == 0 && !rule.source_ports &&
                   !rule.destination_ports && !rule.users && !rule.suppress_prefix;
      Entry* entry = plain ? link_for(rule) : nullptr;
      if (entry == nullptr) {
        notes_.push_back(
            concat("rule ", rule.priority, ": cannot be said in the seed; it is not handed over"));
        continue;
      }
      Json json = {{"table", rule.table}, {"priority", rule.priority}};
      if (rule.from) json["from"] = format_prefix(*rule.from);
      if (rule.to) json["to"] = format_prefix(*rule.to);
      if (rule.mark != 0) json["mark"] = rule.mark;
      if (rule.tos != 0) json["type-of-service"] = rule.tos;
      entry->json["routing-policy"].push_back(std::move(json));
    }
  }

  // A rule belongs to no link, but has to stand with one: with that of its table's routes.
  Entry* link_for(const Rule& rule) {
    for (const RouteConfig& route : network_.routes) {
      if (route.table == rule.table && !route.hops.empty()) return find(route.hops[0].device);
    }
    return nullptr;
  }

  void add_nameservers() {
    for (const NameServerConfig& server : network_.nameservers) {
      if (server.origin != Origin::Static) continue;
      if (server.port != 53) {
        notes_.push_back(concat("name server ", format_ip(server.address), " at port ", server.port,
                                ": cannot be said in the seed; it is not handed over"));
        continue;
      }
      Entry* entry = find(server.device);
      if (entry == nullptr) entry = first_used();
      if (entry == nullptr) continue;
      entry->json["nameservers"]["addresses"].push_back(format_ip(server.address));
    }
    if (network_.search.empty()) return;
    for (auto& [name, entry] : links_) {
      if (entry.json.contains("nameservers")) entry.json["nameservers"]["search"] = network_.search;
    }
  }

  Entry* first_used() {
    for (auto& [name, entry] : links_) {
      if (entry.is_used && !is_lower(name)) return &entry;
    }
    return nullptr;
  }

  // The new system would wait for a card that nothing was ever connected to.
  void drop_useless_cards() {
    std::erase_if(links_, [&](const std::pair<std::string, Entry>& link) {
      return !link.second.is_used && !is_lower(link.first);
    });
  }

  const NetworkConfig& network_;
  std::vector<std::pair<std::string, Entry>> links_;  // in the network's order
  std::vector<std::string> notes_;
  bool has_tables_ = false;
};

}  // namespace

CloudNetwork cloud_network_of(const NetworkConfig& network) { return Translation(network).run(); }

}  // namespace curlingiron
