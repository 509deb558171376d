#include "formats/netlink/link.h"

#include <linux/if.h>
#include <linux/if_arp.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

namespace curlingiron {
namespace {

constexpr size_t kMostArpTargets = 16;  // BOND_MAX_ARP_TARGETS
constexpr uint8_t kLargestMode = static_cast<uint8_t>(BondMode::BalanceAlb);

Result<VlanOptions> parse_vlan(ConstBytes data) {
  VlanOptions vlan;
  ByteReader in(data);
  while (!in.at_end()) {
    auto [type, value] = TRY(next_attribute(in));
    ByteReader field(value);
    if (type == IFLA_VLAN_ID) vlan.id = TRY(field.le16());
    if (type == IFLA_VLAN_PROTOCOL) vlan.qinq = TRY(field.be16()) == ETH_P_8021AD;
  }
  return vlan;
}

Result<void> parse_arp_targets(ConstBytes data, BondOptions& bond) {
  ByteReader in(data);
  while (!in.at_end()) {
    NetlinkAttribute target = TRY(next_attribute(in));
    if (bond.arp_targets.size() == kMostArpTargets)
      return Error("a bond with too many ARP targets");
    bond.arp_targets.push_back(TRY(address_of(Family::V4, target.value)).v4());
  }
  return {};
}

// The kernel lists every option; those at their defaults, and those that the mode has no use for
// (which it would refuse to take), are left out.
void drop_defaults(BondOptions& bond) {
  for (const BondOption& option : bond_options()) {
    BondOptions::Number& value = bond.*option.value;
    if (!takes(bond.mode, option) || value == option.standard) value.reset();
  }
}

Result<void> parse_bond(ConstBytes data, Link& link) {
  BondOptions bond;
  ByteReader in(data);
  while (!in.at_end()) {
    auto [type, value] = TRY(next_attribute(in));
    if (type == IFLA_BOND_MODE) {
      uint32_t mode = TRY(number_of(value));
      if (mode > kLargestMode) return Error("a bond of an unknown mode");
      bond.mode = BondMode{static_cast<uint8_t>(mode)};
    } else if (type == IFLA_BOND_PRIMARY) {
      link.bond_primary = static_cast<int>(TRY(number_of(value)));
    } else if (type == IFLA_BOND_ARP_IP_TARGET) {
      TRY(parse_arp_targets(value, bond));
    }
    for (const BondOption& option : bond_options()) {
      if (option.attribute != type) continue;
      if (value.size() != option.bytes) return Error("an option of a bond of another size");
      bond.*option.value = TRY(number_of(value));
    }
  }
  drop_defaults(bond);
  link.bond = std::move(bond);
  return {};
}

Result<void> parse_bond_member(ConstBytes data, Link& link) {
  ByteReader in(data);
  while (!in.at_end()) {
    auto [type, value] = TRY(next_attribute(in));
    // What kernels before 5.6 know of a member's own address.
    if (type == IFLA_BOND_SLAVE_PERM_HWADDR && !link.permanent_mac) {
      link.permanent_mac = mac_of(value);
    }
  }
  return {};
}

Result<void> parse_link_info(ConstBytes info, Link& link) {
  std::string_view master_kind;
  ConstBytes data;
  ConstBytes member_data;
  ByteReader in(info);
  while (!in.at_end()) {
    auto [type, value] = TRY(next_attribute(in));
    if (type == IFLA_INFO_KIND) link.kind = std::string(string_of(value));
    if (type == IFLA_INFO_DATA) data = value;
    if (type == IFLA_INFO_SLAVE_KIND) master_kind = string_of(value);
    if (type == IFLA_INFO_SLAVE_DATA) member_data = value;
  }
  if (link.kind == "vlan") link.vlan = TRY(parse_vlan(data));
  if (link.kind == "bond") TRY(parse_bond(data, link));
  if (master_kind == "bond") TRY(parse_bond_member(member_data, link));
  return {};
}

// The attributes of a new link: IFLA_LINKINFO { IFLA_INFO_KIND, IFLA_INFO_DATA }.
void add_link_info(ByteWriter& out, std::string_view kind, ConstBytes data) {
  ByteWriter info;
  add_attribute(info, IFLA_INFO_KIND, kind);
  add_attribute(info, IFLA_INFO_DATA, data);
  add_attribute(out, IFLA_LINKINFO, info.bytes());
}

}  // namespace

// A bridge's view of a port says nothing about the link as such, and is left out.
Result<void> parse_link(const NetlinkMessage& message, std::vector<Link>& links) {
  Link link;
  link.change = message.type == RTM_DELLINK ? Change::Removed : Change::Present;
  ByteReader in(message.body);
  if (TRY(in.u8()) != AF_UNSPEC) return {};
  TRY(in.skip(1));
  link.ethernet = TRY(in.le16()) == ARPHRD_ETHER;
  link.index = static_cast<int>(TRY(in.le32()));
  uint32_t flags = TRY(in.le32());
  TRY(in.skip(4));  // change mask
  link.up = (flags & IFF_UP) != 0;
  link.carrier = (flags & IFF_LOWER_UP) != 0;
  link.loopback = (flags & IFF_LOOPBACK) != 0;
  bool lower_elsewhere = false;
  while (!in.at_end()) {
    auto [type, value] = TRY(next_attribute(in));
    if (type == IFLA_IFNAME) {
      link.name = TRY(interface_name_of(value));
    } else if (type == IFLA_ADDRESS) {
      link.mac = mac_of(value).value_or(MacAddress{});
    } else if (type == IFLA_PERM_ADDRESS) {
      link.permanent_mac = mac_of(value);
    } else if (type == IFLA_MASTER) {
      link.master = static_cast<int>(TRY(number_of(value)));
    } else if (type == IFLA_LINK) {
      link.lower = static_cast<int>(TRY(number_of(value)));
    } else if (type == IFLA_LINK_NETNSID) {
      lower_elsewhere = true;
    } else if (type == IFLA_MTU) {
      link.mtu = TRY(number_of(value));
    } else if (type == IFLA_LINKINFO) {
      TRY(parse_link_info(value, link));
    }
  }
  if (lower_elsewhere || link.lower == link.index) link.lower = 0;
  links.push_back(std::move(link));
  return {};
}

ByteWriter format_link(int index, uint32_t flags, uint32_t change) {
  ByteWriter out;
  out.u8(AF_UNSPEC);
  out.u8(0);
  out.le16(0);
  out.le32(static_cast<uint32_t>(index));
  out.le32(flags);
  out.le32(change);
  return out;
}

ByteVector format_vlan(const std::string& name, int lower, const VlanOptions& options) {
  ByteWriter data;
  add_number(data, IFLA_VLAN_ID, options.id, 2);
  if (options.qinq) {
    ByteWriter protocol;
    protocol.be16(ETH_P_8021AD);
    add_attribute(data, IFLA_VLAN_PROTOCOL, protocol.bytes());
  }
  ByteWriter out = format_link(0, 0, 0);
  add_attribute(out, IFLA_IFNAME, name);
  add_number(out, IFLA_LINK, static_cast<uint32_t>(lower));
  add_link_info(out, "vlan", data.bytes());
  return std::move(out).bytes();
}

ByteVector format_bond(const std::string& name, const BondOptions& options, int primary) {
  ByteWriter data;
  add_number(data, IFLA_BOND_MODE, static_cast<uint32_t>(options.mode), 1);
  for (const BondOption& option : bond_options()) {
    const BondOptions::Number& value = options.*option.value;
    if (value) add_number(data, option.attribute, *value, option.bytes);
  }
  if (!options.arp_targets.empty()) {
    ByteWriter targets;
    uint16_t position = 0;
    for (Ipv4 target : options.arp_targets) add_attribute(targets, position++, IpAddress(target));
    add_attribute(data, IFLA_BOND_ARP_IP_TARGET, targets.bytes());
  }
  if (primary != 0) add_number(data, IFLA_BOND_PRIMARY, static_cast<uint32_t>(primary));
  ByteWriter out = format_link(0, 0, 0);
  add_attribute(out, IFLA_IFNAME, name);
  add_link_info(out, "bond", data.bytes());
  return std::move(out).bytes();
}

}  // namespace curlingiron
