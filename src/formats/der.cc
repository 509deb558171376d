#include "formats/der.h"

#include <array>
#include <ctime>

namespace curlingiron {
namespace {

Error malformed() { return Error("not DER as a certificate has it"); }

}  // namespace

Result<DerElement> DerReader::next() {
  size_t begin = in_.position();
  uint8_t tag = TRY(in_.u8());
  if ((tag & 0x1f) == 0x1f) return malformed();
  uint64_t length = TRY(in_.u8());
  if (length >= 0x80) {
    size_t count = length & 0x7f;
    if (count == 0 || count > 4) return malformed();
    length = 0;
    for (size_t i = 0; i < count; ++i) length = length << 8 | TRY(in_.u8());
    if (length < 0x80 || length >> (8 * (count - 1)) == 0) return malformed();
  }
  DerElement element;
  element.tag = static_cast<DerTag>(tag);
  element.content = TRY(in_.take(static_cast<size_t>(length)));
  element.whole = bytes_.subspan(begin, in_.position() - begin);
  return element;
}

Result<DerElement> DerReader::next(DerTag tag) {
  DerElement element = TRY(next());
  if (element.tag != tag) return malformed();
  return element;
}

Result<ConstBytes> DerReader::content(DerTag tag) { return TRY(next(tag)).content; }

Result<std::optional<ConstBytes>> DerReader::optional(DerTag tag) {
  if (!next_is(tag)) return std::optional<ConstBytes>();
  return std::optional<ConstBytes>(TRY(content(tag)));
}

Result<void> DerReader::end() const {
  if (!at_end()) return malformed();
  return {};
}

Result<ConstBytes> der_whole_bits(ConstBytes bit_string) {
  if (bit_string.empty() || bit_string[0] != 0) return malformed();
  return bit_string.subspan(1);
}

Result<uint32_t> der_u32(ConstBytes integer) {
  if (integer.empty() || integer.size() > 5 || (integer[0] & 0x80) != 0) return malformed();
  uint64_t value = 0;
  for (uint8_t byte : integer) value = value << 8 | byte;
  if (value > UINT32_MAX) return malformed();
  return static_cast<uint32_t>(value);
}

Result<int64_t> der_time(const DerElement& time) {
  bool short_year = time.tag == DerTag::UtcTime;
  if (!short_year && time.tag != DerTag::GeneralizedTime) return malformed();
  size_t digits = short_year ? 12 : 14;
  ConstBytes text = time.content;
  if (text.size() != digits + 1 || text[digits] != 'Z') return malformed();
  std::array<int, 7> pairs{};  // the last two digits of the year stand at 1
  size_t at = short_year ? 1 : 0;
  for (size_t i = 0; i < digits; i += 2, ++at) {
    if (text[i] < '0' || text[i] > '9' || text[i + 1] < '0' || text[i + 1] > '9') {
      return malformed();
    }
    pairs[at] = (text[i] - '0') * 10 + (text[i + 1] - '0');
  }
  if (short_year) pairs[0] = pairs[1] >= 50 ? 19 : 20;
  std::tm parts{};
  parts.tm_year = pairs[0] * 100 + pairs[1] - 1900;
  parts.tm_mon = pairs[2] - 1;
  parts.tm_mday = pairs[3];
  parts.tm_hour = pairs[4];
  parts.tm_min = pairs[5];
  parts.tm_sec = pairs[6];
  bool real = pairs[2] >= 1 && pairs[2] <= 12 && pairs[3] >= 1 && pairs[3] <= 31 &&
              pairs[4] <= 23 && pairs[5] <= 59 && pairs[6] <= 60;
  if (!real) return malformed();
  return static_cast<int64_t>(::timegm(&parts));
}

}  // namespace curlingiron
