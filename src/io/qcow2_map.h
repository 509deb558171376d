// Where in a qcow2 file the bytes of its disk are: the tables, a window of them at a time.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "formats/qcow2.h"
#include "io/source.h"

namespace curlingiron {

// Second-level tables that are held at once; of the first-level one, a quarter of it.
inline constexpr uint64_t kQcow2TableWindow = 4_MiB;
// What lies between two reads of one expected run, at most: cheaper to read over than to ask anew.
inline constexpr uint64_t kQcow2SmallGap = 256_KiB;

// A place in a run of the file, and what was passed and is still held: the disk's order is the
// file's only nearly. QEMU puts compressed clusters into the rest of a cluster that uncompressed
// ones have overtaken, and a compressed cluster's last sector holds the start of the next one.
class Qcow2RunPlace {
 public:
  struct Range {
    uint64_t begin = 0;
    uint64_t end = 0;
  };
  static constexpr size_t kTail = 4;            // the last sector of the last compressed read
  static constexpr size_t kRanges = 1 + kTail;  // the others are gaps, with such a tail before them
  static constexpr uint64_t kTailBytes = 512;

  explicit Qcow2RunPlace(uint64_t start = 0) : position_(start) {}
  uint64_t position() const { return position_; }
  // The range that holds this byte, or kRanges.
  size_t holder(uint64_t offset) const;
  const Range& range(size_t index) const { return ranges_[index]; }
  // The bytes from here to `offset` are passed over: the range that holds them now. It begins with
  // the tail, where the gap follows on it.
  size_t pass_to(uint64_t offset);
  // The bytes from here to `end` are read.
  void read_to(uint64_t end, bool packed);

 private:
  uint64_t position_;
  std::array<Range, kRanges> ranges_;
  size_t next_gap_ = 0;
};

class Qcow2Map {
 public:
  // Reads the header and the first window. All entries of a window are checked when it is read: of
  // a disk of up to 32 GiB (with clusters of 64 KiB), a truncated file is found here.
  static Result<std::unique_ptr<Qcow2Map>> open(RandomSource& file);

  const Qcow2Header& header() const { return header_; }

  // What is at `guest` (below virtual_size); zeros are joined as far as they are known to reach.
  // `guest` should ascend from call to call: going back costs reads.
  Result<Qcow2Extent> at(uint64_t guest);
  // at() and run_from() need not read the file for it.
  bool holds(uint64_t guest) const { return guest >= window_begin_ && guest < window_end_; }

  // The bytes of the file that hold the data from `guest` on, as long as one pass over them with a
  // Qcow2RunPlace finds all of it.
  Result<Qcow2RunPlace::Range> run_from(uint64_t guest);

 private:
  struct Table {
    uint64_t l1_index = 0;
    uint64_t host = 0;
    size_t slot = 0;  // in table_bytes_
  };

  Qcow2Map(RandomSource& file, const Qcow2Header& header) : file_(file), header_(header) {}
  Result<void> check_is_whole();
  bool maps_what_is_there();
  Result<uint64_t> l1_entry(uint64_t index);
  Result<void> load_window(uint64_t guest);
  Result<void> find_tables(uint64_t first);
  Result<void> read_tables();
  Result<void> check_table(const Table& table);
  const Table* table_of(uint64_t l1_index);
  Result<Qcow2Extent> entry_at(uint64_t guest);
  uint64_t guest_of(uint64_t l1_index) const;

  RandomSource& file_;
  Qcow2Header header_;

  uint64_t l1_first_ = 0;  // entries [l1_first_, l1_first_ + l1_bytes_.size() / 8)
  ByteVector l1_bytes_;

  // What guest bytes [window_begin_, window_end_) are is known: they are in these tables, or zeros.
  uint64_t window_begin_ = 0;
  uint64_t window_end_ = 0;
  uint64_t l1_end_ = 0;        // the first entry after the window
  std::vector<Table> tables_;  // by l1_index
  ByteVector table_bytes_;
  size_t last_table_ = 0;  // where table_of() looks first

  uint64_t zeros_begin_ = 0;  // the zeros that at() found last
  uint64_t zeros_end_ = 0;
};

}  // namespace curlingiron
