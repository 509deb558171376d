#include "formats/gpt.h"

#include <gtest/gtest.h>

#include "unit/formats/gpt_image.h"

namespace curlingiron {
namespace {

TEST(Crc32, KnownAnswer) {
  EXPECT_EQ(crc32(as_bytes("123456789")), 0xCBF43926u);
  EXPECT_EQ(crc32({}), 0u);
}

TEST(Guid, FirstThreeFieldsAreLittleEndian) {
  EXPECT_EQ(format_guid(kEfiSystem), "c12a7328-f81f-11d2-ba4b-00a0c93ec93b");
}

TEST(Mbr, ParsesWhatFdiskWrites) {
  ByteVector sector =
      make_mbr(0x12345678, {{0x83, true, 2048, 1'000'000}, {0x82, false, 1'002'048, 5000}});
  Mbr mbr = parse_mbr(sector).value();
  EXPECT_EQ(mbr.signature, 0x12345678u);
  EXPECT_FALSE(mbr.is_protective());
  EXPECT_EQ(mbr.partitions[0].type, 0x83);
  EXPECT_TRUE(mbr.partitions[0].active);
  EXPECT_EQ(mbr.partitions[0].first_sector, 2048u);
  EXPECT_EQ(mbr.partitions[0].sector_count, 1'000'000u);
  EXPECT_FALSE(mbr.partitions[1].active);
  EXPECT_EQ(mbr.partitions[2].type, 0);
}

TEST(Mbr, RefusesWhatIsNone) {
  ByteVector sector = make_mbr(1, {});
  for (size_t size = 0; size < 512; ++size)
    EXPECT_FALSE(parse_mbr(ConstBytes(sector).first(size)).ok());
  sector[511] = 0;
  EXPECT_FALSE(parse_mbr(sector).ok());
  sector[511] = 0xAA;
  ASSERT_TRUE(parse_mbr(sector).ok());
  sector[446] = 0x33;  // boot code of a file system
  EXPECT_FALSE(parse_mbr(sector).ok());
}

TEST(Gpt, ParsesHeaderAndEntries) {
  for (uint32_t sector : {512u, 4096u}) {
    ByteVector image = make_gpt(sector, 100'000);
    ByteVector head(image.begin() + sector, image.begin() + 2 * sector);
    GptHeader header = parse_gpt_header(head).value();
    EXPECT_EQ(header.own_sector, 1u);
    EXPECT_EQ(header.other_sector, 99'999u);
    EXPECT_EQ(header.entry_count, 128u);
    EXPECT_EQ(header.entry_size, 128u);
    EXPECT_EQ(format_guid(header.disk), kDiskGuidText);
    ConstBytes entries = ConstBytes(image).subspan(2 * sector, header.entries_bytes());
    std::vector<GptPartition> partitions = parse_gpt_entries(header, entries).value();
    ASSERT_EQ(partitions.size(), 1u);
    EXPECT_EQ(partitions[0].type, kEfiSystem);
    EXPECT_EQ(partitions[0].name, "EFI ? System");
    EXPECT_EQ(partitions[0].first_sector, 40u);
    EXPECT_EQ(partitions[0].last_sector, 99u);

    ByteVector damaged(entries.begin(), entries.end());
    damaged[130] ^= 1;
    EXPECT_FALSE(parse_gpt_entries(header, damaged).ok());
    EXPECT_FALSE(parse_gpt_entries(header, entries.first(1000)).ok());
  }
}

TEST(Gpt, EveryWrongBitInTheHeaderIsFoundOut) {
  ByteVector image = make_gpt(512, 100'000);
  ByteVector head(image.begin() + 512, image.begin() + 1024);
  ASSERT_TRUE(parse_gpt_header(head).ok());
  for (size_t bit = 0; bit < 92 * 8; ++bit) {
    ByteVector damaged = head;
    damaged[bit / 8] ^= static_cast<uint8_t>(1 << (bit % 8));
    EXPECT_FALSE(parse_gpt_header(damaged).ok()) << bit;
  }
  for (size_t size = 0; size < 92; ++size)
    EXPECT_FALSE(parse_gpt_header(ConstBytes(head).first(size)).ok());
}

TEST(Gpt, RefusesTablesThatClaimTooMuch) {
  GptFields fields;
  fields.entry_count = 0xffffffff;
  fields.entry_size = 0xfffffff8;
  EXPECT_FALSE(parse_gpt_header(make_gpt_header(512, fields)).ok());
  fields.entry_count = 128;
  fields.entry_size = 64;
  EXPECT_FALSE(parse_gpt_header(make_gpt_header(512, fields)).ok());
  fields.entry_size = 128;
  EXPECT_TRUE(parse_gpt_header(make_gpt_header(512, fields)).ok());
}

TEST(PartitionTable, SectorSizeAndIdentity) {
  ByteVector gpt512 = make_gpt(512, 100'000);
  ByteVector gpt4096 = make_gpt(4096, 100'000);
  ByteVector mbr = make_mbr(0xDEADBEEF, {{0x83, true, 2048, 1000}});
  mbr.resize(8192);
  EXPECT_EQ(find_gpt_sector_size(gpt512), 512u);
  EXPECT_EQ(find_gpt_sector_size(gpt4096), 4096u);
  EXPECT_EQ(find_gpt_sector_size(mbr), std::nullopt);
  EXPECT_EQ(find_gpt_sector_size({}), std::nullopt);
  EXPECT_EQ(partition_table_id(gpt512, 512), kDiskGuidText);
  EXPECT_EQ(partition_table_id(gpt4096, 4096), kDiskGuidText);
  EXPECT_EQ(partition_table_id(gpt512, 4096), "");  // protective only
  EXPECT_EQ(partition_table_id(mbr, 512), "deadbeef");
  EXPECT_EQ(partition_table_id(mbr, 4096), "deadbeef");
  EXPECT_EQ(partition_table_id(ByteVector(8192), 512), "");
  EXPECT_EQ(partition_table_id({}, 512), "");
  EXPECT_EQ(partition_table_id(make_mbr(0, {{0x83, true, 2048, 1000}}), 512), "");
}

}  // namespace
}  // namespace curlingiron
