#include "io/decode.h"

#include <zlib.h>
#define ZSTD_STATIC_LINKING_ONLY
#include <zstd.h>
#include <zstd_errors.h>

#include <algorithm>
#include <array>

#include "base/text.h"
#include "base/units.h"
#include "sys/thread.h"

namespace curlingiron {
namespace {

constexpr size_t kInputBuffer = 256_KiB;
constexpr int kZstdWindowLogMax = 27;     // 128 MiB, the format's recommended limit for decoders
constexpr int kZstdWindowLogAlways = 23;  // 8 MiB, what every decoder takes (RFC 8878, 3.1.1.1.2)
// What the rest of the pipeline takes beside the window.
constexpr uint64_t kBesideWindow = 48_MiB;

constexpr std::array<uint8_t, 3> kGzipMagic = {0x1f, 0x8b, 0x08};        // RFC 1952; 8 is deflate
constexpr std::array<uint8_t, 4> kZstdMagic = {0x28, 0xb5, 0x2f, 0xfd};  // RFC 8878, 3.1.1

bool starts_with(ConstBytes bytes, ConstBytes magic) {
  return bytes.size() >= magic.size() && std::equal(magic.begin(), magic.end(), bytes.begin());
}

bool starts_with(ConstBytes bytes, std::string_view magic) {
  return starts_with(bytes, as_bytes(magic));
}

// RFC 8878, 3.1.2: 0x184D2A50 to 0x184D2A5F, little-endian. LZ4 frames have the same.
bool is_skippable_magic(ConstBytes bytes) {
  return bytes.size() >= 4 && (bytes[0] & 0xf0) == 0x50 &&
         starts_with(bytes.subspan(1), "\x2a\x4d\x18");
}

bool is_lz4_magic(ConstBytes bytes) {
  return starts_with(bytes, "\x04\x22\x4d\x18") || starts_with(bytes, "\x02\x21\x4c\x18");
}

// The bytes behind leading skippable frames; empty where they reach past `head`.
ConstBytes behind_skippable_frames(ConstBytes head) {
  ByteReader in(head);
  while (is_skippable_magic(in.rest())) {
    Result<uint32_t> length = in.skip(4).ok() ? in.le32() : Error("truncated");
    if (!length.ok() || !in.skip(length.value()).ok()) return {};
  }
  return in.rest();
}

bool is_html(ConstBytes head) {
  std::string_view text = as_text(head);
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);  // byte order mark
  text = trim(text);
  auto starts = [&](std::string_view tag) {
    return text.size() >= tag.size() && equal_ignoring_case(text.substr(0, tag.size()), tag);
  };
  return starts("<!doctype html") || starts("<html");
}

class RawDecoder final : public Source {
 public:
  explicit RawDecoder(Source& inner) : inner_(inner) {}
  Result<size_t> read(MutableBytes into) override { return inner_.read(into); }

 private:
  Source& inner_;
};

// The compressed bytes not yet taken by a decoder, refilled from a Source.
class CompressedInput {
 public:
  explicit CompressedInput(Source& inner) : inner_(inner) {}

  ConstBytes rest() const { return {buffer_.get() + begin_, end_ - begin_}; }
  bool empty() const { return begin_ == end_; }
  void take(size_t count) { begin_ += count; }
  // Bytes taken so far: where a message points.
  uint64_t position() const { return received_ - (end_ - begin_); }

  // Adds to rest(), false at the end of the stream.
  Result<bool> refill() {
    if (begin_ != 0) {
      std::copy(buffer_.get() + begin_, buffer_.get() + end_, buffer_.get());
      end_ -= begin_;
      begin_ = 0;
    }
    size_t n = TRY(inner_.read({buffer_.get() + end_, kInputBuffer - end_}));
    end_ += n;
    received_ += n;
    return n != 0;
  }

  // At least `count` bytes in rest(), fewer only where the stream ends.
  Result<void> require(size_t count) {
    while (rest().size() < count) {
      if (!TRY(refill())) break;
    }
    return {};
  }

 private:
  Source& inner_;
  std::unique_ptr<uint8_t[]> buffer_ = std::make_unique_for_overwrite<uint8_t[]>(kInputBuffer);
  size_t begin_ = 0;
  size_t end_ = 0;
  uint64_t received_ = 0;
};

// What every decoder shares: an error stays one, and no successful read hides it.
class Decoder : public Source {
 public:
  explicit Decoder(Source& inner) : input_(inner) {}

  Result<size_t> read(MutableBytes into) final {
    if (failure_) return *failure_;
    Result<size_t> n = decode(into);
    if (!n.ok()) failure_ = n.error();
    return n;
  }

 protected:
  virtual Result<size_t> decode(MutableBytes into) = 0;
  CompressedInput& input() { return input_; }

 private:
  CompressedInput input_;
  std::optional<Error> failure_;
};

// RFC 1952. zlib checks each member's CRC-32 and length.
class GzipDecoder final : public Decoder {
 public:
  explicit GzipDecoder(Source& inner) : Decoder(inner) {}
  ~GzipDecoder() override {
    if (initialised_) ::inflateEnd(&stream_);
  }
  GzipDecoder(const GzipDecoder&) = delete;
  GzipDecoder& operator=(const GzipDecoder&) = delete;

  Result<void> initialise() {
    constexpr int kGzipWrapper = 16;
    if (::inflateInit2(&stream_, MAX_WBITS + kGzipWrapper) != Z_OK) {
      return Error("gzip: not enough memory for the decoder", ENOMEM);
    }
    initialised_ = true;
    return {};
  }

 protected:
  Result<size_t> decode(MutableBytes into) override {
    constexpr size_t kMost = 1_GiB;  // zlib counts in 32 bits
    into = into.first(std::min(into.size(), kMost));
    for (;;) {
      if (state_ == State::Ended) return size_t{0};
      if (state_ == State::BetweenMembers) {
        TRY(begin_member());
        continue;
      }
      if (input().empty() && !TRY(input().refill())) return truncated();
      ConstBytes compressed = input().rest();
      // zlib's interface predates const.
      stream_.next_in = const_cast<Bytef*>(compressed.data());
      stream_.avail_in = static_cast<uInt>(compressed.size());
      stream_.next_out = into.data();
      stream_.avail_out = static_cast<uInt>(into.size());
      int code = ::inflate(&stream_, Z_NO_FLUSH);
      input().take(compressed.size() - stream_.avail_in);
      size_t produced = into.size() - stream_.avail_out;
      if (code == Z_STREAM_END) {
        state_ = State::BetweenMembers;
      } else if (code != Z_OK && code != Z_BUF_ERROR) {
        return Error(concat("the gzip stream is damaged at compressed byte ", input().position(),
                            " (", stream_.msg != nullptr ? stream_.msg : "inflate failed",
                            "); download it again, or check the file on the server"));
      }
      if (produced != 0) return produced;
    }
  }

 private:
  enum class State { BetweenMembers, InMember, Ended };

  // Another member, the end, or zeros up to the end, which tapes and block copies leave behind
  // (gzip(1) ignores these as well).
  Result<void> begin_member() {
    TRY(input().require(2));
    ConstBytes next = input().rest();
    if (next.empty()) {
      if (!seen_member_) return truncated();
      state_ = State::Ended;
      return {};
    }
    if (starts_with(next, ConstBytes(kGzipMagic).first(2)) || !seen_member_) {
      ::inflateReset(&stream_);
      seen_member_ = true;
      state_ = State::InMember;
      return {};
    }
    if (next.size() == 1 && next[0] == kGzipMagic[0]) return truncated();
    do {
      if (!all_zero(input().rest())) {
        return Error(
            concat("bytes that are not gzip follow the end of the gzip stream near "
                   "compressed byte ",
                   input().position(), "; the file on the server is not what it should be"));
      }
      input().take(input().rest().size());
    } while (TRY(input().refill()));
    state_ = State::Ended;
    return {};
  }

  Error truncated() {
    return Error(concat("the gzip stream ends too early, at compressed byte ", input().position(),
                        "; the file on the server is incomplete"));
  }

  z_stream stream_{};
  bool initialised_ = false;
  bool seen_member_ = false;
  State state_ = State::BetweenMembers;
};

std::optional<uint64_t> content_size(ConstBytes frame) {
  unsigned long long size = ::ZSTD_getFrameContentSize(frame.data(), frame.size());
  if (size == ZSTD_CONTENTSIZE_UNKNOWN || size == ZSTD_CONTENTSIZE_ERROR) return std::nullopt;
  return size;
}

// RFC 8878. libzstd checks a frame's XXH64 where the frame has one.
class ZstdDecoder final : public Decoder {
 public:
  explicit ZstdDecoder(Source& inner) : Decoder(inner) {}

  Result<void> initialise() {
    context_.reset(::ZSTD_createDCtx());
    // A window that does not fit is refused at the head of the image, not when memory ends
    // half-way.
    uint64_t memory = available_memory();
    while (window_log_ > kZstdWindowLogAlways &&
           (uint64_t{1} << window_log_) + kBesideWindow > memory) {
      --window_log_;
    }
    if (context_ == nullptr || ::ZSTD_isError(::ZSTD_DCtx_setParameter(
                                   context_.get(), ZSTD_d_windowLogMax, window_log_)) != 0) {
      return Error("zstd: not enough memory for the decoder", ENOMEM);
    }
    return {};
  }

 protected:
  Result<size_t> decode(MutableBytes into) override {
    for (;;) {
      if (state_ == State::Ended) return size_t{0};
      if (state_ == State::BetweenFrames) {
        TRY(begin_frame());
        continue;
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
          return Error(concat("the zstd stream is damaged: a frame that ends at compressed byte ",
                              input().position(), " has ", frame_bytes_, " bytes instead of ",
                              *frame_size_,
                              "; download it again, or check the file on the server"));
        }
        state_ = State::BetweenFrames;
      }
      output_pending_ = code != 0 && out.pos == out.size;
      if (out.pos != 0) return out.pos;
    }
  }

 private:
  int window_log_ = kZstdWindowLogMax;
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
    if (starts_with(next, kZstdMagic) || is_skippable_magic(next)) {
      // libzstd itself compares the size only where the last block is not empty.
      frame_size_ = content_size(next);
      frame_bytes_ = 0;
      seen_frame_ = true;
      state_ = State::InFrame;
      return {};
    }
    if (next.size() < kZstdMagic.size() &&
        (starts_with(kZstdMagic, next) || (next[0] & 0xf0) == 0x50)) {
      return truncated();
    }
    return Error(
        concat("bytes that are not zstd follow the end of the zstd stream at compressed "
               "byte ",
               input().position(), "; the file on the server is not what it should be"));
  }

  Error truncated() {
    return Error(concat("the zstd stream ends too early, at compressed byte ", input().position(),
                        "; the file on the server is incomplete"));
  }

  Error explain(size_t code) {
    switch (::ZSTD_getErrorCode(code)) {
      case ZSTD_error_frameParameter_windowTooLarge:
        return Error(
            "the zstd stream needs a window of more than 128 MiB to decode; compress the image "
            "without --long, or with --long=27");
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
      default:
        return Error(concat("the zstd stream is damaged near compressed byte ", input().position(),
                            " (", ::ZSTD_getErrorName(code),
                            "); download it again, or check the file on the server"));
    }
  }

  std::unique_ptr<ZSTD_DCtx, FreeContext> context_;
  bool seen_frame_ = false;
  std::optional<uint64_t> frame_size_;  // as the frame's header tells it
  uint64_t frame_bytes_ = 0;            // decoded of it so far
  bool output_pending_ = false;  // the last call filled its buffer: more may wait in the decoder
  State state_ = State::BetweenFrames;
};

template <typename T>
Result<std::unique_ptr<Source>> open(Source& inner) {
  auto decoder = std::make_unique<T>(inner);
  TRY(decoder->initialise());
  return std::unique_ptr<Source>(std::move(decoder));
}

}  // namespace

Format sniff(ConstBytes head) {
  if (starts_with(head, kGzipMagic)) return Format::Gzip;
  if (starts_with(head, kZstdMagic)) return Format::Zstd;
  if (is_skippable_magic(head)) {
    return is_lz4_magic(behind_skippable_frames(head)) ? Format::Lz4 : Format::Zstd;
  }
  if (starts_with(head, std::string_view("\xfd\x37zXZ\0", 6))) return Format::Xz;
  // bzip2: "BZh", the level, then the 48-bit mark of a block (pi) or of the end (sqrt pi).
  if (starts_with(head, "BZh") && head.size() >= 10 && head[3] >= '1' && head[3] <= '9' &&
      (starts_with(head.subspan(4), "\x31\x41\x59\x26\x53\x59") ||
       starts_with(head.subspan(4), "\x17\x72\x45\x38\x50\x90"))) {
    return Format::Bzip2;
  }
  if (is_lz4_magic(head)) return Format::Lz4;
  if (starts_with(head, "QFI\xfb")) return Format::Qcow2;
  if (starts_with(head, "PK\x03\x04")) return Format::Zip;
  if (is_html(head)) return Format::Html;
  return Format::Raw;
}

std::string_view format_name(Format format) {
  switch (format) {
    case Format::Raw: return "raw";
    case Format::Gzip: return "gzip";
    case Format::Zstd: return "zstd";
    case Format::Xz: return "xz";
    case Format::Bzip2: return "bzip2";
    case Format::Lz4: return "lz4";
    case Format::Qcow2: return "qcow2";
    case Format::Zip: return "zip";
    case Format::Html: return "html";
  }
  __builtin_unreachable();
}

Result<std::unique_ptr<Source>> open_decoder(Format format, Source& inner) {
  switch (format) {
    case Format::Raw: return std::unique_ptr<Source>(std::make_unique<RawDecoder>(inner));
    case Format::Gzip: return open<GzipDecoder>(inner);
    case Format::Zstd: return open<ZstdDecoder>(inner);
    case Format::Xz:
    case Format::Bzip2:
    case Format::Lz4:
      return Error(concat("the image is ", format_name(format),
                          "-compressed, which this version cannot decode; serve it as raw, gzip "
                          "or zstd"));
    case Format::Qcow2:
      return Error(
          "the image is a qcow2 disk, which this version cannot decode; convert it with "
          "\"qemu-img convert -O raw\" and serve it as raw, gzip or zstd");
    case Format::Zip:
      return Error(
          "the image is a zip archive; unpack it and serve the disk image in it as raw, gzip or "
          "zstd");
    case Format::Html:
      return Error(
          "the server sent a web page (html), not a disk image; check the URL for a log-in or "
          "error page");
  }
  __builtin_unreachable();
}

std::optional<uint64_t> decoded_size_hint(Format format, ConstBytes head) {
  if (format != Format::Zstd || !starts_with(head, kZstdMagic)) return std::nullopt;
  return content_size(head);
}

}  // namespace curlingiron
