#include "io/ending.h"

#define ZSTD_STATIC_LINKING_ONLY  // ZSTD_getFrameHeader()
#include <lzma.h>
#include <zstd.h>

#include <algorithm>
#include <vector>

#include "base/advice.h"
#include "base/log.h"
#include "base/text.h"
#include "base/units.h"
#include "formats/disk_image.h"
#include "formats/zip_directory.h"
#include "io/adapters.h"
#include "io/decoder.h"
#include "io/inflate.h"
#include "io/vhd.h"
#include "sys/clock.h"

namespace curlingiron {
namespace {

constexpr uint64_t kModulo = uint64_t{1} << 32;

Error unreadable(const Error& error) {
  return Error(concat("its end cannot be read: ", error.message()), kUnreadable);
}

// Those between `offset` and the file's end, or `most` of them.
Result<ByteVector> read_from(RandomSource& file, uint64_t offset, uint64_t most) {
  ByteVector bytes(static_cast<size_t>(std::min(file.size() - offset, most)));
  if (bytes.empty()) return bytes;
  file.expect(offset, bytes.size());
  if (auto read = file.read_at(offset, bytes); !read.ok()) return unreadable(read.error());
  return bytes;
}

Result<ByteVector> read_tail(RandomSource& file, uint64_t most) {
  uint64_t size = file.size();
  return read_from(file, size - std::min(size, most), most);
}

// As the decoders judge what follows their last stream, of `checked` bytes or not: up to the file's
// end from `end` on, where the last byte that is not zero is before `last`.
Result<void> check_what_follows(Format format, uint64_t end, uint64_t last, uint64_t size,
                                bool checked, const DecodeLimits& limits) {
  uint64_t most = checked ? limits.most_after_checked : limits.most_after_unchecked;
  if (last <= end || size - end <= most) return {};
  std::string_view name = format_name(format);
  return Error(concat(plural(size - end, "byte", "bytes"), " that are not ", name,
                      " follow the end of the ", name,
                      " stream; the file is not what it should be; get it again, or prove it by a "
                      "digest (",
                      as_typed("sha256=HEX"), ")"));
}

// Where the zeros at the file's end begin, with which tapes and block copies pad; nullopt: too
// many.
Result<std::optional<uint64_t>> end_without_zeros(RandomSource& file) {
  constexpr uint64_t kMostZeros = 64_MiB;
  constexpr uint64_t kLargest = 4_MiB;
  uint64_t end = file.size();
  for (uint64_t piece = 4_KiB; end != 0; piece = std::min(piece * 4, kLargest)) {
    if (file.size() - end > kMostZeros) return std::optional<uint64_t>();
    uint64_t begin = end - std::min(end, piece);
    ByteVector bytes = TRY(read_from(file, begin, end - begin));
    auto last = std::find_if(bytes.rbegin(), bytes.rend(), [](uint8_t byte) { return byte != 0; });
    if (last != bytes.rend())
      return std::optional(begin + static_cast<uint64_t>(bytes.rend() - last));
    end = begin;
  }
  return std::optional<uint64_t>(0);
}

// --- gzip

// The last bytes before what OpenWrt's fwtool appends for its sysupgrade: a block or several, each
// with this at its end: a magic, a checksum, a type, and the block's length, big-endian.
Result<ByteVector> tail_before_metadata(RandomSource& file) {
  constexpr uint64_t kTrailer = 16;
  constexpr size_t kMostBlocks = 16;
  uint64_t end = file.size();
  for (size_t blocks = 0;; ++blocks) {
    ByteVector tail = TRY(read_from(file, end - std::min(end, kTrailer), std::min(end, kTrailer)));
    bool metadata = tail.size() == kTrailer && has(tail, 0, "FWx0") && blocks < kMostBlocks;
    uint64_t length = metadata ? TRY(ByteReader(ConstBytes(tail).subspan(kTrailer - 4)).be32()) : 0;
    if (length < kTrailer || length >= end) return tail;
    end -= length;
  }
}

// RFC 1952, 2.3.1: of the last member, modulo 2^32. What follows a stream would be taken for it: no
// disk's size is believed that is no multiple of a sector, or that deflate could not reach.
Result<Ending> read_gzip(RandomSource& file) {
  constexpr uint64_t kMostRatio = 1032;
  constexpr uint64_t kSector = 512;
  constexpr size_t kSize = 4;
  ByteVector tail = TRY(tail_before_metadata(file));
  Ending ending;
  Result<uint32_t> stored = ByteReader(ConstBytes(tail).last(std::min(tail.size(), kSize))).le32();
  if (!stored.ok() || stored.value() == 0 || stored.value() % kSector != 0) return ending;
  uint64_t size = stored.value();
  if (size / kMostRatio > file.size()) return ending;
  ending.least_size = size;
  ending.known_by = "the size in its last bytes, modulo 4 GiB";
  return ending;
}

// --- xz

struct FreeIndex {
  void operator()(lzma_index* index) const { ::lzma_index_end(index, nullptr); }
};

// A range of the file, read piece by piece.
class Pieces {
 public:
  Pieces(RandomSource& file, uint64_t end) : file_(file), end_(end) {}

  void seek(uint64_t position) { position_ = std::min(position, end_); }
  Result<ConstBytes> next() {
    constexpr uint64_t kPiece = 64_KiB;
    bytes_ = TRY(read_from(file_, position_, std::min(kPiece, end_ - position_)));
    position_ += bytes_.size();
    return ConstBytes(bytes_);
  }

 private:
  RandomSource& file_;
  uint64_t end_;
  uint64_t position_ = 0;
  ByteVector bytes_;
};

// The index of all streams of a file that ends at `end`. `checked`: each has checksums.
Result<uint64_t> xz_size(RandomSource& file, uint64_t end, bool& checked) {
  constexpr uint64_t kMostMemory = 64_MiB;
  lzma_index* index = nullptr;
  lzma_stream stream = LZMA_STREAM_INIT;
  struct End {
    lzma_stream& stream;
    ~End() { ::lzma_end(&stream); }
  } at_return{stream};
  if (::lzma_file_info_decoder(&stream, &index, kMostMemory, end) != LZMA_OK) {
    return Error("not enough memory for the xz file's index", ENOMEM);
  }
  Pieces pieces(file, end);
  // The library goes through all it has for each stream that it adds: of a hundred thousand nobody
  // waits for the sum.
  constexpr Duration kPatience = 2s;
  Time until = now() + kPatience;
  for (;;) {
    if (now() >= until) return Error("the xz file has too many streams to add up", kUnreadable);
    lzma_action action = LZMA_RUN;
    if (stream.avail_in == 0) {
      ConstBytes piece = TRY(pieces.next());
      stream.next_in = piece.data();
      stream.avail_in = piece.size();
      if (piece.empty()) action = LZMA_FINISH;
    }
    switch (::lzma_code(&stream, action)) {
      case LZMA_OK: continue;
      case LZMA_SEEK_NEEDED:
        pieces.seek(stream.seek_pos);
        stream.avail_in = 0;
        continue;
      case LZMA_STREAM_END: {
        std::unique_ptr<lzma_index, FreeIndex> found(index);
        checked = (::lzma_index_checks(found.get()) & 1u << LZMA_CHECK_NONE) == 0;
        return uint64_t{::lzma_index_uncompressed_size(found.get())};
      }
      case LZMA_MEMLIMIT_ERROR:
        return Error("the xz file's index is larger than 64 MiB; compress the image with xz -T2",
                     ENOMEM);
      default:
        return Error(
            "the xz file's index at its end is damaged, or the file is cut off; get the file "
            "again, or check the original");
    }
  }
}

// 2.1.2: its last two bytes, and the CRC-32 in front of them.
constexpr size_t kXzFooter = 12;
bool is_xz_footer(ConstBytes footer) {
  if (footer.size() < kXzFooter || footer[10] != 'Y' || footer[11] != 'Z') return false;
  ByteReader in(footer);
  return in.le32().value() == deflate_crc32(0, footer.subspan(4, 6));
}

// What is left of `tail` when all that follows its last footer is taken away; empty: there is none.
ConstBytes up_to_xz_footer(ConstBytes tail) {
  while (!tail.empty() &&
         (tail.back() != 'Z' || !is_xz_footer(tail.last(std::min(tail.size(), kXzFooter))))) {
    tail = tail.first(tail.size() - 1);
  }
  return tail;
}

// The end of its last stream, with what was found to follow it; nullopt: there is none that far.
Result<std::optional<uint64_t>> find_xz_end(RandomSource& file, uint64_t last, uint64_t searched) {
  constexpr uint64_t kPiece = 4_MiB;
  uint64_t stop = last - std::min(last, searched);
  for (uint64_t end = last; end > stop;) {
    uint64_t begin = end - std::min(end - stop, kPiece);
    ByteVector bytes = TRY(read_from(file, begin, end - begin));
    if (ConstBytes stream = up_to_xz_footer(bytes); !stream.empty()) {
      return std::optional(begin + stream.size());
    }
    if (begin == stop) break;
    end = begin + kXzFooter;  // One may lie across two pieces.
  }
  return std::optional<uint64_t>();
}

Result<Ending> read_xz(RandomSource& file, const DecodeLimits& limits) {
  // Nearly always right at the end; and a file that was cut off is not searched for long.
  constexpr uint64_t kUsual = 64_KiB;
  uint64_t most_searched = file.is_local() ? file.size() : 64_MiB;
  std::optional<uint64_t> last = TRY(end_without_zeros(file));
  if (!last) return Ending{};
  uint64_t allowed = std::max(limits.most_after_checked, limits.most_after_unchecked);
  for (uint64_t searched : {kUsual, kUsual + std::min(allowed, most_searched)}) {
    Result<std::optional<uint64_t>> found = find_xz_end(file, *last, searched);
    // A server that has no time for the whole search: what was cut off is searched the longest.
    if (!found.ok() && searched != kUsual) break;
    std::optional<uint64_t> end = TRY(std::move(found));
    if (!end) continue;
    Ending ending;
    bool checked = false;
    ending.exact_size = TRY(xz_size(file, *end, checked));
    TRY(check_what_follows(Format::Xz, *end, *last, file.size(), checked, limits));
    ending.least_size = ending.exact_size;
    ending.known_by = "the index at its end";
    return ending;
  }
  return Error(
      "the xz file does not end as xz files do: it is cut off, or something else follows it; get "
      "the file again, or check the original");
}

// --- zstd

// RFC 8878, 3.1.1.2: a block's header, of three bytes. The length of the block with it; `last` of
// its frame.
uint64_t zstd_block(ConstBytes header, bool& last) {
  constexpr unsigned kRepeated = 1;  // one byte stands for all
  uint32_t bits = header[0] | uint32_t{header[1]} << 8 | uint32_t{header[2]} << 16;
  last = (bits & 1) != 0;
  return header.size() + ((bits >> 1 & 3) == kRepeated ? 1 : bits >> 3);
}

// All frames, from block to block: the sum of their sizes, where each has one, and whether the file
// is whole. Nothing is said of a file of more blocks than kMostBlocks.
Result<Ending> walk_zstd(RandomSource& file, const DecodeLimits& limits) {
  constexpr uint64_t kMostBlocks = uint64_t{1} << 20;
  constexpr size_t kBlockHeader = 3;
  constexpr uint64_t kChecksum = 4;
  Error cut(
      "the zstd file is cut off: its last frame goes on after its end; get the file again, or "
      "check the original");
  Ending ending;
  uint64_t size = 0;
  uint64_t blocks = 0;
  bool known = true;
  bool checked = true;
  for (uint64_t at = 0; at < file.size();) {
    ByteVector head = TRY(read_from(file, at, ZSTD_FRAMEHEADERSIZE_MAX));
    ZSTD_frameHeader frame{};
    size_t more = ::ZSTD_getFrameHeader(&frame, head.data(), head.size());
    if (::ZSTD_isError(more) != 0) {
      std::optional<uint64_t> last = TRY(end_without_zeros(file));
      if (last) TRY(check_what_follows(Format::Zstd, at, *last, file.size(), checked, limits));
      break;
    }
    if (more != 0) return cut;
    if (frame.frameType == ZSTD_skippableFrame) {
      if (++blocks == kMostBlocks) return ending;
      at += ZSTD_SKIPPABLEHEADERSIZE + frame.frameContentSize;
      if (at > file.size()) return cut;
      continue;
    }
    known = known && frame.frameContentSize != ZSTD_CONTENTSIZE_UNKNOWN;
    if (known) size += frame.frameContentSize;
    checked = checked && frame.checksumFlag != 0;
    at += frame.headerSize;
    for (bool last = false; !last; ++blocks) {
      if (blocks == kMostBlocks) return ending;
      if (at > file.size() || file.size() - at < kBlockHeader) return cut;
      at += zstd_block(TRY(read_from(file, at, kBlockHeader)), last);
    }
    if (frame.checksumFlag != 0) at += kChecksum;
    if (at > file.size()) return cut;
  }
  if (!known) return ending;
  ending.exact_size = ending.least_size = size;
  ending.known_by = "the heads of its frames";
  return ending;
}

// The seekable format (contrib/seekable_format of zstd): a skippable frame at the end, with the
// sizes of all others.
Result<Ending> read_zstd(RandomSource& file, const DecodeLimits& limits) {
  constexpr uint32_t kSeekableMagic = 0x8f92eab1;
  constexpr uint64_t kMostTable = 16_MiB;
  constexpr size_t kFooter = 9;
  constexpr size_t kFrameHead = 8;
  Ending ending;
  if (file.is_local()) return walk_zstd(file, limits);
  ByteVector footer = TRY(read_tail(file, kFooter));
  if (footer.size() < kFooter) return ending;
  ByteReader in(footer);
  uint64_t frames = in.le32().value();
  bool checksums = (in.u8().value() & 0x80) != 0;
  if (in.le32().value() != kSeekableMagic) return ending;
  uint64_t entry = checksums ? 12 : 8;
  uint64_t length = frames * entry + kFooter + kFrameHead;
  if (length > file.size() || length > kMostTable) return ending;
  ByteVector table = TRY(read_tail(file, length));
  ByteReader entries(table);
  if (!is_skippable_magic(table) || !entries.skip(kFrameHead).ok()) return ending;
  uint64_t packed = 0;
  uint64_t size = 0;
  for (uint64_t i = 0; i < frames; ++i) {
    packed += TRY(entries.le32());
    size += TRY(entries.le32());
    if (checksums) TRY(entries.skip(4));
  }
  if (packed + length != file.size()) return ending;
  ending.least_size = size;
  ending.known_by = "the seek table at its end";
  return ending;
}

// --- zip

// The first decoded bytes; fewer where they are damaged, which the decoder reports better.
Result<ByteVector> head_of(RandomSource& file, const ZipEntry& entry, uint64_t directory) {
  Error damaged(concat("the zip archive is damaged: \"", printable(entry.name, 100),
                       "\" is not where its directory says"));
  if (directory - entry.offset < kZipLocalBytes) return damaged;
  ByteVector local = TRY(read_from(file, entry.offset, kZipLocalBytes));
  if (!has(local, 0, kZipLocalMagic)) return damaged;
  uint64_t data = entry.offset + zip_local_length(local);
  if (data > directory) return damaged;
  // What a disk's first MiB is packed to, if it packs at all, is less than it.
  uint64_t most = std::min<uint64_t>(kDiskImageBytes, directory - data);
  // Sizes of old packers are modulo 2^32.
  if (entry.wide || file.size() < kModulo) most = std::min(most, entry.compressed);
  ByteVector packed = TRY(read_from(file, data, most));
  return zip_entry_head(entry, packed);
}

Result<ZipEnd> find_end_of_zip(RandomSource& file) {
  constexpr uint64_t kZeros =
      22;  // An end record may end with zeros itself, up to all but its magic.
  ByteVector tail = TRY(read_tail(file, kZipTailBytes));
  Result<ZipEnd> end = find_zip_end(tail, file.size());
  if (end.ok()) return end;
  std::optional<uint64_t> last = TRY(end_without_zeros(file));
  if (!last || *last + kZeros >= file.size()) return end;
  uint64_t stop = *last + kZeros;
  uint64_t begin = stop - std::min<uint64_t>(stop, kZipTailBytes);
  tail = TRY(read_from(file, begin, stop - begin));
  end = find_zip_end(tail, stop);
  if (end.ok()) end.value().after += file.size() - stop;
  return end;
}

// The one that is the image, and named or not: null where there is none.
Result<const ZipEntry*> choose_image(RandomSource& file, const std::vector<ZipEntry>& entries,
                                     uint64_t directory, const DecodeLimits& limits) {
  constexpr uint64_t kLeastLookedAt = 512;
  constexpr size_t kMostAsked = 32;  // of a server: each is a request
  const ZipEntry* chosen = nullptr;
  size_t asked = 0;
  for (const ZipEntry& entry : entries) {
    if (entry.holds_nothing()) continue;
    if (limits.member.empty()) {
      bool tiny = entry.size < kLeastLookedAt && (entry.wide || entry.compressed < kLeastLookedAt);
      if (tiny) continue;
      if (!file.is_local() && ++asked > kMostAsked) {
        return Error("too many files in the zip archive to ask the server for each", kUnreadable);
      }
      ByteVector head = TRY(head_of(file, entry, directory));
      if (!zip_side_file(head, entry.size <= kDiskImageBytes, limits.any_content).empty()) continue;
    } else if (!is_zip_member(entry.name, limits.member)) {
      continue;
    }
    if (entry.name == limits.member) return &entry;
    if (chosen != nullptr) {
      return Error(concat("the zip archive has several disk images, \"",
                          printable(chosen->name, 100), "\" and \"", printable(entry.name, 100),
                          "\"; choose one with ", as_typed("member=NAME")));
    }
    chosen = &entry;
  }
  return chosen;
}

Result<Ending> read_zip(RandomSource& file, const DecodeLimits& limits) {
  ZipEnd end = TRY(find_end_of_zip(file));
  if (end.after != 0) {
    std::optional<uint64_t> last = TRY(end_without_zeros(file));
    uint64_t size = file.size();
    if (last) TRY(check_what_follows(Format::Zip, size - end.after, *last, size, true, limits));
    // What is decoded by the directory ends before it.
    if (last > size - end.after) {
      log_warning_once(concat(plural(end.after, "byte", "bytes"),
                              " after the end of the zip stream are passed over"));
    }
  }
  ByteVector directory = TRY(read_from(file, end.directory, end.length));
  std::vector<ZipEntry> entries = TRY(parse_zip_directory(directory, end));
  const ZipEntry* chosen = TRY(choose_image(file, entries, end.directory, limits));
  Ending ending;
  if (chosen == nullptr) return ending;  // The decoder says what is in it instead.
  ending.member = chosen->name;
  if (chosen->wide || file.size() < kModulo) {
    TRY(check_zip_entry(*chosen));
    ending.entry = *chosen;
  } else {
    // All are gone through, those after it as well.
    for (const ZipEntry& entry : entries) TRY(check_zip_entry(entry));
    ending.member_offset = chosen->offset;
  }
  ending.least_size = chosen->size;
  ending.known_by = "the zip archive's directory";
  if (chosen->wide || file.size() < kModulo / 1032) ending.exact_size = chosen->size;
  return ending;
}

// --- raw

Result<Ending> read_raw(RandomSource& file) {
  Ending ending;
  ByteVector tail = TRY(read_tail(file, kVhdFooter));
  uint64_t size = file.size();
  if (tail.size() == kVhdFooter && TRY(has_vhd_footer(tail, size - kVhdFooter))) size -= kVhdFooter;
  ending.exact_size = size;
  ending.least_size = size;
  ending.known_by = "the file's length";
  return ending;
}

}  // namespace

bool has_ending(Format format) {
  switch (format) {
    case Format::Raw:
    case Format::Gzip:
    case Format::Xz:
    case Format::Zstd:
    case Format::Zip: return true;
    default: return false;
  }
}

Result<Ending> read_ending(Format format, RandomSource& file, const DecodeLimits& limits) {
  switch (format) {
    case Format::Raw: return read_raw(file);
    case Format::Gzip: return read_gzip(file);
    case Format::Xz: return read_xz(file, limits);
    case Format::Zstd: return read_zstd(file, limits);
    case Format::Zip: return read_zip(file, limits);
    default: return Ending{};
  }
}

}  // namespace curlingiron
