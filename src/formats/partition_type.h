// What a partition is for, by its type: those that more than one part of this program knows. GPT:
// UEFI specification 2.10, table 5.7, and the Discoverable Partitions Specification
// (https://uapi-group.org/specifications/specs/discoverable_partitions_specification/).
#pragma once

#include <cstdint>
#include <string_view>

#include "formats/gpt.h"

namespace curlingiron {

// As people write it, "c12a7328-f81f-11d2-ba4b-00a0c93ec93b": the reverse of format_guid().
consteval Guid guid(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  Guid bytes{};
  size_t at = 0;
  for (char c : text) {
    if (c == '-') continue;
    size_t digit = kDigits.find(c);
    // Past the end, or no digit: no constant expression, and so no program.
    uint8_t& byte = bytes[kDigits[digit] == c ? kGuidOrder[at / 2] : bytes.size()];
    byte = static_cast<uint8_t>(byte * size_t{16} + digit);
    ++at;
  }
  return bytes;
}

inline constexpr Guid kEfiSystemType = guid("c12a7328-f81f-11d2-ba4b-00a0c93ec93b");
inline constexpr Guid kBootLoaderType = guid("bc13c2ff-59e6-4262-a352-b275fd6f7172");  // XBOOTLDR
inline constexpr Guid kBiosBootType = guid("21686148-6449-6e6f-744e-656564454649");    // GRUB's
inline constexpr Guid kBasicDataType = guid("ebd0a0a2-b9e5-4433-87c0-68b6b72699c7");   // FAT
inline constexpr Guid kSwapType = guid("0657fd6d-a4ab-43c4-84e5-0933c84b4f4f");

// In an MBR.
inline constexpr uint8_t kMbrEfiSystemType = 0xef;
inline constexpr uint8_t kMbrSwapType = 0x82;

}  // namespace curlingiron
