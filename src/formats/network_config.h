// What network a machine shall have: links by name and hardware address, never by index, so that it
// can be made in another kernel than the one it was seen in. As a text (/curlingiron/network) and,
// in formats/ip_settings.h, as settings.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/address.h"
#include "base/result.h"
#include "formats/netlink/link_options.h"
#include "formats/netlink/types.h"

namespace curlingiron {

// Where an address, a route or a name server comes from. What was learnt is kept for when it cannot
// be learnt again.
enum class Origin : uint8_t { Static, Dhcp4, Ra, Dhcp6 };

// Unset: static addresses if there are any, else DHCP. Off: nothing but what is static.
enum class Ipv4Method : uint8_t { Unset, Dhcp, Off };
// Auto: SLAAC, and DHCPv6 as the router advertisement says. Dhcp6: asked for an address without
// waiting for the advertisement's word. Unset: Auto, unless all that there is is static.
enum class Ipv6Method : uint8_t { Unset, Auto, Dhcp6, Off };

struct VlanConfig {
  std::string lower;  // the link it lies on
  VlanOptions options;

  bool operator==(const VlanConfig&) const = default;
};

struct BondConfig {
  std::vector<std::string> members;  // links
  std::string primary;               // one of them; empty: none is preferred
  BondOptions options;

  bool operator==(const BondConfig&) const = default;
};

struct LinkConfig {
  // How this config calls it, and the kernel where nothing else identifies it; empty: every NIC
  // that has no entry of its own.
  std::string name;
  std::optional<MacAddress> mac;      // permanent: identifies a NIC, whatever its name
  std::optional<MacAddress> set_mac;  // to be set
  uint32_t mtu = 0;                   // 0: as it is
  Ipv4Method ipv4 = Ipv4Method::Unset;
  Ipv6Method ipv6 = Ipv6Method::Unset;
  std::optional<VlanConfig> vlan;
  std::optional<BondConfig> bond;

  bool operator==(const LinkConfig&) const = default;
};

struct AddressConfig : AddressFacts {
  std::string device;            // empty: the first NIC that has carrier
  bool no_prefix_route = false;  // the kernel makes no such route
  Origin origin = Origin::Static;

  bool operator==(const AddressConfig&) const = default;
};

struct HopConfig : HopFacts {
  std::string device;  // empty: that of the device-less address, or by which the gateway is reached

  bool operator==(const HopConfig&) const = default;
};

struct RouteConfig : RouteFacts {
  std::vector<HopConfig> hops;  // none of those that lead nowhere (is_dead_end)
  Origin origin = Origin::Static;

  bool operator==(const RouteConfig&) const = default;
};
// RT_SCOPE_* of a route whose text says none: link where there is no gateway, host of local ones.
uint8_t usual_scope(const RouteConfig& route);

struct NeighbourConfig : NeighbourFacts {
  std::string device;
  bool permanent = false;  // else a first guess

  bool operator==(const NeighbourConfig&) const = default;
};

struct NameServerConfig {
  IpAddress address;
  std::string device;  // empty: by whichever there is
  Origin origin = Origin::Static;
  uint16_t port = 53;

  bool operator==(const NameServerConfig&) const = default;
};

struct NetworkConfig {
  std::vector<LinkConfig> links;
  std::vector<AddressConfig> addresses;
  std::vector<RouteConfig> routes;
  std::vector<Rule> rules;
  std::vector<NeighbourConfig> neighbours;
  std::vector<NameServerConfig> nameservers;
  std::vector<std::string> search;  // domains
  // Of a running system: where it does not lead to the source, plain DHCP and SLAAC are tried, too.
  bool captured = false;

  bool empty() const;
  // True where it says more than which name servers to ask.
  bool says_how() const;
  // Where this one does not say how, `lower` counts in its place, with this one's name servers
  // before its own.
  void complete_from(NetworkConfig lower);
  bool has_vlans() const;
  bool has_bonds() const;
  const LinkConfig* find(std::string_view name) const;
  bool operator==(const NetworkConfig&) const = default;
};

// The links, each after those it lies on; those that lie on themselves are left out.
std::vector<const LinkConfig*> order_of_making(const NetworkConfig& config);
// The value of a bond's option: a word of its own, or a number.
Result<uint32_t> parse_bond_value(const BondOption& option, std::string_view text);
// The link of this name, added where it is missing.
LinkConfig& link_of(NetworkConfig& config, std::string_view name);
// 1 to 15 characters that stand for themselves in the text.
bool is_link_name(std::string_view name);
// Letters, digits, "-", "." and "_".
bool is_domain(std::string_view name);
// "nic525400123456": for a link that has no name that can be written.
std::string name_of_mac(const MacAddress& mac);

// One statement a line, words as ip(8) has them, '#' begins a comment:
//   link eth0 mac 52:54:00:12:34:56 mtu 9000 ipv4 dhcp ipv6 auto
//   link bond0 bond eth0,eth1 mode 802.3ad lacp_rate fast miimon 100 address 52:54:00:12:34:56
//   link bond0.5 vlan 5 on bond0
//   link * ipv4 off                      (every NIC that has no line of its own)
//   address 10.0.2.15/24 dev eth0 broadcast 10.0.2.255 from dhcp4
//   route default via 10.0.2.2 dev eth0 metric 100 src 10.0.2.15 onlink table 7 from dhcp4
//   route blackhole 10.0.0.0/8
//   route default nexthop via 10.0.0.1 dev eth0 weight 1 nexthop via 10.1.0.1 dev eth1
//   rule 100 from 10.0.2.15/32 lookup 100
//   neighbour 10.0.2.2 mac 52:54:00:12:34:57 dev eth0 permanent
//   nameserver 10.0.2.3 dev eth0 from dhcp4
//   search example.org
//   captured
// docs/network.md has all words. Errors name the line, the word and what is expected there.
Result<NetworkConfig> parse_network_config(std::string_view text);
// What parse_network_config() reads back as it was.
std::string format_network_config(const NetworkConfig& config);
// Every device that is named is a link, none has two entries, none lies on itself.
Result<void> check_network_config(const NetworkConfig& config);

}  // namespace curlingiron
