#include "formats/disk_image.h"

#include <algorithm>

#include "formats/foreign_file.h"
#include "formats/gpt.h"
#include "formats/superblock.h"

namespace curlingiron {
namespace {

using namespace std::string_view_literals;
using Kind = DiskImage::Kind;

struct Magic {
  size_t offset;
  std::string_view bytes;
  std::string_view name;
};

// Partition tables beside GPT and MBR, in sectors of 512 bytes: Linux, block/partitions/.
constexpr Magic kTables[] = {
    {512, "PM\0\0"sv, "an Apple partition map"},  {512, "\x57\x45\x56\x82", "a BSD disk label"},
    {64, "\x57\x45\x56\x82", "a BSD disk label"}, {508, "\xda\xbe", "a Sun disk label"},
    {0, "\x0b\xe5\xa9\x41", "an SGI disk label"}, {0, "\xc9\xc2\xd4\xc1", "an AIX disk label"},
    {0, "RDSK", "an Amiga partition table"},
};

// What formats/superblock.h does not know, as no disk is too coarse for it. The kernel's or the
// tool's own header has each; offsets are those of the first copy.
constexpr Magic kVolumes[] = {
    {0, "LUKS\xba\xbe", "LUKS"},
    {3, "-FVE-FS-", "BitLocker"},
    {0, "\xfc\x4e\x2b\xa9", "RAID (md)"},
    {4096, "\xfc\x4e\x2b\xa9", "RAID (md)"},
    {0, "LABELONE", "LVM"},
    {1024, "LABELONE", "LVM"},
    {1536, "LABELONE", "LVM"},
    {1024, "\x10\x20\xf5\xf2", "F2FS"},
    {4096 + 24, "\xc6\x85\x73\xf6\x4e\x1a\x45\xca\x82\x65\xf5\x7f\x48\xba\x6d\x81", "bcache"},
    {4096 + 24, "\xc6\x85\x73\xf6\x66\xce\x90\xa9\xd9\x6a\x60\xcf\x80\x3d\xf7\xef", "bcachefs"},
    {0x10034, "ReIsEr", "ReiserFS"},
    {0x2034, "ReIsEr", "ReiserFS"},
    {0x8000, "JFS1", "JFS"},
    {1024, "\x02\0\0\0\0\0\x34\x34"sv, "NILFS2"},
    {1024, "OCFSV2", "OCFS2"},
    {2048, "OCFSV2", "OCFS2"},
    {4096, "OCFSV2", "OCFS2"},
    {8192, "OCFSV2", "OCFS2"},
    {0x10000, "\x01\x16\x19\x70", "GFS2"},
    {1024, "H+\0\x04"sv, "HFS+"},
    {1024, "HX\0\x05"sv, "HFSX"},
    {32, "NXSB", "APFS"},
    {0, "\0\0\0ReFS\0"sv, "ReFS"},
    {8192, "\x49\xe8\x95\xf9", "HPFS"},
    {8192 + 1372, "\x54\x19\x01\0"sv, "UFS"},
    {65536 + 1372, "\x19\x01\x54\x19", "UFS2"},
    {512 + 32, "1SFB", "BeFS"},
    {32769, "BEA01", "UDF"},
    {0, "verity\0\0"sv, "dm-verity"},
    {0, "integrt\0"sv, "dm-integrity"},
    {516, "!Stra0tis", "Stratis"},
    {0, "dmvdo001", "VDO"},
    {0, "bluestore block device", "BlueStore"},
    {8192 - 10, "SWAPSPACE2", "swap"},
    {16384 - 10, "SWAPSPACE2", "swap"},
    {65536 - 10, "SWAPSPACE2", "swap"},
    {4086, "SWAP-SPACE", "swap"},
    {4086, "S1SUSPEND\0"sv, "swap"},
};

bool has(ConstBytes begin, size_t offset, std::string_view magic) {
  return begin.size() >= offset && as_text(begin.subspan(offset)).starts_with(magic);
}

template <size_t N>
std::optional<std::string_view> find(const Magic (&magics)[N], ConstBytes begin) {
  for (const Magic& magic : magics) {
    if (has(begin, magic.offset, magic.bytes)) return magic.name;
  }
  return std::nullopt;
}

// 128 uberblocks lie from 128 KiB on; which of them is in use changes with every transaction.
bool is_zfs(ConstBytes begin) {
  constexpr size_t kFirst = 128 << 10;
  constexpr size_t kEnd = 256 << 10;
  for (size_t at = kFirst; at < kEnd; at += 1024) {
    if (has(begin, at, "\x0c\xb1\xba\0\0\0\0\0"sv) || has(begin, at, "\0\0\0\0\0\xba\xb1\x0c"sv))
      return true;
  }
  return false;
}

// Linux, fs/minix: a magic of two bytes, so that what stands around it must be possible.
bool is_minix(ConstBytes begin) {
  constexpr uint16_t kMagics[] = {0x137f, 0x138f, 0x2468, 0x2478};
  if (begin.size() < 2048) return false;
  auto number = [&](size_t offset) {
    return static_cast<uint16_t>(begin[1024 + offset] | begin[1025 + offset] << 8);
  };
  uint16_t magic = number(16);
  bool known = std::find(std::begin(kMagics), std::end(kMagics), magic) != std::end(kMagics);
  bool second = magic >= 0x2468;  // its zones are counted elsewhere
  return known && number(0) != 0 && (second || number(2) != 0) && number(4) != 0 &&
         number(6) != 0 && number(8) > 2 && number(10) == 0 && number(18) < 4;
}

bool has_mbr_partitions(ConstBytes begin) {
  constexpr size_t kMbr = 512;
  if (begin.size() < kMbr) return false;
  Result<Mbr> mbr = parse_mbr(begin.first(kMbr));
  return mbr.ok() &&
         std::any_of(mbr.value().partitions.begin(), mbr.value().partitions.end(),
                     [](const MbrPartition& p) { return p.type != 0 && p.sector_count != 0; });
}

}  // namespace

std::optional<DiskImage> find_disk_image(ConstBytes begin) {
  if (find_gpt_sector_size(begin)) return DiskImage{Kind::PartitionTable, "GPT"};
  // A kernel has the mark of a boot sector, and where a table would be, nothing or its own code.
  if (find_kernel(begin)) return std::nullopt;
  if (has_mbr_partitions(begin)) return DiskImage{Kind::PartitionTable, "MBR"};
  if (auto table = find(kTables, begin)) return DiskImage{Kind::PartitionTable, *table};
  if (auto file_system = find_file_system(begin); file_system && file_system->name != "squashfs") {
    return DiskImage{Kind::Volume, file_system->name};
  }
  if (auto volume = find(kVolumes, begin)) return DiskImage{Kind::Volume, *volume};
  if (is_zfs(begin)) return DiskImage{Kind::Volume, "ZFS"};
  if (is_minix(begin)) return DiskImage{Kind::Volume, "Minix"};
  if (has(begin, 510, "\x55\xaa")) return DiskImage{Kind::BootSector, "a boot sector"};
  return std::nullopt;
}

}  // namespace curlingiron
