// Whether a file's first bytes are those of a disk: something that a firmware boots or a kernel
// mounts.
#pragma once

#include <optional>
#include <string_view>

#include "base/bytes.h"

namespace curlingiron {

struct DiskImage {
  enum class Kind {
    PartitionTable,
    Volume,      // a file system, or what other volumes lie in (LVM, LUKS, RAID, swap), without a
                 // partition table
    BootSector,  // the mark of one, and nothing else that is known
  };
  Kind kind = Kind::BootSector;
  std::string_view name;  // "GPT", "ext4", "a boot sector"
};

// How much find_disk_image() wants to see; less where the file ends before.
inline constexpr size_t kDiskImageBytes = size_t{1} << 20;

// `begin`: from the first byte on. Not every disk can be known by its beginning: that of a board
// whose boot loader lies at a place of its own has nothing there.
std::optional<DiskImage> find_disk_image(ConstBytes begin);

}  // namespace curlingiron
