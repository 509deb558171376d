#include "disk/preflight.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.h"
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

TEST(Preflight, WhatIsNoDiskImage) {
  Disk disk = disk_of(1 << 30);
  auto text = [&](std::string_view bytes) { return verdict(as_bytes(bytes), std::nullopt, disk); };
  EXPECT_THAT(text(""), HasSubstr("empty"));
  EXPECT_THAT(text(std::string(1 << 20, '\0')), HasSubstr("1.0 MiB of zeros"));
  EXPECT_THAT(text("\n<!DOCTYPE html>"), HasSubstr("web page"));
  EXPECT_THAT(text("\x1f\x8b\x08rest"), HasSubstr("gzip again"));
  EXPECT_THAT(text("KDMV\1\0\0"), HasSubstr("vmdk"));
  EXPECT_THAT(text("vhdxfile"), HasSubstr("vhdx"));
  EXPECT_THAT(text(std::string(257, 'x') + "ustar"), HasSubstr("tar archive"));
  EXPECT_EQ(text(std::string(257, 'x') + "usta"), "fits");
  disk.read_only = true;
  EXPECT_THAT(verdict(with_mbr({}), std::nullopt, disk), HasSubstr("write-protected"));
}

}  // namespace
}  // namespace curlingiron
