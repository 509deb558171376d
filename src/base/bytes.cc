#include "base/bytes.h"

#include <cstring>

namespace curlingiron {
namespace {

template <typename T>
Result<T> big_endian(ByteReader& in) {
  ConstBytes field = TRY(in.take(sizeof(T)));
  T value = 0;
  for (uint8_t byte : field) value = static_cast<T>(static_cast<uint64_t>(value) << 8 | byte);
  return value;
}

template <typename T>
Result<T> little_endian(ByteReader& in) {
  ConstBytes field = TRY(in.take(sizeof(T)));
  uint64_t value = 0;
  unsigned shift = 0;
  for (uint8_t byte : field) {
    value |= static_cast<uint64_t>(byte) << shift;
    shift += 8;
  }
  return static_cast<T>(value);
}

void put_big_endian(ByteVector& bytes, uint64_t value, unsigned width) {
  for (unsigned i = width; i-- > 0;) bytes.push_back(static_cast<uint8_t>(value >> (8 * i)));
}

void put_little_endian(ByteVector& bytes, uint64_t value, unsigned width) {
  for (unsigned i = 0; i < width; ++i) bytes.push_back(static_cast<uint8_t>(value >> (8 * i)));
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

ConstBytes as_bytes(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

std::string_view as_text(ConstBytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

bool has(ConstBytes bytes, size_t offset, ConstBytes magic) {
  return has(bytes, offset, as_text(magic));
}

bool has(ConstBytes bytes, size_t offset, std::string_view magic) {
  return bytes.size() >= offset && as_text(bytes.subspan(offset)).starts_with(magic);
}

Result<uint8_t> ByteReader::u8() { return TRY(take(1)).front(); }
Result<uint16_t> ByteReader::be16() { return big_endian<uint16_t>(*this); }
Result<uint32_t> ByteReader::be32() { return big_endian<uint32_t>(*this); }
Result<uint64_t> ByteReader::be64() { return big_endian<uint64_t>(*this); }
Result<uint16_t> ByteReader::le16() { return little_endian<uint16_t>(*this); }
Result<uint32_t> ByteReader::le32() { return little_endian<uint32_t>(*this); }
Result<uint64_t> ByteReader::le64() { return little_endian<uint64_t>(*this); }

Result<ConstBytes> ByteReader::take(size_t count) {
  if (count > bytes_.size() - position_) return Error("truncated");
  ConstBytes field = bytes_.subspan(position_, count);
  position_ += count;
  return field;
}

Result<void> ByteReader::skip(size_t count) {
  TRY(take(count));
  return {};
}

void ByteWriter::be16(uint16_t value) { put_big_endian(bytes_, value, 2); }
void ByteWriter::be32(uint32_t value) { put_big_endian(bytes_, value, 4); }
void ByteWriter::be64(uint64_t value) { put_big_endian(bytes_, value, 8); }
void ByteWriter::le16(uint16_t value) { put_little_endian(bytes_, value, 2); }
void ByteWriter::le32(uint32_t value) { put_little_endian(bytes_, value, 4); }
void ByteWriter::le64(uint64_t value) { put_little_endian(bytes_, value, 8); }

bool all_zero(ConstBytes bytes) {
  // The first 16 bytes are zero and the rest equals itself shifted by 16: libc's memcmp is
  // vectorised.
  constexpr size_t kPrefix = 16;
  size_t head = bytes.size() < kPrefix ? bytes.size() : kPrefix;
  for (size_t i = 0; i < head; ++i) {
    if (bytes[i] != 0) return false;
  }
  return bytes.size() <= kPrefix ||
         std::memcmp(bytes.data(), bytes.data() + kPrefix, bytes.size() - kPrefix) == 0;
}

std::string to_hex(ConstBytes bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  text.reserve(bytes.size() * 2);
  for (uint8_t byte : bytes) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

Result<ByteVector> from_hex(std::string_view text) {
  if (text.size() % 2 != 0) return Error("odd number of hexadecimal digits");
  ByteVector bytes;
  bytes.reserve(text.size() / 2);
  for (size_t i = 0; i < text.size(); i += 2) {
    int high = hex_digit(text[i]);
    int low = hex_digit(text[i + 1]);
    if (high < 0 || low < 0) return Error("not a hexadecimal number");
    bytes.push_back(static_cast<uint8_t>(high << 4 | low));
  }
  return bytes;
}

}  // namespace curlingiron
