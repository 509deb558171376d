// RFC 1952. Each member's header, CRC-32 and length are checked.
#include "io/decoder.h"
#include "io/inflate.h"

namespace curlingiron {
namespace {

constexpr uint8_t kMagic[] = {0x1f, 0x8b};
constexpr uint8_t kDeflate = 8;
constexpr size_t kTrailer = 8;

// Flags, RFC 1952, 2.3.1.
constexpr uint8_t kHeaderCrc = 1 << 1;
constexpr uint8_t kExtra = 1 << 2;
constexpr uint8_t kName = 1 << 3;
constexpr uint8_t kComment = 1 << 4;
constexpr uint8_t kReserved = 0xe0;

class GzipDecoder final : public Decoder {
 public:
  GzipDecoder(Source& inner, const DecodeLimits& limits, Extent extent)
      : Decoder(Format::Gzip, inner, limits, extent) {}

 protected:
  Result<size_t> decode(MutableBytes into) override {
    for (;;) {
      switch (state_) {
        case State::Ended: return size_t{0};
        case State::BetweenMembers: TRY(begin_member()); continue;
        case State::InMember: break;
      }
      if (input().empty() && !inflater_.output_pending() && !TRY(input().refill())) {
        return truncated();
      }
      Result<size_t> produced = inflater_.decode(input(), into);
      if (!produced.ok()) return damaged(produced.error().message());
      ConstBytes decoded = into.first(produced.value());
      crc_ = deflate_crc32(crc_, decoded);
      size_ += static_cast<uint32_t>(decoded.size());
      if (inflater_.ended()) TRY(end_member());
      if (!decoded.empty()) return decoded.size();
    }
  }

 private:
  enum class State { BetweenMembers, InMember, Ended };

  // Another member, the end, or what is none of both.
  Result<void> begin_member() {
    TRY(input().require(2));
    ConstBytes next = input().rest();
    bool truncated_magic = next.size() == 1 && next[0] == kMagic[0];
    uint64_t end = input().position();
    if (next.empty() && seen_member_) {
      state_ = State::Ended;
      return {};
    }
    if (next.empty() || truncated_magic) return truncated();
    if (has(next, 0, ConstBytes(kMagic))) {
      TRY(read_header());
      seen_member_ = true;
      inflater_.reset();
      crc_ = 0;
      size_ = 0;
      state_ = State::InMember;
      return {};
    }
    if (!seen_member_) return damaged("no gzip header");
    TRY(pass_over_rest(true, end));
    state_ = State::Ended;
    return {};
  }

  Result<void> read_header() {
    header_crc_ = 0;
    uint8_t fixed[10];
    for (uint8_t& byte : fixed) byte = TRY(header_byte());
    uint8_t flags = fixed[3];
    if (fixed[2] != kDeflate) return damaged("a method that is not deflate");
    if ((flags & kReserved) != 0) return damaged("reserved flags in a header");
    if ((flags & kExtra) != 0) {
      uint8_t low = TRY(header_byte());
      size_t length = low | size_t{TRY(header_byte())} << 8;
      while (length-- != 0) TRY(header_byte());
    }
    for (uint8_t text : {kName, kComment}) {
      if ((flags & text) == 0) continue;
      while (TRY(header_byte()) != 0) {
      }
    }
    if ((flags & kHeaderCrc) != 0) {
      uint32_t expected = header_crc_ & 0xffff;
      uint32_t low = TRY(header_byte());
      if ((low | uint32_t{TRY(header_byte())} << 8) != expected) {
        return damaged("a wrong header checksum");
      }
    }
    return {};
  }

  Result<uint8_t> header_byte() {
    if (input().empty() && !TRY(input().refill())) return truncated();
    ConstBytes byte = input().rest().first(1);
    header_crc_ = deflate_crc32(header_crc_, byte);
    input().take(1);
    return byte[0];
  }

  Result<void> end_member() {
    TRY(input().require(kTrailer));
    ByteReader trailer(input().rest());
    if (trailer.rest().size() < kTrailer) {
      input().take(trailer.rest().size());
      return truncated();
    }
    if (TRY(trailer.le32()) != crc_) return damaged("a wrong checksum");
    if (TRY(trailer.le32()) != size_) return damaged("a wrong length");
    input().take(kTrailer);
    state_ = extent() == Extent::Member ? State::Ended : State::BetweenMembers;
    return {};
  }

  Inflater inflater_;
  uint32_t header_crc_ = 0;
  uint32_t crc_ = 0;   // of the member so far
  uint32_t size_ = 0;  // of the member so far, modulo 2^32 as its trailer has it
  bool seen_member_ = false;
  State state_ = State::BetweenMembers;
};

}  // namespace

Opened open_gzip(Source& inner, const DecodeLimits& limits, Extent extent) {
  return std::unique_ptr<MemberSource>(std::make_unique<GzipDecoder>(inner, limits, extent));
}

}  // namespace curlingiron
