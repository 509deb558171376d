#include "forms/boot_disk.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "formats/gpt.h"

namespace curlingiron {
namespace {

using testing::HasSubstr;

constexpr size_t kSector = 512;

BootDisk disk() {
  BootDisk disk;
  disk.identity = ByteVector(32, 0x5a);
  disk.files = {text_file("EFI/BOOT/BOOTX64.EFI", "loader"),
                text_file("vmlinuz", "kernel"),
                {"initrd", ByteVector(200'000, 'i')}};
  disk.bios.boot_sector = ByteVector(kSector, 0xb0);
  disk.bios.boot_sector[510] = 0x55;
  disk.bios.boot_sector[511] = 0xaa;
  disk.bios.core = ByteVector(30'000, 0xc0);
  return disk;
}

uint64_t le64(ConstBytes bytes, size_t at) {
  ByteReader in(bytes.subspan(at));
  return in.le64().value();
}

TEST(BootDisk, HasBothTablesAndBothPartitions) {
  Result<ByteVector> made = make_boot_disk(disk());
  ASSERT_TRUE(made.ok()) << made.error().message();
  const ByteVector& image = made.value();
  ASSERT_EQ(image.size() % kSector, 0);
  uint64_t last = image.size() / kSector - 1;
  GptHeader primary = parse_gpt_header(ConstBytes(image).subspan(kSector, kSector)).value();
  GptHeader backup = parse_gpt_header(ConstBytes(image).subspan(last * kSector, kSector)).value();
  EXPECT_EQ(primary.own_sector, 1);
  EXPECT_EQ(primary.other_sector, last);
  EXPECT_EQ(backup.own_sector, last);
  EXPECT_EQ(backup.other_sector, 1);
  for (const GptHeader& header : {primary, backup}) {
    ConstBytes entries =
        ConstBytes(image).subspan(header.entries_sector * kSector, header.entries_bytes());
    std::vector<GptPartition> partitions = parse_gpt_entries(header, entries).value();
    ASSERT_EQ(partitions.size(), 2);
    EXPECT_EQ(format_guid(partitions[0].type), "21686148-6449-6e6f-744e-656564454649");
    EXPECT_EQ(format_guid(partitions[1].type), "c12a7328-f81f-11d2-ba4b-00a0c93ec93b");
    EXPECT_LE(partitions[1].last_sector, header.last_usable);
    EXPECT_EQ(partitions[1].first_sector * kSector % (1024 * 1024), 0);
  }
  EXPECT_TRUE(parse_mbr(ConstBytes(image).first(kSector)).value().is_protective());
}

TEST(BootDisk, LeadsABiosFromSectorToSector) {
  ByteVector image = make_boot_disk(disk()).value();
  uint64_t core = le64(image, 0x5c);
  EXPECT_EQ(image[core * kSector], 0xc0);
  EXPECT_EQ(le64(image, core * kSector + kSector - 12), core + 1);
}

TEST(BootDisk, GoesWithoutABios) {
  BootDisk uefi = disk();
  uefi.bios = {};
  ByteVector image = make_boot_disk(uefi).value();
  EXPECT_TRUE(all_zero(ConstBytes(image).first(440)));
  EXPECT_TRUE(find_gpt_partitions(image, kSector).ok());
}

TEST(BootDisk, IsTheSameForTheSame) {
  EXPECT_EQ(make_boot_disk(disk()).value(), make_boot_disk(disk()).value());
  BootDisk other = disk();
  other.identity[3] = 1;
  EXPECT_NE(make_boot_disk(disk()).value(), make_boot_disk(other).value());
}

TEST(BootDisk, RefusesAStrangeLoader) {
  BootDisk strange = disk();
  strange.bios.boot_sector.pop_back();
  EXPECT_THAT(make_boot_disk(strange).error().message(), HasSubstr("no boot sector"));
  BootDisk large = disk();
  large.bios.core.resize(1024 * 1024);
  EXPECT_THAT(make_boot_disk(large).error().message(), HasSubstr("does not fit"));
}

}  // namespace
}  // namespace curlingiron
