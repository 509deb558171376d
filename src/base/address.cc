#include "base/address.h"

#include <algorithm>
#include <bit>
#include <vector>

#include "base/bytes.h"
#include "base/text.h"

namespace curlingiron {

std::string format_ipv4(Ipv4 address) {
  uint32_t v = address.value;
  return concat(v >> 24, '.', (v >> 16) & 0xff, '.', (v >> 8) & 0xff, '.', v & 0xff);
}

Result<Ipv4> parse_ipv4(std::string_view text) {
  std::vector<std::string_view> parts = split(text, '.');
  Error wrong(concat("'", printable(text, 40), "' is no IPv4 address"));
  if (parts.size() != 4) return wrong;
  Ipv4 address;
  for (std::string_view part : parts) {
    if (part.empty() || part.size() > 3 || (part.size() > 1 && part[0] == '0')) return wrong;
    Result<uint32_t> number = parse_u32(part);
    if (!number.ok() || number.value() > 255) return wrong;
    address.value = address.value << 8 | number.value();
  }
  return address;
}

namespace {

constexpr size_t kGroups = 8;  // of 16 bits each

// The groups of one side of "::", or of an address without one; the last may be a dotted IPv4.
Result<std::vector<uint16_t>> parse_groups(std::string_view text) {
  std::vector<uint16_t> groups;
  if (text.empty()) return groups;
  std::vector<std::string_view> parts = split(text, ':');
  if (parts.size() > kGroups) return Error("too many groups");
  for (std::string_view part : parts) {
    bool last = part.end() == text.end();
    if (last && part.find('.') != std::string_view::npos) {
      Ipv4 tail = TRY(parse_ipv4(part));
      groups.push_back(static_cast<uint16_t>(tail.value >> 16));
      groups.push_back(static_cast<uint16_t>(tail.value & 0xffff));
      continue;
    }
    if (part.empty() || part.size() > 4) return Error("a group is not of 1 to 4 digits");
    groups.push_back(static_cast<uint16_t>(TRY(parse_hex_u64(part))));
  }
  return groups;
}

}  // namespace

Result<Ipv6> parse_ipv6(std::string_view text) {
  Error wrong(concat("'", printable(text, 60), "' is no IPv6 address"));
  size_t gap = text.find("::");
  bool has_gap = gap != std::string_view::npos;
  Result<std::vector<uint16_t>> head = parse_groups(text.substr(0, gap));
  Result<std::vector<uint16_t>> tail =
      parse_groups(has_gap ? text.substr(gap + 2) : std::string_view());
  if (!head.ok() || !tail.ok()) return wrong;
  // A dotted part may only be the last one.
  if (has_gap && text.substr(0, gap).find('.') != std::string_view::npos) return wrong;
  size_t groups_given = head.value().size() + tail.value().size();
  if (has_gap ? groups_given >= kGroups : groups_given != kGroups) return wrong;
  Ipv6 address;
  auto put = [&](size_t group, uint16_t value) {
    address.bytes[2 * group] = static_cast<uint8_t>(value >> 8);
    address.bytes[2 * group + 1] = static_cast<uint8_t>(value & 0xff);
  };
  for (size_t i = 0; i < head.value().size(); ++i) put(i, head.value()[i]);
  for (size_t i = 0; i < tail.value().size(); ++i) {
    put(kGroups - tail.value().size() + i, tail.value()[i]);
  }
  return address;
}

std::string format_ipv6(const Ipv6& address) {
  std::array<uint16_t, kGroups> groups{};
  for (size_t i = 0; i < kGroups; ++i) {
    groups[i] = static_cast<uint16_t>(address.bytes[2 * i] << 8 | address.bytes[2 * i + 1]);
  }
  // The first of the longest runs of zeros, of two groups at least (RFC 5952 section 4.2).
  size_t best = kGroups;
  size_t best_length = 1;
  for (size_t i = 0; i < kGroups; ++i) {
    size_t end = i;
    while (end < kGroups && groups[end] == 0) ++end;
    if (end - i > best_length) {
      best = i;
      best_length = end - i;
    }
    i = std::max(i, end);
  }
  std::string text;
  for (size_t i = 0; i < kGroups; ++i) {
    if (i == best) {
      text += "::";
      i += best_length - 1;
      continue;
    }
    if (!text.empty() && text.back() != ':') text += ':';
    uint8_t pair[2] = {static_cast<uint8_t>(groups[i] >> 8),
                       static_cast<uint8_t>(groups[i] & 0xff)};
    std::string digits = to_hex(pair);
    text += digits.substr(std::min<size_t>(digits.find_first_not_of('0'), 3));
  }
  return text;
}

bool IpAddress::is_loopback() const {
  if (is_v4()) return v4_.value >> 24 == 127;
  Ipv6 one;
  one.bytes[15] = 1;
  return v6_ == one;
}

bool IpAddress::is_link_local() const {
  return is_v4() ? v4_.value >> 16 == 0xa9fe : v6_.is_link_local();
}

Result<IpAddress> parse_ip(std::string_view text) {
  bool bracketed = text.size() > 2 && text.front() == '[' && text.back() == ']';
  std::string_view inner = bracketed ? text.substr(1, text.size() - 2) : text;
  if (inner.find(':') != std::string_view::npos) {
    Result<Ipv6> address = parse_ipv6(inner);
    if (address.ok()) return IpAddress(address.value());
  } else if (!bracketed) {
    Result<Ipv4> address = parse_ipv4(inner);
    if (address.ok()) return IpAddress(address.value());
  }
  return Error(concat("'", printable(text, 60), "' is no IP address"));
}

std::string format_ip(const IpAddress& address) {
  return address.is_v4() ? format_ipv4(address.v4()) : format_ipv6(address.v6());
}

Result<IpPrefix> parse_prefix(std::string_view text) {
  size_t slash = text.find('/');
  IpAddress address = TRY(parse_ip(text.substr(0, slash)));
  if (slash == std::string_view::npos) return host_prefix(address);
  Result<uint32_t> length = parse_u32(text.substr(slash + 1));
  if (!length.ok() || length.value() > address_bits(address.family())) {
    return Error(concat("'", printable(text, 60), "' has a wrong prefix length"));
  }
  return IpPrefix{address, static_cast<uint8_t>(length.value())};
}

std::string format_prefix(const IpPrefix& prefix) {
  return concat(format_ip(prefix.address), '/', prefix.length);
}

uint8_t address_bits(Family family) { return family == Family::V4 ? 32 : 128; }

IpPrefix host_prefix(const IpAddress& address) { return {address, address_bits(address.family())}; }

IpPrefix network_of(const IpPrefix& prefix) {
  if (prefix.address.is_v4()) {
    return {Ipv4{prefix.address.v4().value & prefix_mask(prefix.length).value}, prefix.length};
  }
  Ipv6 network = prefix.address.v6();
  for (size_t i = 0; i < network.bytes.size(); ++i) {
    size_t kept = prefix.length > 8 * i ? std::min<size_t>(prefix.length - 8 * i, 8) : 0;
    network.bytes[i] = static_cast<uint8_t>(network.bytes[i] & (0xff00 >> kept));
  }
  return {network, prefix.length};
}

bool contains(const IpPrefix& prefix, const IpAddress& address) {
  if (prefix.address.family() != address.family()) return false;
  return network_of({address, prefix.length}).address == network_of(prefix).address;
}

std::string format_mac(const MacAddress& mac) {
  std::string text;
  for (uint8_t byte : mac) {
    if (!text.empty()) text += ':';
    text += to_hex(ConstBytes(&byte, 1));
  }
  return text;
}

Result<MacAddress> parse_mac(std::string_view text) {
  std::vector<std::string_view> parts = split(text, ':');
  Error wrong(concat("'", printable(text, 40), "' is no MAC address"));
  MacAddress mac{};
  if (parts.size() != mac.size()) return wrong;
  for (size_t i = 0; i < mac.size(); ++i) {
    Result<ByteVector> byte = from_hex(parts[i]);
    if (!byte.ok() || byte.value().size() != 1) return wrong;
    mac[i] = byte.value()[0];
  }
  return mac;
}

Ipv4 prefix_mask(uint8_t length) {
  if (length == 0) return Ipv4{0};
  return Ipv4{length >= 32 ? ~uint32_t{0} : ~uint32_t{0} << (32 - length)};
}

std::optional<uint8_t> prefix_length(Ipv4 mask) {
  auto length = static_cast<uint8_t>(std::countl_one(mask.value));
  if (prefix_mask(length) != mask) return std::nullopt;
  return length;
}

}  // namespace curlingiron
