// What a file system's first bytes say of it.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/bytes.h"

namespace curlingiron {

struct FileSystem {
  std::string_view name;  // "FAT"
  // Bytes of its smallest reads and writes: a disk with larger sectors cannot hold it. 0: any disk
  // can.
  uint32_t sector = 0;
  // It says of itself that something in it was found wrong, and not mended (ext4's s_state).
  bool has_errors = false;
};

// `begin`: from the partition's or the disk's first byte on. FAT, exFAT, NTFS, ext2 to ext4, XFS,
// Btrfs, swap, LVM, squashfs and EROFS; nullopt for anything else, and where `begin` is too short
// to tell.
std::optional<FileSystem> find_file_system(ConstBytes begin);

}  // namespace curlingiron
