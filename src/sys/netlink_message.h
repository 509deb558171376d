// Messages and attributes of rtnetlink, read and written. For sys/netlink*.cc and their tests.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/address.h"
#include "base/bytes.h"
#include "base/result.h"
#include "sys/netlink.h"

namespace curlingiron {

struct NetlinkMessage {
  uint16_t type = 0;
  uint16_t flags = 0;
  uint32_t sequence = 0;
  ConstBytes body;
};
Result<NetlinkMessage> next_message(ByteReader& in);
ByteVector format_message(uint16_t type, uint16_t flags, uint32_t sequence, ConstBytes body);

// Nothing for an acknowledgement, else the errno of NLMSG_ERROR, with the kernel's own words where
// it gave some (NETLINK_EXT_ACK).
Result<void> parse_answer(const NetlinkMessage& message);
// The errno that NLMSG_DONE may carry.
Result<void> parse_done(const NetlinkMessage& message);

struct NetlinkAttribute {
  uint16_t type = 0;  // without the flags of nesting and byte order
  ConstBytes value;
};
Result<NetlinkAttribute> next_attribute(ByteReader& in);

// Values of attributes.
Result<uint32_t> number_of(ConstBytes value);             // of 1, 2 or 4 bytes
std::string_view string_of(ConstBytes value);             // up to its NUL
Result<std::string> interface_name_of(ConstBytes value);  // at most 15 characters
Result<IpAddress> address_of(Family family, ConstBytes value);
std::optional<MacAddress> mac_of(ConstBytes value);

// AF_INET and AF_INET6.
std::optional<Family> family_of(uint8_t address_family);
uint8_t address_family(Family family);

void add_attribute(ByteWriter& out, uint16_t type, ConstBytes value);
void add_attribute(ByteWriter& out, uint16_t type, std::string_view text);  // with its NUL
void add_attribute(ByteWriter& out, uint16_t type, const IpAddress& address);
void add_number(ByteWriter& out, uint16_t type, uint32_t value, uint8_t bytes = 4);

// One message of its kind: appended, or passed over.
Result<void> parse_link(const NetlinkMessage& message, std::vector<Link>& links);
Result<void> parse_address(const NetlinkMessage& message, std::vector<AssignedAddress>& addresses);
Result<void> parse_route(const NetlinkMessage& message, std::vector<Route>& routes);
Result<void> parse_rule(const NetlinkMessage& message, std::vector<Rule>& rules);
Result<void> parse_neighbour(const NetlinkMessage& message, std::vector<Neighbour>& neighbours);

// Bodies of requests. The link's: struct ifinfomsg, attributes follow.
ByteWriter format_link(int index, uint32_t flags, uint32_t change);
ByteVector format_vlan(const std::string& name, int lower, const VlanOptions& options);
ByteVector format_bond(const std::string& name, const BondOptions& options, int primary);
ByteVector format_address(const AssignedAddress& address);
ByteVector format_route(const Route& route);
ByteVector format_rule(const Rule& rule);
ByteVector format_neighbour(const Neighbour& neighbour);

}  // namespace curlingiron
