// DER (X.690), as far as certificates need it: elements one behind the other.
#pragma once

#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "base/result.h"

namespace curlingiron {

enum class DerTag : uint8_t {
  Boolean = 0x01,
  Integer = 0x02,
  BitString = 0x03,
  OctetString = 0x04,
  ObjectIdentifier = 0x06,
  UtcTime = 0x17,
  GeneralizedTime = 0x18,
  Sequence = 0x30,
  Set = 0x31,
};

// [n] of a structure, and [n] of a plain value.
constexpr DerTag der_context(uint8_t number) { return static_cast<DerTag>(0xa0 | number); }
constexpr DerTag der_context_plain(uint8_t number) { return static_cast<DerTag>(0x80 | number); }

struct DerElement {
  DerTag tag = DerTag::Sequence;
  ConstBytes whole;    // with tag and length
  ConstBytes content;  // without
};

// Views into the bytes that were given. What is not DER (lengths without end, lengths longer than
// they need be, tags of several bytes) is an error.
class DerReader {
 public:
  explicit DerReader(ConstBytes bytes) : bytes_(bytes), in_(bytes) {}

  bool at_end() const { return in_.at_end(); }
  bool next_is(DerTag tag) const {
    ConstBytes rest = in_.rest();
    return !rest.empty() && rest[0] == static_cast<uint8_t>(tag);
  }
  Result<DerElement> next();
  Result<DerElement> next(DerTag tag);  // another tag is an error
  Result<ConstBytes> content(DerTag tag);
  // The content where the tag is next; else nothing is read.
  Result<std::optional<ConstBytes>> optional(DerTag tag);
  // Nothing may follow.
  Result<void> end() const;

 private:
  ConstBytes bytes_;
  ByteReader in_;
};

// The bits of a BIT STRING whose count is a multiple of 8, as keys and signatures are.
Result<ConstBytes> der_whole_bits(ConstBytes bit_string);
// A number of at most 32 bits, not negative.
Result<uint32_t> der_u32(ConstBytes integer);
// UTCTime (1950 to 2049) or GeneralizedTime in the form of RFC 5280, 4.1.2.5; seconds since the
// epoch.
Result<int64_t> der_time(const DerElement& time);

}  // namespace curlingiron
