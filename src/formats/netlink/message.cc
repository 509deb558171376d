#include "formats/netlink/message.h"

#include <linux/netlink.h>
#include <sys/socket.h>

#include <algorithm>
#include <bit>

#include "base/system_error.h"
#include "base/text.h"

namespace curlingiron {
namespace {

// Netlink speaks the machine's byte order.
static_assert(std::endian::native == std::endian::little);

constexpr size_t kMaxInterfaceName = 15;
constexpr size_t kAttributeHeader = 4;
constexpr uint16_t kTypeMask = 0x3fff;  // NLA_TYPE_MASK: without the nested and byte order bits

size_t align4(size_t size) { return (size + 3) & ~size_t{3}; }

// The padding after the last one may be missing.
Result<void> skip_padding(ByteReader& in, size_t length) {
  return in.skip(std::min(align4(length) - length, in.rest().size()));
}

Result<int> errno_of(ByteReader& in) {
  auto value = static_cast<int32_t>(TRY(in.le32()));
  if (value > 0 || value < -4095) return Error("a netlink error without a code");
  return -value;
}

// What the kernel says in words, after the request that it answers.
Result<std::string_view> words_of(const NetlinkMessage& message, ByteReader& in) {
  if ((message.flags & NLM_F_ACK_TLVS) == 0) return std::string_view();
  uint32_t length = TRY(in.le32());
  if (length < NLMSG_HDRLEN) return Error("a netlink message shorter than its header");
  TRY(in.skip((message.flags & NLM_F_CAPPED) != 0 ? NLMSG_HDRLEN - 4 : align4(length) - 4));
  while (!in.at_end()) {
    NetlinkAttribute attribute = TRY(next_attribute(in));
    if (attribute.type == NLMSGERR_ATTR_MSG) return string_of(attribute.value);
  }
  return std::string_view();
}

}  // namespace

Result<NetlinkMessage> next_message(ByteReader& in) {
  NetlinkMessage message;
  uint32_t length = TRY(in.le32());
  message.type = TRY(in.le16());
  message.flags = TRY(in.le16());
  message.sequence = TRY(in.le32());
  TRY(in.skip(4));  // port
  if (length < NLMSG_HDRLEN) return Error("a netlink message shorter than its header");
  message.body = TRY(in.take(length - NLMSG_HDRLEN));
  TRY(skip_padding(in, length));
  return message;
}

ByteVector format_message(uint16_t type, uint16_t flags, uint32_t sequence, ConstBytes body) {
  ByteWriter out;
  out.le32(static_cast<uint32_t>(NLMSG_HDRLEN + body.size()));
  out.le16(type);
  out.le16(flags);
  out.le32(sequence);
  out.le32(0);
  out.append(body);
  return std::move(out).bytes();
}

bool is_answer(const NetlinkMessage& message) { return message.type == NLMSG_ERROR; }
bool is_done(const NetlinkMessage& message) { return message.type == NLMSG_DONE; }
bool is_interrupted(const NetlinkMessage& message) {
  return (message.flags & NLM_F_DUMP_INTR) != 0;
}

Result<void> parse_answer(const NetlinkMessage& message) {
  ByteReader in(message.body);
  int code = TRY(errno_of(in));
  if (code == 0) return {};
  // Broken words do not hide the error itself.
  Result<std::string_view> words = words_of(message, in);
  Error error = system_error("rtnetlink", code);
  if (!words.ok() || words.value().empty()) return error;
  return Error(concat(error.message(), " (", printable(words.value()), ')'), code);
}

Result<void> parse_done(const NetlinkMessage& message) {
  if (message.body.empty()) return {};
  ByteReader in(message.body);
  int code = TRY(errno_of(in));
  if (code != 0) return system_error("rtnetlink", code);
  return {};
}

Result<NetlinkAttribute> next_attribute(ByteReader& in) {
  NetlinkAttribute attribute;
  uint16_t length = TRY(in.le16());
  attribute.type = TRY(in.le16()) & kTypeMask;
  if (length < kAttributeHeader) return Error("a netlink attribute shorter than its header");
  attribute.value = TRY(in.take(length - kAttributeHeader));
  TRY(skip_padding(in, length));
  return attribute;
}

Result<uint32_t> number_of(ConstBytes value) {
  ByteReader in(value);
  if (value.size() == 1) return uint32_t{TRY(in.u8())};
  if (value.size() == 2) return uint32_t{TRY(in.le16())};
  return in.le32();
}

std::string_view string_of(ConstBytes value) {
  std::string_view text = as_text(value);
  return text.substr(0, text.find('\0'));
}

Result<std::string> interface_name_of(ConstBytes value) {
  std::string_view name = string_of(value);
  if (name.size() > kMaxInterfaceName) return Error("an interface name longer than 15");
  return std::string(name);
}

Result<IpAddress> address_of(Family family, ConstBytes value) {
  ByteReader in(value);
  if (family == Family::V4) return IpAddress(Ipv4{TRY(in.be32())});
  Ipv6 address;
  ConstBytes bytes = TRY(in.take(address.bytes.size()));
  std::copy(bytes.begin(), bytes.end(), address.bytes.begin());
  return IpAddress(address);
}

std::optional<MacAddress> mac_of(ConstBytes value) {
  MacAddress mac;
  if (value.size() != mac.size()) return std::nullopt;
  std::copy(value.begin(), value.end(), mac.begin());
  return mac;
}

std::optional<Family> family_of(uint8_t address_family) {
  if (address_family == AF_INET) return Family::V4;
  if (address_family == AF_INET6) return Family::V6;
  return std::nullopt;
}

uint8_t address_family(Family family) { return family == Family::V4 ? AF_INET : AF_INET6; }

void add_attribute(ByteWriter& out, uint16_t type, ConstBytes value) {
  size_t length = kAttributeHeader + value.size();
  out.le16(static_cast<uint16_t>(length));
  out.le16(type);
  out.append(value);
  out.zeros(align4(length) - length);
}

void add_attribute(ByteWriter& out, uint16_t type, std::string_view text) {
  ByteWriter value;
  value.append(text);
  value.u8(0);
  add_attribute(out, type, value.bytes());
}

void add_attribute(ByteWriter& out, uint16_t type, const IpAddress& address) {
  ByteWriter value;
  if (address.is_v4()) {
    value.be32(address.v4().value);
  } else {
    value.append(ConstBytes(address.v6().bytes));
  }
  add_attribute(out, type, value.bytes());
}

void add_number(ByteWriter& out, uint16_t type, uint32_t value, uint8_t bytes) {
  ByteWriter number;
  number.le32(value);
  add_attribute(out, type, ConstBytes(number.bytes()).first(bytes));
}

}  // namespace curlingiron
