#include "formats/qcow2.h"

#include <algorithm>
#include <bit>
#include <optional>
#include <string>

#include "base/text.h"

namespace curlingiron {
namespace {

constexpr uint32_t kMagic = 0x514649fb;  // "QFI\xfb"
constexpr uint32_t kLeastClusterBits = 9;
constexpr uint32_t kMostClusterBits = 21;  // QEMU's limit, too
constexpr uint32_t kLeastExtendedClusterBits = 14;
constexpr uint64_t kMostL1Bytes = 32_MiB;                 // QEMU's limit
constexpr uint64_t kMostVirtualSize = uint64_t{1} << 62;  // sums of guest offsets stay below 2^63
constexpr uint32_t kHeaderBytesV3 = 104;
constexpr uint32_t kSubclusters = 32;
constexpr uint64_t kSector = 512;

// Incompatible features.
constexpr unsigned kDirtyBit = 0;
constexpr unsigned kCorruptBit = 1;
constexpr unsigned kExternalDataBit = 2;
constexpr unsigned kCompressionBit = 3;
constexpr unsigned kExtendedL2Bit = 4;
constexpr uint64_t kKnownBits = 0x1f;  // bit 0, dirty: refcounts only, which a reader does not need

constexpr uint32_t kExtensionsEnd = 0;
constexpr uint32_t kFeatureNames = 0x6803f857;
constexpr uint32_t kExternalDataName = 0x44415441;
constexpr size_t kFeatureNameBytes = 46;

// Entries of both tables.
constexpr uint64_t kOffsetBits = 0x00ff'ffff'ffff'fe00;  // 9 to 55
constexpr uint64_t kCopiedBit = uint64_t{1} << 63;
constexpr uint64_t kPackedBit = uint64_t{1} << 62;
constexpr uint64_t kZeroBit = 1;

constexpr std::string_view kDamaged =
    "the image is damaged; download it again, or repair a copy with \"qemu-img check -r all\"";
constexpr std::string_view kFlatten =
    "make an image that stands alone with \"qemu-img convert -O qcow2\"";

bool has_bit(uint64_t bits, unsigned bit) { return (bits >> bit & 1) != 0; }

// What is said of the file beyond the header's fields; for messages only.
struct Extensions {
  std::string feature;        // the name of the unknown feature, where the image has it
  std::string external_file;  // as the image names it
};

// A name padded with zeros.
std::string padded_name(ConstBytes bytes) {
  std::string_view text = as_text(bytes);
  return printable(text.substr(0, text.find('\0')));
}

Result<void> read_feature_names(ConstBytes table, unsigned wanted, std::string& name) {
  ByteReader in(table);
  while (!in.at_end()) {
    uint8_t type = TRY(in.u8());
    uint8_t bit = TRY(in.u8());
    ConstBytes text = TRY(in.take(kFeatureNameBytes));
    if (type == 0 && bit == wanted) name = padded_name(text);
  }
  return {};
}

// The extensions between the header and the end mark. Their area ends with the head that was read,
// too: nothing in them is needed to read the disk.
Result<Extensions> parse_extensions(ConstBytes area, unsigned unknown_feature) {
  Extensions found;
  ByteReader in(area);
  while (in.rest().size() >= 8) {
    uint32_t type = TRY(in.be32());
    uint32_t length = TRY(in.be32());
    if (type == kExtensionsEnd) break;
    ConstBytes data = TRY(in.take(length));
    TRY(in.skip(std::min<size_t>(static_cast<size_t>(-length & 7), in.rest().size())));
    if (type == kFeatureNames) TRY(read_feature_names(data, unknown_feature, found.feature));
    if (type == kExternalDataName) found.external_file = padded_name(data);
  }
  return found;
}

// Best effort: "" where they cannot be read.
Extensions extensions_of(ConstBytes head, uint64_t header_length, unsigned unknown_feature = 64) {
  if (header_length > head.size()) return {};
  Result<Extensions> found =
      parse_extensions(head.subspan(static_cast<size_t>(header_length)), unknown_feature);
  return found.ok() ? std::move(found).value() : Extensions{};
}

std::string quoted_or_nothing(std::string_view name) {
  return name.empty() ? std::string() : concat(" \"", name, '"');
}

Result<void> refuse_backing_file(ConstBytes head, uint64_t offset, uint32_t size) {
  if (offset == 0) return {};
  std::string name;
  if (offset <= head.size() && size <= head.size() - offset) {
    name = printable(as_text(head.subspan(static_cast<size_t>(offset), size)));
  }
  return Error(concat("the qcow2 image holds only what differs from its backing file",
                      quoted_or_nothing(name), "; ", kFlatten));
}

Result<void> refuse_encryption(uint32_t method) {
  if (method == 0) return {};
  std::string how = method == 1 ? "AES" : method == 2 ? "LUKS" : concat("method ", method);
  return Error(concat("the qcow2 image is encrypted (", how,
                      "); decrypt it first: qemu-img convert with --object secret"));
}

Result<void> refuse_features(ConstBytes head, uint64_t header_length, uint64_t incompatible) {
  if (uint64_t unknown = incompatible & ~kKnownBits; unknown != 0) {
    unsigned bit = static_cast<unsigned>(std::countr_zero(unknown));
    return Error(concat("the qcow2 image needs a feature that this program does not know: bit ",
                        bit, quoted_or_nothing(extensions_of(head, header_length, bit).feature),
                        "; convert it with \"qemu-img convert -O raw\""));
  }
  if (has_bit(incompatible, kExternalDataBit)) {
    return Error(concat("the qcow2 image keeps its data in an external file",
                        quoted_or_nothing(extensions_of(head, header_length).external_file), "; ",
                        kFlatten));
  }
  if (has_bit(incompatible, kCorruptBit)) {
    return Error("the qcow2 image is marked corrupt; repair a copy with \"qemu-img check -r all\"");
  }
  return {};
}

Result<Qcow2Compression> parse_compression(uint64_t incompatible, uint8_t type) {
  if (has_bit(incompatible, kCompressionBit) != (type != 0)) {
    return Error(concat("the qcow2 header contradicts itself about its compression; ", kDamaged));
  }
  if (type > 1) {
    return Error(concat("the qcow2 image has compression type ", type,
                        ", which this program does not know (zlib and zstd it does); convert it "
                        "with \"qemu-img convert -O raw\""));
  }
  return type == 0 ? Qcow2Compression::Zlib : Qcow2Compression::Zstd;
}

// The fields of version 3 that a reader needs.
Result<void> parse_v3(ByteReader& in, ConstBytes head, Qcow2Header& header) {
  uint64_t incompatible = TRY(in.be64());
  TRY(in.skip(8 + 8));  // compatible and auto-clear features: no matter to a reader
  uint32_t refcount_order = TRY(in.be32());
  uint32_t header_length = TRY(in.be32());
  if (header_length < kHeaderBytesV3 || header_length % 8 != 0 ||
      header_length > header.cluster_size() || refcount_order > 6) {
    return Error(concat("the qcow2 header is not valid (length ", header_length,
                        ", refcount order ", refcount_order, "); ", kDamaged));
  }
  TRY(refuse_features(head, header_length, incompatible));
  uint8_t compression = header_length > kHeaderBytesV3 ? TRY(in.u8()) : uint8_t{0};
  header.compression = TRY(parse_compression(incompatible, compression));
  header.refcount_order = refcount_order;
  header.dirty = has_bit(incompatible, kDirtyBit);
  header.extended_l2 = has_bit(incompatible, kExtendedL2Bit);
  if (header.extended_l2 && header.cluster_bits < kLeastExtendedClusterBits) {
    return Error(concat("the qcow2 image has subclusters in clusters of ", header.cluster_size(),
                        " bytes, which is too few; ", kDamaged));
  }
  return {};
}

Result<void> check_l1(Qcow2Header& header, uint64_t entries_present) {
  uint64_t coverage = header.l2_coverage();
  header.l1_entries =
      header.virtual_size / coverage + (header.virtual_size % coverage != 0 ? 1 : 0);
  if (header.l1_entries > kMostL1Bytes / 8 || entries_present > kMostL1Bytes / 8) {
    return Error(concat("the qcow2 image's first table has ",
                        std::max(header.l1_entries, entries_present),
                        " entries; more than 4194304 are not supported"));
  }
  if (entries_present < header.l1_entries) {
    return Error(concat("the qcow2 image's first table has ", entries_present,
                        " entries, but a disk of ", header.virtual_size, " bytes needs ",
                        header.l1_entries, "; ", kDamaged));
  }
  if (header.l1_entries == 0) return {};
  if (header.l1_offset % header.cluster_size() != 0 || header.l1_offset == 0) {
    return Error(concat("the qcow2 image's first table is said to be at byte ", header.l1_offset,
                        ", which is no cluster of its own; ", kDamaged));
  }
  if (header.l1_offset > header.file_size ||
      header.l1_entries * 8 > header.file_size - header.l1_offset) {
    return Error(concat("the qcow2 file ends at byte ", header.file_size,
                        ", before the end of its first table; it is truncated: download it again"));
  }
  return {};
}

Result<Qcow2Header> parse_header(ConstBytes head, uint64_t file_size) {
  ByteReader in(head);
  if (TRY(in.be32()) != kMagic) return Error("this is not a qcow2 image");
  Qcow2Header header;
  header.file_size = file_size;
  header.version = TRY(in.be32());
  if (header.version != 2 && header.version != 3) {
    return Error(concat("the qcow image has version ", header.version,
                        "; convert it to version 3 with \"qemu-img convert -O qcow2\""));
  }
  uint64_t backing_offset = TRY(in.be64());
  uint32_t backing_size = TRY(in.be32());
  header.cluster_bits = TRY(in.be32());
  if (header.cluster_bits < kLeastClusterBits || header.cluster_bits > kMostClusterBits) {
    return Error(concat("the qcow2 image has clusters of 2^", header.cluster_bits,
                        " bytes; 2^9 to 2^21 are valid"));
  }
  header.virtual_size = TRY(in.be64());
  uint32_t crypt_method = TRY(in.be32());
  uint32_t l1_entries = TRY(in.be32());
  header.l1_offset = TRY(in.be64());
  header.refcount_table = TRY(in.be64());
  header.refcount_bytes = uint64_t{TRY(in.be32())} * header.cluster_size();
  TRY(in.skip(4 + 8));  // the snapshots, which a reader does not need
  if (header.version >= 3) TRY(parse_v3(in, head, header));
  TRY(refuse_backing_file(head, backing_offset, backing_size));
  TRY(refuse_encryption(crypt_method));
  if (header.virtual_size > kMostVirtualSize) {
    return Error(concat("the qcow2 image says that its disk has ", header.virtual_size, " bytes; ",
                        kDamaged));
  }
  TRY(check_l1(header, l1_entries));
  return header;
}

Error damaged(uint64_t guest, std::string_view what) {
  return Error(concat("qcow2, disk offset ", guest, ": ", what, "; ", kDamaged));
}

Error beyond_end(const Qcow2Header& header, uint64_t guest, uint64_t host) {
  return Error(concat("qcow2, disk offset ", guest, ": its data is at byte ", host,
                      " of a file that ends at byte ", header.file_size,
                      "; the file is truncated or damaged: download it again"));
}

// No guest data is on the header or on the L1 table.
Result<void> check_host(const Qcow2Header& header, uint64_t guest, uint64_t host, uint64_t length) {
  bool on_l1 = host < header.l1_offset + header.l1_entries * 8 && host + length > header.l1_offset;
  if (host < header.cluster_size() || on_l1) {
    return damaged(guest,
                   concat("its data is said to be on the image's own tables, at byte ", host));
  }
  if (host > header.file_size || length > header.file_size - host) {
    return beyond_end(header, guest, host);
  }
  return {};
}

Result<Qcow2Extent> map_packed(const Qcow2Header& header, uint64_t entry, uint64_t bitmap,
                               uint64_t cluster, uint64_t length) {
  unsigned offset_width = 62 - (header.cluster_bits - 8);
  uint64_t host = entry & ((uint64_t{1} << offset_width) - 1);
  uint64_t sectors = (entry >> offset_width & ((uint64_t{1} << (header.cluster_bits - 8)) - 1)) + 1;
  if ((entry & kCopiedBit) != 0 || bitmap != 0 || (host >> 56) != 0) {
    return damaged(cluster, concat("reserved bits are set in its compressed entry ", entry));
  }
  // Only the first byte must be there: the last sector may lie after the file's end, and whether
  // the stream is whole, its decoder checks.
  TRY(check_host(header, cluster, host, 1));
  uint64_t size = sectors * kSector - host % kSector;
  return Qcow2Extent{Qcow2Extent::Kind::Packed, length, host,
                     std::min(size, header.file_size - host)};
}

// A standard cluster whose entry has been found valid, from `within` on.
Qcow2Extent plain_or_zeros(bool allocated, uint64_t host, uint64_t within, uint64_t length) {
  if (!allocated) return {Qcow2Extent::Kind::Zeros, length, 0, 0};
  return {Qcow2Extent::Kind::Plain, length, host + within, 0};
}

Result<Qcow2Extent> map_subclusters(const Qcow2Header& header, uint64_t host, uint64_t bitmap,
                                    uint64_t cluster, uint64_t within, uint64_t needed) {
  uint32_t allocated = static_cast<uint32_t>(bitmap);
  uint32_t zeros = static_cast<uint32_t>(bitmap >> 32);
  if ((allocated & zeros) != 0) {
    return damaged(cluster, "a subcluster is said to be both data and zeros");
  }
  uint64_t size = header.cluster_size() / kSubclusters;
  if (allocated != 0) {
    if (host == 0) return damaged(cluster, "subclusters without a place in the file");
    uint64_t last = static_cast<uint64_t>(std::bit_width(allocated));
    TRY(check_host(header, cluster, host, std::min(last * size, needed)));
  }
  uint64_t first = within / size;
  bool data = has_bit(allocated, static_cast<unsigned>(first));
  uint64_t end = first + 1;
  while (end < kSubclusters && has_bit(allocated, static_cast<unsigned>(end)) == data) ++end;
  return plain_or_zeros(data, host, within, std::min(end * size, needed) - within);
}

}  // namespace

Result<Qcow2Header> parse_qcow2_header(ConstBytes head, uint64_t file_size) {
  Result<Qcow2Header> header = parse_header(head, file_size);
  // ByteReader's "truncated" is about the file here.
  if (!header.ok() && head.size() < kHeaderBytesV3 && head.size() == file_size) {
    return Error(concat("the qcow2 file has only ", file_size,
                        " bytes: it is truncated; download it again"));
  }
  return header;
}

std::optional<Qcow2LastEntry> qcow2_last_block(ConstBytes table) {
  constexpr size_t kEntry = 8;
  for (size_t index = table.size() / kEntry; index-- > 0;) {
    ConstBytes entry = table.subspan(index * kEntry, kEntry);
    if (all_zero(entry)) continue;
    return Qcow2LastEntry{index, ByteReader(entry).be64().value()};
  }
  return std::nullopt;
}

std::optional<uint64_t> qcow2_last_used(ConstBytes block, uint32_t refcount_order) {
  for (size_t at = block.size(); at-- > 0;) {
    if (block[at] == 0) continue;
    uint64_t bits = uint64_t{1} << refcount_order;
    if (bits >= 8) return uint64_t{at} * 8 / bits;
    // Within a byte the first count has the lowest bits.
    auto highest = static_cast<uint64_t>(std::bit_width(block[at]) - 1);
    return (uint64_t{at} * 8 + highest) / bits;
  }
  return std::nullopt;
}

Result<uint64_t> parse_qcow2_l1_entry(const Qcow2Header& header, uint64_t entry) {
  uint64_t offset = entry & kOffsetBits;
  if ((entry & ~(kOffsetBits | kCopiedBit)) != 0 || offset % header.cluster_size() != 0) {
    return Error(concat("qcow2: entry ", entry, " of the first table is not valid; ", kDamaged));
  }
  if (offset == 0) return uint64_t{0};
  if (offset > header.file_size || header.cluster_size() > header.file_size - offset) {
    return Error(concat("qcow2: a second table is at byte ", offset,
                        " of a file that ends at byte ", header.file_size,
                        "; the file is truncated or damaged: download it again"));
  }
  return offset;
}

Result<Qcow2Extent> map_qcow2_entry(const Qcow2Header& header, uint64_t entry, uint64_t bitmap,
                                    uint64_t guest) {
  uint64_t within = guest % header.cluster_size();
  uint64_t cluster = guest - within;
  uint64_t needed = std::min(header.cluster_size(), header.virtual_size - cluster);
  if ((entry & kPackedBit) != 0) {
    return map_packed(header, entry, bitmap, cluster, needed - within);
  }
  uint64_t host = entry & kOffsetBits;
  bool zero = (entry & kZeroBit) != 0;
  // A zero mark is of version 3 without subclusters, and an offset of 0 is of external data files.
  uint64_t allowed = kOffsetBits | (host != 0 ? kCopiedBit : 0) |
                     (header.version >= 3 && !header.extended_l2 ? kZeroBit : 0);
  if ((entry & ~allowed) != 0) {
    return damaged(cluster, concat("reserved bits are set in its entry ", entry));
  }
  if (host % header.cluster_size() != 0) {
    return damaged(cluster,
                   concat("its data is said to be at byte ", host, ", which no cluster starts at"));
  }
  if (header.extended_l2) {
    return map_subclusters(header, host, bitmap, cluster, within, needed);
  }
  bool data = host != 0 && !zero;
  if (data) TRY(check_host(header, cluster, host, needed));
  return plain_or_zeros(data, host, within, needed - within);
}

}  // namespace curlingiron
