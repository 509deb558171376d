// Links, addresses, routes, rules and neighbours as rtnetlink describes them (rtnetlink(7)). What
// is listed can be added again, and is then listed as it was.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
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

// An address of an interface, as RTM_NEWADDR and RTM_DELADDR describe it.
struct AssignedAddress {
  Change change = Change::Present;
  int index = 0;                  // of the interface
  IpPrefix prefix;                // the local address and its prefix length
  std::optional<IpAddress> peer;  // of a point-to-point address
  std::optional<Ipv4> broadcast;
  uint32_t flags = 0;                        // IFA_F_*
  uint8_t scope = 0;                         // RT_SCOPE_*
  std::optional<Duration> valid, preferred;  // nullopt: for ever; whole seconds
  uint32_t metric = 0;                       // of its prefix route (IFA_RT_PRIORITY); 0: default
  // IFA_PROTO, where the kernel tells: 1 loopback, 2 router advertisement, 3 link-local.
  uint8_t protocol = 0;

  bool permanent() const;  // without a lifetime
  bool tentative() const;  // duplicate address detection forbids its use so far
  bool duplicate() const;  // … and has found another owner
  bool operator==(const AssignedAddress&) const = default;
};

struct NextHop {
  int index = 0;  // of the interface
  std::optional<IpAddress>
      gateway;           // may be IPv6 in an IPv4 route (RFC 5549); nullopt: on the link
  bool on_link = false;  // RTNH_F_ONLINK
  uint16_t weight = 1;   // 1 to 256

  bool operator==(const NextHop&) const = default;
};

// A route of any table, as RTM_NEWROUTE and RTM_DELROUTE describe it.
struct Route {
  Family family = Family::V4;
  IpPrefix destination;            // length 0: default
  std::optional<IpPrefix> source;  // IPv6 source-specific
  uint32_t table = kMainTable;
  uint8_t protocol = 0;  // RTPROT_*
  uint8_t scope = 0;     // RT_SCOPE_*
  RouteType type = RouteType::Unicast;
  uint8_t tos = 0;
  uint32_t metric = 0;                 // 0: the kernel's default (IPv6: 1024)
  std::vector<NextHop> hops;           // empty for blackhole, unreachable, prohibit, throw
  std::optional<IpAddress> preferred;  // source address of what is sent
  RouteMetrics metrics;
  uint8_t preference = 0;  // RTA_PREF (RFC 4191): 0 medium, 1 high, 3 low

  bool operator==(const Route&) const = default;
};

// A rule of the policy routing, as RTM_NEWRULE describes it.
struct Rule {
  Family family = Family::V4;
  uint32_t priority = 0;
  std::optional<IpPrefix> from, to;
  std::string iif, oif;
  uint32_t mark = 0, mask = 0;
  uint32_t table = 0;
  uint8_t action = 1;   // FR_ACT_TO_TBL
  uint32_t jump = 0;    // of FR_ACT_GOTO: the priority of the rule that is next
  bool invert = false;  // "not"
  bool l3mdev = false;  // the table is that of the VRF
  uint8_t tos = 0;
  std::optional<uint32_t> suppress_prefix;  // routes of at most this length do not count
  uint8_t protocol = 0;                     // RTPROT_*
  uint8_t ip_protocol = 0;                  // 6: TCP
  std::optional<NumberRange<uint16_t>> source_ports, destination_ports;
  std::optional<NumberRange<uint32_t>> users;

  bool operator==(const Rule&) const = default;
};

// An entry of the ARP or neighbour table that has a link layer address.
struct Neighbour {
  Change change = Change::Present;
  int index = 0;  // of the interface
  IpAddress address;
  MacAddress mac{};
  uint16_t state = 0;  // NUD_*

  bool operator==(const Neighbour&) const = default;
};

}  // namespace curlingiron
