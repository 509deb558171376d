// The old format of lzma(1) (xz's doc/lzma-file-format.txt): properties, dictionary, size or an end
// mark, no checksum. The kernel still has it (lib/decompress_unlzma.c).
#include <lzma.h>

#include <algorithm>

#include "io/decoder.h"

namespace curlingiron {
namespace {

class LzmaDecoder final : public Decoder {
 public:
  LzmaDecoder(Source& inner, const DecodeLimits& limits)
      : Decoder(Format::Lzma, inner, limits, Extent::Member) {}
  ~LzmaDecoder() override { ::lzma_end(&stream_); }
  LzmaDecoder(const LzmaDecoder&) = delete;
  LzmaDecoder& operator=(const LzmaDecoder&) = delete;

  Result<void> initialise(const DecodeLimits& limits) {
    most_memory_ = std::max<uint64_t>(decoder_memory(limits), 1);
    if (::lzma_alone_decoder(&stream_, most_memory_) != LZMA_OK) {
      return Error("lzma: not enough memory for the decoder", ENOMEM);
    }
    return {};
  }

 protected:
  Result<size_t> decode(MutableBytes into) override {
    while (!ended_) {
      if (input().empty() && !output_pending_ && !TRY(input().refill())) return truncated();
      ConstBytes compressed = input().rest();
      stream_.next_in = compressed.data();
      stream_.avail_in = compressed.size();
      stream_.next_out = into.data();
      stream_.avail_out = into.size();
      lzma_ret code = ::lzma_code(&stream_, LZMA_RUN);
      input().take(compressed.size() - stream_.avail_in);
      size_t produced = into.size() - stream_.avail_out;
      output_pending_ = stream_.avail_out == 0;
      switch (code) {
        case LZMA_OK: break;
        case LZMA_BUF_ERROR: break;  // nothing was pending; the next turn brings input
        case LZMA_STREAM_END: ended_ = true; break;
        case LZMA_MEMLIMIT_ERROR:
        case LZMA_MEM_ERROR:
          return Error(
              concat("the lzma stream needs ", format_size(::lzma_memusage(&stream_)),
                     " of memory to decode, and ", format_size(most_memory_), " are there"),
              ENOMEM);
        case LZMA_FORMAT_ERROR: return damaged("no lzma header");
        default: return damaged(code == LZMA_DATA_ERROR ? "wrong data" : "liblzma failed");
      }
      if (produced != 0) return produced;
    }
    return size_t{0};
  }

 private:
  lzma_stream stream_ = LZMA_STREAM_INIT;
  uint64_t most_memory_ = 0;
  bool output_pending_ = false;
  bool ended_ = false;
};

}  // namespace

Opened open_lzma(Source& inner, const DecodeLimits& limits) {
  auto decoder = std::make_unique<LzmaDecoder>(inner, limits);
  TRY(decoder->initialise(limits));
  return std::unique_ptr<MemberSource>(std::move(decoder));
}

}  // namespace curlingiron
