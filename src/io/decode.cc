#include "io/decode.h"

#include <algorithm>

#include "formats/gpt.h"
#include "io/decoder.h"
#include "sys/thread.h"

namespace curlingiron {
namespace {

constexpr size_t kMbrSector = 512;

struct Magic {
  Format format;
  size_t offset;
  std::string_view bytes;
};
// Those of one string each; no two fit the same head.
constexpr Magic kMagics[] = {
    {Format::Gzip, 0, "\x1f\x8b\x08"},  // RFC 1952; 8 is deflate
    {Format::Zstd, 0, "\x28\xb5\x2f\xfd"},
    {Format::Xz, 0, {"\xfd\x37zXZ\0", 6}},
    {Format::Lz4, 0, "\x04\x22\x4d\x18"},
    {Format::Lz4, 0, "\x02\x21\x4c\x18"},  // legacy
    {Format::Zip, 0, "PK\x03\x04"},
    {Format::Zip, 0, "PK\x05\x06"},  // an empty one
    {Format::Qcow2, 0, "QFI\xfb"},
    {Format::AndroidSparse, 0, "\x3a\xff\x26\xed"},
    {Format::Compress, 0, "\x1f\x9d"},
    {Format::Dmg, 0, "encrcdsa"},
    {Format::Lzip, 0, "LZIP\x01"},
    {Format::Lzop, 0, {"\x89LZO\0\r\n\x1a\n", 9}},
    {Format::Qed, 0, {"QED\0", 4}},
    {Format::Rar, 0, "Rar!\x1a\x07"},
    {Format::SevenZip, 0, "7z\xbc\xaf\x27\x1c"},
    {Format::Tar, 257, "ustar"},
    {Format::Vdi, 0, "<<< "},
    {Format::Vhd, 0, "conectix"},
    {Format::Vhdx, 0, "vhdxfile"},
    {Format::Vmdk, 0, "KDMV"},
    {Format::Vmdk, 0, "COWD"},
    {Format::Vmdk, 0, "# Disk DescriptorFile"},
    {Format::Wim, 0, {"MSWIM\0\0\0", 8}},
};

struct NotDecodable {
  Format format;
  std::string_view message;
};
constexpr NotDecodable kNotDecodable[] = {
    {Format::Qcow2,
     "a qcow2 disk inside another format; convert it with \"qemu-img convert -O raw\", or serve it "
     "as it is"},
    {Format::AndroidSparse, "an Android sparse image; convert it with \"simg2img\""},
    {Format::Compress, "compressed with \"compress\" (.Z); serve it as raw, gzip, xz or zstd"},
    {Format::Dmg, "an encrypted Apple disk image (dmg); serve it as raw, gzip, xz or zstd"},
    {Format::Iso9660,
     "a CD or DVD (ISO 9660) that is not a disk image as well: it has no partitions, and no disk "
     "boots from it; use the project's disk image (raw, qcow2), or a hybrid ISO"},
    {Format::Lzip, "lzip-compressed, which this program cannot decode; serve it as xz or zstd"},
    {Format::Lzma,
     "lzma-compressed in the old format (.lzma), which has no checksum; serve it as xz or zstd"},
    {Format::Lzop, "lzop-compressed, which this program cannot decode; serve it as lz4 or zstd"},
    {Format::Qed, "a QED disk; convert it with \"qemu-img convert -O raw\""},
    {Format::Rar, "a rar archive; unpack it and serve the disk image in it"},
    {Format::SevenZip, "a 7z archive; unpack it and serve the disk image in it"},
    {Format::Tar, "a tar archive; unpack it and serve the disk image in it"},
    {Format::Vdi, "a VirtualBox disk (vdi); convert it with \"qemu-img convert -O raw\""},
    {Format::Vhd,
     "a Hyper-V disk (vhd) that is not of fixed size; convert it with \"qemu-img convert -O raw\""},
    {Format::Vhdx, "a Hyper-V disk (vhdx); convert it with \"qemu-img convert -O raw\""},
    {Format::Vmdk,
     "a VMware disk (vmdk), or its description; convert it with \"qemu-img convert -O raw\""},
    {Format::Wim, "a Windows installation image (wim), which is no disk; use a raw disk image"},
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

// bzip2: "BZh", the level, then the mark of a block or of the end, 48 bits each.
bool is_bzip2(ConstBytes head) {
  return head.size() >= 10 && starts_with(head, "BZh") && head[3] >= '1' && head[3] <= '9' &&
         (starts_with(head.subspan(4), "\x31\x41\x59\x26\x53\x59") ||
          starts_with(head.subspan(4), "\x17\x72\x45\x38\x50\x90"));
}

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

// A page of text: an error, a log-in, an object store's refusal.
std::optional<Format> sniff_text(ConstBytes head) {
  std::string_view text = as_text(head);
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);  // byte order mark
  text = trim(text);
  auto starts = [&](std::string_view tag) {
    return text.size() >= tag.size() && equal_ignoring_case(text.substr(0, tag.size()), tag);
  };
  if (starts("<!doctype html") || starts("<html")) return Format::Html;
  if (starts("<?xml")) return Format::Xml;
  return std::nullopt;
}

bool is_iso(ConstBytes head) {
  constexpr size_t kDescriptor = 32769;  // ECMA-119, 6.2.1 and 8.1: sector 16, after its type
  return head.size() > kDescriptor && starts_with(head.subspan(kDescriptor), "CD001");
}

Result<std::unique_ptr<Source>> as_source(Opened decoder) {
  return std::unique_ptr<Source>(TRY(std::move(decoder)));
}

bool has_partitions(ConstBytes head) {
  if (find_gpt_sector_size(head)) return true;
  if (head.size() < kMbrSector) return false;
  Result<Mbr> mbr = parse_mbr(head.first(kMbrSector));
  if (!mbr.ok()) return false;
  return std::any_of(mbr.value().partitions.begin(), mbr.value().partitions.end(),
                     [](const MbrPartition& partition) { return partition.sector_count != 0; });
}

}  // namespace

Format sniff(ConstBytes head) {
  for (const Magic& magic : kMagics) {
    if (head.size() >= magic.offset && starts_with(head.subspan(magic.offset), magic.bytes)) {
      return magic.format;
    }
  }
  if (is_skippable_magic(head)) {
    Format after = sniff(after_skippable_frames(head));
    return after == Format::Lz4 ? Format::Lz4 : Format::Zstd;
  }
  if (is_bzip2(head)) return Format::Bzip2;
  if (is_lzma(head)) return Format::Lzma;
  if (std::optional<Format> text = sniff_text(head)) return *text;
  if (is_iso(head) && !has_partitions(head)) return Format::Iso9660;
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
    case Format::AndroidSparse: return "Android sparse";
    case Format::Compress: return "compress";
    case Format::Dmg: return "dmg";
    case Format::Html: return "html";
    case Format::Iso9660: return "ISO 9660";
    case Format::Lzip: return "lzip";
    case Format::Lzma: return "lzma";
    case Format::Lzop: return "lzop";
    case Format::Qed: return "qed";
    case Format::Rar: return "rar";
    case Format::SevenZip: return "7z";
    case Format::Tar: return "tar";
    case Format::Vdi: return "vdi";
    case Format::Vhd: return "vhd";
    case Format::Vhdx: return "vhdx";
    case Format::Vmdk: return "vmdk";
    case Format::Wim: return "wim";
    case Format::Xml: return "xml";
  }
  __builtin_unreachable();
}

bool is_decodable(Format format) { return format <= Format::Zip; }

Error not_decodable(Format format) {
  if (format == Format::Html || format == Format::Xml) {
    return Error(concat("the server sent a web page (", format_name(format),
                        "), not a disk image; check the URL for a log-in or error page"));
  }
  for (const NotDecodable& known : kNotDecodable) {
    if (known.format == format) return Error(concat("the image is ", known.message));
  }
  __builtin_unreachable();
}

DecodeLimits machine_limits() { return {available_memory(), processor_count()}; }

Result<std::unique_ptr<Source>> open_decoder(Format format, Source& inner, DecodeLimits limits) {
  if (!is_decodable(format)) return not_decodable(format);
  switch (format) {
    case Format::Raw: return std::unique_ptr<Source>(std::make_unique<RawDecoder>(inner));
    case Format::Gzip: return as_source(open_gzip(inner, Extent::File));
    case Format::Zstd: return as_source(open_zstd(inner, limits, Extent::File));
    case Format::Xz: return as_source(open_xz(inner, limits, Extent::File));
    case Format::Bzip2: return as_source(open_bzip2(inner, limits, Extent::File));
    case Format::Lz4: return as_source(open_lz4(inner, Extent::File));
    case Format::Zip: return as_source(open_zip(inner));
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
