#include "formats/superblock.h"

#include <bit>

namespace curlingiron {
namespace {

constexpr uint32_t kLargestSector = 65536;

std::optional<uint32_t> number_at(ConstBytes bytes, size_t offset, size_t width,
                                  std::endian order) {
  if (bytes.size() < offset + width) return std::nullopt;
  uint32_t value = 0;
  for (size_t i = 0; i < width; ++i) {
    size_t at = order == std::endian::big ? i : width - 1 - i;
    value = value << 8 | bytes[offset + at];
  }
  return value;
}

// The sector size that a superblock gives, if it can be one.
std::optional<uint32_t> sector_of(std::optional<uint32_t> value) {
  if (!value || *value < 512 || *value > kLargestSector || !std::has_single_bit(*value)) {
    return std::nullopt;
  }
  return value;
}

std::optional<uint32_t> sector_of_shift(std::optional<uint32_t> shift) {
  if (!shift || *shift > 16) return std::nullopt;
  return sector_of(uint32_t{1} << *shift);
}

// Boot sectors with a BIOS parameter block: Microsoft's "FAT32 File System Specification" 1.03,
// "exFAT file system specification" 3.1.
std::optional<FileSystem> find_microsoft(ConstBytes begin) {
  constexpr uint8_t kAtariJump = 0x60;
  if (begin.size() < 512) return std::nullopt;
  bool has_mark = has(begin, 510, "\x55\xaa");
  // The 68000's jump, and no mark of a boot sector. Linux mounts it.
  if (!has_mark && begin[0] != kAtariJump) return std::nullopt;
  if (has_mark && has(begin, 3, "EXFAT   ")) {
    auto sector = sector_of_shift(number_at(begin, 108, 1, std::endian::little));
    if (sector) return FileSystem{"exFAT", *sector};
  }
  auto sector = sector_of(number_at(begin, 11, 2, std::endian::little));
  if (!sector) return std::nullopt;
  if (has(begin, 3, "NTFS    ")) return FileSystem{"NTFS", *sector};
  bool jump = begin[0] == kAtariJump || begin[0] == 0xe9 || (begin[0] == 0xeb && begin[2] == 0x90);
  bool cluster = std::has_single_bit(begin[13]);
  uint8_t reserved = begin[14] | begin[15];
  uint8_t tables = begin[16];
  uint8_t media = begin[21];
  if (jump && cluster && reserved != 0 && (tables == 1 || tables == 2) && media >= 0xf0) {
    return FileSystem{"FAT", *sector};
  }
  return std::nullopt;
}

// Block sizes: Linux, fs/ext4/super.c and fs/xfs/xfs_super.c, which refuse a device with larger
// sectors.
std::optional<FileSystem> find_unix(ConstBytes begin) {
  if (has(begin, 1080, "\x53\xef")) {
    auto shift = number_at(begin, 1024 + 24, 4, std::endian::little);
    if (shift && *shift <= 6) {
      constexpr uint64_t kErrorState = 2;
      auto state = number_at(begin, 1024 + 58, 2, std::endian::little);
      return FileSystem{"ext4", uint32_t{1024} << *shift, state && (*state & kErrorState) != 0};
    }
  }
  if (has(begin, 0, "XFSB")) {
    auto sector = sector_of(number_at(begin, 102, 2, std::endian::big));
    if (sector) return FileSystem{"XFS", *sector};
  }
  return std::nullopt;
}

struct Magic {
  size_t offset;
  std::string_view bytes;
  std::string_view name;
};
constexpr Magic kMagics[] = {
    {0x10040, "_BHRfS_M", "Btrfs"}, {4086, "SWAPSPACE2", "swap"},        {512, "LABELONE", "LVM"},
    {0, "hsqs", "squashfs"},        {1024, "\xe2\xe1\xf5\xe0", "EROFS"},
};

}  // namespace

std::optional<FileSystem> find_file_system(ConstBytes begin) {
  if (auto found = find_microsoft(begin)) return found;
  if (auto found = find_unix(begin)) return found;
  for (const Magic& magic : kMagics) {
    if (has(begin, magic.offset, magic.bytes)) return FileSystem{magic.name, 0};
  }
  return std::nullopt;
}

}  // namespace curlingiron
