// What is in a FAT file system, by name: FAT12, 16 and 32. Microsoft, "FAT: General Overview of
// On-Disk Format", version 1.03; long names as in its long directory entries. For what is looked up
// in a few directories, with any kernel: a mount would need the kernel's vfat and its code pages.
//
// Pure: the bytes come by a function. Everything in them is foreign.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace curlingiron {

struct FatEntry {
  // ASCII; other characters as '?'. A short one in upper case, as it is kept.
  std::string name;
  bool is_directory = false;
  uint32_t size = 0;     // bytes; 0: of a directory
  uint32_t cluster = 0;  // where it begins; 0: nowhere
};

class FatReader {
 public:
  // Fills `into` with the file system's bytes from `offset` on; its error ends what was asked.
  using Read = std::function<Result<void>(uint64_t offset, MutableBytes into)>;

  // Errors: no FAT, or one whose first sector contradicts itself.
  static Result<FatReader> open(Read read);

  // "EFI/BOOT": the names in a directory, in its order; "" is the root. Case is ignored. What is
  // not there, or is a file, is an error. Bound: 65,536 entries, as FAT has it.
  Result<std::vector<FatEntry>> list(std::string_view path) const;

 private:
  struct Layout {
    uint32_t cluster_size = 0;  // bytes, as all that follow
    uint64_t table = 0;
    uint64_t root = 0;       // FAT12 and 16
    uint64_t root_size = 0;  // 0: it is a chain like others
    uint64_t data = 0;       // of cluster 2
    uint32_t clusters = 0;
    uint32_t root_cluster = 0;
    unsigned bits = 12;
  };

  FatReader(Read read, Layout layout) : read_(std::move(read)), layout_(layout) {}
  static constexpr size_t kBootSector = 512;
  using BootSector = std::span<const uint8_t, kBootSector>;
  static Result<Layout> read_layout(BootSector sector);
  Result<uint32_t> next_cluster(uint32_t cluster) const;
  // The entries as they stand on the disk. 0: of the root.
  Result<ByteVector> read_directory(uint32_t cluster) const;

  Read read_;
  Layout layout_;
};

}  // namespace curlingiron
