#include "disk/preflight.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>

#include "base/text.h"
#include "sys/file.h"
#include "sys/process.h"
#include "unit/disk/loop_device.h"
#include "unit/formats/file_systems.h"
#include "unit/formats/gpt_image.h"

namespace curlingiron {
namespace {

using testing::HasSubstr;

Disk disk_of(uint64_t size, uint32_t sector = 512) {
  Disk disk;
  disk.name = "vda";
  disk.size = size;
  disk.logical_sector = sector;
  return disk;
}

std::string verdict(ConstBytes head, std::optional<uint64_t> size, const Disk& disk) {
  Result<void> result = check_image_fits(head, size, disk);
  return result.ok() ? "fits" : result.error().message();
}

ByteVector with_mbr(std::vector<MbrPartition> partitions) {
  ByteVector head = make_mbr(1, std::move(partitions));
  head.resize(65536);
  return head;
}

constexpr uint64_t kSectors = 100'000;

TEST(Preflight, Size) {
  ByteVector head = with_mbr({});
  EXPECT_EQ(verdict(head, 4096, disk_of(4096)), "fits");
  EXPECT_EQ(verdict(head, std::nullopt, disk_of(4096)), "fits");
  EXPECT_THAT(verdict(head, uint64_t{6} << 30, disk_of(uint64_t{4} << 30)),
              HasSubstr("vda: 4.0 GiB (4294967296 bytes) is smaller than the 6.0 GiB"));
  EXPECT_THAT(verdict(head, 4097, disk_of(4096)), HasSubstr("choose a larger disk"));
}

TEST(Preflight, GptSectorSize) {
  EXPECT_EQ(verdict(make_gpt(512, kSectors), std::nullopt, disk_of(kSectors * 512)), "fits");
  EXPECT_EQ(verdict(make_gpt(4096, kSectors), std::nullopt, disk_of(kSectors * 4096, 4096)),
            "fits");
  EXPECT_THAT(verdict(make_gpt(512, kSectors), std::nullopt, disk_of(kSectors * 4096, 4096)),
              HasSubstr("sectors of 512 bytes, but vda has sectors of 4096"));
  EXPECT_THAT(verdict(make_gpt(4096, kSectors), std::nullopt, disk_of(kSectors * 4096)),
              HasSubstr("sectors of 4096 bytes, but vda has sectors of 512"));
  ByteVector both = make_gpt(512, kSectors);
  ByteVector large = make_gpt(4096, kSectors);
  std::copy(large.begin() + 4096, large.begin() + 8192, both.begin() + 4096);
  EXPECT_EQ(verdict(both, std::nullopt, disk_of(kSectors * 4096)), "fits");
  EXPECT_EQ(verdict(both, std::nullopt, disk_of(kSectors * 4096, 4096)), "fits");
}

TEST(Preflight, TheGptsBackupTellsTheImagesSize) {
  ByteVector head = make_gpt(512, kSectors);
  EXPECT_EQ(verdict(head, std::nullopt, disk_of(kSectors * 512)), "fits");
  EXPECT_THAT(verdict(head, std::nullopt, disk_of((kSectors - 1) * 512)),
              HasSubstr("(51200000 bytes) that the image's partition table (GPT) spans"));
  EXPECT_THAT(verdict(make_gpt(512, UINT64_MAX), std::nullopt, disk_of(kSectors * 512)),
              HasSubstr("(GPT) spans"));
}

TEST(Preflight, TheMbrsPartitionsTellTheImagesSize) {
  ByteVector head = with_mbr({{0x83, true, 2048, kSectors}});
  EXPECT_EQ(verdict(head, std::nullopt, disk_of((kSectors + 2048) * 512)), "fits");
  EXPECT_EQ(verdict(head, std::nullopt, disk_of((kSectors + 2000) * 512)), "fits");  // a cylinder
  EXPECT_THAT(verdict(head, std::nullopt, disk_of(kSectors / 2 * 512)), HasSubstr("(MBR) spans"));
  EXPECT_THAT(verdict(with_mbr({{0x83, true, 0xffffffff, 0xffffffff}}), std::nullopt,
                      disk_of(kSectors * 512)),
              HasSubstr("(MBR) spans"));
}

// Of sectors of 4096 bytes, as well as of an image in which nothing tells.
TEST(Preflight, MbrSectorSize) {
  Disk small = disk_of(uint64_t{1} << 30);
  Disk large = disk_of(uint64_t{1} << 30, 4096);
  auto with_file_system = [](uint32_t first_sector, uint64_t sector) {
    ByteVector head = with_mbr({{0x83, true, first_sector, 4096}});
    head.resize(1 << 20);
    put_ext4(head, first_sector * sector, 4096);
    return head;
  };
  ByteVector unknown = with_mbr({{0x83, true, 2048, 4096}});
  EXPECT_EQ(verdict(unknown, std::nullopt, small), "fits");
  EXPECT_EQ(verdict(unknown, std::nullopt, large), "fits");
  for (uint32_t first : {34u, 63u, 128u}) {
    EXPECT_EQ(verdict(with_file_system(first, 512), std::nullopt, small), "fits");
    EXPECT_EQ(verdict(with_file_system(first, 4096), std::nullopt, large), "fits");
    EXPECT_THAT(verdict(with_file_system(first, 512), std::nullopt, large),
                HasSubstr("(MBR) is for disks with sectors of 512 bytes, but vda has sectors of "
                          "4096 bytes; use an image"));
    EXPECT_THAT(verdict(with_file_system(first, 4096), std::nullopt, small),
                HasSubstr("(MBR) is for disks with sectors of 4096 bytes, but vda has sectors of "
                          "512"));
  }
  // A partition of raw bytes, and another that begins by chance where the first would with larger
  // sectors.
  ByteVector chance = with_mbr({{0xda, false, 34, 200}, {0x83, true, 272, 4096}});
  chance.resize(1 << 20);
  put_ext4(chance, 272 * 512, 4096);
  EXPECT_EQ(verdict(chance, std::nullopt, small), "fits");
}

TEST(Preflight, ABootLoaderForSmallSectors) {
  ByteVector head = with_mbr({{0x83, true, 2048, 4096}});
  head[512] = 0x52;  // GRUB's second stage
  EXPECT_EQ(verdict(head, std::nullopt, disk_of(1 << 30)), "fits");
  EXPECT_THAT(verdict(head, std::nullopt, disk_of(1 << 30, 4096)),
              HasSubstr("boot loader for disks with sectors of 512 bytes"));
  std::swap(head[512], head[4096]);
  EXPECT_EQ(verdict(head, std::nullopt, disk_of(1 << 30, 4096)), "fits");
}

TEST(Preflight, PartitionsThatFitOnlyWithSmallSectors) {
  ByteVector head = with_mbr({{0x83, true, 2048, kSectors}});
  EXPECT_THAT(verdict(head, std::nullopt, disk_of((kSectors + 4096) * 512, 4096)),
              HasSubstr("fits the disk only if it is for sectors of 512 bytes"));
  EXPECT_THAT(verdict(head, std::nullopt, disk_of(kSectors / 2 * 512, 4096)),
              HasSubstr("(MBR) spans"));
}

TEST(Preflight, BareFileSystems) {
  auto verdict_on = [](auto put_file_system, uint32_t unit, uint32_t sector) {
    ByteVector head(1 << 20);
    put_file_system(head, 0, unit);
    return verdict(head, std::nullopt, disk_of(1 << 30, sector));
  };
  for (auto put_file_system : {put_fat, put_ext4, put_xfs}) {
    EXPECT_EQ(verdict_on(put_file_system, 4096, 512), "fits");
    EXPECT_EQ(verdict_on(put_file_system, 4096, 4096), "fits");
    EXPECT_EQ(verdict_on(put_file_system, 1024, 512), "fits");
    EXPECT_THAT(verdict_on(put_file_system, 1024, 4096),
                HasSubstr("with blocks of 1024 bytes, but vda has sectors of 4096 bytes"));
  }
}

// UEFI 2.10, 5.2.3: the whole disk or 0xFFFFFFFF. Tools that grow or shrink an image forget it.
TEST(Preflight, AProtectiveMbrOfAnySize) {
  for (uint32_t sector : {512u, 4096u}) {
    for (uint32_t count : {0u, 1u, 33u, 99'999u, 100'000u, 0x7fffffffu, 0xfffffffeu, 0xffffffffu}) {
      ByteVector head = make_gpt(sector, kSectors);
      for (std::vector<MbrPartition> partitions :
           {std::vector<MbrPartition>{{0xee, false, 1, count}},
            std::vector<MbrPartition>{{0xee, true, 0, count}},
            // Hybrid tables.
            std::vector<MbrPartition>{{0x83, true, 40, 60}, {0xee, false, 1, count}},
            std::vector<MbrPartition>{{0xee, false, 1, 39}, {0xef, false, 40, count}}}) {
        ByteVector mbr = make_mbr(0, partitions);
        std::copy(mbr.begin(), mbr.end(), head.begin());
        EXPECT_EQ(verdict(head, std::nullopt, disk_of(kSectors * sector, sector)), "fits");
        uint32_t other = sector == 512 ? 4096 : 512;
        EXPECT_THAT(verdict(head, std::nullopt, disk_of(kSectors * 4096, other)),
                    HasSubstr("(GPT) is for disks with sectors of"));
      }
    }
  }
}

// Tables that sfdisk writes on real block devices of both kinds.
TEST(Preflight, MadeBySfdisk) {
  if (::geteuid() != 0) GTEST_SKIP() << "loop devices need root";
  if (!program_exists("sfdisk")) GTEST_SKIP() << "sfdisk is not installed";
  TemporaryDirectory folder = TemporaryDirectory::create().value();
  UniqueFd root = open_root(folder.path()).value();
  std::string file = folder.path() + "/disk";
  constexpr uint64_t kSize = uint64_t{64} << 20;
  for (uint32_t sector : {512u, 4096u}) {
    uint32_t other = sector == 512 ? 4096 : 512;
    for (const char* label : {"gpt", "dos"}) {
      ASSERT_TRUE(write_file_atomically(file, {}).ok());
      ASSERT_EQ(::truncate(file.c_str(), kSize), 0);
      {
        Result<LoopDevice> loop = LoopDevice::attach(file, sector);
        if (!loop.ok()) GTEST_SKIP() << loop.error().message();
        std::string command =
            concat("printf 'label: ", label, "\\nsize=8M\\ntype=L\\n' | sfdisk -q ",
                   loop.value().path(), " > /dev/null 2>&1");
        ASSERT_EQ(std::system(command.c_str()), 0) << command;
      }
      ByteVector head = read_file(root, "disk", kSize).value();
      head.resize(1 << 20);
      EXPECT_EQ(verdict(head, kSize, disk_of(kSize, sector)), "fits") << label << sector;
      bool is_gpt = label == std::string_view("gpt");
      if (is_gpt) {
        EXPECT_THAT(verdict(head, kSize, disk_of(kSize, other)),
                    HasSubstr(concat("(GPT) is for disks with sectors of ", sector, " bytes")));
      } else if (sector == 512) {
        EXPECT_THAT(verdict(head, kSize, disk_of(kSize, other)),
                    HasSubstr("only if it is for sectors of 512 bytes"));
      }
    }
  }
}

TEST(Preflight, NothingToWriteOrNowhereToWriteItTo) {
  Disk disk = disk_of(1 << 30);
  EXPECT_THAT(verdict({}, std::nullopt, disk), HasSubstr("empty"));
  disk.read_only = true;
  EXPECT_THAT(verdict(with_mbr({}), std::nullopt, disk), HasSubstr("write-protected"));
}

}  // namespace
}  // namespace curlingiron
