#include "io/decode.h"

#include <algorithm>

#include "io/decoder.h"
#include "sys/memory.h"
#include "sys/thread.h"

namespace curlingiron {
namespace {

struct Magic {
  Format format;
  size_t offset;
  std::string_view bytes;
};
// Those of one string each; no two fit the same head.
constexpr Magic kMagics[] = {
    {Format::Gzip, 0, kGzipMagic},
    {Format::Zstd, 0, kZstdMagic},
    {Format::Xz, 0, kXzMagic},
    {Format::Lz4, 0, kLz4Magic},
    {Format::Lz4, 0, "\x02\x21\x4c\x18"},  // legacy
    {Format::Zip, 0, "PK\x03\x04"},
    {Format::Zip, 0, "PK\x05\x06"},            // an empty one
    {Format::Zip, 0, "PK\x07\x08PK\x03\x04"},  // once split
    {Format::Zip, 0, "PK00PK\x03\x04"},        // made to be split, and not
    {Format::Qcow2, 0, "QFI\xfb"},
    {Format::Lzop, 0, {"\x89LZO\0\r\n\x1a\n", 9}},
};

class RawDecoder final : public Source {
 public:
  explicit RawDecoder(Source& inner) : inner_(inner) {}
  Result<size_t> read(MutableBytes into) override { return inner_.read(into); }
  uint64_t zeros_ahead() override { return inner_.zeros_ahead(); }
  void skip_zeros(uint64_t count) override { inner_.skip_zeros(count); }

 private:
  Source& inner_;
};

// The old format of lzma(1) has no magic: properties, dictionary size, decoded size (or all ones),
// and the range coder's first byte. Taken for it as libmagic and xz(1) do: the properties and
// dictionary sizes that encoders make.
bool is_lzma(ConstBytes head) {
  constexpr uint8_t kProperties = 0x5d;  // lc=3 lp=0 pb=2
  constexpr uint64_t kLargest = 256_GiB;
  ByteReader in(head);
  Result<uint8_t> properties = in.u8();
  if (!properties.ok() || properties.value() != kProperties) return false;
  Result<uint32_t> dictionary = in.le32();
  Result<uint64_t> size = in.le64();
  Result<uint8_t> first = in.u8();
  if (!dictionary.ok() || !size.ok() || !first.ok() || first.value() != 0) return false;
  uint32_t d = dictionary.value();
  bool usual = d >= 4_KiB && ((d & (d - 1)) == 0 || (d % 3 == 0 && (d / 3 & (d / 3 - 1)) == 0));
  return usual && (size.value() == UINT64_MAX || size.value() < kLargest);
}

Result<std::unique_ptr<Source>> as_source(Opened decoder) {
  return std::unique_ptr<Source>(TRY(std::move(decoder)));
}

}  // namespace

Format sniff(ConstBytes head) {
  for (const Magic& magic : kMagics) {
    if (has(head, magic.offset, magic.bytes)) {
      return magic.format;
    }
  }
  if (is_skippable_magic(head)) {
    Format after = sniff(after_skippable_frames(head));
    return after == Format::Lz4 ? Format::Lz4 : Format::Zstd;
  }
  if (is_bzip2_head(head)) return Format::Bzip2;
  if (is_lzma(head)) return Format::Lzma;
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
    case Format::Zip: return "zip";
    case Format::Qcow2: return "qcow2";
    case Format::Lzma: return "lzma";
    case Format::Lzop: return "lzop";
  }
  __builtin_unreachable();
}

bool is_decodable(Format format) { return format <= Format::Zip; }

Error not_decodable(Format format) {
  switch (format) {
    case Format::Qcow2:
      return Error(
          "the image is a qcow2 disk inside another format; convert it with \"qemu-img convert -O "
          "raw\", or serve it as it is");
    case Format::Lzma:
      return Error(
          "the image is lzma-compressed in the old format (.lzma), which has no checksum; serve it "
          "as xz or zstd");
    case Format::Lzop:
      return Error(
          "the image is lzop-compressed, which this program cannot decode; serve it as lz4 or "
          "zstd");
    default: return Error(concat("the image is ", format_name(format)));
  }
}

DecodeLimits machine_limits() {
  return {.memory = available_memory(), .threads = processor_count()};
}

Result<std::unique_ptr<Source>> open_decoder(Format format, Source& inner, DecodeLimits limits) {
  if (!is_decodable(format)) return not_decodable(format);
  switch (format) {
    case Format::Raw: return std::unique_ptr<Source>(std::make_unique<RawDecoder>(inner));
    case Format::Gzip: return as_source(open_gzip(inner, limits, Extent::File));
    case Format::Zstd: return as_source(open_zstd(inner, limits, Extent::File));
    case Format::Xz: return as_source(open_xz(inner, limits, Extent::File));
    case Format::Bzip2: return as_source(open_bzip2(inner, limits, Extent::File));
    case Format::Lz4: return as_source(open_lz4(inner, limits, Extent::File));
    case Format::Zip: return as_source(open_zip(inner, limits));
    default: __builtin_unreachable();
  }
}

std::optional<uint64_t> decoded_size_hint(Format format, ConstBytes head) {
  if (format == Format::Zstd) return zstd_size_hint(head);
  if (format == Format::Lz4) return lz4_size_hint(head);
  if (format == Format::Zip) return zip_size_hint(head);
  return std::nullopt;
}

}  // namespace curlingiron
