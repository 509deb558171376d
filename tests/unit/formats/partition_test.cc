#include "formats/partition.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/units.h"
#include "unit/formats/gpt_image.h"

namespace curlingiron {
namespace {

using testing::HasSubstr;

// As the specification prints it.
Guid guid_of(std::string_view text) {
  std::string digits;
  for (char c : text) {
    if (c != '-') digits += c;
  }
  ByteVector plain = from_hex(digits).value();
  static constexpr size_t kOrder[] = {3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15};
  Guid guid{};
  for (size_t i = 0; i < guid.size(); ++i) guid[i] = plain[kOrder[i]];
  return guid;
}

const Guid kLinuxType = guid_of("0fc63daf-8483-4772-8e79-3d69d8477de4");
const Guid kRootType = guid_of("4f68bce3-e8cd-4db1-96e7-fbcaf984b709");
const Guid kBootType = guid_of("bc13c2ff-59e6-4262-a352-b275fd6f7172");
const Guid kBasicDataType = guid_of("ebd0a0a2-b9e5-4433-87c0-68b6b72699c7");

struct NamedPart {
  Guid type{};
  std::string name;
};

// One MiB each, from the first on; an unused entry is Guid{}.
std::vector<Partition> partitions_of(const std::vector<NamedPart>& parts, uint32_t sector = 512) {
  std::vector<GptPartition> entries;
  uint64_t next = 1_MiB / sector;
  for (const NamedPart& part : parts) {
    GptPartition entry;
    entry.type = part.type;
    entry.first_sector = next;
    next += 1_MiB / sector;
    entry.last_sector = next - 1;
    entry.name = part.name;
    entries.push_back(entry);
  }
  return list_partitions(make_gpt_of(sector, 100'000, entries), sector).value();
}

std::vector<Partition> partitions_of_mbr(const std::vector<uint8_t>& types) {
  std::vector<MbrPartition> parts;
  for (uint8_t type : types) {
    parts.push_back({type, false, static_cast<uint32_t>(2048 * (parts.size() + 1)), 2048});
  }
  return list_partitions(make_mbr(1, parts), 512).value();
}

TEST(Partitions, AreNumberedAsLinuxDoes) {
  for (uint32_t sector : {512u, 4096u}) {
    std::vector<Partition> parts =
        partitions_of({{kEfiSystem, "esp"}, {}, {kLinuxType, "data"}}, sector);
    ASSERT_EQ(parts.size(), 2u);
    EXPECT_EQ(parts[0].number, 1u);
    EXPECT_EQ(parts[0].offset, 1_MiB);
    EXPECT_EQ(parts[0].size, 1_MiB);
    EXPECT_TRUE(parts[0].is_fat());
    EXPECT_EQ(parts[1].number, 3u);
    EXPECT_EQ(parts[1].offset, 3_MiB);
    EXPECT_FALSE(parts[1].is_fat());
    EXPECT_EQ(parts[1].describe(), "partition 3 (data)");
  }
  std::vector<Partition> parts = partitions_of_mbr({0x0c, 0x05, 0x83});
  ASSERT_EQ(parts.size(), 2u) << "an extended partition holds no file system";
  EXPECT_EQ(parts[1].number, 3u);
  EXPECT_EQ(parts[1].describe(), "partition 3");
}

TEST(Partitions, ADamagedTableIsAnError) {
  ByteVector image = make_gpt_of(512, 100'000, {});
  image[512 + 20] ^= 1;
  EXPECT_FALSE(list_partitions(image, 512).ok());
  EXPECT_FALSE(list_partitions(make_mbr(0, {{0xEE, false, 1, 1000}}), 512).ok());
  EXPECT_FALSE(list_partitions(ByteVector(1024), 512).ok());
  GptPartition endless;
  endless.type = kLinuxType;
  endless.first_sector = 1;
  endless.last_sector = UINT64_MAX;
  EXPECT_FALSE(list_partitions(make_gpt_of(512, 100'000, {endless}), 512).ok());
}

// An old GPT that is left on a disk which has an MBR now: Linux does not look at it.
TEST(Partitions, AGptThatNoMbrAnnouncesIsNone) {
  GptPartition old;
  old.type = kLinuxType;
  old.first_sector = 4096;
  old.last_sector = 8191;
  ByteVector image = make_gpt_of(512, 100'000, {old});
  ByteVector mbr = make_mbr(1, {{0x83, false, 2048, 2048}});
  std::copy(mbr.begin(), mbr.end(), image.begin());
  std::vector<Partition> parts = list_partitions(image, 512).value();
  ASSERT_EQ(parts.size(), 1u);
  EXPECT_EQ(parts[0].offset, 1_MiB);
}

TEST(ChoosePartition, ByNumberTypeNameOrAsTheOnlyOne) {
  struct Case {
    std::vector<NamedPart> parts;
    std::string word;
    unsigned number;  // 0: an error
  };
  for (const Case& c : std::vector<Case>{
           {{{kEfiSystem, ""}, {kRootType, ""}, {kLinuxType, "data"}}, "root", 2},
           {{{kEfiSystem, ""}, {kRootType, ""}, {kLinuxType, "data"}}, "esp", 1},
           {{{kEfiSystem, ""}, {kRootType, ""}, {kLinuxType, "data"}}, "data", 3},
           {{{kEfiSystem, ""}, {kRootType, ""}, {kLinuxType, "data"}}, "3", 3},
           {{{kEfiSystem, ""}, {kRootType, ""}, {kLinuxType, "data"}}, "4", 0},
           {{{kEfiSystem, ""}, {kRootType, ""}, {kLinuxType, "data"}}, "Data", 0},
           {{{kEfiSystem, ""}, {kRootType, ""}, {kLinuxType, "data"}}, "boot", 0},
           {{{kEfiSystem, ""}, {kBootType, ""}, {kRootType, ""}}, "boot", 2},
           // Fedora CoreOS: by name, what no type says.
           {{{kEfiSystem, "EFI-SYSTEM"}, {kLinuxType, "boot"}, {kRootType, "root"}}, "boot", 2},
           // The only one that fits.
           {{{kEfiSystem, ""}, {kLinuxType, ""}}, "root", 2},
           {{{kEfiSystem, ""}, {kLinuxType, ""}, {kLinuxType, ""}}, "root", 0},
           {{{kEfiSystem, ""}, {kLinuxType, ""}, {kLinuxType, "root"}}, "root", 3},
           // What its type says goes before the name.
           {{{kLinuxType, "root"}, {kRootType, "other"}}, "root", 2},
           {{{kRootType, "a"}, {kRootType, "b"}}, "root", 0},
           {{{kLinuxType, "x"}, {kLinuxType, "x"}}, "x", 0},
           // Windows' file systems have that type, too.
           {{{kBasicDataType, ""}}, "esp", 0},
           {{}, "1", 0},
       }) {
    std::vector<Partition> parts = partitions_of(c.parts);
    Result<Partition> chosen = choose_partition(parts, c.word);
    if (c.number == 0) {
      EXPECT_FALSE(chosen.ok()) << c.word;
      continue;
    }
    ASSERT_TRUE(chosen.ok()) << c.word << ": " << chosen.error().message();
    EXPECT_EQ(chosen.value().number, c.number) << c.word;
  }
}

TEST(ChoosePartition, OfAnMbr) {
  std::vector<Partition> parts = partitions_of_mbr({0x0c, 0x83, 0x82});
  EXPECT_EQ(choose_partition(parts, "boot").value().number, 1u);
  EXPECT_EQ(choose_partition(parts, "root").value().number, 2u);
  EXPECT_EQ(choose_partition(parts, "3").value().number, 3u);
  EXPECT_THAT(choose_partition(parts, "5").error().message(), HasSubstr("extended"));
  EXPECT_FALSE(choose_partition(parts, "rootfs").ok());
}

TEST(ChoosePartition, AnErrorNamesThoseThatAreThere) {
  std::vector<Partition> parts = partitions_of({{kEfiSystem, "EFI"}, {}, {kLinuxType, "data"}});
  EXPECT_EQ(choose_partition(parts, "daten").error().message(),
            "the image has no partition \"daten\": it has 1 (EFI, 1.0 MiB), 3 (data, 1.0 MiB)");
  EXPECT_EQ(choose_partition(parts, "9").error().message(),
            "the image has no partition \"9\": it has 1 (EFI, 1.0 MiB), 3 (data, 1.0 MiB)");
}

}  // namespace
}  // namespace curlingiron
