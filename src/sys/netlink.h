// Links, addresses, routes, rules and neighbours by rtnetlink (rtnetlink(7)), without a library.
// What is listed can be added again, and is then listed as it was.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/address.h"
#include "base/bytes.h"
#include "base/link_options.h"
#include "base/result.h"
#include "base/time.h"
#include "sys/fd.h"

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

// All messages of one datagram from the kernel, of a dump or of events; messages of other kinds,
// and of other families than IPv4 and IPv6, are passed over. A NLMSG_ERROR is an error with its
// errno. `done`: the dump has ended; `interrupted`: what it lists changed meanwhile. Pure.
template <typename T>
struct Batch {
  std::vector<T> items;
  bool done = false;
  bool interrupted = false;
};
using LinkBatch = Batch<Link>;
using AddressBatch = Batch<AssignedAddress>;
using RouteBatch = Batch<Route>;
using RuleBatch = Batch<Rule>;
using NeighbourBatch = Batch<Neighbour>;
Result<LinkBatch> parse_links(ConstBytes datagram);
Result<AddressBatch> parse_addresses(ConstBytes datagram);
Result<RouteBatch> parse_routes(ConstBytes datagram);
Result<RuleBatch> parse_rules(ConstBytes datagram);
Result<NeighbourBatch> parse_neighbours(ConstBytes datagram);

// What becomes of a route to the same destination with the same metric that is there already.
enum class Rival { Replaced, Kept };

// Requests; each waits for the kernel's answer, which is immediate.
class RouteSocket {
 public:
  static Result<RouteSocket> open();

  // Both families, all tables.
  Result<std::vector<Link>> links();
  Result<std::vector<AssignedAddress>> addresses();
  Result<std::vector<Route>> routes();
  Result<std::vector<Rule>> rules();
  Result<std::vector<Neighbour>> neighbours();

  Result<void> set_up(int index);
  Result<void> set_down(int index);
  Result<void> set_mtu(int index, uint32_t mtu);
  Result<void> set_mac(int index, const MacAddress& mac);
  Result<void> rename(int index, const std::string& name);  // while it is down
  // 0: none. A bond takes only members that are down.
  Result<void> set_master(int index, int master);
  // The new link's index. EOPNOTSUPP: the kernel has no such links.
  Result<int> create_vlan(const std::string& name, int lower, const VlanOptions& options);
  // `primary`: index of the member that is preferred; it need not be enslaved yet.
  Result<int> create_bond(const std::string& name, const BondOptions& options, int primary = 0);
  Result<void> remove_link(int index);

  // As it is, with its IFA_F_* as far as they can be set. One that is there already is updated.
  Result<void> add_address(const AssignedAddress& address);
  Result<void> remove_address(const AssignedAddress& address);
  // The same route being there already is fine.
  Result<void> add_route(const Route& route, Rival rival = Rival::Replaced);
  Result<void> remove_route(const Route& route);
  Result<void> add_rule(const Rule& rule);  // the same rule being there already is fine
  Result<void> remove_rule(const Rule& rule);
  // In its state; NUD_PERMANENT where that is 0. One that is there already is replaced.
  Result<void> add_neighbour(const Neighbour& neighbour);
  Result<void> remove_neighbour(const Neighbour& neighbour);

 private:
  explicit RouteSocket(UniqueFd fd) : fd_(std::move(fd)) {}
  Result<void> request(uint16_t type, uint16_t flags, ConstBytes body);
  Result<void> send(uint16_t type, uint16_t flags, ConstBytes body);
  Result<int> create_link(const std::string& name, ConstBytes body);
  // Sends a dump request and collects the answer; again where it was interrupted.
  template <typename T>
  Result<std::vector<T>> dump(uint16_t type, size_t body_size,
                              Result<Batch<T>> (*parse)(ConstBytes datagram));

  UniqueFd fd_;
  uint32_t sequence_ = 0;
};

// What happens to links, addresses and IPv6 routes, as it happens.
class NetworkMonitor {
 public:
  static Result<NetworkMonitor> open();

  // Each kind in the order in which it happened.
  struct Changes {
    std::vector<Link> links;
    std::vector<AssignedAddress> addresses;
    std::vector<std::pair<Change, Route>> routes;
  };
  // The changes that are waiting; none is fine. ENOBUFS (in the error's code): changes were lost,
  // list everything again.
  Result<Changes> changes();
  int fd() const { return fd_.get(); }

 private:
  explicit NetworkMonitor(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

}  // namespace curlingiron
