// "sha256//BASE64", as curl's --pinnedpubkey has it: the SHA-256 digest of a server's public key,
// in the form that certificates have it in (SubjectPublicKeyInfo, DER).
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"

namespace curlingiron {

struct KeyPin {
  std::array<uint8_t, 32> sha256{};
  bool operator==(const KeyPin&) const = default;
};

// Of a digest of 32 bytes.
Result<KeyPin> key_pin(ConstBytes sha256);
Result<KeyPin> parse_key_pin(std::string_view text);
std::string format_key_pin(const KeyPin& pin);

}  // namespace curlingiron
