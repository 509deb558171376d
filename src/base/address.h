// IPv4 and Ethernet addresses as values.
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

std::string format_ipv4(Ipv4 address);
// Four decimal numbers, nothing else ("10.1" and "010.0.0.1" are errors).
Result<Ipv4> parse_ipv4(std::string_view text);
// "52:54:00:12:34:56".
std::string format_mac(const MacAddress& mac);
Result<MacAddress> parse_mac(std::string_view text);

// 0xffffff00 for 24; lengths above 32 count as 32.
Ipv4 prefix_mask(uint8_t length);
// 24 for 255.255.255.0; nullopt where the mask has a hole.
std::optional<uint8_t> prefix_length(Ipv4 mask);

}  // namespace curlingiron
