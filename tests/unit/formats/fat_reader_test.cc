// What the field's own tools write (mkfs.fat and mtools), and make_fat(), read by FatReader.
#include "formats/fat_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.h"
#include "base/units.h"
#include "formats/fat.h"
#include "support/workshop.h"

namespace curlingiron {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;

FatReader::Read from(const ByteVector& image) {
  return [&image](uint64_t offset, MutableBytes into) -> Result<void> {
    if (offset > image.size() || into.size() > image.size() - offset) return Error("past the end");
    std::copy_n(image.begin() + static_cast<ptrdiff_t>(offset), into.size(), into.begin());
    return {};
  };
}

// "name" of a directory with a slash, of a file with its size.
std::vector<std::string> listed(const ByteVector& image, std::string_view path) {
  Result<FatReader> reader = FatReader::open(from(image));
  if (!reader.ok()) return {reader.error().message()};
  Result<std::vector<FatEntry>> entries = reader.value().list(path);
  if (!entries.ok()) return {entries.error().message()};
  std::vector<std::string> found;
  for (const FatEntry& entry : entries.value()) {
    found.push_back(concat(entry.name, entry.is_directory ? "/" : concat(" ", entry.size)));
  }
  return found;
}

TEST(FatReader, ReadsWhatMtoolsWrite) {
  Workshop workshop;
  workshop.write("loader", ByteVector(5000, 1));
  struct Volume {
    std::string_view options;
    uint64_t kib;
  };
  for (Volume volume : {Volume{"-F 12", 4096}, Volume{"-F 16", 16384}, Volume{"-F 32 -s 1", 40960},
                        Volume{"-F 16 -S 4096 -s 1", 32768}}) {
    SCOPED_TRACE(concat(volume.options, " ", volume.kib));
    ASSERT_EQ(
        workshop.run(concat(
            "rm -f v && mkfs.fat ", volume.options, " -n 'ESP' -C v ", volume.kib,
            " && mmd -i v ::EFI ::EFI/debian '::EFI/A vendor with a long name'"
            " && mcopy -i v loader ::EFI/debian/shimx64.efi"
            " && mcopy -i v loader '::EFI/A vendor with a long name/systemd-bootx64.efi'"
            " && touch $(seq -f file-of-many-%g 100) && mcopy -i v file-of-many-* ::EFI/debian"
            " && mdel -i v ::EFI/debian/file-of-many-7")),
        0)
        << workshop.log();
    ByteVector image = workshop.read("v");
    EXPECT_THAT(listed(image, ""), ElementsAre("EFI/"));
    EXPECT_THAT(listed(image, "efi"),
                ElementsAre("./", "../", "DEBIAN/", "A vendor with a long name/"));
    EXPECT_THAT(listed(image, "EFI/a vendor With a long name"),
                ElementsAre("./", "../", "systemd-bootx64.efi 5000"));
    std::vector<std::string> debian = listed(image, "EFI/DEBIAN");
    EXPECT_EQ(debian.size(), 2 + 1 + 99u);
    EXPECT_THAT(debian, Contains("file-of-many-100 0"));
    EXPECT_THAT(debian, testing::Not(Contains("file-of-many-7 0")));
    EXPECT_THAT(listed(image, "EFI/fedora").front(), HasSubstr("no such directory"));
    EXPECT_THAT(listed(image, "EFI/debian/shimx64.efi").front(), HasSubstr("no such directory"));
  }
}

// As many an EFI system partition is made; mtools refuse it.
TEST(FatReader, TakesAFat32WithFewerClustersThanItIsSaidToHave) {
  Workshop workshop;
  ASSERT_EQ(workshop.run("mkfs.fat -F 32 -C v 20480"), 0) << workshop.log();
  EXPECT_THAT(listed(workshop.read("v"), ""), ElementsAre());
}

TEST(FatReader, ReadsWhatWeWrite) {
  ByteVector loader(3000);
  std::string longest(255, 'n');
  ByteVector image =
      make_fat({.files = {{"EFI/BOOT/BOOTX64.EFI", loader}, {longest, loader}, {"x", {}}}}).value();
  EXPECT_THAT(listed(image, ""), ElementsAre("EFI/", longest + " 3000", "x 0"));
  EXPECT_THAT(listed(image, "EFI/boot"), ElementsAre("./", "../", "BOOTX64.EFI 3000"));
}

TEST(FatReader, NamesOfOtherLanguages) {
  Workshop workshop;
  ASSERT_EQ(workshop.run("mkfs.fat -C v 4096 && touch 'Gr\xc3\xbc\xc3\x9f"
                         "e' && "
                         "LC_ALL=C.UTF-8 mcopy -i v 'Gr\xc3\xbc\xc3\x9f"
                         "e' ::"),
            0)
      << workshop.log();
  EXPECT_THAT(listed(workshop.read("v"), ""), ElementsAre("Gr??e 0"));
}

TEST(FatReader, ALongNameOfAnotherEntryIsPassedOver) {
  ByteVector image = make_fat({.files = {{"a long name", ByteVector(10)}}}).value();
  std::string_view alias = "ALONGN~1";
  auto at = std::search(image.begin(), image.end(), alias.begin(), alias.end());
  ASSERT_NE(at, image.end());
  *at = 'B';  // as a system does that knows short names only
  EXPECT_THAT(listed(image, ""), ElementsAre("BLONGN~1 10"));
}

TEST(FatReader, AChainThatGoesInACircleEnds) {
  ByteVector image = make_fat({.files = {{"EFI/BOOT/BOOTX64.EFI", ByteVector(10)}}}).value();
  // FAT12, cluster 2 is the directory EFI: its link leads to itself.
  size_t table = 512;
  image[table + 3] = 2;
  image[table + 4] = 0;
  // No entry marks its end.
  std::string_view name = "EFI        ";
  auto entry = std::search(image.begin(), image.end(), name.begin(), name.end());
  ASSERT_NE(entry, image.end());
  for (uint8_t& byte : MutableBytes(image)) {
    if (&byte > &*entry + 512 && byte == 0) byte = 'x';
  }
  EXPECT_FALSE(listed(image, "EFI").empty());
}

TEST(FatReader, RefusesWhatIsNoFat) {
  ByteVector image = make_fat({.files = {{"x", ByteVector(10)}}}).value();
  auto refused = [&](size_t offset, std::initializer_list<uint8_t> bytes) {
    ByteVector other = image;
    std::ranges::copy(bytes, other.begin() + static_cast<ptrdiff_t>(offset));
    Result<FatReader> reader = FatReader::open(from(other));
    return reader.ok() ? "" : reader.error().message();
  };
  EXPECT_EQ(refused(510, {0}), "no FAT file system");
  EXPECT_EQ(refused(11, {0, 0}), "no FAT file system");
  EXPECT_EQ(refused(11, {1, 2}), "no FAT file system");
  EXPECT_EQ(refused(13, {3}), "no FAT file system");
  EXPECT_EQ(refused(14, {0, 0}), "no FAT file system");
  EXPECT_EQ(refused(16, {0}), "no FAT file system");
  EXPECT_THAT(refused(14, {0xff, 0xff}), HasSubstr("without room"));
  EXPECT_THAT(refused(19, {0, 0, 0, 0, 0}), HasSubstr("without room"));
  EXPECT_THAT(refused(19, {0xff, 0xff}), HasSubstr("table is too small"));
  EXPECT_EQ(refused(3, {'x'}), "");
  Result<FatReader> none = FatReader::open(
      [](uint64_t, MutableBytes) -> Result<void> { return Error("the disk fails"); });
  EXPECT_EQ(none.error().message(), "the disk fails");
}

}  // namespace
}  // namespace curlingiron
