// Views of bytes, and readers and writers that never index past an end.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace curlingiron {

using ConstBytes = std::span<const uint8_t>;
using MutableBytes = std::span<uint8_t>;
using ByteVector = std::vector<uint8_t>;

ConstBytes as_bytes(std::string_view text);
std::string_view as_text(ConstBytes bytes);

// Whether `magic` stands there, from byte `offset` on. False where the bytes end before.
bool has(ConstBytes bytes, size_t offset, ConstBytes magic);
bool has(ConstBytes bytes, size_t offset, std::string_view magic);

// Reads fields in order; every read past the end is an error ("truncated"), never undefined.
class ByteReader {
 public:
  explicit ByteReader(ConstBytes bytes) : bytes_(bytes) {}

  Result<uint8_t> u8();
  Result<uint16_t> be16();
  Result<uint32_t> be32();
  Result<uint64_t> be64();
  Result<uint16_t> le16();
  Result<uint32_t> le32();
  Result<uint64_t> le64();
  Result<ConstBytes> take(size_t count);
  Result<void> skip(size_t count);

  ConstBytes rest() const { return bytes_.subspan(position_); }
  size_t position() const { return position_; }
  bool at_end() const { return position_ == bytes_.size(); }

 private:
  ConstBytes bytes_;
  size_t position_ = 0;
};

// Appends fields to a growing buffer.
class ByteWriter {
 public:
  void u8(uint8_t value) { bytes_.push_back(value); }
  void be16(uint16_t value);
  void be32(uint32_t value);
  void be64(uint64_t value);
  void le16(uint16_t value);
  void le32(uint32_t value);
  void le64(uint64_t value);
  void append(ConstBytes bytes) { bytes_.insert(bytes_.end(), bytes.begin(), bytes.end()); }
  void append(std::string_view text) { append(as_bytes(text)); }
  void zeros(size_t count) { bytes_.insert(bytes_.end(), count, 0); }

  size_t size() const { return bytes_.size(); }
  const ByteVector& bytes() const& { return bytes_; }
  ByteVector bytes() && { return std::move(bytes_); }

 private:
  ByteVector bytes_;
};

// True when every byte is 0. Reads memory only; 8 bytes and more a step.
bool all_zero(ConstBytes bytes);

// Lower-case hexadecimal, and back (either case; an odd length or another character is an error).
std::string to_hex(ConstBytes bytes);
Result<ByteVector> from_hex(std::string_view text);

}  // namespace curlingiron
