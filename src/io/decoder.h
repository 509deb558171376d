// What the decoders share, for src/io alone: the compressed bytes that are not taken yet, errors
// that stay, and one factory for each format.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"
#include "base/text.h"
#include "base/units.h"
#include "io/decode.h"
#include "io/member.h"
#include "io/source.h"

namespace curlingiron {

// What each stream begins with.
inline constexpr std::string_view kGzipMagic = "\x1f\x8b\x08";  // RFC 1952; 8 is deflate
inline constexpr std::string_view kBzip2Magic = "BZh";
inline constexpr std::string_view kXzMagic = {"\xfd\x37zXZ\0", 6};
inline constexpr std::string_view kZstdMagic = "\x28\xb5\x2f\xfd";
inline constexpr std::string_view kLz4Magic = "\x04\x22\x4d\x18";

// The head of a bzip2 stream, of kBzip2HeadBytes: a level, and the mark of a block or of the end.
inline constexpr size_t kBzip2HeadBytes = 10;
bool is_bzip2_head(ConstBytes head);

// Zstd and lz4 alike: 0x184D2A50 to 0x184D2A5F, little-endian (RFC 8878, 3.1.2).
bool is_skippable_magic(ConstBytes bytes);
// The bytes after leading skippable frames; empty where they reach past `head`.
ConstBytes after_skippable_frames(ConstBytes head);

// The compressed bytes not yet taken by a decoder, refilled from a Source.
class CompressedInput {
 public:
  explicit CompressedInput(Source& inner) : inner_(inner) {}

  ConstBytes rest() const { return {buffer_.get() + begin_, end_ - begin_}; }
  bool empty() const { return begin_ == end_; }
  void take(size_t count) { begin_ += count; }
  // The last `count` bytes that were taken come again; at most kGiveBack, which is what a decoder
  // may have read ahead.
  static constexpr size_t kGiveBack = 8;
  void give_back(size_t count) { begin_ -= count; }
  // Bytes taken so far: where a message points.
  uint64_t position() const { return received_ - (end_ - begin_); }

  // Adds to rest(), false at the end of the stream.
  Result<bool> refill();
  // At least `count` bytes in rest(), fewer only where the stream ends.
  Result<void> require(size_t count);

 private:
  static constexpr size_t kBuffer = 256_KiB;

  Source& inner_;
  std::unique_ptr<uint8_t[]> buffer_ = std::make_unique_for_overwrite<uint8_t[]>(kBuffer);
  size_t begin_ = 0;
  size_t end_ = 0;
  uint64_t received_ = 0;
};

// How much of the file a decoder takes: all of it, or one member (io/member.h).
enum class Extent { File, Member };

// What every decoder shares: an error stays one, and no successful read hides it.
class Decoder : public MemberSource {
 public:
  Decoder(Format format, Source& inner, const DecodeLimits& limits, Extent extent)
      : format_(format), limits_(limits), extent_(extent), input_(inner) {}

  Result<size_t> read(MutableBytes into) final;
  uint64_t taken() const override { return input_.position(); }

 protected:
  const DecodeLimits& limits() const { return limits_; }
  Extent extent() const { return extent_; }
  virtual Result<size_t> decode(MutableBytes into) = 0;
  CompressedInput& input() { return input_; }

  // Each at input().position(), or at `position` where the decoder knows better.
  Error truncated() { return truncated(input_.position()); }
  Error truncated(uint64_t position) const;
  Error damaged(std::string_view why) { return damaged(why, input_.position()); }
  Error damaged(std::string_view why, uint64_t position) const;
  Error garbage_after_end() { return garbage_after_end(input_.position()); }
  Error garbage_after_end(uint64_t position) const;
  // After the last stream, whose end was at compressed byte `end`: reads what follows to the file's
  // end, as far as the limits let it. `checked`: a checksum covered every byte that was decoded.
  // `taken`: what of it was taken from the input before. An error where it is another stream, that
  // is damaged or stands after something else: what it holds must not be missing without a word.
  Result<void> pass_over_rest(bool checked, uint64_t end, ConstBytes taken = {});

 private:
  Format format_;
  DecodeLimits limits_;
  Extent extent_;
  CompressedInput input_;
  std::optional<Error> failure_;
};

// What a decoder may use of `limits`, which are for the whole pipeline.
uint64_t decoder_memory(const DecodeLimits& limits);

using Opened = Result<std::unique_ptr<MemberSource>>;
Opened open_gzip(Source& inner, const DecodeLimits& limits, Extent extent);
Opened open_zstd(Source& inner, const DecodeLimits& limits, Extent extent);
Opened open_xz(Source& inner, const DecodeLimits& limits, Extent extent);
Opened open_bzip2(Source& inner, const DecodeLimits& limits, Extent extent);
Opened open_lz4(Source& inner, const DecodeLimits& limits, Extent extent);
Opened open_zip(Source& inner, const DecodeLimits& limits);
// As members alone: no disk image comes in these.
Opened open_lzma(Source& inner, const DecodeLimits& limits);
Opened open_lzop(Source& inner, const DecodeLimits& limits);

// What an entry of a zip archive is that is no disk image, by its first bytes: "text; check the
// URL". Empty: it may be one. `whole`: the entry has no more bytes. `any_content`: one that is not
// known to be a disk may be one.
std::string zip_side_file(ConstBytes begin, bool whole, bool any_content);
// Whether it is packed in a way that is decoded here: all of them are gone through.
Result<void> check_zip_entry(const ZipEntry& entry);
// The entry's first bytes, decoded, up to kDiskImageBytes; fewer where `packed` ends before, or is
// damaged.
ByteVector zip_entry_head(const ZipEntry& entry, ConstBytes packed);
// An entry's name, with its folders or without.
bool is_zip_member(std::string_view entry, std::string_view wanted);

// What the heads of compressed files say of the decoded size.
std::optional<uint64_t> zstd_size_hint(ConstBytes head);
std::optional<uint64_t> lz4_size_hint(ConstBytes head);
std::optional<uint64_t> zip_size_hint(ConstBytes head);

}  // namespace curlingiron
