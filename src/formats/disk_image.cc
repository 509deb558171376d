#include "formats/disk_image.h"

#include <algorithm>
#include <bit>

#include "base/units.h"
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
    {512, "PM\0\0"sv, "an Apple partition map"},
    {512, "\x57\x45\x56\x82", "a BSD disk label"},
    {64, "\x57\x45\x56\x82", "a BSD disk label"},
    {508, "\xda\xbe", "a Sun disk label"},
    {0, "\x0b\xe5\xa9\x41", "an SGI disk label"},
    {0, "\xc9\xc2\xd4\xc1", "an AIX disk label"},
    {0, "RDSK", "an Amiga partition table"},
    // Of DASDs: in EBCDIC "VOL1", "LNX1" and "CMS1", in the third block or, of 512 bytes, the
    // second.
    {8192, "\xe5\xd6\xd3\xf1", "a DASD label"},
    {8192, "\xd3\xd5\xe7\xf1", "a DASD label"},
    {8192, "\xc3\xd4\xe2\xf1", "a DASD label"},
    {1024, "\xd3\xd5\xe7\xf1", "a DASD label"},
    {512, "\xc3\xd4\xe2\xf1", "a DASD label"},
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
    {0x10000, "ReIsEr4", "Reiser4"},
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
    {0, "\xce\xfa\xad\x1b", "BFS"},
    {1024, "\xf5\xfc\x01\xa5", "VxFS"},
    {8192, "\xa5\x01\xfc\xf5", "VxFS"},
    {0, "SFOZ", "zonefs"},
    {4096, "SPB5", "NetWare"},
    {32769, "BEA01", "UDF"},
    {0, "verity\0\0"sv, "dm-verity"},
    {0, "integrt\0"sv, "dm-integrity"},
    {0, "\xfe\xed\xba\xbe", "a log of XFS"},
    {0, "mpoolDev", "mpool"},
    {0, "$DRBDmgr=q", "a volume of drbdmanage"},
    {516, "!Stra0tis", "Stratis"},
    {0, "dmvdo001", "VDO"},
    {0, "bluestore block device", "BlueStore"},
    {8192 - 10, "SWAPSPACE2", "swap"},
    {16384 - 10, "SWAPSPACE2", "swap"},
    {65536 - 10, "SWAPSPACE2", "swap"},
    {4086, "SWAP-SPACE", "swap"},
    {4086, "S1SUSPEND\0"sv, "swap"},
};

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

// Linux, fs/minix: a magic of two bytes, so that what stands around it must be possible. In the
// order of bytes of the machine that made it.
bool is_minix(ConstBytes begin, std::endian order) {
  constexpr uint16_t kMagics[] = {0x137f, 0x138f, 0x2468, 0x2478};
  if (begin.size() < 2048) return false;
  auto number = [&](size_t offset) {
    size_t low = order == std::endian::little ? 0 : 1;
    return static_cast<uint16_t>(begin[1024 + offset + low] | begin[1025 + offset - low] << 8);
  };
  constexpr uint16_t kMagicOfThird = 0x4d5a;
  if (number(24) == kMagicOfThird) {
    return number(6) != 0 && number(8) != 0 && number(10) > 2 && number(12) < 4 &&
           (number(0) | number(2)) != 0 && (number(20) | number(22)) != 0;
  }
  uint16_t magic = number(16);
  bool known = std::find(std::begin(kMagics), std::end(kMagics), magic) != std::end(kMagics);
  bool second = magic >= 0x2468;  // its zones are counted elsewhere
  return known && number(0) != 0 && (second || number(2) != 0) && number(4) != 0 &&
         number(6) != 0 && number(8) > 2 && number(10) == 0 && number(18) < 4;
}

// Linux, fs/hfs: two letters, and sizes of blocks and their count that can be.
bool is_hfs(ConstBytes begin) {
  if (!has(begin, 1024, "BD") || begin.size() < 2048) return false;
  ByteReader in(begin.subspan(1024 + 18));
  uint16_t blocks = in.be16().value();
  uint32_t block = in.be32().value();
  return blocks != 0 && block != 0 && block % 512 == 0 && block < 16_MiB;
}

// Linux, block/partitions/atari.c: four primary partitions, each with a mark of being there and
// three letters; a volume's sector count in front of them.
bool has_atari_partitions(ConstBytes begin) {
  constexpr size_t kFirst = 0x1c6;
  constexpr size_t kEntry = 12;
  constexpr std::string_view kTypes[] = {"GEM", "BGM", "XGM", "LNX", "SWP", "RAW"};
  if (begin.size() < 512) return false;
  bool any = false;
  for (size_t i = 0; i < 4; ++i) {
    ByteReader entry(begin.subspan(kFirst + i * kEntry, kEntry));
    uint8_t flags = entry.u8().value();
    std::string_view type = as_text(entry.take(3).value());
    uint32_t start = entry.be32().value();
    uint32_t length = entry.be32().value();
    if ((flags & 1) == 0) continue;
    bool known = std::find(std::begin(kTypes), std::end(kTypes), type) != std::end(kTypes);
    if (!known || start == 0 || length == 0) return false;
    any = true;
  }
  return any;
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
  if (has_atari_partitions(begin)) {
    return DiskImage{Kind::PartitionTable, "an Atari partition table"};
  }
  if (auto file_system = find_file_system(begin); file_system && file_system->name != "squashfs") {
    return DiskImage{Kind::Volume, file_system->name};
  }
  if (auto volume = find(kVolumes, begin)) return DiskImage{Kind::Volume, *volume};
  if (is_zfs(begin)) return DiskImage{Kind::Volume, "ZFS"};
  if (is_minix(begin, std::endian::little) || is_minix(begin, std::endian::big)) {
    return DiskImage{Kind::Volume, "Minix"};
  }
  if (is_hfs(begin)) return DiskImage{Kind::Volume, "HFS"};
  if (has(begin, 510, "\x55\xaa")) return DiskImage{Kind::BootSector, "a boot sector"};
  return std::nullopt;
}

}  // namespace curlingiron
