// The lz4 frame format 1.6 (lz4_Frame_format.md), with the legacy format that `lz4 -l` and the
// Linux kernel's build make. liblz4 checks a frame's checksums and content size where it has them;
// the legacy format has neither.
#include <lz4.h>
#include <lz4frame.h>

#include <algorithm>

#include "io/decoder.h"

namespace curlingiron {
namespace {

constexpr uint8_t kMagic[] = {0x04, 0x22, 0x4d, 0x18};
constexpr uint8_t kLegacyMagic[] = {0x02, 0x21, 0x4c, 0x18};
constexpr size_t kMagicSize = 4;
// Of a frame's FLG byte.
constexpr uint8_t kHasDictionary = 1 << 0;
constexpr uint8_t kHasChecksum = 1 << 2;  // of its content
constexpr size_t kLegacyBlock = 8_MiB;

bool is_frame_start(ConstBytes bytes) {
  return has(bytes, 0, ConstBytes(kMagic)) || has(bytes, 0, ConstBytes(kLegacyMagic)) ||
         is_skippable_magic(bytes);
}

// True for the beginning of a magic that is cut off.
bool is_cut_magic(ConstBytes bytes) {
  return bytes.size() < kMagicSize &&
         (has(ConstBytes(kMagic), 0, bytes) || has(ConstBytes(kLegacyMagic), 0, bytes) ||
          (bytes[0] & 0xf0) == 0x50);
}

class Lz4Decoder final : public Decoder {
 public:
  Lz4Decoder(Source& inner, const DecodeLimits& limits, Extent extent)
      : Decoder(Format::Lz4, inner, limits, extent) {}

  Result<void> initialise() {
    LZ4F_dctx* context = nullptr;
    if (::LZ4F_isError(::LZ4F_createDecompressionContext(&context, LZ4F_VERSION)) != 0) {
      return Error("lz4: not enough memory for the decoder", ENOMEM);
    }
    context_.reset(context);
    return {};
  }

 protected:
  Result<size_t> decode(MutableBytes into) override {
    for (;;) {
      size_t produced = 0;
      switch (state_) {
        case State::Ended: return size_t{0};
        case State::BetweenFrames: TRY(begin_frame()); break;
        case State::InFrame: produced = TRY(decode_frame(into)); break;
        case State::InLegacy: produced = TRY(decode_legacy(into)); break;
      }
      if (produced != 0) return produced;
    }
  }

 private:
  enum class State { BetweenFrames, InFrame, InLegacy, Ended };

  struct FreeContext {
    void operator()(LZ4F_dctx* context) const { ::LZ4F_freeDecompressionContext(context); }
  };

  State after_frame() const {
    return extent() == Extent::Member ? State::Ended : State::BetweenFrames;
  }

  Result<void> begin_frame() {
    TRY(input().require(kMagicSize + 1));
    ConstBytes next = input().rest();
    if (next.empty() && seen_frame_) {
      state_ = State::Ended;
      return {};
    }
    if (next.empty() || is_cut_magic(next)) return truncated();
    if (!is_frame_start(next)) {
      if (!seen_frame_) return damaged("no lz4 header");
      TRY(pass_over_rest(all_checked_, input().position()));
      state_ = State::Ended;
      return {};
    }
    seen_frame_ = true;
    if (has(next, 0, ConstBytes(kLegacyMagic))) {
      input().take(kMagicSize);
      short_block_seen_ = false;
      all_checked_ = false;
      state_ = State::InLegacy;
      return {};
    }
    if (has(next, 0, ConstBytes(kMagic)) && next.size() > kMagicSize &&
        (next[kMagicSize] & kHasDictionary) != 0) {
      return Error(
          "the lz4 stream needs a dictionary, which this program does not have; compress the "
          "image without -D");
    }
    if (has(next, 0, ConstBytes(kMagic))) {
      all_checked_ =
          all_checked_ && next.size() > kMagicSize && (next[kMagicSize] & kHasChecksum) != 0;
    }
    state_ = State::InFrame;
    return {};
  }

  Result<size_t> decode_frame(MutableBytes into) {
    if (input().empty() && !output_pending_ && !TRY(input().refill())) return truncated();
    ConstBytes compressed = input().rest();
    size_t taken = compressed.size();
    size_t produced = into.size();
    size_t code = ::LZ4F_decompress(context_.get(), into.data(), &produced, compressed.data(),
                                    &taken, nullptr);
    if (::LZ4F_isError(code) != 0) return damaged(::LZ4F_getErrorName(code));
    input().take(taken);
    if (code == 0) {
      state_ = after_frame();
    } else if (produced == 0 && taken == 0 && !compressed.empty()) {
      return damaged("the decoder does not go on");
    }
    output_pending_ = code != 0 && produced == into.size();
    return produced;
  }

  // Blocks of 8 MiB, each after its compressed length, up to the end of the file: that it is
  // complete is for a digest to show, or for the length that the server declared.
  Result<size_t> decode_legacy(MutableBytes into) {
    if (legacy_begin_ == legacy_end_ && !TRY(next_legacy_block())) {
      state_ = after_frame();
      return size_t{0};
    }
    size_t n = std::min(into.size(), legacy_end_ - legacy_begin_);
    std::copy_n(legacy_.data() + legacy_begin_, n, into.data());
    legacy_begin_ += n;
    return n;
  }

  // False where the blocks end.
  Result<bool> next_legacy_block() {
    TRY(input().require(kMagicSize));
    ConstBytes next = input().rest();
    if (next.empty() || is_frame_start(next)) return false;
    if (extent() == Extent::Member &&
        (next.size() < kMagicSize || all_zero(next.first(kMagicSize)))) {
      return false;
    }
    if (next.size() < kMagicSize) return truncated();
    // Only the last block is shorter than the others.
    if (short_block_seen_) return garbage_after_end();
    size_t length = ByteReader(next).le32().value();
    if (length == 0 || length > static_cast<size_t>(LZ4_COMPRESSBOUND(kLegacyBlock))) {
      return damaged("a wrong block length");
    }
    input().take(kMagicSize);
    // As it comes: what a damaged length promises is not set aside.
    compressed_.clear();
    while (compressed_.size() < length) {
      if (input().empty() && !TRY(input().refill())) return truncated();
      ConstBytes piece = input().rest();
      piece = piece.first(std::min(length - compressed_.size(), piece.size()));
      compressed_.insert(compressed_.end(), piece.begin(), piece.end());
      input().take(piece.size());
    }
    // A byte stands for 255 at most.
    size_t room = std::min<size_t>(kLegacyBlock, length * 255);
    if (legacy_.size() < room) legacy_.resize(room);
    int decoded = ::LZ4_decompress_safe(reinterpret_cast<const char*>(compressed_.data()),
                                        reinterpret_cast<char*>(legacy_.data()),
                                        static_cast<int>(length), static_cast<int>(room));
    if (decoded <= 0) return damaged("wrong data");
    legacy_begin_ = 0;
    legacy_end_ = static_cast<size_t>(decoded);
    short_block_seen_ = legacy_end_ < kLegacyBlock;
    return true;
  }

  std::unique_ptr<LZ4F_dctx, FreeContext> context_;
  bool seen_frame_ = false;
  bool all_checked_ = true;  // each frame so far has a checksum of its content
  bool output_pending_ = false;
  ByteVector compressed_;  // a block of the legacy format
  ByteVector legacy_;      // the same, decoded
  size_t legacy_begin_ = 0;
  size_t legacy_end_ = 0;
  bool short_block_seen_ = false;
  State state_ = State::BetweenFrames;
};

}  // namespace

Opened open_lz4(Source& inner, const DecodeLimits& limits, Extent extent) {
  auto decoder = std::make_unique<Lz4Decoder>(inner, limits, extent);
  TRY(decoder->initialise());
  return std::unique_ptr<MemberSource>(std::move(decoder));
}

std::optional<uint64_t> lz4_size_hint(ConstBytes head) {
  constexpr uint8_t kVersionMask = 0xc0;
  constexpr uint8_t kVersion = 0x40;
  constexpr uint8_t kHasContentSize = 0x08;
  if (!has(head, 0, ConstBytes(kMagic))) return std::nullopt;
  ByteReader in(head.subspan(kMagicSize));
  Result<uint8_t> flags = in.u8();
  if (!flags.ok() || !in.skip(1).ok()) return std::nullopt;
  Result<uint64_t> size = in.le64();
  if (!size.ok() || (flags.value() & kVersionMask) != kVersion ||
      (flags.value() & kHasContentSize) == 0) {
    return std::nullopt;
  }
  return size.value();
}

}  // namespace curlingiron
