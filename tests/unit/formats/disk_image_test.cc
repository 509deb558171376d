#include "formats/disk_image.h"

#include <gtest/gtest.h>

#include "base/text.h"
#include "support/workshop.h"
#include "unit/formats/file_systems.h"

namespace curlingiron {
namespace {

using namespace std::string_view_literals;

// "table GPT", "volume ext4", "boot a boot sector", or "none".
std::string found(ConstBytes begin) {
  std::optional<DiskImage> image = find_disk_image(begin);
  if (!image) return "none";
  switch (image->kind) {
    case DiskImage::Kind::PartitionTable: return concat("table ", image->name);
    case DiskImage::Kind::Volume: return concat("volume ", image->name);
    case DiskImage::Kind::BootSector: return concat("boot ", image->name);
  }
  return "?";
}

ByteVector with_mark(uint8_t status, uint8_t type, uint8_t sectors) {
  ByteVector disk(4096);
  put(disk, 510, "\x55\xaa");
  disk[446] = status;
  disk[450] = type;
  disk[458] = sectors;
  return disk;
}

TEST(DiskImage, PartitionTables) {
  EXPECT_EQ(found(with_mark(0x80, 0x83, 9)), "table MBR");
  EXPECT_EQ(found(with_mark(0, 0xee, 9)), "table MBR");
  EXPECT_EQ(found(with_mark(0x80, 0, 9)), "boot a boot sector");     // no type
  EXPECT_EQ(found(with_mark(0x80, 0x83, 0)), "boot a boot sector");  // no length
  EXPECT_EQ(found(with_mark(0x12, 0x83, 9)), "boot a boot sector");  // code
  ByteVector apple(4096);
  put(apple, 512, "PM\0\0"sv);
  EXPECT_EQ(found(apple), "table an Apple partition map");
  ByteVector dasd(16384);
  put(dasd, 8192, "\xe5\xd6\xd3\xf1");
  EXPECT_EQ(found(dasd), "table a DASD label");
}

TEST(DiskImage, AnAtariPartitionTable) {
  ByteVector atari(4096);
  put(atari, 0x1c6, "\x01GEM\0\0\0\x02\0\0\x10\0"sv);
  put(atari, 0x1d2, "\x01XGM\0\0\x20\x02\0\0\x10\0"sv);
  EXPECT_EQ(found(atari), "table an Atari partition table");
  put(atari, 0x1d2, "\x01xyz");
  EXPECT_EQ(found(atari), "none");
  put(atari, 0x1d2, "\x00xyz"sv);
  EXPECT_EQ(found(atari), "table an Atari partition table");
  put(atari, 0x1c6, "\x01GEM\0\0\0\x02\0\0\0\0"sv);  // no length
  EXPECT_EQ(found(atari), "none");
}

TEST(DiskImage, NothingOfADisk) {
  EXPECT_EQ(found({}), "none");
  EXPECT_EQ(found(ByteVector(511, 0x55)), "none");
  EXPECT_EQ(found(ByteVector(kDiskImageBytes)), "none");
  EXPECT_EQ(found(ByteVector(kDiskImageBytes, 0xff)), "none");
  EXPECT_EQ(found(as_bytes("upstream unavailable, please try again\n")), "none");
  ByteVector squashfs(4096);
  put(squashfs, 0, "hsqs");
  EXPECT_EQ(found(squashfs), "none");
}

// Its first sector ends as a boot sector does.
TEST(DiskImage, AKernelIsNone) {
  ByteVector kernel = with_mark(0, 0, 0);
  EXPECT_EQ(found(kernel), "boot a boot sector");
  put(kernel, 0x202, "HdrS");
  EXPECT_EQ(found(kernel), "none");
}

TEST(DiskImage, MagicsOfFewBytesAreLookedAtTwice) {
  ByteVector minix(4096);
  put(minix, 1024 + 16, "\x8f\x13");
  EXPECT_EQ(found(minix), "none");
  for (size_t field : {0u, 2u, 4u, 6u}) minix[1024 + field] = 1;
  minix[1024 + 8] = 5;
  EXPECT_EQ(found(minix), "volume Minix");
  minix[1024 + 10] = 1;
  EXPECT_EQ(found(minix), "none");
  for (size_t i = 1024; i < 2048; i += 2) std::swap(minix[i], minix[i + 1]);
  minix[1024 + 11] = 0;
  EXPECT_EQ(found(minix), "volume Minix");
  ByteVector hfs(4096);
  put(hfs, 1024, "BD");
  EXPECT_EQ(found(hfs), "none");
  put(hfs, 1024 + 18, "\x4f\xf6\0\0\x02\0"sv);
  EXPECT_EQ(found(hfs), "volume HFS");
  put(hfs, 1024 + 20, "\0\0\x02\x01"sv);
  EXPECT_EQ(found(hfs), "none");
}

TEST(DiskImage, EveryPrefix) {
  ByteVector zfs(300'000);
  put(zfs, 200 << 10, "\x0c\xb1\xba\0\0\0\0\0"sv);
  for (size_t size = 0; size < zfs.size(); size += 1 + size / 3) {
    EXPECT_EQ(found(ConstBytes(zfs).first(size)), size < (200 << 10) + 8 ? "none" : "volume ZFS")
        << size;
  }
  EXPECT_EQ(found(zfs), "volume ZFS");
}

// What the real tools make, as far as they are installed; each of scripts/setup's is.
TEST(DiskImage, MadeByTools) {
  struct Tool {
    const char* command;
    const char* found;
    bool everywhere = true;
  };
  static constexpr Tool kTools[] = {
      {"echo 2048,, | sfdisk -q OUT", "table MBR"},
      {"echo 2048,, | sfdisk -q -X gpt OUT", "table GPT"},
      {"echo 2048,, | sfdisk -q -X sgi OUT", "table an SGI disk label"},
      {"echo 2048,, | sfdisk -q -X sun OUT", "table a Sun disk label"},
      {"mkfs.ext4 -q -F OUT", "volume ext4"},
      {"mkfs.vfat OUT", "volume FAT"},
      {"mkfs.btrfs -q -f OUT", "volume Btrfs"},
      {"mkswap OUT", "volume swap"},
      {"mkfs.minix OUT", "volume Minix"},
      {"mkfs.minix -3 OUT", "volume Minix"},
      {"truncate -s 30M OUT && mkfs.vfat -A OUT", "volume FAT"},
      {"mkfs.xfs -q -f OUT", "volume XFS", false},
      {"mkfs.f2fs -q OUT", "volume F2FS", false},
      {"mkfs.exfat -q OUT", "volume exFAT", false},
      {"mkfs.ntfs -q -F OUT", "volume NTFS", false},
      {"pvcreate -q -f OUT", "volume LVM", false},
      {"echo x | cryptsetup -q luksFormat OUT", "volume LUKS", false},
  };
  Workshop shop;
  for (const Tool& tool : kTools) {
    shop.make_empty("OUT", 320 << 20);
    int status = shop.run(tool.command);
    if (status != 0 && !tool.everywhere) continue;
    ASSERT_EQ(status, 0) << tool.command << shop.log();
    EXPECT_EQ(found(shop.read("OUT", kDiskImageBytes)), tool.found) << tool.command;
  }
}

}  // namespace
}  // namespace curlingiron
