// A FAT file system as one image: for the system partition of UEFI, and for what is handed to a new
// system. Microsoft, "FAT: General Overview of On-Disk Format", version 1.03; long names as in its
// long directory entries.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace curlingiron {

struct FatFile {
  std::string path;  // "EFI/BOOT/BOOTX64.EFI"; directories are made as they are needed
  ConstBytes bytes;
};

struct FatVolume {
  uint64_t size = 0;       // bytes, a multiple of a sector; 0: as small as it can be
  uint32_t sector = 512;   // bytes: 512 or 4096
  std::string label = {};  // 11 bytes at most, upper case; empty: none
  uint32_t serial = 0;
  uint32_t hidden_sectors = 0;  // before it on the disk
  std::vector<FatFile> files = {};
};

// FAT12 or 16, as its number of clusters says: every firmware reads them. With nothing in it that
// shows when it was made: the same description makes the same bytes. Errors: a name that FAT cannot
// hold, two that it does not tell apart (it ignores case), what does not fit, more than 1 GiB.
Result<ByteVector> make_fat(const FatVolume& volume);

}  // namespace curlingiron
