// What a script carries as text: base 85, and what stands at the start of each part.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace curlingiron::unpack {

// Five of these are four bytes, the highest digit first. None of them means anything to a shell in
// a quoted here-document.
inline constexpr char kDigits[] =
    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz.-:+=^!/*?&<>()[]{}@%$#";

// Before a part: CRC-32 of what it unpacks to (zlib's), its size, and how it is packed; little
// endian. Its bytes are followed by zeros up to a multiple of four.
inline constexpr size_t kHeaderSize = 16;
enum class Method : uint8_t { Stored = 0, Lzma = 1 };
struct Header {
  uint32_t crc = 0;
  uint64_t size = 0;  // bytes, unpacked
  Method method = Method::Stored;
  uint8_t properties = 0;  // of LZMA
  // Two bytes of zeros follow.
};

// Text read by `int next()`, a character or -1; newlines are passed over.
template <typename Text>
class Base85 {
 public:
  explicit Base85(Text& text) : text_(text) {
    for (uint8_t& value : values_) value = kNone;
    for (uint8_t i = 0; i < 85; ++i) values_[static_cast<uint8_t>(kDigits[i])] = i;
  }

  // A byte, or -1: the end, or is_damaged().
  int next() {
    if (left_ == 0 && !fill()) return -1;
    --left_;
    return static_cast<int>(group_ >> (8 * left_) & 0xff);
  }
  bool is_damaged() const { return damaged_; }

 private:
  static constexpr uint8_t kNone = 0xff;

  bool fill() {
    uint64_t group = 0;
    for (int i = 0; i < 5; ++i) {
      int c = text_.next();
      while (c == '\n' || c == '\r') c = text_.next();
      if (c < 0) {
        damaged_ = damaged_ || i != 0;
        return false;
      }
      uint8_t value = c < 128 ? values_[c] : kNone;
      if (value == kNone) {
        damaged_ = true;
        return false;
      }
      group = group * 85 + value;
    }
    if (group > 0xffffffff) {
      damaged_ = true;
      return false;
    }
    group_ = static_cast<uint32_t>(group);
    left_ = 4;
    return true;
  }

  Text& text_;
  uint8_t values_[128];
  uint32_t group_ = 0;
  unsigned left_ = 0;  // bytes of it
  bool damaged_ = false;
};

// False: it is cut off, or of a kind that is not known.
template <typename Input>
bool read_header(Input& in, Header& header) {
  uint8_t bytes[kHeaderSize];
  for (uint8_t& byte : bytes) {
    int value = in.next();
    if (value < 0) return false;
    byte = static_cast<uint8_t>(value);
  }
  for (int i = 3; i >= 0; --i) header.crc = header.crc << 8 | bytes[i];
  for (int i = 11; i >= 4; --i) header.size = header.size << 8 | bytes[i];
  header.method = static_cast<Method>(bytes[12]);
  header.properties = bytes[13];
  return bytes[12] <= 1 && bytes[14] == 0 && bytes[15] == 0;
}

// As zlib's, four bits at a time: small, and quick enough here.
inline uint32_t crc32_of(const uint8_t* bytes, size_t size) {
  uint32_t table[16];
  for (uint32_t i = 0; i < 16; ++i) {
    uint32_t value = i;
    for (int bit = 0; bit < 4; ++bit) value = value >> 1 ^ ((value & 1) != 0 ? 0xEDB88320u : 0);
    table[i] = value;
  }
  uint32_t crc = 0xffffffff;
  for (size_t i = 0; i < size; ++i) {
    crc ^= bytes[i];
    crc = crc >> 4 ^ table[crc & 15];
    crc = crc >> 4 ^ table[crc & 15];
  }
  return ~crc;
}

}  // namespace curlingiron::unpack
