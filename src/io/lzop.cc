// The format of lzop(1) as the kernel reads it (lib/decompress_unlzo.c) and lzop 1.04 writes it: a
// header, blocks of LZO1X with their lengths and checksums, a length of zero. All big-endian.
#include <algorithm>

#include "formats/lzo1x.h"
#include "io/decoder.h"
#include "io/inflate.h"

namespace curlingiron {
namespace {

constexpr size_t kMagicSize = 9;
constexpr uint16_t kVersionWithLevel = 0x0940;
constexpr uint8_t kMethods = 3;          // LZO1X-1, LZO1X-1(15) and LZO1X-999: one decoder for all
constexpr uint32_t kMaxBlock = 256_KiB;  // what lzop makes and the kernel takes

// Header flags.
constexpr uint32_t kAdler32Plain = 0x0001;
constexpr uint32_t kAdler32Packed = 0x0002;
constexpr uint32_t kExtraField = 0x0040;
constexpr uint32_t kCrc32Plain = 0x0100;
constexpr uint32_t kCrc32Packed = 0x0200;
constexpr uint32_t kMultipart = 0x0400;
constexpr uint32_t kFilter = 0x0800;
constexpr uint32_t kHeaderCrc32 = 0x1000;

// RFC 1950, section 9.
uint32_t adler32_of(ConstBytes bytes) {
  constexpr uint32_t kModulus = 65521;
  constexpr size_t kStep = 5552;  // bytes after which the sums could overflow
  uint32_t a = 1;
  uint32_t b = 0;
  while (!bytes.empty()) {
    size_t n = std::min(bytes.size(), kStep);
    for (uint8_t byte : bytes.first(n)) b += a += byte;
    a %= kModulus;
    b %= kModulus;
    bytes = bytes.subspan(n);
  }
  return b << 16 | a;
}

uint32_t crc32_of(ConstBytes bytes) { return deflate_crc32(0, bytes); }

class LzopDecoder final : public Decoder {
 public:
  LzopDecoder(Source& inner, const DecodeLimits& limits)
      : Decoder(Format::Lzop, inner, limits, Extent::Member) {}

 protected:
  Result<size_t> decode(MutableBytes into) override {
    if (state_ == State::Header) TRY(read_header());
    while (state_ == State::Blocks && given_ == block_.size()) TRY(read_block());
    if (state_ == State::Ended) return size_t{0};
    size_t n = std::min(into.size(), block_.size() - given_);
    std::copy_n(block_.data() + given_, n, into.data());
    given_ += n;
    return n;
  }

 private:
  enum class State { Header, Blocks, Ended };

  Result<ConstBytes> take(size_t count) {
    taken_.resize(count);
    for (size_t filled = 0; filled < count;) {
      if (input().empty() && !TRY(input().refill())) return truncated();
      size_t n = std::min(count - filled, input().rest().size());
      std::copy_n(input().rest().data(), n, taken_.data() + filled);
      input().take(n);
      filled += n;
    }
    return ConstBytes(taken_);
  }

  Result<uint64_t> number(size_t bytes) {
    uint64_t value = 0;
    for (uint8_t byte : TRY(take(bytes))) value = value << 8 | byte;
    return value;
  }

  // The same, within the header: its checksum covers it.
  Result<uint32_t> header_number(size_t bytes) {
    uint64_t value = TRY(number(bytes));
    header_.insert(header_.end(), taken_.begin(), taken_.end());
    return static_cast<uint32_t>(value);
  }

  Result<void> read_header() {
    TRY(take(kMagicSize));
    uint32_t version = TRY(header_number(2));
    TRY(header_number(2));                                    // of the library
    if (version >= kVersionWithLevel) TRY(header_number(2));  // needed to extract
    uint32_t method = TRY(header_number(1));
    if (version >= kVersionWithLevel) TRY(header_number(1));  // level
    flags_ = TRY(header_number(4));
    if (method == 0 || method > kMethods) return damaged("a method that is not LZO1X");
    if ((flags_ & (kFilter | kMultipart)) != 0) return damaged("a filter or several parts");
    TRY(header_number(4));  // mode
    TRY(header_number(4));  // time
    if (version >= kVersionWithLevel) TRY(header_number(4));
    for (uint32_t length = TRY(header_number(1)); length != 0; --length) TRY(header_number(1));
    TRY(check("header", header_, (flags_ & kHeaderCrc32) != 0 ? crc32_of : adler32_of));
    if ((flags_ & kExtraField) != 0)
      return damaged("an extra field, which the kernel does not read");
    state_ = State::Blocks;
    return {};
  }

  Result<void> check(std::string_view what, ConstBytes bytes, uint32_t (*checksum)(ConstBytes)) {
    uint64_t expected = TRY(number(4));
    if (checksum(bytes) != expected) return damaged(concat("a wrong checksum of a ", what));
    return {};
  }

  Result<void> read_block() {
    given_ = 0;
    block_.clear();
    size_t plain = static_cast<size_t>(TRY(number(4)));
    if (plain == 0) {
      state_ = State::Ended;
      return {};
    }
    size_t packed = static_cast<size_t>(TRY(number(4)));
    if (plain > kMaxBlock || packed == 0 || packed > plain) return damaged("a wrong block length");
    // Those of the plain bytes come before the block; of the packed ones only where they differ.
    uint64_t adler_plain = 0;
    uint64_t crc_plain = 0;
    uint64_t adler_packed = 0;
    uint64_t crc_packed = 0;
    if ((flags_ & kAdler32Plain) != 0) adler_plain = TRY(number(4));
    if ((flags_ & kCrc32Plain) != 0) crc_plain = TRY(number(4));
    if (packed < plain && (flags_ & kAdler32Packed) != 0) adler_packed = TRY(number(4));
    if (packed < plain && (flags_ & kCrc32Packed) != 0) crc_packed = TRY(number(4));
    ConstBytes bytes = TRY(take(packed));
    if (packed == plain) {
      block_.assign(bytes.begin(), bytes.end());
    } else {
      if (((flags_ & kAdler32Packed) != 0 && adler32_of(bytes) != adler_packed) ||
          ((flags_ & kCrc32Packed) != 0 && crc32_of(bytes) != crc_packed)) {
        return damaged("a wrong checksum of a block");
      }
      block_.resize(plain);
      Result<size_t> size = decode_lzo1x(bytes, block_);
      if (!size.ok() || size.value() != plain) {
        block_.clear();
        return damaged("wrong data");
      }
    }
    if (((flags_ & kAdler32Plain) != 0 && adler32_of(block_) != adler_plain) ||
        ((flags_ & kCrc32Plain) != 0 && crc32_of(block_) != crc_plain)) {
      block_.clear();
      return damaged("a wrong checksum of a block");
    }
    return {};
  }

  State state_ = State::Header;
  uint32_t flags_ = 0;
  ByteVector header_;
  ByteVector taken_;
  ByteVector block_;  // decoded
  size_t given_ = 0;  // of it
};

}  // namespace

Opened open_lzop(Source& inner, const DecodeLimits& limits) {
  return std::unique_ptr<MemberSource>(std::make_unique<LzopDecoder>(inner, limits));
}

}  // namespace curlingiron
