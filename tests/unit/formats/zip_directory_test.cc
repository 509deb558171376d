#include "formats/zip_directory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.h"
#include "support/workshop.h"

namespace curlingiron {
namespace {

using ::testing::HasSubstr;

struct Fields {
  std::string name = "disk.img";
  uint64_t offset = 0;
  uint64_t compressed = 100;
  uint64_t size = 4096;
  ByteVector extra;
};

void put_entry(ByteWriter& out, const Fields& fields) {
  out.append("PK\x01\x02");
  out.zeros(4);
  out.le16(8);
  out.le16(8);
  out.zeros(4);
  out.le32(0x12345678);
  out.le32(static_cast<uint32_t>(fields.compressed));
  out.le32(static_cast<uint32_t>(fields.size));
  out.le16(static_cast<uint16_t>(fields.name.size()));
  out.le16(static_cast<uint16_t>(fields.extra.size()));
  out.zeros(2 + 2 + 2 + 4);
  out.le32(static_cast<uint32_t>(fields.offset));
  out.append(fields.name);
  out.append(fields.extra);
}

void put_end(ByteWriter& out, uint16_t disk, uint16_t entries, uint32_t length, uint32_t directory,
             std::string_view comment = "") {
  out.append("PK\x05\x06");
  out.le16(disk);
  out.le16(disk);
  out.le16(entries);
  out.le16(entries);
  out.le32(length);
  out.le32(directory);
  out.le16(static_cast<uint16_t>(comment.size()));
  out.append(comment);
}

void put_end64(ByteWriter& out, uint64_t place, uint64_t entries, uint64_t length,
               uint64_t directory, uint32_t disks = 1) {
  out.append("PK\x06\x06");
  out.le64(44);
  out.le16(45);
  out.le16(45);
  out.le32(0);
  out.le32(0);
  for (uint64_t value : {entries, entries, length, directory}) out.le64(value);
  out.append("PK\x06\x07");
  out.le32(0);
  out.le64(place);
  out.le32(disks);
}

// Of a file whose first `begin` bytes are not in `bytes`.
struct Read {
  std::string error;
  ZipEnd end;
  std::vector<ZipEntry> entries;
};

Read read(ConstBytes bytes, uint64_t begin = 0) {
  Result<ZipEnd> end = find_zip_end(bytes, begin + bytes.size());
  if (!end.ok()) return {end.error().message(), {}, {}};
  uint64_t at = end.value().directory - begin;
  Result<std::vector<ZipEntry>> entries = parse_zip_directory(
      bytes.subspan(static_cast<size_t>(at), static_cast<size_t>(end.value().length)), end.value());
  if (!entries.ok()) return {entries.error().message(), end.value(), {}};
  return {"", end.value(), entries.value()};
}

TEST(ZipDirectory, OneEntry) {
  ByteWriter out;
  out.zeros(500);
  put_entry(out, {});
  size_t length = out.size() - 500;
  put_end(out, 0, 1, static_cast<uint32_t>(length), 500,
          "PK\x05\x06 is what a comment may hold, too");
  Read result = read(out.bytes());
  ASSERT_EQ(result.error, "");
  ASSERT_EQ(result.entries.size(), 1U);
  EXPECT_EQ(result.entries[0].name, "disk.img");
  EXPECT_EQ(result.entries[0].size, 4096U);
  EXPECT_FALSE(result.entries[0].wide);
  EXPECT_FALSE(result.end.wide);
  // Whatever is missing or added is seen.
  for (size_t size = 0; size < out.size(); ++size) {
    EXPECT_NE(read(ConstBytes(out.bytes()).first(size)).error, "") << size;
  }
  // What follows is counted.
  out.zeros(7);
  result = read(out.bytes());
  EXPECT_EQ(result.error, "");
  EXPECT_EQ(result.end.after, 7U);
}

// Packers that know no zip64 write what is beyond 4 GiB modulo 2^32.
TEST(ZipDirectory, PlacesModulo) {
  uint64_t begin = (uint64_t{5} << 30) + 77;
  ByteWriter out;
  put_entry(out, {});
  auto length = static_cast<uint32_t>(out.size());
  put_end(out, 0, 1, length, static_cast<uint32_t>(begin));
  Read result = read(out.bytes(), begin);
  ASSERT_EQ(result.error, "");
  EXPECT_EQ(result.end.directory, begin);
}

TEST(ZipDirectory, AllOnesAreSaidByTheOtherRecord) {
  ByteVector extra;
  {
    ByteWriter field;
    field.le16(1);
    field.le16(16);
    field.le64(uint64_t{6} << 30);
    field.le64(uint64_t{1} << 20);
    extra = std::move(field).bytes();
  }
  ByteWriter out;
  put_entry(out, {.compressed = 0xffffffff, .size = 0xffffffff, .extra = extra});
  auto length = static_cast<uint32_t>(out.size());
  uint64_t begin = 9000;
  put_end64(out, begin + length, 1, length, begin);
  put_end(out, 0xffff, 0xffff, 0xffffffff, 0xffffffff);
  Read result = read(out.bytes(), begin);
  ASSERT_EQ(result.error, "");
  EXPECT_TRUE(result.end.wide);
  ASSERT_EQ(result.entries.size(), 1U);
  EXPECT_EQ(result.entries[0].size, uint64_t{6} << 30);
  EXPECT_EQ(result.entries[0].compressed, uint64_t{1} << 20);
  EXPECT_TRUE(result.entries[0].wide);
}

TEST(ZipDirectory, ANameThatEndsLikeALocator) {
  std::string name = "disk.imgPK\x06\x07" + std::string(16, 'x');
  auto archive = [&](uint32_t place) {
    ByteWriter out;
    put_entry(out, {.name = name});
    put_end(out, 0, 1, static_cast<uint32_t>(out.size()), place);
    return std::move(out).bytes();
  };
  Read result = read(archive(9000), 9000);
  ASSERT_EQ(result.error, "");
  EXPECT_EQ(result.entries[0].name, name);
  // But where the record leaves something to its twin, that must be there.
  EXPECT_THAT(read(archive(0xffffffff), 9000).error, HasSubstr("not where it should be"));
}

TEST(ZipDirectory, Refused) {
  auto error = [](auto make) {
    ByteWriter out;
    out.zeros(64);
    put_entry(out, {});
    make(out, static_cast<uint32_t>(out.size() - 64));
    return read(out.bytes()).error;
  };
  EXPECT_THAT(error([](ByteWriter& out, uint32_t length) { put_end(out, 3, 1, length, 64); }),
              HasSubstr("split archive"));
  EXPECT_THAT(error([](ByteWriter& out, uint32_t length) { put_end(out, 0, 2, length, 64); }),
              HasSubstr("1 of 2 entries"));
  EXPECT_THAT(error([](ByteWriter& out, uint32_t) { put_end(out, 0, 1, 9999, 64); }),
              HasSubstr("longer than the archive"));
  EXPECT_THAT(error([](ByteWriter& out, uint32_t length) { put_end(out, 0, 2000, length, 64); }),
              HasSubstr("more than 1024 entries"));
  EXPECT_THAT(error([](ByteWriter& out, uint32_t length) {
                put_end64(out, 64 + length, 1, length, 64);
                put_end(out, 0, 7, 0xffffffff, 0xffffffff);
              }),
              HasSubstr("contradict each other"));
  EXPECT_THAT(error([](ByteWriter& out, uint32_t length) {
                put_end64(out, 64 + length, 1, length, 64, 2);
                put_end(out, 0, 1, length, 64);
              }),
              HasSubstr("split archive"));
  EXPECT_THAT(error([](ByteWriter& out, uint32_t length) {
                put_end64(out, 64 + length, 1, length, uint64_t{1} << 40);
                put_end(out, 0, 1, length, 0xffffffff);
              }),
              HasSubstr("past its end record"));
}

TEST(ZipDirectory, AnEntryMustLieBeforeTheDirectory) {
  ByteWriter out;
  out.zeros(64);
  put_entry(out, {.offset = 64});
  put_end(out, 0, 1, static_cast<uint32_t>(out.size() - 64), 64);
  EXPECT_THAT(read(out.bytes()).error, HasSubstr("after the last file's end"));
}

TEST(ZipDirectory, MadeByTools) {
  static constexpr const char* kTools[] = {
      "zip -q OUT disk.img README.txt",
      "zip -q -fz OUT disk.img README.txt",  // zip64
      "cat disk.img | zip -q OUT - README.txt && printf '@ -\\n@=disk.img\\n' | zipnote -w OUT",
      "python3 -m zipfile -c OUT disk.img README.txt",
      "zip -q OUT disk.img README.txt && echo 'a comment' | zip -q -z OUT",
  };
  Workshop shop;
  shop.write("disk.img", std::string(100'000, 'x'));
  shop.write("README.txt", "Write it to a card.\n");
  for (const char* tool : kTools) {
    for (const char* name : {"OUT", "OUT.zip"}) std::filesystem::remove(shop.at(name));
    ASSERT_EQ(shop.run(tool), 0) << tool << shop.log();
    ByteVector bytes = shop.read(std::filesystem::exists(shop.at("OUT")) ? "OUT" : "OUT.zip");
    Read result = read(bytes);
    EXPECT_EQ(result.error, "") << tool;
    ASSERT_EQ(result.entries.size(), 2U) << tool;
    EXPECT_EQ(result.entries[0].name, "disk.img") << tool;
    EXPECT_EQ(result.entries[0].size, 100'000U) << tool;
    EXPECT_EQ(result.entries[1].name, "README.txt") << tool;
  }
}

}  // namespace
}  // namespace curlingiron
