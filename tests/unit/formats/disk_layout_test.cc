// What plan_disk_layout() changes, judged by the tools that others use: sgdisk, sfdisk, parted.
#include "formats/disk_layout.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.h"
#include "base/units.h"
#include "support/workshop.h"

namespace curlingiron {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr Guid kSeedId = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};

class DiskLayouts : public testing::Test {
 protected:
  // An image as sfdisk makes it of its own script's words.
  ByteVector make(uint64_t size, std::string_view script, std::string_view options = "") {
    workshop_.make_empty("image", size);
    EXPECT_EQ(workshop_.run(concat("printf '", script, "' | sfdisk -q ", options, " image")), 0)
        << workshop_.log();
    return workshop_.read("image");
  }

  static Result<DiskLayout> plan(const ByteVector& image, LayoutWish wish) {
    wish.seed_id = kSeedId;
    return plan_disk_layout(ConstBytes(image).first(std::min<size_t>(image.size(), 1_MiB)), wish);
  }

  // "disk" holds the image on a disk of that size, changed as planned; with zeros for a seed.
  DiskLayout apply(const ByteVector& image, const LayoutWish& wish) {
    Result<DiskLayout> layout = plan(image, wish);
    EXPECT_TRUE(layout.ok()) << layout.error().message();
    if (!layout.ok()) return {};
    workshop_.write("disk", image);
    std::filesystem::resize_file(workshop_.at("disk"), wish.disk_size);
    uint64_t end = 0;
    std::fstream disk(workshop_.at("disk"), std::ios::in | std::ios::out | std::ios::binary);
    for (const DiskPatch& patch : layout.value().patches) {
      EXPECT_GE(patch.offset, end);
      EXPECT_EQ(patch.offset % wish.sector, 0U);
      EXPECT_EQ(patch.bytes.size() % wish.sector, 0U);
      end = patch.end();
      disk.seekp(static_cast<std::streamoff>(patch.offset));
      disk << as_text(patch.bytes);
    }
    EXPECT_LE(end, wish.disk_size);
    return std::move(layout).value();
  }

  // Nobody finds fault with it.
  void check_disk() {
    EXPECT_EQ(workshop_.run("sgdisk -v disk"), 0) << workshop_.log();
    EXPECT_THAT(workshop_.log(), HasSubstr("No problems found"));
    EXPECT_EQ(workshop_.run("sfdisk -V disk"), 0) << workshop_.log();
    EXPECT_THAT(workshop_.log(), HasSubstr("No errors detected"));
    EXPECT_EQ(workshop_.run("parted -s disk unit s print free"), 0) << workshop_.log();
    EXPECT_THAT(workshop_.log(), Not(HasSubstr("Warning")));
    EXPECT_THAT(workshop_.log(), Not(HasSubstr("Error")));
  }

  // "start,size,type" of each partition, by sfdisk.
  std::vector<std::string> parts() {
    EXPECT_EQ(workshop_.run("sfdisk -d disk | sed -n 's/^disk\\([0-9]*\\) *: *start= *\\([0-9]*\\),"
                            " size= *\\([0-9]*\\).*/\\1 \\2 \\3/p'"),
              0);
    std::vector<std::string> lines;
    std::string log = workshop_.log();
    for (std::string_view line : split(log, '\n')) {
      if (!line.empty()) lines.emplace_back(line);
    }
    return lines;
  }

  Workshop workshop_;
};

constexpr std::string_view kCloudImage =  // root last on the disk, and first in the table
    "label: gpt\\n1 : start=12288, name=root\\n14 : start=2048, size=2048\\n15 : start=4096, "
    "size=8192\\n";

TEST_F(DiskLayouts, AnImageThatFillsItsDiskStaysAsItIs) {
  ByteVector image = make(16_MiB, kCloudImage);
  DiskLayout layout = apply(image, {.disk_size = 16_MiB});
  EXPECT_TRUE(workshop_.read("disk") == image);
  EXPECT_THAT(layout.notes, IsEmpty());
  EXPECT_FALSE(layout.backup_moves);
  EXPECT_EQ(layout.last->number, 1U);
  EXPECT_EQ(layout.last->offset, 6_MiB);
  EXPECT_EQ(layout.last->size, layout.last->size_before);
}

TEST_F(DiskLayouts, TheBackupGoesToTheEnd) {
  ByteVector image = make(16_MiB, kCloudImage);
  DiskLayout layout = apply(image, {.disk_size = 64_MiB});
  EXPECT_TRUE(layout.backup_moves);
  check_disk();
  EXPECT_THAT(parts(), ElementsAre("1 12288 18432", "14 2048 2048", "15 4096 8192"));
  EXPECT_GT(layout.last->free_after, 47_MiB);
  // The old one is gone.
  ByteVector disk = workshop_.read("disk");
  EXPECT_EQ(as_text(ConstBytes(image).last(512).first(8)), "EFI PART");
  EXPECT_TRUE(all_zero(ConstBytes(disk).subspan(16_MiB - 512, 512)));
}

// Its table says that it is as large as the disk, and it is shorter; or its backup is damaged.
TEST_F(DiskLayouts, ABackupThatIsNotThereIsMade) {
  ByteVector image = make(16_MiB, kCloudImage);
  ByteVector cut(image.begin(), image.end() - 1_MiB);
  apply(cut, {.disk_size = 16_MiB});
  check_disk();
  EXPECT_TRUE(workshop_.read("disk") == image);
  ByteVector damaged = image;
  for (size_t at = damaged.size() - 512; at < damaged.size(); ++at) damaged[at] ^= 0x5a;
  apply(damaged, {.disk_size = 16_MiB});
  EXPECT_TRUE(workshop_.read("disk") == image);
}

TEST_F(DiskLayouts, WhatNothingGainsByGrowingStays) {
  for (std::string_view type :
       {"21686148-6449-6E6F-744E-656564454649", "C12A7328-F81F-11D2-BA4B-00A0C93EC93B",
        "0657FD6D-A4AB-43C4-84E5-0933C84B4F4F"}) {
    ByteVector image =
        make(16_MiB, concat("label: gpt\\nstart=2048, size=4096\\nstart=8192, type=", type, "\\n"));
    DiskLayout layout = apply(image, {.disk_size = 64_MiB, .grow = true});
    check_disk();
    EXPECT_THAT(layout.notes, ElementsAre(HasSubstr("partition 2 ends last, but is ")));
    EXPECT_EQ(layout.last->size, layout.last->size_before);
    EXPECT_EQ(layout.last->free_after, 0U);
  }
  ByteVector image = make(16_MiB, "label: dos\\nstart=2048, size=4096\\nstart=8192, type=82\\n");
  DiskLayout layout = apply(image, {.disk_size = 64_MiB, .grow = true});
  EXPECT_THAT(layout.notes, ElementsAre(HasSubstr("partition 2 ends last, but is swap")));
  EXPECT_THAT(layout.patches, IsEmpty());
}

TEST_F(DiskLayouts, TheLastPartitionGrows) {
  ByteVector image = make(16_MiB, kCloudImage);
  DiskLayout layout = apply(image, {.disk_size = 64_MiB, .grow = true});
  check_disk();
  EXPECT_THAT(parts(), ElementsAre("1 12288 116736", "14 2048 2048", "15 4096 8192"));
  EXPECT_EQ(layout.last->size, 57_MiB);
  EXPECT_EQ(layout.last->size_before, 9_MiB);
}

TEST_F(DiskLayouts, ASeedIsPutAfterEverything) {
  ByteVector image = make(16_MiB, kCloudImage);
  for (bool grow : {false, true}) {
    DiskLayout layout = apply(image, {.disk_size = 64_MiB, .grow = grow, .seed_size = 1_MiB});
    check_disk();
    EXPECT_THAT(parts(), ElementsAre(grow ? "1 12288 114688" : "1 12288 18432", "14 2048 2048",
                                     "15 4096 8192", "16 126976 2048"));
    EXPECT_EQ(layout.seed_offset, 62_MiB);
    EXPECT_EQ(layout.seed_number, 16U);
    // A second time, with what was read back: it is replaced, not doubled.
    ByteVector again = workshop_.read("disk");
    layout = apply(again, {.disk_size = 128_MiB, .grow = grow, .seed_size = 2_MiB});
    check_disk();
    EXPECT_THAT(parts(), ElementsAre(grow ? "1 12288 243712" : "1 12288 18432", "14 2048 2048",
                                     "15 4096 8192", "16 256000 4096"));
  }
  EXPECT_EQ(workshop_.run("sgdisk -i 16 disk"), 0);
  EXPECT_THAT(workshop_.log(), HasSubstr("Microsoft basic data"));
  EXPECT_THAT(workshop_.log(), HasSubstr("'curlingiron seed'"));
  EXPECT_THAT(workshop_.log(), HasSubstr("04030201-0605-0807-090A-0B0C0D0E0F10"));
}

// Without another in its place it stays, and the last partition ends before it.
TEST_F(DiskLayouts, ASeedThatTheImageBrings) {
  constexpr std::string_view kWithSeed =
      "label: gpt\\nstart=2048, size=4096\\nstart=26624, size=2048, name=\"curlingiron seed\", "
      "type=EBD0A0A2-B9E5-4433-87C0-68B6B72699C7\\n";
  ByteVector image = make(16_MiB, kWithSeed);
  DiskLayout layout = apply(image, {.disk_size = 64_MiB, .grow = true});
  check_disk();
  EXPECT_THAT(parts(), ElementsAre("1 2048 24576", "2 26624 2048"));
  EXPECT_EQ(layout.last->number, 1U);
  EXPECT_THAT(layout.notes, ElementsAre(HasSubstr("partition 2, a seed that the image brings")));
  layout = apply(image, {.disk_size = 64_MiB, .grow = true, .seed_size = 1_MiB});
  check_disk();
  EXPECT_THAT(parts(), ElementsAre("1 2048 124928", "2 126976 2048"));
  EXPECT_THAT(layout.notes, ElementsAre(HasSubstr("is replaced")));
  // What only has its name is somebody's.
  for (std::string_view other :
       {"size=2048, name=\"curlingiron seed\"",
        "size=34816, name=\"curlingiron seed\", type=EBD0A0A2-B9E5-4433-87C0-68B6B72699C7",
        "size=2048, name=\"curlingiron seed 2\", type=EBD0A0A2-B9E5-4433-87C0-68B6B72699C7"}) {
    image = make(64_MiB, concat("label: gpt\\nstart=2048, size=2048\\nstart=6144, ", other, "\\n"));
    layout = apply(image, {.disk_size = 80_MiB, .seed_size = 1_MiB});
    check_disk();
    EXPECT_EQ(layout.seed_number, 3U) << other;
    EXPECT_THAT(layout.notes, IsEmpty()) << other;
  }
}

TEST_F(DiskLayouts, SectorsOf4096) {
  // sfdisk takes the size of a loop device's sectors, not of a file's: made by hand.
  ByteVector made(16_MiB);
  GptHeader header{.own_sector = 1,
                   .other_sector = 4095,
                   .first_usable = 6,
                   .last_usable = 4090,
                   .disk = kSeedId,
                   .entries_sector = 2,
                   .entry_count = 128,
                   .entry_size = 128};
  GptPartition root{.type = kSeedId, .id = kSeedId, .first_sector = 256, .last_sector = 4090};
  root.name = "root";
  ByteVector entries = format_gpt_entries({root}, 128).value();
  header.entries_crc = crc32(entries);
  std::ranges::copy(format_protective_mbr(4096, {}), made.begin());
  std::ranges::copy(format_gpt_header(header, 4096), made.begin() + 4096);
  std::ranges::copy(entries, made.begin() + 8192);
  DiskLayout layout =
      apply(made, {.disk_size = 64_MiB, .sector = 4096, .grow = true, .seed_size = 1_MiB});
  EXPECT_EQ(layout.seed_offset, 62_MiB);
  EXPECT_EQ(layout.last->size, 61_MiB);
  ByteVector disk = workshop_.read("disk");
  auto at = [&](uint64_t sector) { return ConstBytes(disk).subspan(sector * 4096, 4096); };
  GptHeader first = parse_gpt_header(at(1)).value();
  EXPECT_EQ(first.other_sector, 16383U);
  EXPECT_EQ(first.last_usable, 16378U);
  GptHeader second = parse_gpt_header(at(16383)).value();
  EXPECT_EQ(second.other_sector, 1U);
  EXPECT_EQ(second.own_sector, 16383U);
  EXPECT_EQ(second.entries_sector, 16379U);
  EXPECT_EQ(
      parse_gpt_entries(second, ConstBytes(disk).subspan(16379 * 4096, 16384)).value()[1].name,
      kSeedPartitionName);
}

TEST_F(DiskLayouts, ADiskThatIsHardlyLarger) {
  ByteVector image = make(4_MiB, "label: gpt\\nstart=2048, size=2048\\n");
  apply(image, {.disk_size = 4_MiB + 512});
  check_disk();
  DiskLayout layout = apply(image, {.disk_size = 4_MiB, .grow = true});
  check_disk();
  EXPECT_EQ(layout.last->size, 2_MiB);
}

TEST_F(DiskLayouts, ASeedThatHasNoRoomIsRefusedWithWhatIsMissing) {
  ByteVector image = make(16_MiB, kCloudImage);
  auto refusal = [&](uint64_t disk) {
    Result<DiskLayout> layout = plan(image, {.disk_size = disk, .seed_size = 1_MiB});
    return layout.ok() ? "" : layout.error().message();
  };
  // The root ends at the last MiB's beginning: 1 MiB for the seed, 33 sectors for the table.
  EXPECT_THAT(refusal(16_MiB), HasSubstr("16896 bytes are missing"));
  EXPECT_THAT(refusal(16_MiB + 16384), HasSubstr("512 bytes are missing"));
  EXPECT_EQ(refusal(16_MiB + 16896), "");
  apply(image, {.disk_size = 16_MiB + 16896, .grow = true, .seed_size = 1_MiB});
  check_disk();
}

TEST_F(DiskLayouts, MbrPartitions) {
  ByteVector image = make(16_MiB,
                          "label: dos\\nstart=2048, size=4096, type=c, bootable\\n"
                          "start=6144, type=83\\n");
  DiskLayout layout = apply(image, {.disk_size = 64_MiB});
  EXPECT_THAT(layout.patches, IsEmpty());
  EXPECT_EQ(layout.table, DiskLayout::Table::Mbr);
  layout = apply(image, {.disk_size = 64_MiB, .grow = true, .seed_size = 1_MiB});
  EXPECT_THAT(parts(), ElementsAre("1 2048 4096", "2 6144 122880", "3 129024 2048"));
  EXPECT_EQ(workshop_.run("sfdisk -V disk && parted -s disk print"), 0) << workshop_.log();
  EXPECT_THAT(workshop_.log(), HasSubstr("No errors detected"));
  EXPECT_THAT(workshop_.log(), Not(HasSubstr("Warning")));
  EXPECT_EQ(workshop_.run("sfdisk --activate disk"), 0);
  EXPECT_EQ(workshop_.log(), "disk1\n");
}

TEST_F(DiskLayouts, MbrPartitionsInAnExtendedOneStay) {
  ByteVector image = make(16_MiB,
                          "label: dos\\nstart=2048, size=4096, type=83\\n"
                          "start=6144, type=5\\nstart=8192, type=83\\n");
  DiskLayout layout = apply(image, {.disk_size = 64_MiB, .grow = true, .seed_size = 1_MiB});
  EXPECT_THAT(layout.notes, ElementsAre(HasSubstr("partition 2 is extended")));
  EXPECT_EQ(layout.last->free_after, 0U);
  EXPECT_EQ(workshop_.run("sfdisk -V disk"), 0) << workshop_.log();
  EXPECT_THAT(parts(), ElementsAre("1 2048 4096", "2 6144 26624", "3 129024 2048", "5 8192 24576"));
}

TEST_F(DiskLayouts, AnMbrThatIsFullTakesNoSeed) {
  ByteVector image = make(16_MiB, "label: dos\\n,1M\\n,1M\\n,1M\\n,1M\\n");
  Result<DiskLayout> layout = plan(image, {.disk_size = 64_MiB, .seed_size = 1_MiB});
  ASSERT_FALSE(layout.ok());
  EXPECT_THAT(layout.error().message(), HasSubstr("all four entries"));
}

TEST_F(DiskLayouts, OfAnMbrOnlyTwoTebibytesCanBeUsed) {
  ByteVector image = make(16_MiB, "label: dos\\nstart=2048, type=83\\n");
  DiskLayout layout =
      plan(image, {.disk_size = 3 * 1024 * 1_GiB, .grow = true, .seed_size = 1_MiB}).value();
  EXPECT_EQ(layout.seed_offset, 2048 * 1_GiB - 2_MiB);
  EXPECT_EQ(layout.last->size, 2048 * 1_GiB - 3_MiB);
  EXPECT_THAT(layout.notes, ElementsAre(HasSubstr("the rest of the disk stays free")));
}

// What is damaged or says two things stays as it is.
TEST_F(DiskLayouts, WhatCannotBeReadForSureStays) {
  ByteVector whole = make(16_MiB, kCloudImage);
  LayoutWish wish{.disk_size = 64_MiB, .grow = true};
  auto note = [&](const ByteVector& image) {
    DiskLayout layout = plan(image, wish).value();
    EXPECT_THAT(layout.patches, IsEmpty());
    LayoutWish with_seed = wish;
    with_seed.seed_size = 1_MiB;
    EXPECT_FALSE(plan(image, with_seed).ok());
    return layout.notes.empty() ? "" : layout.notes.front();
  };
  ByteVector image = whole;
  image[512 + 60] ^= 1;
  EXPECT_THAT(note(image), HasSubstr("damaged (the GPT header's checksum is wrong)"));
  image = whole;
  image[1024 + 130] ^= 1;
  EXPECT_THAT(note(image), HasSubstr("damaged (its entries' checksum is wrong)"));
  for (uint64_t first_usable : {uint64_t{1} << 40, uint64_t{3000}}) {
    GptHeader header = parse_gpt_header(ConstBytes(whole).subspan(512, 512)).value();
    header.first_usable = first_usable;
    image = whole;
    std::ranges::copy(format_gpt_header(header, 512), image.begin() + 512);
    EXPECT_THAT(note(image), first_usable == 3000 ? HasSubstr("lies outside of what a table")
                                                  : HasSubstr("leaves partitions no place"));
  }
  image = whole;
  std::fill(image.begin() + 512, image.begin() + 512 * 34, 0);  // only the backup is there
  EXPECT_THAT(note(image), HasSubstr("stands for a GPT that is missing"));
  image = whole;
  image[446 + 16 + 4] = 0x0c;
  EXPECT_THAT(note(image), HasSubstr("a hybrid of GPT and MBR"));
  image[446 + 4] = 0x83;  // what was a GPT's disk before
  EXPECT_THAT(note(image), HasSubstr("its MBR does not say that there is one"));
  image = whole;
  image[511] = 0;
  EXPECT_THAT(note(image), HasSubstr("its MBR does not say that there is one"));
  EXPECT_THAT(note(ByteVector(16_MiB)), HasSubstr("no partition table"));
  // As on many a CD: the first partition is the whole image.
  image = make(16_MiB, "label: dos\\nstart=2048, size=4096, type=ef\\n");
  image[446 + 8] = 0;
  image[446 + 9] = 0;
  EXPECT_THAT(note(image), HasSubstr("a disk that is a CD, too"));
  image = make(16_MiB, "label: dos\\nstart=2048, size=8192\\nstart=10240, size=8192\\n");
  image[446 + 16 + 9] = 0x10;
  EXPECT_THAT(note(image), HasSubstr("partitions 1 and 2 overlap"));
}

}  // namespace
}  // namespace curlingiron
