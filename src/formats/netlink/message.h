// Messages and attributes of netlink(7), read and written.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/address.h"
#include "base/bytes.h"
#include "base/result.h"

namespace curlingiron {

struct NetlinkMessage {
  uint16_t type = 0;
  uint16_t flags = 0;
  uint32_t sequence = 0;
  ConstBytes body;
};
Result<NetlinkMessage> next_message(ByteReader& in);
ByteVector format_message(uint16_t type, uint16_t flags, uint32_t sequence, ConstBytes body);

bool is_answer(const NetlinkMessage& message);       // NLMSG_ERROR
bool is_done(const NetlinkMessage& message);         // NLMSG_DONE
bool is_interrupted(const NetlinkMessage& message);  // what a dump lists changed meanwhile

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

}  // namespace curlingiron
