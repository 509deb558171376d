#include "formats/netlink/address.h"

#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>

namespace curlingiron {
namespace {

constexpr uint32_t kForEver = 0xffffffff;  // INFINITY_LIFE_TIME, seconds

// The flags that a request may set; the others are the kernel's to set.
constexpr uint32_t kSettable4 = IFA_F_NOPREFIXROUTE | IFA_F_MCAUTOJOIN;
constexpr uint32_t kSettable6 =
    kSettable4 | IFA_F_NODAD | IFA_F_OPTIMISTIC | IFA_F_HOMEADDRESS | IFA_F_MANAGETEMPADDR;

std::optional<Duration> lifetime_of(uint32_t seconds) {
  if (seconds == kForEver) return std::nullopt;
  return std::chrono::seconds(seconds);
}

uint32_t seconds_of(const std::optional<Duration>& lifetime) {
  if (!lifetime) return kForEver;
  return static_cast<uint32_t>(std::chrono::duration_cast<std::chrono::seconds>(*lifetime).count());
}

}  // namespace

Result<void> parse_address(const NetlinkMessage& message, std::vector<AssignedAddress>& addresses) {
  AssignedAddress address;
  address.change = message.type == RTM_DELADDR ? Change::Removed : Change::Present;
  ByteReader in(message.body);
  std::optional<Family> family = family_of(TRY(in.u8()));
  if (!family) return {};
  address.prefix.length = TRY(in.u8());
  if (address.prefix.length > address_bits(*family)) return Error("a prefix that is too long");
  address.flags = TRY(in.u8());
  address.scope = TRY(in.u8());
  address.index = static_cast<int>(TRY(in.le32()));
  std::optional<IpAddress> local;
  std::optional<IpAddress> other;  // the address itself, or its peer's
  while (!in.at_end()) {
    auto [type, value] = TRY(next_attribute(in));
    if (type == IFA_LOCAL) local = TRY(address_of(*family, value));
    if (type == IFA_ADDRESS) other = TRY(address_of(*family, value));
    if (type == IFA_BROADCAST && *family == Family::V4) {
      address.broadcast = TRY(address_of(Family::V4, value)).v4();
    }
    if (type == IFA_FLAGS) address.flags = TRY(number_of(value));
    if (type == IFA_RT_PRIORITY) address.metric = TRY(number_of(value));
    if (type == IFA_PROTO) address.protocol = static_cast<uint8_t>(TRY(number_of(value)));
    if (type == IFA_CACHEINFO) {
      ByteReader info(value);
      address.preferred = lifetime_of(TRY(info.le32()));
      address.valid = lifetime_of(TRY(info.le32()));
    }
  }
  if (!local && !other) return Error("an address message without an address");
  address.prefix.address = local ? *local : *other;
  if (local && other && *local != *other) address.peer = other;
  addresses.push_back(address);
  return {};
}

ByteVector format_address(const AssignedAddress& address) {
  Family family = address.prefix.address.family();
  uint32_t flags = address.flags & (family == Family::V4 ? kSettable4 : kSettable6);
  ByteWriter out;
  out.u8(address_family(family));
  out.u8(address.prefix.length);
  out.u8(static_cast<uint8_t>(flags & 0xff));
  out.u8(address.scope);
  out.le32(static_cast<uint32_t>(address.index));
  add_attribute(out, IFA_LOCAL, address.prefix.address);
  add_attribute(out, IFA_ADDRESS, address.peer.value_or(address.prefix.address));
  if (address.broadcast) add_attribute(out, IFA_BROADCAST, IpAddress(*address.broadcast));
  add_number(out, IFA_FLAGS, flags);
  if (address.metric != 0) add_number(out, IFA_RT_PRIORITY, address.metric);
  if (address.protocol != 0) add_number(out, IFA_PROTO, address.protocol, 1);
  if (address.valid || address.preferred) {
    ByteWriter info;  // struct ifa_cacheinfo
    info.le32(seconds_of(address.preferred));
    info.le32(seconds_of(address.valid));
    info.zeros(8);
    add_attribute(out, IFA_CACHEINFO, info.bytes());
  }
  return std::move(out).bytes();
}

Result<void> parse_neighbour(const NetlinkMessage& message, std::vector<Neighbour>& neighbours) {
  Neighbour neighbour;
  neighbour.change = message.type == RTM_DELNEIGH ? Change::Removed : Change::Present;
  ByteReader in(message.body);
  std::optional<Family> family = family_of(TRY(in.u8()));
  if (!family) return {};
  TRY(in.skip(3));
  neighbour.index = static_cast<int>(TRY(in.le32()));
  neighbour.state = TRY(in.le16());
  uint8_t flags = TRY(in.u8());
  TRY(in.skip(1));  // type
  std::optional<IpAddress> address;
  std::optional<MacAddress> mac;
  while (!in.at_end()) {
    auto [type, value] = TRY(next_attribute(in));
    if (type == NDA_DST) address = TRY(address_of(*family, value));
    if (type == NDA_LLADDR) mac = mac_of(value);
  }
  if (!address || !mac || (flags & NTF_PROXY) != 0) return {};
  neighbour.address = *address;
  neighbour.mac = *mac;
  neighbours.push_back(neighbour);
  return {};
}

ByteVector format_neighbour(const Neighbour& neighbour) {
  ByteWriter out;
  out.u8(address_family(neighbour.address.family()));
  out.zeros(3);
  out.le32(static_cast<uint32_t>(neighbour.index));
  out.le16(neighbour.state != 0 ? neighbour.state : NUD_PERMANENT);
  out.zeros(2);
  add_attribute(out, NDA_DST, neighbour.address);
  add_attribute(out, NDA_LLADDR, ConstBytes(neighbour.mac));
  return std::move(out).bytes();
}

}  // namespace curlingiron
