// What the kernel knows, as a config.
#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>

#include <algorithm>
#include <set>

#include "base/text.h"
#include "net/capture/capture.h"

namespace curlingiron {
namespace {

constexpr unsigned kDeepest = 8;  // links on links
constexpr size_t kMostRoutes = 2000;
constexpr size_t kMostAddresses = 1000;
constexpr uint32_t kUsualMtu = 1500;
constexpr uint8_t kFromRouter = 2;  // IFAPROT_KERNEL_RA

class Capture {
 public:
  Capture(const KernelNetwork& state, const ResolverFiles& files) : state_(state), files_(files) {}

  CapturedNetwork run() && {
    config_.captured = true;
    add_addresses();
    add_routes();
    add_cards();
    add_rules();
    add_neighbours();
    add_nameservers();
    add_links();
    tell_what_is_left_out();
    return {std::move(config_), std::move(notes_)};
  }

 private:
  void note(std::string text) {
    if (std::find(notes_.begin(), notes_.end(), text) == notes_.end()) {
      notes_.push_back(std::move(text));
    }
  }

  const Link* link_at(int index) const {
    for (const Link& link : state_.links) {
      if (link.index == index) return &link;
    }
    return nullptr;
  }

  const Link* link_named(std::string_view name) const {
    for (const Link& link : state_.links) {
      if (link.name == name) return &link;
    }
    return nullptr;
  }

  bool is_card(const Link& link) const {
    return std::find(state_.nics.begin(), state_.nics.end(), link.index) != state_.nics.end();
  }

  // Bridges and teams: one of their ports stands for them.
  static bool has_ports(const Link& link) { return link.kind == "bridge" || link.kind == "team"; }

  // A lower device of a synthetic card (Hyper-V, failover) is not for others to use.
  bool is_slice(const Link& link) const {
    const Link* master = link.master != 0 ? link_at(link.master) : nullptr;
    return master != nullptr && is_card(*master);
  }

  std::vector<const Link*> ports_of(const Link& master, unsigned depth) const {
    std::vector<const Link*> ports;
    for (const Link& link : state_.links) {
      if (link.master == master.index && can_be_made(link, depth)) ports.push_back(&link);
    }
    // One with a cable first.
    std::stable_sort(ports.begin(), ports.end(),
                     [](const Link* a, const Link* b) { return a->carrier > b->carrier; });
    return ports;
  }

  // Whether the config can describe this link itself: a card, or a VLAN or bond that cards carry.
  bool can_be_made(const Link& link, unsigned depth = kDeepest) const {
    if (depth == 0) return false;
    if (link.kind == "bond") return !ports_of(link, depth - 1).empty();
    if (link.kind == "vlan") {
      const Link* lower = link.vlan && link.lower != 0 ? link_at(link.lower) : nullptr;
      return lower != nullptr && home_of(*lower, depth - 1) != nullptr;
    }
    return is_card(link) && !is_slice(link);
  }

  // The link that has what this one has; nullptr: nothing that cards carry.
  const Link* home_of(const Link& link, unsigned depth = kDeepest) const {
    if (depth == 0) return nullptr;
    if (link.loopback) return &link;
    if (has_ports(link)) {
      std::vector<const Link*> ports = ports_of(link, depth - 1);
      return ports.empty() ? nullptr : ports.front();
    }
    return can_be_made(link, depth) ? &link : nullptr;
  }

  const Link* home_at(int index) const {
    const Link* link = link_at(index);
    return link != nullptr ? home_of(*link) : nullptr;
  }

  static MacAddress own_mac(const Link& link) { return link.permanent_mac.value_or(link.mac); }

  std::string name_of(const Link& link) const {
    if (link.loopback) return "lo";
    return is_link_name(link.name) ? link.name : name_of_mac(own_mac(link));
  }

  // The device of the config; marks it as one that is needed.
  std::string device(const Link& home) {
    if (!home.loopback) needed_.insert(home.index);
    return name_of(home);
  }

  bool has_dhcp_route(const AssignedAddress& address) const {
    return std::any_of(state_.routes.begin(), state_.routes.end(), [&](const Route& route) {
      return route.protocol == RTPROT_DHCP && route.preferred == address.prefix.address &&
             route.hops.size() == 1 && route.hops[0].index == address.index;
    });
  }

  Origin origin_of(const AssignedAddress& address) const {
    if (address.prefix.address.is_v4()) {
      // A lease may be for ever; its routes show which.
      bool leased = !address.permanent() || has_dhcp_route(address);
      return leased ? Origin::Dhcp4 : Origin::Static;
    }
    if (address.protocol == kFromRouter || (address.flags & IFA_F_MANAGETEMPADDR) != 0) {
      return Origin::Ra;
    }
    if (address.permanent()) return Origin::Static;
    return address.prefix.length == 128 ? Origin::Dhcp6 : Origin::Ra;
  }

  // Made by the kernel again, not of use, or not for long.
  bool passes_over(const AssignedAddress& address) const {
    const IpAddress& ip = address.prefix.address;
    bool v6 = ip.is_v6();
    const Link* link = link_at(address.index);
    if (link != nullptr && link->loopback && ip.is_loopback()) return true;
    if (v6 && ip.is_link_local()) return true;
    bool temporary = v6 && (address.flags & IFA_F_TEMPORARY) != 0;
    bool ends = (address.flags & IFA_F_DEPRECATED) != 0 && !address.permanent();
    return temporary || ends || address.duplicate();
  }

  void add_addresses() {
    for (const AssignedAddress& address : state_.addresses) {
      if (passes_over(address)) continue;
      const Link* home = home_at(address.index);
      if (home == nullptr) {
        left_out_.insert(address.index);
        continue;
      }
      if (config_.addresses.size() == kMostAddresses) {
        note(concat("only the first ", kMostAddresses, " addresses are kept"));
        return;
      }
      AddressConfig config;
      static_cast<AddressFacts&>(config) = address;
      config.device = device(*home);
      if (address.prefix.address.is_v6()) config.scope = 0;
      config.no_prefix_route = (address.flags & IFA_F_NOPREFIXROUTE) != 0;
      config.origin = origin_of(address);
      bool known = std::any_of(config_.addresses.begin(), config_.addresses.end(),
                               [&](const AddressConfig& other) {
                                 return other.device == config.device &&
                                        other.prefix == config.prefix && other.peer == config.peer;
                               });
      if (!known) config_.addresses.push_back(std::move(config));
    }
  }

  // The address of this link whose prefix a route is.
  const AssignedAddress* address_of_prefix(const Route& route) const {
    for (const AssignedAddress& address : state_.addresses) {
      IpPrefix prefix = {address.peer.value_or(address.prefix.address), address.prefix.length};
      bool same = route.hops.size() == 1 && route.hops[0].index == address.index &&
                  !route.hops[0].gateway && network_of(prefix) == route.destination;
      if (same) return &address;
    }
    return nullptr;
  }

  // What adding the addresses makes again.
  bool is_kernels_own(const Route& route) const {
    if (route.protocol != RTPROT_KERNEL) return false;
    if (route.table == RT_TABLE_LOCAL || is_dead_end(route.type)) return true;
    if (route.destination.address.is_v6() && (route.destination.address.is_link_local() ||
                                              route.destination.address.v6().is_multicast())) {
      return true;
    }
    // NetworkManager makes them itself, and says that the kernel did.
    const AssignedAddress* address = address_of_prefix(route);
    return address != nullptr && (address->flags & IFA_F_NOPREFIXROUTE) == 0;
  }

  bool all_leased(int index) const {
    bool any = false;
    for (const AssignedAddress& address : state_.addresses) {
      if (address.index != index || address.prefix.address.is_v6()) continue;
      if (origin_of(address) == Origin::Static) return false;
      any = true;
    }
    return any;
  }

  Origin origin_of(const Route& route) const {
    bool v4 = route.family() == Family::V4;
    if (route.protocol == RTPROT_DHCP) return v4 ? Origin::Dhcp4 : Origin::Dhcp6;
    if (route.protocol == RTPROT_RA) return Origin::Ra;
    if (route.protocol == RTPROT_KERNEL) {
      const AssignedAddress* address = address_of_prefix(route);
      return address != nullptr ? origin_of(*address) : Origin::Static;
    }
    // dhclient's script uses ip(8), as a hand does.
    bool by_script = route.protocol == RTPROT_BOOT && v4 && route.hops.size() == 1 &&
                     all_leased(route.hops[0].index);
    return by_script ? Origin::Dhcp4 : Origin::Static;
  }

  // The hops that lead over cards; false: none does.
  bool take_hops(const Route& route, RouteConfig& config) {
    for (const NextHop& hop : route.hops) {
      const Link* home = home_at(hop.index);
      if (home == nullptr) {
        left_out_.insert(hop.index);
        continue;
      }
      config.hops.push_back({hop, device(*home)});
    }
    return !config.hops.empty() || route.hops.empty();
  }

  void add_routes() {
    bool many = state_.routes.size() > kMostRoutes;
    for (const Route& route : state_.routes) {
      bool use = route.type == RouteType::Unicast || route.type == RouteType::Local ||
                 is_dead_end(route.type);
      if (!use || is_kernels_own(route)) continue;
      // A router's full table is not needed to get out.
      bool essential =
          route.destination.length == 0 || (!route.hops.empty() && !route.hops[0].gateway);
      if (many && !essential) continue;
      RouteConfig config;
      if (!take_hops(route, config) || config.hops.empty() != is_dead_end(route.type)) continue;
      static_cast<RouteFacts&>(config) = route;
      drop_locks_of_nothing(config.metrics);
      config.origin = origin_of(route);
      if (config_.routes.size() >= kMostRoutes) break;
      bool known =
          std::find(config_.routes.begin(), config_.routes.end(), config) != config_.routes.end();
      if (!known) config_.routes.push_back(std::move(config));
    }
    if (many) {
      note(concat("of ", state_.routes.size(),
                  " routes only the default ones and those to links are kept"));
    }
  }

  static void drop_locks_of_nothing(RouteMetrics& metrics) {
    uint32_t there = 0;
    for (const RouteMetric& metric : route_metrics()) {
      if (metrics.*metric.value) there |= uint32_t{1} << metric.number;
    }
    metrics.lock &= there;
  }

  // Every card with a cable may be of use.
  void add_cards() {
    for (const Link& link : state_.links) {
      if (is_card(link) && link.carrier && can_be_made(link)) needed_.insert(link.index);
    }
  }

  static bool is_default(const Rule& rule) {
    Rule plain;
    plain.family = rule.family;
    plain.priority = rule.priority;
    plain.table = rule.table;
    plain.protocol = rule.protocol;
    if (rule != plain) return false;
    return (rule.priority == 0 && rule.table == RT_TABLE_LOCAL) ||
           (rule.priority == 32766 && rule.table == RT_TABLE_MAIN) ||
           (rule.priority == 32767 && rule.table == RT_TABLE_DEFAULT);
  }

  // The config's name of the link; false: that link is left out.
  bool take_device(const std::string& name, std::string& device_name) {
    if (name.empty()) return true;
    const Link* link = link_named(name);
    const Link* home = link != nullptr ? home_of(*link) : nullptr;
    if (home == nullptr) return false;
    device_name = device(*home);
    return true;
  }

  bool has_routes(uint32_t table, Family family) const {
    if (table == RT_TABLE_MAIN || table == RT_TABLE_LOCAL || table == RT_TABLE_DEFAULT) return true;
    return std::any_of(config_.routes.begin(), config_.routes.end(), [&](const RouteConfig& route) {
      return route.table == table && route.family() == family;
    });
  }

  void add_rules() {
    bool jumps = std::any_of(state_.rules.begin(), state_.rules.end(),
                             [](const Rule& rule) { return rule.action == RuleAction::Goto; });
    for (const Rule& rule : state_.rules) {
      if (is_default(rule) || rule.l3mdev) continue;
      static constexpr RuleAction kActions[] = {RuleAction::Lookup,      RuleAction::Goto,
                                                RuleAction::Nop,         RuleAction::Blackhole,
                                                RuleAction::Unreachable, RuleAction::Prohibit};
      bool known =
          std::find(std::begin(kActions), std::end(kActions), rule.action) != std::end(kActions);
      if (!known) continue;
      // A table whose routes are left out decides nothing.
      bool decides = rule.action != RuleAction::Lookup || has_routes(rule.table, rule.family);
      Rule config = rule;
      config.protocol = 0;
      config.table = rule.action == RuleAction::Lookup ? rule.table : 0;
      config.jump = rule.action == RuleAction::Goto ? rule.jump : 0;
      if (!take_device(rule.iif, config.iif) || !take_device(rule.oif, config.oif)) continue;
      if (!decides && !jumps) continue;
      config_.rules.push_back(std::move(config));
    }
  }

  bool is_gateway(const std::string& device_name, const IpAddress& address) const {
    return std::any_of(config_.routes.begin(), config_.routes.end(), [&](const RouteConfig& route) {
      return std::any_of(route.hops.begin(), route.hops.end(), [&](const HopConfig& hop) {
        return hop.device == device_name && hop.gateway == address;
      });
    });
  }

  void add_neighbours() {
    constexpr uint16_t kUsable = NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT;
    constexpr size_t kMost = 256;
    for (const Neighbour& neighbour : state_.neighbours) {
      const Link* home = home_at(neighbour.index);
      if (home == nullptr || home->loopback || (neighbour.state & kUsable) == 0) continue;
      bool permanent = (neighbour.state & NUD_PERMANENT) != 0;
      if (!permanent && !is_gateway(name_of(*home), neighbour.address)) continue;
      if (config_.neighbours.size() == kMost) return;
      NeighbourConfig config{neighbour, device(*home), permanent};
      bool known = std::find(config_.neighbours.begin(), config_.neighbours.end(), config) !=
                   config_.neighbours.end();
      if (!known) config_.neighbours.push_back(std::move(config));
    }
  }

  // Where a link's addresses come from, as far as a name server may come from there, too.
  Origin origin_of_servers(const std::string& device_name) const {
    Origin origin = Origin::Static;
    for (const AddressConfig& address : config_.addresses) {
      if (!device_name.empty() && address.device != device_name) continue;
      if (address.device == "lo") continue;
      if (address.origin == Origin::Static) return Origin::Static;
      if (origin == Origin::Static || address.prefix.address.is_v4()) origin = address.origin;
    }
    return origin;
  }

  void add_server(const ResolvConf::Server& server, std::string device_name) {
    if (server.address.is_loopback()) return;
    if (!server.zone.empty() && !take_device(server.zone, device_name)) return;
    // A link-local server is of a link, or nobody's.
    if (server.address.is_v6() && server.address.is_link_local() && device_name.empty()) return;
    for (const NameServerConfig& other : config_.nameservers) {
      if (other.address == server.address) return;
    }
    Origin origin = origin_of_servers(device_name);
    config_.nameservers.push_back({server.address, std::move(device_name), origin});
  }

  void add_nameservers() {
    const ResolvConf* global = &files_.resolv_conf;
    bool only_stub =
        std::all_of(global->servers.begin(), global->servers.end(),
                    [](const ResolvConf::Server& server) { return server.address.is_loopback(); });
    // Those of a link first: they say by which one they are asked.
    for (const auto& [index, link] : files_.per_link) {
      const Link* home = home_at(index);
      if (home == nullptr || home->loopback) continue;
      for (const ResolvConf::Server& server : link.servers) add_server(server, device(*home));
    }
    if (only_stub) global = &files_.resolved;
    // A server that is a left-out link's own is out of reach.
    for (const ResolvConf::Server& server : global->servers) {
      if (!is_of_left_out(server.address)) add_server(server, "");
    }
    config_.search = global->search.empty() ? files_.resolv_conf.search : global->search;
    std::erase_if(config_.search, [](const std::string& name) { return !is_domain(name); });
  }

  bool is_of_left_out(const IpAddress& server) const {
    for (const auto& [index, link] : files_.per_link) {
      if (home_at(index) != nullptr) continue;
      for (const ResolvConf::Server& other : link.servers) {
        if (other.address == server) return true;
      }
    }
    return false;
  }

  // The bridges whose port this is; their address and size are what others see.
  const Link* bridge_of(const Link& port) const {
    const Link* master = port.master != 0 ? link_at(port.master) : nullptr;
    if (master == nullptr || !has_ports(*master) || home_of(*master) != &port) return nullptr;
    return master;
  }

  void add_link(const Link& link) {
    if (!added_.insert(link.index).second) return;
    LinkConfig config;
    config.name = name_of(link);
    const Link& seen = bridge_of(link) != nullptr ? *bridge_of(link) : link;
    const Link* lower = nullptr;
    const Link* master = link.master != 0 ? link_at(link.master) : nullptr;
    bool member = master != nullptr && master->kind == "bond";
    if (link.kind == "vlan") {
      lower = home_at(link.lower);
      add_link(*lower);
      config.vlan = VlanConfig{name_of(*lower), *link.vlan};
      // Otherwise it has that of the link below.
      if (seen.mac != link_at(link.lower)->mac) config.set_mac = seen.mac;
      if (seen.mtu != link_at(link.lower)->mtu) config.mtu = seen.mtu;
    } else if (link.kind == "bond") {
      BondConfig bond;
      bond.options = link.bond.value_or(BondOptions{});
      for (const Link* port : ports_of(link, kDeepest)) {
        add_link(*port);
        bond.members.push_back(name_of(*port));
        if (port->index == link.bond_primary) bond.primary = name_of(*port);
      }
      std::sort(bond.members.begin(), bond.members.end());
      config.bond = std::move(bond);
      config.set_mac = seen.mac;
      if (seen.mtu != kUsualMtu) config.mtu = seen.mtu;
    } else {
      // Where two have the same, names must do.
      bool unique =
          std::none_of(config_.links.begin(), config_.links.end(),
                       [&](const LinkConfig& other) { return other.mac == own_mac(link); });
      if (unique && own_mac(link) != MacAddress{}) config.mac = own_mac(link);
      if (!member && seen.mac != own_mac(link)) config.set_mac = seen.mac;
      if (!member && seen.mtu != kUsualMtu) config.mtu = seen.mtu;
    }
    set_methods(config);
    config_.links.push_back(std::move(config));
  }

  void set_methods(LinkConfig& link) const {
    for (const AddressConfig& address : config_.addresses) {
      if (address.device != link.name) continue;
      if (address.origin == Origin::Dhcp4) link.ipv4 = Ipv4Method::Dhcp;
      if (address.origin == Origin::Ra || address.origin == Origin::Dhcp6) {
        link.ipv6 = Ipv6Method::Auto;
      }
    }
    for (const RouteConfig& route : config_.routes) {
      bool learnt =
          route.origin == Origin::Ra && route.hops.size() == 1 && route.hops[0].device == link.name;
      if (learnt) link.ipv6 = Ipv6Method::Auto;
    }
  }

  // What lies below a VLAN and has nothing of its own carries the VLAN alone.
  void silence_trunks() {
    for (LinkConfig& link : config_.links) {
      bool trunk = std::any_of(
          config_.links.begin(), config_.links.end(),
          [&](const LinkConfig& other) { return other.vlan && other.vlan->lower == link.name; });
      bool has_address =
          std::any_of(config_.addresses.begin(), config_.addresses.end(),
                      [&](const AddressConfig& address) { return address.device == link.name; });
      if (!trunk || has_address) continue;
      link.ipv4 = Ipv4Method::Off;
      link.ipv6 = Ipv6Method::Off;
    }
  }

  void add_links() {
    for (const Link& link : state_.links) {
      if (needed_.contains(link.index)) add_link(link);
    }
    silence_trunks();
    for (const Link& link : state_.links) {
      if (!has_ports(link)) continue;
      const Link* home = home_of(link);
      if (home == nullptr || !added_.contains(home->index)) continue;
      note(concat(link.name, ": a ", link.kind, "; what it has goes to ", name_of(*home)));
    }
  }

  void tell_what_is_left_out() {
    for (int index : left_out_) {
      const Link* link = link_at(index);
      if (link == nullptr) continue;
      bool radio =
          std::find(state_.wireless.begin(), state_.wireless.end(), index) != state_.wireless.end();
      std::string what = radio ? "a radio"
                         : link->kind.empty()
                             ? "no network card"
                             : concat("a ", link->kind, " that no network card carries");
      note(concat(link->name, ": ", what, "; left out with its addresses and routes"));
    }
  }

  const KernelNetwork& state_;
  const ResolverFiles& files_;
  NetworkConfig config_;
  std::vector<std::string> notes_;
  std::set<int> needed_;    // indexes of links
  std::set<int> added_;     // … that config_ has
  std::set<int> left_out_;  // … that have addresses or routes, but no card
};

std::string describe_origin(Origin origin) {
  switch (origin) {
    case Origin::Static: return {};
    case Origin::Dhcp4: return " (DHCP)";
    case Origin::Ra: return " (router advertisement)";
    case Origin::Dhcp6: return " (DHCPv6)";
  }
  return {};
}

std::string describe_link(const LinkConfig& link) {
  std::string text = link.name.empty() ? "any network card" : link.name;
  if (link.mac) text += concat(", ", format_mac(*link.mac));
  if (link.vlan) text += concat(", VLAN ", link.vlan->options.id, " on ", link.vlan->lower);
  if (link.bond) {
    text += concat(", bond (", bond_mode_name(link.bond->options.mode), ") of ",
                   join(link.bond->members, ", "));
  }
  if (link.mtu != 0) text += concat(", MTU ", link.mtu);
  return text;
}

}  // namespace

std::vector<Link> cards_of(const KernelNetwork& state) {
  auto is_card = [&](int index) {
    return std::find(state.nics.begin(), state.nics.end(), index) != state.nics.end();
  };
  std::vector<Link> cards;
  for (const Link& link : state.links) {
    if (is_card(link.index) && !is_card(link.master)) cards.push_back(link);
  }
  return cards;
}

CapturedNetwork config_of(const KernelNetwork& state, const ResolverFiles& files) {
  return Capture(state, files).run();
}

std::string describe_network(const NetworkConfig& config) {
  std::string text;
  auto add_addresses = [&](const std::string& device) {
    std::string line;
    for (const AddressConfig& address : config.addresses) {
      if (address.device != device) continue;
      line += concat(line.empty() ? "  " : ", ", format_prefix(address.prefix),
                     describe_origin(address.origin));
    }
    if (!line.empty()) text += concat(line, "\n");
  };
  for (const LinkConfig& link : config.links) {
    text += concat(describe_link(link), "\n");
    add_addresses(link.name);
    for (const RouteConfig& route : config.routes) {
      if (route.destination.length != 0) continue;
      for (const HopConfig& hop : route.hops) {
        if (hop.device != link.name) continue;
        text +=
            concat("  default route", hop.gateway ? concat(" via ", format_ip(*hop.gateway)) : "",
                   route.table != kMainTable ? concat(", table ", route.table) : "",
                   describe_origin(route.origin), "\n");
      }
    }
  }
  if (config.find("") == nullptr) add_addresses("");
  std::vector<std::string> servers;
  for (const NameServerConfig& server : config.nameservers) {
    servers.push_back(format_ip(server.address));
  }
  if (!servers.empty()) text += concat("name servers ", join(servers, ", "), "\n");
  size_t others = static_cast<size_t>(
      std::count_if(config.routes.begin(), config.routes.end(),
                    [](const RouteConfig& route) { return route.destination.length != 0; }));
  std::vector<std::string> more;
  auto count = [&](size_t number, std::string_view noun) {
    if (number != 0) more.push_back(concat(number, ' ', noun, number == 1 ? "" : "s"));
  };
  count(others, "more route");
  count(config.rules.size(), "rule");
  if (!more.empty()) text += concat("and ", join(more, ", "), "\n");
  return text;
}

}  // namespace curlingiron
