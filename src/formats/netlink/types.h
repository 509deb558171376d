// Links, addresses, routes, rules and neighbours as rtnetlink describes them (rtnetlink(7)). What
// is listed can be added again, and is then listed as it was.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/address.h"
#include "base/time.h"
#include "formats/netlink/link_options.h"

namespace curlingiron {

// Of an event; what a dump lists is present.
enum class Change { Present, Removed };

// A network interface as RTM_NEWLINK and RTM_DELLINK describe it.
struct Link {
  Change change = Change::Present;
  int index = 0;
  bool ethernet = false;  // ARPHRD_ETHER
  bool up = false;        // IFF_UP
  bool carrier = false;   // IFF_LOWER_UP
  bool loopback = false;
  int master = 0;  // index of the bond or bridge it is enslaved to; 0: none
  // Index of what a VLAN lies on (or of a veth's other end), in this namespace; 0: none.
  int lower = 0;
  uint32_t mtu = 0;
  std::string name;
  MacAddress mac{};
  std::optional<MacAddress> permanent_mac;
  std::string kind;  // IFLA_INFO_KIND: "vlan", "bond", "bridge", "veth"; empty: hardware
  std::optional<VlanOptions> vlan;
  std::optional<BondOptions> bond;  // only what differs from the kernel's defaults
  int bond_primary = 0;             // of a bond: index of its primary member; 0: none

  bool operator==(const Link&) const = default;
};

struct AddressFacts {
  IpPrefix prefix;                // the local address and its prefix length
  std::optional<IpAddress> peer;  // of a point-to-point address
  std::optional<Ipv4> broadcast;
  uint8_t scope = 0;    // RT_SCOPE_*
  uint32_t metric = 0;  // of its prefix route (IFA_RT_PRIORITY); 0: default

  bool operator==(const AddressFacts&) const = default;
};

// An address of an interface, as RTM_NEWADDR and RTM_DELADDR describe it.
struct AssignedAddress : AddressFacts {
  Change change = Change::Present;
  int index = 0;                             // of the interface
  uint32_t flags = 0;                        // IFA_F_*
  std::optional<Duration> valid, preferred;  // nullopt: for ever; whole seconds
  // IFA_PROTO, where the kernel reports it: 1 loopback, 2 router advertisement, 3 link-local.
  uint8_t protocol = 0;

  bool permanent() const;  // without a lifetime
  bool tentative() const;  // duplicate address detection forbids its use so far
  bool duplicate() const;  // … and has found another owner
  bool operator==(const AssignedAddress&) const = default;
};

struct HopFacts {
  std::optional<IpAddress>
      gateway;           // may be IPv6 in an IPv4 route (RFC 5549); nullopt: on the link
  bool on_link = false;  // RTNH_F_ONLINK: the gateway need not be within a prefix of the link
  uint16_t weight = 1;   // 1 to 256

  bool operator==(const HopFacts&) const = default;
};

struct NextHop : HopFacts {
  int index = 0;  // of the interface

  bool operator==(const NextHop&) const = default;
};

// Absent: the kernel's own.
struct RouteMetrics {
  using Number = std::optional<uint32_t>;

  uint32_t lock = 0;  // those that nothing learnt may replace: 1 << number
  Number mtu, window, advmss, hop_limit, initcwnd, rto_min, initrwnd, quickack;

  bool operator==(const RouteMetrics&) const = default;
};

struct RouteMetric {
  std::string_view name;  // as ip-route(8) has it
  uint16_t number;        // RTAX_*
  RouteMetrics::Number RouteMetrics::*value;
};
std::span<const RouteMetric> route_metrics();

// RTN_* of linux/rtnetlink.h.
enum class RouteType : uint8_t {
  Unicast = 1,
  Local = 2,
  Broadcast = 3,
  Anycast = 4,
  Multicast = 5,
  Blackhole = 6,
  Unreachable = 7,
  Prohibit = 8,
  Throw = 9,
};
// Whether routes of this type lead nowhere, and have no next hop.
bool is_dead_end(RouteType type);

inline constexpr uint32_t kMainTable = 254;  // RT_TABLE_MAIN

// From a first to a last one, both included.
template <typename T>
struct NumberRange {
  T first = 0, last = 0;
  bool operator==(const NumberRange&) const = default;
};

struct RouteFacts {
  IpPrefix destination;  // length 0: default; its family is the route's
  RouteType type = RouteType::Unicast;
  std::optional<IpPrefix> source;  // IPv6 source-specific
  uint32_t table = kMainTable;
  uint32_t metric = 0;  // 0: the kernel's default (IPv6: 1024)
  uint8_t scope = 0;    // RT_SCOPE_*
  uint8_t tos = 0;
  std::optional<IpAddress> preferred;  // source address of what is sent
  RouteMetrics metrics;
  uint8_t preference = 0;  // RTA_PREF (RFC 4191): 0 medium, 1 high, 3 low

  Family family() const { return destination.address.family(); }
  bool operator==(const RouteFacts&) const = default;
};

// A route of any table, as RTM_NEWROUTE and RTM_DELROUTE describe it.
struct Route : RouteFacts {
  uint8_t protocol = 0;       // RTPROT_*
  std::vector<NextHop> hops;  // none of those that lead nowhere (is_dead_end)

  bool operator==(const Route&) const = default;
};

// FR_ACT_* of linux/fib_rules.h. The kernel may have others.
enum class RuleAction : uint8_t {
  Lookup = 1,
  Goto = 2,
  Nop = 3,
  Blackhole = 6,
  Unreachable = 7,
  Prohibit = 8
};

// A rule of the policy routing, as RTM_NEWRULE describes it, and as a configuration has it.
struct Rule {
  Family family = Family::V4;
  uint32_t priority = 0;
  bool invert = false;  // "not"
  std::optional<IpPrefix> from, to;
  std::string iif, oif;  // names of links; "lo" is the machine itself
  uint32_t mark = 0, mask = 0;
  uint8_t tos = 0;
  uint8_t ip_protocol = 0;  // 6: TCP
  std::optional<NumberRange<uint16_t>> source_ports, destination_ports;
  std::optional<NumberRange<uint32_t>> users;
  RuleAction action = RuleAction::Lookup;
  uint32_t table = 0;                       // of Lookup
  uint32_t jump = 0;                        // of Goto: the priority of the rule that is next
  std::optional<uint32_t> suppress_prefix;  // routes of at most this length do not count
  bool l3mdev = false;   // the table is that of the VRF; no configuration says so
  uint8_t protocol = 0;  // RTPROT_*; 0 in a configuration

  bool operator==(const Rule&) const = default;
};

struct NeighbourFacts {
  IpAddress address;
  MacAddress mac{};

  bool operator==(const NeighbourFacts&) const = default;
};

// An entry of the ARP or neighbour table that has a link layer address.
struct Neighbour : NeighbourFacts {
  Change change = Change::Present;
  int index = 0;       // of the interface
  uint16_t state = 0;  // NUD_*

  bool operator==(const Neighbour&) const = default;
};

}  // namespace curlingiron
