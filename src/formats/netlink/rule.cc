#include "formats/netlink/rule.h"

#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>

#include <algorithm>

namespace curlingiron {
namespace {

constexpr uint32_t kNoSuppression = 0xffffffff;

Result<NumberRange<uint16_t>> parse_ports(ConstBytes value) {
  ByteReader in(value);
  uint16_t first = TRY(in.le16());
  return NumberRange<uint16_t>{first, TRY(in.le16())};
}

void add_ports(ByteWriter& out, uint16_t type, const std::optional<NumberRange<uint16_t>>& ports) {
  if (!ports) return;
  ByteWriter value;
  value.le16(ports->first);
  value.le16(ports->last);
  add_attribute(out, type, value.bytes());
}

}  // namespace

Result<void> parse_rule(const NetlinkMessage& message, std::vector<Rule>& rules) {
  Rule rule;
  ByteReader in(message.body);
  std::optional<Family> family = family_of(TRY(in.u8()));
  if (!family) return {};
  rule.family = *family;
  uint8_t to_length = TRY(in.u8());
  uint8_t from_length = TRY(in.u8());
  if (std::max(to_length, from_length) > address_bits(*family)) {
    return Error("a prefix that is too long");
  }
  rule.tos = TRY(in.u8());
  rule.table = TRY(in.u8());
  TRY(in.skip(2));
  rule.action = RuleAction{TRY(in.u8())};
  rule.invert = (TRY(in.le32()) & FIB_RULE_INVERT) != 0;
  while (!in.at_end()) {
    auto [type, value] = TRY(next_attribute(in));
    if (type == FRA_DST) rule.to = IpPrefix{TRY(address_of(*family, value)), to_length};
    if (type == FRA_SRC) rule.from = IpPrefix{TRY(address_of(*family, value)), from_length};
    if (type == FRA_IIFNAME) rule.iif = TRY(interface_name_of(value));
    if (type == FRA_OIFNAME) rule.oif = TRY(interface_name_of(value));
    if (type == FRA_GOTO) rule.jump = TRY(number_of(value));
    if (type == FRA_PRIORITY) rule.priority = TRY(number_of(value));
    if (type == FRA_FWMARK) rule.mark = TRY(number_of(value));
    if (type == FRA_FWMASK) rule.mask = TRY(number_of(value));
    if (type == FRA_TABLE) rule.table = TRY(number_of(value));
    if (type == FRA_L3MDEV) rule.l3mdev = TRY(number_of(value)) != 0;
    if (type == FRA_PROTOCOL) rule.protocol = static_cast<uint8_t>(TRY(number_of(value)));
    if (type == FRA_IP_PROTO) rule.ip_protocol = static_cast<uint8_t>(TRY(number_of(value)));
    if (type == FRA_SPORT_RANGE) rule.source_ports = TRY(parse_ports(value));
    if (type == FRA_DPORT_RANGE) rule.destination_ports = TRY(parse_ports(value));
    if (type == FRA_SUPPRESS_PREFIXLEN) {
      uint32_t length = TRY(number_of(value));
      if (length != kNoSuppression) rule.suppress_prefix = length;
    }
    if (type == FRA_UID_RANGE) {
      ByteReader users(value);
      uint32_t first = TRY(users.le32());
      rule.users = NumberRange<uint32_t>{first, TRY(users.le32())};
    }
  }
  rules.push_back(std::move(rule));
  return {};
}

ByteVector format_rule(const Rule& rule) {
  ByteWriter out;
  out.u8(address_family(rule.family));
  out.u8(rule.to ? rule.to->length : 0);
  out.u8(rule.from ? rule.from->length : 0);
  out.u8(rule.tos);
  out.u8(rule.table <= 0xff ? static_cast<uint8_t>(rule.table) : uint8_t{RT_TABLE_UNSPEC});
  out.zeros(2);
  out.u8(static_cast<uint8_t>(rule.action));
  out.le32(rule.invert ? FIB_RULE_INVERT : 0);
  if (rule.to) add_attribute(out, FRA_DST, rule.to->address);
  if (rule.from) add_attribute(out, FRA_SRC, rule.from->address);
  if (!rule.iif.empty()) add_attribute(out, FRA_IIFNAME, rule.iif);
  if (!rule.oif.empty()) add_attribute(out, FRA_OIFNAME, rule.oif);
  if (rule.jump != 0) add_number(out, FRA_GOTO, rule.jump);
  add_number(out, FRA_PRIORITY, rule.priority);
  if (rule.mark != 0 || rule.mask != 0) {
    add_number(out, FRA_FWMARK, rule.mark);
    add_number(out, FRA_FWMASK, rule.mask);
  }
  if (rule.l3mdev) {
    add_number(out, FRA_L3MDEV, 1, 1);  // comes without a table
  } else {
    add_number(out, FRA_TABLE, rule.table);
  }
  if (rule.protocol != 0) add_number(out, FRA_PROTOCOL, rule.protocol, 1);
  if (rule.ip_protocol != 0) add_number(out, FRA_IP_PROTO, rule.ip_protocol, 1);
  add_ports(out, FRA_SPORT_RANGE, rule.source_ports);
  add_ports(out, FRA_DPORT_RANGE, rule.destination_ports);
  if (rule.suppress_prefix) add_number(out, FRA_SUPPRESS_PREFIXLEN, *rule.suppress_prefix);
  if (rule.users) {
    ByteWriter users;
    users.le32(rule.users->first);
    users.le32(rule.users->last);
    add_attribute(out, FRA_UID_RANGE, users.bytes());
  }
  return std::move(out).bytes();
}

}  // namespace curlingiron
