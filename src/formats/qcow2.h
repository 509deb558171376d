// qcow2 disk images, versions 2 and 3: the header and the entries of its two tables (QEMU,
// docs/interop/qcow2.txt). Pure; every number is foreign and is checked before it is used. All
// offsets are bytes: "guest" in the disk that the image holds, "host" in the file.
#pragma once

#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "base/result.h"
#include "base/units.h"

namespace curlingiron {

// Enough of the file's start for parse_qcow2_header.
inline constexpr uint64_t kQcow2HeadBytes = 64_KiB;

enum class Qcow2Compression { Zlib, Zstd };

struct Qcow2Header {
  uint32_t version = 0;
  uint32_t cluster_bits = 0;  // 9 to 21
  uint64_t virtual_size = 0;  // bytes of the disk
  uint64_t l1_offset = 0;     // host
  uint64_t l1_entries = 0;    // those that virtual_size needs; 8 bytes each
  uint64_t file_size = 0;     // as given to the parser: all else lies within
  Qcow2Compression compression = Qcow2Compression::Zlib;
  bool extended_l2 = false;  // each L2 entry is followed by a bitmap of 32 subclusters
  // The reference counts, by which qcow2_last_used() knows how far the file must reach.
  uint64_t refcount_table = 0;  // host; not checked
  uint64_t refcount_bytes = 0;  // of the table
  uint32_t refcount_order = 4;  // a count has 2^order bits
  bool dirty = false;           // the counts may be stale

  uint64_t cluster_size() const { return uint64_t{1} << cluster_bits; }
  uint64_t l2_entry_size() const { return extended_l2 ? 16 : 8; }
  uint64_t l2_entries() const { return cluster_size() / l2_entry_size(); }
  // Guest bytes that one L2 table maps.
  uint64_t l2_coverage() const { return cluster_size() * l2_entries(); }
};

// `head`: the file's first kQcow2HeadBytes, or all of a smaller file. What this program cannot read
// is refused by name: a backing file, encryption, an external data file, the corrupt mark, unknown
// features. Internal snapshots are ignored: the disk is the active layer.
Result<Qcow2Header> parse_qcow2_header(ConstBytes head, uint64_t file_size);

// The host offset of an L2 table, aligned and within the file; 0 where all it would map is zeros.
Result<uint64_t> parse_qcow2_l1_entry(const Qcow2Header& header, uint64_t entry);

// Guest bytes that are all of one kind and in one piece in the file.
struct Qcow2Extent {
  enum class Kind {
    Zeros,
    Plain,  // at `host`
    Packed  // a compressed cluster at `host`
  };
  Kind kind = Kind::Zeros;
  uint64_t length = 0;       // guest bytes
  uint64_t host = 0;         // offset; not for Zeros
  uint64_t packed_size = 0;  // Packed: the most that the stream takes, clipped to the file's end

  // Bytes that reading it takes from the file.
  uint64_t host_length() const { return kind == Kind::Packed ? packed_size : length; }
};

// The last entry of a refcount table, as big-endian 64 bits each, that is not zero: which, and its
// offset. Or the last count of a refcount block that is not zero. Nullopt: all are zero.
struct Qcow2LastEntry {
  uint64_t index = 0;
  uint64_t offset = 0;
};
std::optional<Qcow2LastEntry> qcow2_last_block(ConstBytes table);
std::optional<uint64_t> qcow2_last_used(ConstBytes block, uint32_t refcount_order);

// What the L2 entry of the cluster of `guest` says of the bytes from `guest` (below virtual_size)
// to the cluster's end, the disk's end or the first subcluster of another kind. `bitmap` is 0
// without extended L2. The whole entry is checked, whatever `guest` is in its cluster: reserved
// bits, alignment, and that the bytes the disk needs lie within the file and not on the header or
// the L1 table.
Result<Qcow2Extent> map_qcow2_entry(const Qcow2Header& header, uint64_t entry, uint64_t bitmap,
                                    uint64_t guest);

}  // namespace curlingiron
