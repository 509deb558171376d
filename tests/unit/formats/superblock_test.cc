#include "formats/superblock.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "base/text.h"
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
  std::string folder = testing::TempDir() + "superblock-XXXXXX";
  ASSERT_NE(::mkdtemp(folder.data()), nullptr);
  unsigned made = 0;
  for (const Tool& tool : kTools) {
    std::string path = folder + "/image";
    std::string command = concat("rm -f ", path, "; truncate -s 160M ", path, " && ", tool.command,
                                 " ", path, " > /dev/null 2>&1");
    if (std::system(command.c_str()) != 0) continue;  // not installed
    ++made;
    std::ifstream file(path, std::ios::binary);
    ByteVector head(size_t{1} << 20);
    file.read(reinterpret_cast<char*>(head.data()), static_cast<std::streamsize>(head.size()));
    EXPECT_EQ(found(head), tool.found) << tool.command;
  }
  std::filesystem::remove_all(folder);
  if (made == 0) GTEST_SKIP() << "no mkfs is installed";
}

}  // namespace
}  // namespace curlingiron
