// IPv4, IPv6 and Ethernet addresses as values.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace curlingiron {

using MacAddress = std::array<uint8_t, 6>;

struct Ipv4 {
  uint32_t value = 0;  // host order: 10.0.2.15 is 0x0a00020f

  auto operator<=>(const Ipv4&) const = default;
  bool is_zero() const { return value == 0; }
};

struct Ipv6 {
  std::array<uint8_t, 16> bytes{};  // network order

  auto operator<=>(const Ipv6&) const = default;
  bool is_zero() const { return bytes == std::array<uint8_t, 16>{}; }
  bool is_link_local() const { return bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0x80; }
  bool is_multicast() const { return bytes[0] == 0xff; }
};

enum class Family : uint8_t { V4, V6 };

// An address of either family.
class IpAddress {
 public:
  IpAddress() = default;  // 0.0.0.0
  IpAddress(Ipv4 address) : v4_(address) {}
  IpAddress(const Ipv6& address) : family_(Family::V6), v6_(address) {}

  Family family() const { return family_; }
  bool is_v4() const { return family_ == Family::V4; }
  bool is_v6() const { return family_ == Family::V6; }
  Ipv4 v4() const { return v4_; }         // 0.0.0.0 for an IPv6 address
  const Ipv6& v6() const { return v6_; }  // :: for an IPv4 address
  bool is_zero() const { return is_v4() ? v4_.is_zero() : v6_.is_zero(); }
  bool is_loopback() const;
  bool is_link_local() const;  // 169.254.0.0/16, fe80::/10

  auto operator<=>(const IpAddress&) const = default;

 private:
  Family family_ = Family::V4;
  Ipv4 v4_;
  Ipv6 v6_;
};

// An address and how many of its leading bits name the network; the other bits are kept.
struct IpPrefix {
  IpAddress address;
  uint8_t length = 0;  // at most 32 or 128

  auto operator<=>(const IpPrefix&) const = default;
};

// Four decimal numbers, nothing else ("10.1" and "010.0.0.1" are errors).
Result<Ipv4> parse_ipv4(std::string_view text);
std::string format_ipv4(Ipv4 address);
// As RFC 4291 section 2.2 has it, without a zone; written as RFC 5952 wants.
Result<Ipv6> parse_ipv6(std::string_view text);
std::string format_ipv6(const Ipv6& address);
// Either family; IPv6 may stand in brackets.
Result<IpAddress> parse_ip(std::string_view text);
std::string format_ip(const IpAddress& address);
// "10.0.0.0/8", "2001:db8::/32"; without a length that of a host.
Result<IpPrefix> parse_prefix(std::string_view text);
std::string format_prefix(const IpPrefix& prefix);
// "52:54:00:12:34:56".
std::string format_mac(const MacAddress& mac);
Result<MacAddress> parse_mac(std::string_view text);

// Bits of an address: 32 or 128.
uint8_t address_bits(Family family);
IpPrefix host_prefix(const IpAddress& address);  // /32, /128
// The prefix without the bits after its length.
IpPrefix network_of(const IpPrefix& prefix);
bool contains(const IpPrefix& prefix, const IpAddress& address);

// 0xffffff00 for 24; lengths above 32 count as 32.
Ipv4 prefix_mask(uint8_t length);
// 24 for 255.255.255.0; nullopt where the mask has a hole.
std::optional<uint8_t> prefix_length(Ipv4 mask);

}  // namespace curlingiron
