#include "payload/initramfs_image.h"

#include <sys/stat.h>

#include <algorithm>
#include <cstring>

#include "base/text.h"
#include "formats/foreign_file.h"
#include "formats/gpt.h"
#include "formats/kernel_image.h"
#include "formats/superblock.h"

namespace curlingiron {
namespace {

constexpr size_t kBuffer = 256_KiB;
// Up to the superblock of Btrfs, for describe_file().
constexpr size_t kHead = 72_KiB;
constexpr size_t kSector = 512;
constexpr size_t kMaxTarget = 4096;  // PATH_MAX of the kernel's unpacker
constexpr std::string_view kCpio = "0707";
// zstd -19 --long and the largest dictionaries of lzma(1) that a kernel was ever given.
constexpr DecodeLimits kDecoding = {512_MiB + kBesideDecoder, 1};

bool begins_with(ConstBytes bytes, std::string_view magic) {
  return bytes.size() >= magic.size() && as_text(bytes.first(magic.size())) == magic;
}

bool kernel_decompresses(Format format) {
  switch (format) {
    case Format::Gzip:
    case Format::Zstd:
    case Format::Xz:
    case Format::Bzip2:
    case Format::Lz4:
    case Format::Lzma:
    case Format::Lzop: return true;
    default: return false;
  }
}

bool has_partitions(ConstBytes head) {
  if (find_gpt_sector_size(head)) return true;
  if (head.size() < kSector) return false;
  Result<Mbr> mbr = parse_mbr(head.first(kSector));
  return mbr.ok() && std::any_of(mbr.value().partitions.begin(), mbr.value().partitions.end(),
                                 [](const MbrPartition& p) { return p.sector_count != 0; });
}

class RangeSource final : public Source {
 public:
  RangeSource(RandomSource& file, uint64_t begin, uint64_t end)
      : file_(file), at_(begin), end_(end) {}
  Result<size_t> read(MutableBytes into) override {
    size_t n = static_cast<size_t>(std::min<uint64_t>(into.size(), end_ - at_));
    TRY(file_.read_at(at_, into.first(n)));
    at_ += n;
    return n;
  }

 private:
  RandomSource& file_;
  uint64_t at_;
  uint64_t end_;
};

Error bomb(std::string_view what, std::string_view limit) {
  return Error(concat("holds more than ", limit, " ", what,
                      ", which no machine's initramfs does: it is damaged, or made to do harm"));
}

}  // namespace

std::string_view plain_path(std::string_view path) {
  for (;;) {
    if (path.starts_with("/")) {
      path.remove_prefix(1);
    } else if (path.starts_with("./")) {
      path.remove_prefix(2);
    } else {
      return path == "." ? std::string_view() : path;
    }
  }
}

std::string describe_file(ConstBytes head) {
  if (head.empty()) return "nothing at all";
  if (all_zero(head)) return "nothing but zeros";
  if (begins_with(head,
                  "\x7f"
                  "ELF")) {
    return "an ELF program or library";
  }
  if (Result<KernelHeader> kernel = parse_kernel_image(head); kernel.ok()) {
    std::string release = printable(kernel.value().release, 80);
    return release.empty() ? "a Linux kernel" : concat("a Linux kernel (", release, ")");
  }
  if (begins_with(head, "MZ")) return "a UEFI program (a unified kernel image, perhaps)";
  if (begins_with(head, "\x27\x05\x19\x56")) {
    return "a U-Boot image; take the initramfs out of it with dumpimage(1)";
  }
  if (begins_with(head, "#!")) return "a script";
  if (begins_with(head, "!<arch>\n")) return "an ar archive (a Debian package, perhaps)";
  if (begins_with(head, "070707")) {
    return "a cpio archive of the old format, which the kernel refuses; make it with -H newc";
  }
  if (begins_with(head, kCpio)) return "a cpio archive";
  Format format = sniff(head.first(std::min(head.size(), kSniffBytes)));
  if (format != Format::Raw) return concat(format_name(format), " data");
  if (std::optional<FileSystem> file_system = find_file_system(head)) {
    return concat("a file system (", file_system->name, ")");
  }
  if (has_partitions(head)) return "a disk image with partitions";
  if (std::all_of(head.begin(), head.end(), [](uint8_t byte) {
        return byte >= ' ' || byte == '\n' || byte == '\t' || byte == '\r';
      })) {
    return "a text";
  }
  if (std::optional<ForeignFile> file = find_foreign_file(head)) return std::string(file->name);
  return "of no kind that is known here";
}

InitramfsReader::InitramfsReader(RandomSource& file, ImageLimits limits)
    : file_(file), limits_(limits), end_(file.size()) {}

InitramfsReader::~InitramfsReader() = default;

Result<std::optional<ImageEntry>> InitramfsReader::next() {
  if (failure_) return *failure_;
  Result<std::optional<ImageEntry>> entry = next_entry();
  if (!entry.ok()) failure_ = entry.error();
  return entry;
}

Result<size_t> InitramfsReader::read(MutableBytes into) {
  if (failure_) return *failure_;
  if (data_left_ == 0 || into.empty()) return size_t{0};
  if (buffered().empty()) {
    Result<bool> more = refill();
    if (!more.ok() || !more.value()) {
      failure_ = (more.ok() ? CpioParser::truncated() : more.error()).with_context(where());
      return *failure_;
    }
  }
  size_t n = static_cast<size_t>(std::min<uint64_t>({into.size(), buffered().size(), data_left_}));
  std::memcpy(into.data(), buffered().data(), n);
  consume(n);
  data_left_ -= n;
  return n;
}

Result<ByteVector> InitramfsReader::read_data(uint64_t limit) {
  if (data_left_ > limit) {
    return Error(concat("larger than the ", format_size(limit), " that make sense here"));
  }
  // Room is made as the bytes come: a header may promise what is not there.
  ByteVector data;
  while (data_left_ != 0) {
    size_t old = data.size();
    data.resize(old + static_cast<size_t>(std::min<uint64_t>(data_left_, kBuffer)));
    data.resize(old + TRY(read(MutableBytes(data).subspan(old))));
  }
  return data;
}

Result<std::optional<ImageEntry>> InitramfsReader::next_entry() {
  if (!started_) TRY(find_boot_config());
  started_ = true;
  for (;;) {
    if (!open_ && !TRY(begin_archive())) return std::optional<ImageEntry>();
    Result<std::optional<ImageEntry>> entry = next_in_archive();
    if (!entry.ok()) return entry.error().with_context(where());
    if (entry.value().has_value()) return entry;
    end_archive();
  }
}

std::string InitramfsReader::where() const {
  const ImageArchive& archive = archives_.back();
  std::string_view format = is_raw() ? "not compressed" : format_name(archive.format);
  return concat("archive ", archives_.size(), " (", format, ", at byte ", archive.offset, ")");
}

// After it, a boot loader may have put up to 3 bytes of padding (init/main.c).
Result<void> InitramfsReader::find_boot_config() {
  constexpr std::string_view kMagic = "#BOOTCONFIG\n";
  constexpr size_t kFields = 8;  // size and checksum, little-endian
  for (uint64_t padding = 0; padding < 4; ++padding) {
    if (file_.size() < kMagic.size() + kFields + padding) break;
    uint8_t footer[kFields + 12];
    uint64_t at = file_.size() - padding - sizeof footer;
    TRY(file_.read_at(at, footer));
    ByteReader in(footer);
    uint32_t size = TRY(in.le32());
    TRY(in.skip(4));
    if (as_text(in.rest()) != kMagic || size > at) continue;
    end_ = at - size;
    break;
  }
  return {};
}

Result<void> InitramfsReader::skip_zeros() {
  ByteVector piece(kBuffer);
  padding_ = 0;
  while (position_ < end_) {
    size_t n = static_cast<size_t>(std::min<uint64_t>(piece.size(), end_ - position_));
    TRY(file_.read_at(position_, MutableBytes(piece).first(n)));
    auto first = std::find_if(piece.begin(), piece.begin() + static_cast<ptrdiff_t>(n),
                              [](uint8_t byte) { return byte != 0; });
    size_t zeros = static_cast<size_t>(first - piece.begin());
    position_ += zeros;
    padding_ += zeros;
    if (zeros < n) break;
    if (padding_ > limits_.unpacked) return bomb("of zeros", format_size(limits_.unpacked));
  }
  return {};
}

Result<bool> InitramfsReader::begin_archive() {
  TRY(skip_zeros());
  if (position_ == end_) {
    if (!archives_.empty()) return false;
    return Error(
        concat("not an initramfs: it is ", file_.size() == 0 ? "empty" : "nothing but zeros"));
  }
  ByteVector head(static_cast<size_t>(std::min<uint64_t>(kHead, end_ - position_)));
  TRY(file_.read_at(position_, head));
  bool raw = begins_with(head, kCpio) && !begins_with(head, "070707");
  Format format =
      raw ? Format::Raw : sniff(ConstBytes(head).first(std::min(head.size(), kSniffBytes)));
  if (!raw && !kernel_decompresses(format)) {
    if (archives_.empty()) {
      // Zeros at its begin may be a disk's boot sector.
      head.resize(static_cast<size_t>(std::min<uint64_t>(kHead, file_.size())));
      TRY(file_.read_at(0, head));
    }
    std::string kind = describe_file(head);
    if (archives_.empty()) {
      return Error(concat("not an initramfs: it is ", kind,
                          "; inspect takes cpio archives (newc), plain or compressed"));
    }
    return Error(concat("what follows archive ", archives_.size(), " at byte ", position_,
                        " is no archive but ", kind, "; the kernel calls it junk"));
  }
  if (raw && position_ % 4 != 0) {
    return Error(concat("the cpio archive at byte ", position_,
                        " does not begin at a multiple of 4: the kernel refuses it"));
  }
  if (archives_.size() == limits_.archives) return bomb("archives", concat(limits_.archives));
  archives_.push_back({format, position_, padding_, 0, 0, 0});
  padding_ = 0;
  Result<void> opened = open_stream(format);
  if (!opened.ok()) return opened.error().with_context(where());
  return true;
}

Result<void> InitramfsReader::open_stream(Format format) {
  range_ = std::make_unique<RangeSource>(file_, position_, end_);
  if (format != Format::Raw) member_ = TRY(open_member(format, *range_, kDecoding));
  parser_ = CpioParser();
  buffer_.clear();
  used_ = 0;
  open_ = true;
  if (is_raw()) return {};
  while (buffered().size() < kHead && TRY(refill())) {
  }
  auto first = std::find_if(buffer_.begin(), buffer_.end(), [](uint8_t byte) { return byte != 0; });
  ConstBytes begin = ConstBytes(buffer_).subspan(static_cast<size_t>(first - buffer_.begin()));
  if (begins_with(begin, kCpio)) return {};
  return Error(concat("what is in it is no cpio archive (newc) but ", describe_file(buffer_)));
}

// False at the end of the archive's stream; of a plain archive, at the end of the file.
Result<bool> InitramfsReader::refill() {
  size_t kept = buffer_.size() - used_;
  if (used_ != 0)
    std::copy(buffer_.begin() + static_cast<ptrdiff_t>(used_), buffer_.end(), buffer_.begin());
  used_ = 0;
  buffer_.resize(kept + kBuffer);
  Source& stream = is_raw() ? *range_ : *member_;
  Result<size_t> n = stream.read(MutableBytes(buffer_).subspan(kept));
  buffer_.resize(kept + (n.ok() ? n.value() : 0));
  if (!n.ok()) return n.error();
  return n.value() != 0;
}

void InitramfsReader::consume(size_t count) {
  used_ += count;
  unpacked_ += count;
  archives_.back().unpacked_size += count;
}

// At most what the parser wants; the view holds until the next call.
Result<ConstBytes> InitramfsReader::take(size_t count) {
  while (buffered().size() < count) {
    if (!TRY(refill())) return CpioParser::truncated();
  }
  ConstBytes bytes = buffered().first(count);
  consume(count);
  return bytes;
}

Result<void> InitramfsReader::discard(uint64_t count) {
  while (count != 0) {
    if (buffered().empty() && !TRY(refill())) return CpioParser::truncated();
    size_t n = static_cast<size_t>(std::min<uint64_t>(count, buffered().size()));
    consume(n);
    count -= n;
  }
  return {};
}

// nullopt at the archive's end: a plain one's at its end mark, a compressed one's where its stream
// ends, as it may hold several.
Result<std::optional<ImageEntry>> InitramfsReader::next_in_archive() {
  TRY(discard(data_left_ + padding_left_));
  data_left_ = 0;
  padding_left_ = 0;
  for (;;) {
    if (unpacked_ > limits_.unpacked) return bomb("unpacked", format_size(limits_.unpacked));
    if (is_raw() && parser_.archives() == 1) return std::optional<ImageEntry>();
    if (buffered().empty() && !TRY(refill())) {
      if (parser_.may_end()) return std::optional<ImageEntry>();
      return CpioParser::truncated();
    }
    if (parser_.wanted() == 1) {
      auto first = std::find_if(buffered().begin(), buffered().end(),
                                [](uint8_t byte) { return byte != 0; });
      size_t zeros = static_cast<size_t>(first - buffered().begin());
      parser_.skip_zeros(zeros);
      consume(zeros);
      if (zeros != 0) continue;
    }
    ConstBytes bytes = TRY(take(parser_.wanted()));
    std::optional<CpioEntry> header = TRY(parser_.accept(bytes));
    if (header) return std::optional<ImageEntry>(TRY(take_entry(*header)));
  }
}

Result<ImageEntry> InitramfsReader::take_entry(const CpioEntry& header) {
  if (++entries_ > limits_.entries) return bomb("entries", concat(limits_.entries));
  ImageEntry entry;
  entry.path = std::string(header.path);
  entry.mode = header.mode;
  entry.size = header.size;
  entry.uid = header.uid;
  entry.gid = header.gid;
  entry.device_major = header.device_major;
  entry.device_minor = header.device_minor;
  entry.head_size = header.head_size + header.padding;
  entry.archive = archives_.size() - 1;
  ++archives_.back().entries;
  if (unpacked_ + header.size > limits_.unpacked) {
    return bomb("unpacked", format_size(limits_.unpacked)).with_context(printable(entry.path));
  }
  TRY(discard(header.path_padding));
  data_left_ = header.size;
  padding_left_ = header.padding;
  if (S_ISLNK(header.mode)) {
    if (header.size > kMaxTarget) {
      return Error(concat(printable(entry.path), ": a symlink whose target is too long"));
    }
    entry.target = std::string(as_text(TRY(take(header.size))));
    data_left_ = 0;
  }
  names_ += entry.path.size() + entry.target.size();
  if (names_ > limits_.names) return bomb("of names", format_size(limits_.names));
  return entry;
}

void InitramfsReader::end_archive() {
  ImageArchive& archive = archives_.back();
  archive.packed_size = is_raw() ? archive.unpacked_size : member_->taken();
  position_ = archive.offset + archive.packed_size;
  member_.reset();
  range_.reset();
  open_ = false;
}

}  // namespace curlingiron
