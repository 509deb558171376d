// A disk that starts the installer, for a stick, by the firmware of either kind: GPT, a system
// partition that UEFI reads, and GRUB's code for a BIOS.
#pragma once

#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "forms/bootable.h"

namespace curlingiron {

// GRUB for a BIOS, as its tools make it (grub-mkimage -O i386-pc); both empty: there is none.
struct BiosLoader {
  ByteVector boot_sector;  // boot.img
  ByteVector core;         // core.img, whose prefix is kBootPartition
};
// How GRUB names the system partition of the disk that it was started from.
inline constexpr std::string_view kBootPartition = "(,gpt2)";

struct BootDisk {
  std::vector<BootFile> files;  // of the system partition
  BiosLoader bios;
  ByteVector identity;  // 32 bytes of which GUIDs and serial numbers are made
};

// Sectors of 512 bytes; sizes as small as they can be. Errors: GRUB's files are not what they
// should be, or the files do not fit into a FAT (formats/fat.h).
Result<ByteVector> make_boot_disk(const BootDisk& disk);

// The system partition alone, as an image.
Result<ByteVector> make_system_partition(const std::vector<BootFile>& files, ConstBytes identity,
                                         uint32_t first_sector);

}  // namespace curlingiron
