// The .xz file format 1.2.0 (tukaani.org/xz): liblzma checks every block, index and footer, and
// decodes the blocks of `xz -T` side by side.
#include <lzma.h>

#include <algorithm>

#include "io/decoder.h"

namespace curlingiron {
namespace {

class XzDecoder final : public Decoder {
 public:
  XzDecoder(Source& inner, const DecodeLimits& limits, Extent extent)
      : Decoder(Format::Xz, inner, limits, extent) {}
  ~XzDecoder() override { ::lzma_end(&stream_); }
  XzDecoder(const XzDecoder&) = delete;
  XzDecoder& operator=(const XzDecoder&) = delete;

  // For one stream.
  Result<void> initialise() {
    constexpr uint32_t kFlags = LZMA_TELL_UNSUPPORTED_CHECK | LZMA_TELL_NO_CHECK;
    most_memory_ = std::max<uint64_t>(decoder_memory(limits()), 1);
    lzma_ret code = LZMA_MEM_ERROR;
    if (limits().threads > 1 && most_memory_ >= kLeastForThreads) {
      lzma_mt options{};
      options.flags = kFlags;
      options.threads = std::min(limits().threads, kMostThreads);
      options.memlimit_stop = most_memory_;
      // The rest is for what the allocator does with blocks of some MiB that come and go. Above
      // this, liblzma takes fewer threads, and with one thread no more than the window.
      options.memlimit_threading = most_memory_ / 4 * 3;
      code = ::lzma_stream_decoder_mt(&stream_, &options);
    }
    if (code != LZMA_OK) code = ::lzma_stream_decoder(&stream_, most_memory_, kFlags);
    if (code != LZMA_OK) return Error("xz: not enough memory for the decoder", ENOMEM);
    return {};
  }

 protected:
  Result<size_t> decode(MutableBytes into) override {
    for (;;) {
      if (ended_) return size_t{0};
      if (input().empty() && !output_pending_ && !input_ended_) {
        input_ended_ = !TRY(input().refill());
      }
      ConstBytes compressed = input().rest();
      stream_.next_in = compressed.data();
      stream_.avail_in = compressed.size();
      stream_.next_out = into.data();
      stream_.avail_out = into.size();
      lzma_ret code = ::lzma_code(&stream_, input_ended_ ? LZMA_FINISH : LZMA_RUN);
      input().take(compressed.size() - stream_.avail_in);
      size_t produced = into.size() - stream_.avail_out;
      output_pending_ = stream_.avail_out == 0;
      switch (code) {
        case LZMA_OK: break;
        case LZMA_NO_CHECK: all_checked_ = false; break;
        case LZMA_STREAM_END: TRY(end_stream()); break;
        case LZMA_BUF_ERROR:
          // Twice no progress: with LZMA_FINISH, the stream is not complete.
          if (input_ended_ && produced == 0) return truncated();
          break;
        default: return explain(code);
      }
      if (produced != 0) return produced;
    }
  }

 private:
  static constexpr uint32_t kMostThreads = 64;
  // Two blocks of xz -6: a window of 8 MiB, 24 MiB decoded and a part of that compressed.
  static constexpr uint64_t kLeastForThreads = 80_MiB;

  // Another stream, zeros between two (2.2, in multiples of four), the end, or what is none of
  // these.
  Result<void> end_stream() {
    if (extent() == Extent::Member) {
      ended_ = true;
      return {};
    }
    uint64_t end = input().position();
    for (;;) {
      TRY(input().require(kMagic.size()));
      ConstBytes next = input().rest();
      if (has(next, 0, kMagic) && (input().position() - end) % 4 == 0) return initialise();
      if (!next.empty() && next.size() < kMagic.size() && has(as_bytes(kMagic), 0, next)) {
        return truncated();
      }
      if (next.empty() || next[0] != 0) break;
      auto other = std::find_if(next.begin(), next.end(), [](uint8_t byte) { return byte != 0; });
      input().take(static_cast<size_t>(other - next.begin()));
    }
    TRY(pass_over_rest(all_checked_, end));
    ended_ = true;
    return {};
  }

  Error explain(lzma_ret code) {
    switch (code) {
      case LZMA_FORMAT_ERROR: return damaged("no xz header");
      case LZMA_UNSUPPORTED_CHECK:
        return Error(
            "the xz stream has a kind of checksum that this program cannot verify; compress the "
            "image with xz's own --check=crc64 or sha256");
      case LZMA_OPTIONS_ERROR:
        return Error(
            concat("the xz stream uses filters that this program does not know, or is "
                   "damaged, near compressed byte ",
                   input().position(), "; compress the image with xz's defaults"));
      case LZMA_MEMLIMIT_ERROR: {
        // With threads, liblzma does not always say.
        uint64_t needed = ::lzma_memusage(&stream_);
        return Error(concat("the xz stream needs ",
                            needed > most_memory_ ? format_size(needed) : std::string("more"),
                            " of memory to decode, and ", format_size(most_memory_),
                            " are there; compress the image with a smaller dictionary, as xz -6 "
                            "has it"),
                     ENOMEM);
      }
      case LZMA_MEM_ERROR:
        return Error(
            "not enough memory to decode the xz stream; compress the image with a smaller "
            "dictionary, as xz -6 has it",
            ENOMEM);
      default: return damaged(code == LZMA_DATA_ERROR ? "wrong data" : "liblzma failed");
    }
  }

  static constexpr std::string_view kMagic{"\xfd\x37zXZ\0", 6};

  lzma_stream stream_ = LZMA_STREAM_INIT;
  uint64_t most_memory_ = 0;
  bool input_ended_ = false;
  bool output_pending_ = false;
  bool all_checked_ = true;  // each stream so far has a check of its blocks
  bool ended_ = false;
};

}  // namespace

Opened open_xz(Source& inner, const DecodeLimits& limits, Extent extent) {
  auto decoder = std::make_unique<XzDecoder>(inner, limits, extent);
  TRY(decoder->initialise());
  return std::unique_ptr<MemberSource>(std::move(decoder));
}

}  // namespace curlingiron
