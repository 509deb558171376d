#include "formats/superblock.h"

#include <gtest/gtest.h>

#include "base/text.h"
#include "support/workshop.h"
#include "unit/formats/file_systems.h"

namespace curlingiron {
namespace {

// "FAT/512", or "none".
std::string found(ConstBytes begin) {
  std::optional<FileSystem> result = find_file_system(begin);
  return result ? concat(result->name, "/", result->sector) : "none";
}

TEST(Superblock, Found) {
  for (uint32_t sector : {512u, 4096u}) {
    ByteVector fat(4096);
    put_fat(fat, 0, sector);
    EXPECT_EQ(found(fat), concat("FAT/", sector));
    ByteVector xfs(4096);
    put_xfs(xfs, 0, sector);
    EXPECT_EQ(found(xfs), concat("XFS/", sector));
  }
  for (uint32_t block : {1024u, 2048u, 4096u, 65536u}) {
    ByteVector ext4(4096);
    put_ext4(ext4, 0, block);
    EXPECT_EQ(found(ext4), concat("ext4/", block));
  }
}

TEST(Superblock, NotFound) {
  EXPECT_EQ(found({}), "none");
  EXPECT_EQ(found(ByteVector(100'000)), "none");
  EXPECT_EQ(found(ByteVector(100'000, 0xff)), "none");
  for (size_t at : {0u, 12u, 13u, 16u, 21u, 510u}) {
    ByteVector fat(512);
    put_fat(fat, 0, 512);
    EXPECT_EQ(found(ConstBytes(fat).first(511)), "none");
    fat[at] = 0x07;
    EXPECT_EQ(found(fat), "none") << at;
  }
  ByteVector ext4(4096);
  put_ext4(ext4, 0, 1024);
  ext4[1024 + 27] = 1;
  EXPECT_EQ(found(ext4), "none");
}

TEST(Superblock, EveryPrefix) {
  ByteVector bytes(70'000);
  put(bytes, 0x10040, "_BHRfS_M");
  for (size_t size = 0; size < bytes.size(); size += 1 + size / 3) {
    EXPECT_EQ(found(ConstBytes(bytes).first(size)), size < 0x10048 ? "none" : "Btrfs/0") << size;
  }
  EXPECT_EQ(found(bytes), "Btrfs/0");
}

// What the real tools make.
TEST(Superblock, MadeByTools) {
  struct Tool {
    const char* command;
    const char* found;
  };
  static constexpr Tool kTools[] = {
      {"mkfs.ext4 -q -F -b 1024", "ext4/1024"},
      {"mkfs.ext4 -q -F -b 4096", "ext4/4096"},
      {"mkfs.ext2 -q -F -b 4096", "ext4/4096"},
      {"mkfs.vfat -F 16", "FAT/512"},
      {"mkfs.vfat -F 32", "FAT/512"},
      {"mkfs.vfat -S 4096", "FAT/4096"},
      {"mkswap", "swap/0"},
      {"mkfs.btrfs -q -f", "Btrfs/0"},
  };
  Workshop shop;
  unsigned made = 0;
  for (const Tool& tool : kTools) {
    shop.make_empty("image", 160 << 20);
    if (shop.run(concat(tool.command, " image")) != 0) continue;  // not installed
    ++made;
    EXPECT_EQ(found(shop.read("image", size_t{1} << 20)), tool.found) << tool.command;
  }
  if (made == 0) GTEST_SKIP() << "no mkfs is installed";
}

}  // namespace
}  // namespace curlingiron
