// What make_fat() writes, read by the field's own tools: fsck.fat and mtools.
#include "formats/fat.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.h"
#include "base/units.h"
#include "support/workshop.h"

namespace curlingiron {
namespace {

using testing::HasSubstr;

class Fat : public testing::Test {
 protected:
  // As fsck.fat finds it: no complaint.
  void check(const FatVolume& volume) {
    Result<ByteVector> image = make_fat(volume);
    ASSERT_TRUE(image.ok()) << image.error().message();
    EXPECT_EQ(image.value(), make_fat(volume).value());
    if (volume.size != 0) EXPECT_EQ(image.value().size(), volume.size);
    workshop_.write("fat.img", image.value());
    EXPECT_EQ(workshop_.run("fsck.fat -n -v fat.img"), 0) << workshop_.log();
    EXPECT_THAT(workshop_.log(), testing::Not(HasSubstr("differ")));
    std::string copy = "rm -rf out && mkdir out";
    if (!volume.files.empty()) copy += " && mcopy -s -n -m -i fat.img '::*' out";
    ASSERT_EQ(workshop_.run(copy), 0) << workshop_.log();
    for (const FatFile& file : volume.files) {
      std::string path = concat("out/", file.path);
      EXPECT_TRUE(std::ranges::equal(workshop_.read(path), file.bytes)) << file.path;
      std::filesystem::remove(workshop_.at(path));
    }
    EXPECT_EQ(workshop_.run("test -z \"$(find out -type f)\""), 0) << workshop_.log();
  }

  static std::string refusal(const FatVolume& volume) {
    Result<ByteVector> image = make_fat(volume);
    return image.ok() ? "" : image.error().message();
  }

  Workshop workshop_;
  ByteVector small_ = ByteVector(1000, 0x11);
  ByteVector large_ = ByteVector(3'000'001, 0x22);
};

TEST_F(Fat, HoldsFilesAndDirectoriesInEachType) {
  std::vector<FatFile> files = {{"EFI/BOOT/BOOTX64.EFI", large_},
                                {"EFI/BOOT/grub.cfg", small_},
                                {"meta-data", small_},
                                {"user-data", small_},
                                {"network-config", {}},
                                {"a folder/with a long name.text", small_},
                                {"README.TXT", small_}};
  check({.files = files});
  for (uint64_t size : {4_MiB, 5_MiB, 16_MiB, 33_MiB, 100_MiB}) {
    for (uint32_t sector : {512u, 4096u}) {
      check({.size = size, .sector = sector, .label = "CIDATA", .serial = 0x1234, .files = files});
    }
  }
  EXPECT_EQ(workshop_.run("file -s fat.img | grep -q 'label: \"CIDATA'"), 0) << workshop_.log();
}

TEST_F(Fat, NamesOfEveryLengthHaveAliasesOfTheirOwn) {
  std::vector<FatFile> files;
  std::string name = "n";
  while (name.size() <= 100) {
    files.push_back({name, small_});
    name += name.size() % 3 == 0 ? ".x" : "long";
  }
  for (int i = 0; i < 60; ++i) files.push_back({concat("configuration-", i, ".network"), small_});
  for (int i = 0; i < 600; ++i) files.push_back({concat("many/file", i), small_});
  check({.size = 8_MiB, .files = files});
  check({.size = 64_MiB, .files = files});
}

TEST_F(Fat, IsAsSmallAsItCanBe) {
  check({.files = {{"x", large_}}});
  EXPECT_LT(make_fat({.files = {{"x", large_}}}).value().size(), large_.size() + 160_KiB);
  check({});
  check({.files = {{"x", {}}}});
  // With clusters of 4 KiB and more.
  std::vector<FatFile> files;
  for (int i = 0; i < 20; ++i) files.push_back({concat("a", i), large_});
  for (int i = 0; i < 60; ++i) files.push_back({concat("b", i), small_});
  check({.files = files});
}

TEST_F(Fat, RefusesWhatItCannotHold) {
  EXPECT_THAT(refusal({.files = {{"a", small_}, {"A", small_}}}),
              HasSubstr("does not tell it from"));
  EXPECT_THAT(refusal({.files = {{"a", small_}, {"a/b", small_}}}), HasSubstr("does not tell it"));
  EXPECT_THAT(refusal({.files = {{"a:b", small_}}}), HasSubstr("no name that FAT can hold"));
  EXPECT_THAT(refusal({.files = {{"a//b", small_}}}), HasSubstr("no name that FAT can hold"));
  EXPECT_THAT(refusal({.files = {{"\xc3\xa4", small_}}}), HasSubstr("no name that FAT can hold"));
  EXPECT_THAT(refusal({.files = {{std::string(256, 'x'), small_}}}), HasSubstr("no name"));
  EXPECT_THAT(refusal({.size = 1_MiB, .files = {{"a", large_}}}), HasSubstr("does not fit"));
  EXPECT_THAT(refusal({.size = 4096}), HasSubstr("no FAT fits"));
  EXPECT_THAT(refusal({.size = 2_GiB}), HasSubstr("too much"));
  std::vector<FatFile> many;
  for (int i = 0; i < 600; ++i) many.push_back({concat("F", i), small_});
  EXPECT_THAT(refusal({.files = many}), HasSubstr("600 entries, and 512 fit"));
  EXPECT_THAT(refusal({.label = "cidata"}), HasSubstr("label"));
  EXPECT_THAT(refusal({.label = "TWELVE CHARS"}), HasSubstr("label"));
}

}  // namespace
}  // namespace curlingiron
