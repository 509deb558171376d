#include "base/address.h"

#include <bit>

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
