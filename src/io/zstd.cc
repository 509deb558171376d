// RFC 8878. libzstd checks a frame's XXH64 where the frame has one.
#define ZSTD_STATIC_LINKING_ONLY
#include <zstd.h>
#include <zstd_errors.h>

#include "io/decoder.h"

namespace curlingiron {
namespace {

constexpr int kWindowLogMost = 27;    // 128 MiB, the format's recommended limit for decoders
constexpr int kWindowLogAlways = 23;  // 8 MiB, what every decoder takes (RFC 8878, 3.1.1.1.2)
constexpr uint8_t kMagic[] = {0x28, 0xb5, 0x2f, 0xfd};  // 3.1.1

std::optional<uint64_t> content_size(ConstBytes frame) {
  unsigned long long size = ::ZSTD_getFrameContentSize(frame.data(), frame.size());
  if (size == ZSTD_CONTENTSIZE_UNKNOWN || size == ZSTD_CONTENTSIZE_ERROR) return std::nullopt;
  return size;
}

// 3.1.1.1.1: the flag of a checksum, in the descriptor after the magic.
bool has_checksum(ConstBytes frame) {
  return frame.size() > std::size(kMagic) && (frame[std::size(kMagic)] & 4) != 0;
}

class ZstdDecoder final : public Decoder {
 public:
  ZstdDecoder(Source& inner, const DecodeLimits& limits, Extent extent)
      : Decoder(Format::Zstd, inner, limits, extent) {}

  Result<void> initialise(const DecodeLimits& limits) {
    context_.reset(::ZSTD_createDCtx());
    // A window that does not fit is refused at the head of the image, not when memory ends
    // half-way.
    uint64_t memory = decoder_memory(limits);
    int window_log = kWindowLogMost;
    while (window_log > kWindowLogAlways && (uint64_t{1} << window_log) > memory) --window_log;
    if (context_ == nullptr || ::ZSTD_isError(::ZSTD_DCtx_setParameter(
                                   context_.get(), ZSTD_d_windowLogMax, window_log)) != 0) {
      return Error("zstd: not enough memory for the decoder", ENOMEM);
    }
    largest_window_ = uint64_t{1} << window_log;
    return {};
  }

 protected:
  Result<size_t> decode(MutableBytes into) override {
    for (;;) {
      switch (state_) {
        case State::Ended: return size_t{0};
        case State::BetweenFrames: TRY(begin_frame()); continue;
        case State::InFrame: break;
      }
      if (input().empty() && !output_pending_ && !TRY(input().refill())) return truncated();
      ConstBytes compressed = input().rest();
      ZSTD_inBuffer in{compressed.data(), compressed.size(), 0};
      ZSTD_outBuffer out{into.data(), into.size(), 0};
      size_t code = ::ZSTD_decompressStream(context_.get(), &out, &in);
      input().take(in.pos);
      if (::ZSTD_isError(code) != 0) return explain(code);
      frame_bytes_ += out.pos;
      if (code == 0) {  // the frame is complete and all of it has been handed out
        if (frame_size_ && *frame_size_ != frame_bytes_) {
          return damaged(concat("a frame of ", frame_bytes_, " bytes instead of ", *frame_size_));
        }
        state_ = extent() == Extent::Member ? State::Ended : State::BetweenFrames;
      }
      output_pending_ = code != 0 && out.pos == out.size;
      if (out.pos != 0) return out.pos;
    }
  }

 private:
  enum class State { BetweenFrames, InFrame, Ended };

  struct FreeContext {
    void operator()(ZSTD_DCtx* context) const { ::ZSTD_freeDCtx(context); }
  };

  Result<void> begin_frame() {
    TRY(input().require(ZSTD_FRAMEHEADERSIZE_MAX));
    ConstBytes next = input().rest();
    if (next.empty()) {
      if (!seen_frame_) return truncated();
      state_ = State::Ended;
      return {};
    }
    if (has(next, 0, ConstBytes(kMagic)) || is_skippable_magic(next)) {
      // libzstd itself compares the size only where the last block is not empty.
      frame_size_ = content_size(next);
      if (!is_skippable_magic(next)) all_checked_ = all_checked_ && has_checksum(next);
      frame_bytes_ = 0;
      seen_frame_ = true;
      state_ = State::InFrame;
      return {};
    }
    if (next.size() < std::size(kMagic) &&
        (has(ConstBytes(kMagic), 0, next) || (next[0] & 0xf0) == 0x50)) {
      return truncated();
    }
    TRY(pass_over_rest(all_checked_, input().position()));
    state_ = State::Ended;
    return {};
  }

  Error explain(size_t code) {
    switch (::ZSTD_getErrorCode(code)) {
      case ZSTD_error_frameParameter_windowTooLarge:
        if (largest_window_ == uint64_t{1} << kWindowLogMost) {
          return Error(
              "the zstd stream needs a window of more than 128 MiB to decode; compress the image "
              "without --long, or with --long=27");
        }
        return Error(
            concat("the zstd stream's window does not fit in this machine's memory, which "
                   "has room for ",
                   format_size(largest_window_), "; compress the image without --long and --ultra"),
            ENOMEM);
      case ZSTD_error_memory_allocation:
        return Error(
            "not enough memory for the zstd stream's window; compress the image without --long "
            "and --ultra",
            ENOMEM);
      case ZSTD_error_dictionary_wrong:
      case ZSTD_error_dictionary_corrupted:
        return Error(
            "the zstd stream needs a dictionary, which this program does not have; compress the "
            "image without -D");
      default: return damaged(::ZSTD_getErrorName(code));
    }
  }

  std::unique_ptr<ZSTD_DCtx, FreeContext> context_;
  uint64_t largest_window_ = 0;
  bool seen_frame_ = false;
  bool all_checked_ = true;             // each frame so far has a checksum
  std::optional<uint64_t> frame_size_;  // as the frame's header has it
  uint64_t frame_bytes_ = 0;            // decoded of it so far
  bool output_pending_ = false;  // the last call filled its buffer: more may wait in the decoder
  State state_ = State::BetweenFrames;
};

}  // namespace

Opened open_zstd(Source& inner, const DecodeLimits& limits, Extent extent) {
  auto decoder = std::make_unique<ZstdDecoder>(inner, limits, extent);
  TRY(decoder->initialise(limits));
  return std::unique_ptr<MemberSource>(std::move(decoder));
}

std::optional<uint64_t> zstd_size_hint(ConstBytes head) {
  if (!has(head, 0, ConstBytes(kMagic))) return std::nullopt;
  return content_size(head);
}

}  // namespace curlingiron
