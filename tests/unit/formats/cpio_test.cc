#include "formats/cpio.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

namespace curlingiron {
namespace {

using ::testing::HasSubstr;

std::vector<CpioEntry> read_all(ConstBytes archive) {
  CpioReader reader(archive);
  std::vector<CpioEntry> entries;
  for (;;) {
    auto entry = reader.next();
    EXPECT_TRUE(entry.ok()) << entry.error().message();
    if (!entry.ok() || !entry.value().has_value()) return entries;
    entries.push_back(*entry.value());
  }
}

ByteVector sample() {
  CpioWriter cpio;
  EXPECT_TRUE(cpio.add_directory("dev").ok());
  EXPECT_TRUE(cpio.add_character_device("dev/console", 0600, 5, 1).ok());
  EXPECT_TRUE(cpio.add_directory("lib").ok());
  EXPECT_TRUE(cpio.add_file("lib/a", 0644, as_bytes("hello")).ok());
  EXPECT_TRUE(cpio.add_file("init", 0755, as_bytes("")).ok());
  return std::move(cpio).finish();
}

TEST(Cpio, RoundTrip) {
  ByteVector archive = sample();
  EXPECT_EQ(archive.size() % 4, 0U);
  std::vector<CpioEntry> entries = read_all(archive);
  ASSERT_EQ(entries.size(), 5U);
  EXPECT_EQ(entries[1].path, "dev/console");
  EXPECT_EQ(entries[1].mode, static_cast<uint32_t>(S_IFCHR | 0600));
  EXPECT_EQ(entries[1].device_major, 5U);
  EXPECT_EQ(entries[1].device_minor, 1U);
  EXPECT_EQ(as_text(entries[3].data), "hello");
  EXPECT_EQ(entries[4].mode, static_cast<uint32_t>(S_IFREG | 0755));
  for (uint32_t i = 0; i < entries.size(); ++i) EXPECT_EQ(entries[i].inode, i + 1);
}

TEST(Cpio, HeaderIsReproducible) {
  CpioWriter cpio;
  ASSERT_TRUE(cpio.add_file("a", 0644, as_bytes("x")).ok());
  ByteVector archive = std::move(cpio).finish();
  // magic ino mode uid gid nlink mtime filesize maj min rmaj rmin namesize chksum
  EXPECT_EQ(
      as_text(ConstBytes(archive).first(110)),
      "07070100000001000081A4000000000000000000000001000000000000000100000000000000000000000000"
      "0000000000000200000000");
}

TEST(Cpio, ArchivesInARow) {
  ByteVector archive = sample();
  ByteVector two = archive;
  two.resize(two.size() + 512);
  two.insert(two.end(), archive.begin(), archive.end());
  EXPECT_EQ(read_all(two).size(), 10U);
}

TEST(Cpio, WriterRefusesWhatTheKernelWouldDrop) {
  CpioWriter cpio;
  ASSERT_TRUE(cpio.add_directory("lib").ok());
  EXPECT_THAT(cpio.add_file("etc/x", 0644, {}).error().message(), HasSubstr("its directory"));
  EXPECT_THAT(cpio.add_directory("lib").error().message(), HasSubstr("already"));
  for (const char* path : {"", "/a", "a/", "lib//x", "lib/../x", ".", "TRAILER!!!"}) {
    EXPECT_FALSE(cpio.add_file(path, 0644, {}).ok()) << path;
  }
  // A file is no directory.
  ASSERT_TRUE(cpio.add_file("file", 0644, {}).ok());
  EXPECT_FALSE(cpio.add_file("file/x", 0644, {}).ok());
}

TEST(Cpio, EveryTruncationIsAnError) {
  ByteVector archive = sample();
  // The end mark's own padding is all that may be missing.
  size_t complete = archive.size() - 3;
  for (size_t size = 1; size < complete; ++size) {
    CpioReader reader(ConstBytes(archive).first(size));
    bool failed = false;
    for (;;) {
      auto entry = reader.next();
      failed = !entry.ok();
      if (failed || !entry.value().has_value()) break;
    }
    EXPECT_TRUE(failed) << size;
  }
}

TEST(Cpio, ReaderRefusesImpossibleFields) {
  ByteVector archive = sample();
  archive[110] = 'X';
  EXPECT_FALSE(CpioReader(as_bytes("garbage")).next().ok());
  std::string huge(as_text(archive));
  huge.replace(54, 8, "FFFFFFFF");  // file size
  EXPECT_FALSE(CpioReader(as_bytes(huge)).next().ok());
  std::string wide(as_text(archive));
  wide.replace(94, 8, "7FFFFFFF");  // path size
  EXPECT_FALSE(CpioReader(as_bytes(wide)).next().ok());
}

}  // namespace
}  // namespace curlingiron
