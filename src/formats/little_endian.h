// Fields of a format whose size was compared before: where the whole stands, none of its fields can
// be missing, and a ByteReader's errors would be code that nothing reaches.
#pragma once

#include <cstdint>

#include "base/bytes.h"

namespace curlingiron {

// All of the field: 8 bytes at most.
inline uint64_t little_endian(ConstBytes field) {
  uint64_t value = 0;
  for (size_t i = field.size(); i-- > 0;) value = value << 8 | field[i];
  return value;
}

inline void put_le32(MutableBytes bytes, size_t offset, uint32_t value) {
  for (size_t i = 0; i < 4; ++i) bytes[offset + i] = static_cast<uint8_t>(value >> (8 * i));
}
inline void put_le64(MutableBytes bytes, size_t offset, uint64_t value) {
  for (size_t i = 0; i < 8; ++i) bytes[offset + i] = static_cast<uint8_t>(value >> (8 * i));
}

}  // namespace curlingiron
