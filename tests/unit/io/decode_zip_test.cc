#include <gmock/gmock.h>

#include "base/text.h"
#include "unit/io/decoding.h"

namespace curlingiron {
namespace {

using ::testing::HasSubstr;

const ByteVector kPlain = as_disk(disk_sample(300'000));

TEST(Zip, StoredAndDeflatedInAllForms) {
  for (uint16_t method : std::initializer_list<uint16_t>{0, 8}) {
    for (bool follow : {false, true}) {
      if (method == 0 && follow) continue;
      for (int bits = 0; bits < 8; ++bits) {
        ZipMember member{.plain = kPlain,
                         .method = method,
                         .flags = static_cast<uint16_t>(follow ? 8 : 0),
                         .zip64 = (bits & 1) != 0,
                         .descriptor_signature = (bits & 2) != 0};
        ByteVector archive = zip({member}, "a comment", (bits & 4) != 0);
        for (size_t drip : {size_t{7}, archive.size()}) {
          Result<ByteVector> result = decode(Format::Zip, archive, drip);
          ASSERT_TRUE(result.ok()) << result.error().message();
          ASSERT_TRUE(result.value() == kPlain);
        }
      }
    }
  }
}

TEST(Zip, OneFileBesideWhatIsNone) {
  ByteVector archive = zip({{"images/", {}, 0},
                            {"__MACOSX/", {}, 0},
                            {"images/disk.img", kPlain, 8, 8},
                            {"images/.empty", {}, 0},
                            {"__MACOSX/images/._disk.img", sample(500), 8, 8},
                            {"__MACOSX/._stored", sample(500), 0}});
  EXPECT_TRUE(decode(Format::Zip, archive, 1000).value() == kPlain);
  EXPECT_TRUE(
      decode(Format::Zip, zip({{"__MACOSX/._disk.img", sample(500)}, {.plain = kPlain}})).value() ==
      kPlain);
}

// One that begins as a disk does, however many others stand beside it, on either side.
TEST(Zip, OneImageBesideOtherFiles) {
  ByteVector image = as_disk(disk_sample(2'000'000));
  ByteVector archive =
      zip({{"README.txt", as_vector("Write disk.img to a card.\n")},
           {"disk.img.md5", as_vector("d41d8cd98f00b204e9800998ecf8427e  disk.img\n"), 8, 8},
           {"logo.png", joined({as_vector("\x89PNG\r\n\x1a\n"), sample(100'000)})},
           {"images/disk.img", image, 8, 8},
           {"disk.img.sig", sample(566)},
           {"disk.bmap", as_vector("<?xml version=\"1.0\" ?>\n<bmap/>\n")}});
  for (size_t drip : {size_t{7}, archive.size()}) {
    EXPECT_TRUE(decode(Format::Zip, archive, drip).value() == image);
  }
}

TEST(Zip, AMemberIsChosenByItsName) {
  ByteVector one = as_disk(disk_sample(100'000, 1));
  ByteVector two = as_disk(disk_sample(20'000'000, 2));
  ByteVector archive = zip({{"a/two.img", two}, {"b/one.img", one}, {"b/note", as_vector("!")}});
  auto member = [&](std::string_view name) {
    DecodeLimits limits = kInline;
    limits.member = name;
    return decode(Format::Zip, archive, archive.size(), 65536, limits);
  };
  EXPECT_TRUE(member("b/one.img").value() == one);
  EXPECT_TRUE(member("a/two.img").value() == two);
  EXPECT_EQ(member("b/note").value(), as_vector("!"));
  // Another one may come that has just that name.
  EXPECT_THAT(member("one.img").error().message(), HasSubstr("pass member=\"b/one.img\""));
  EXPECT_THAT(member("a/one.img").error().message(), HasSubstr("no file \"a/one.img\""));
  EXPECT_THAT(decode_error(Format::Zip, archive), HasSubstr("several disk images"));
}

// The reader of the directory knows where it is.
TEST(Zip, AMemberIsChosenByItsPlace) {
  ByteVector one = as_disk(disk_sample(100'000, 1));
  ByteVector two = as_disk(disk_sample(200'000, 2));
  ByteVector first = zip({{"disk.img", one}});
  size_t end = first.size() - 22 - 46 - 8;  // the directory is in this place
  ByteVector archive = zip({{"disk.img", one}, {"disk.img", two}});
  DecodeLimits limits = kInline;
  limits.member_offset = end;
  EXPECT_TRUE(decode(Format::Zip, archive, 7, 65536, limits).value() == two);
  limits.member_offset = 0;
  EXPECT_TRUE(decode(Format::Zip, archive, 7, 65536, limits).value() == one);
}

// What stands around it is not looked at.
TEST(Zip, ByItsEntryInTheDirectory) {
  ByteVector image = as_disk(disk_sample(200'000));
  for (uint16_t method : {uint16_t{0}, uint16_t{8}}) {
    ByteVector archive = zip({{"notes", as_vector("a note")},
                              {.name = "disk.img", .plain = image, .method = method},
                              {"more", as_vector("another")}});
    ConstBytes tail = ConstBytes(archive).last(std::min(archive.size(), kZipTailBytes));
    ZipEnd end = find_zip_end(tail, archive.size()).value();
    ConstBytes directory = ConstBytes(archive).subspan(end.directory, end.length);
    DecodeLimits limits = kInline;
    limits.entry = parse_zip_directory(directory, end).value()[1];
    std::fill_n(archive.begin(), 20, uint8_t{0xee});
    archive.back() = 1;
    for (size_t drip : {size_t{7}, archive.size()}) {
      EXPECT_TRUE(decode(Format::Zip, archive, drip, 65536, limits).value() == image);
    }
    auto error = [&](const DecodeLimits& wrong, size_t size) {
      ByteVector cut(archive.begin(), archive.begin() + static_cast<ptrdiff_t>(size));
      return decode(Format::Zip, cut, 4096, 65536, wrong).error().message();
    };
    uint64_t data_end = limits.entry->offset + limits.entry->compressed;
    for (uint64_t size : {uint64_t{0}, limits.entry->offset, limits.entry->offset + 29, data_end}) {
      EXPECT_THAT(error(limits, static_cast<size_t>(size)), HasSubstr("ends too early")) << size;
    }
    DecodeLimits wrong = limits;
    wrong.entry->crc ^= 1;
    EXPECT_THAT(error(wrong, archive.size()), HasSubstr("a wrong checksum"));
    wrong = limits;
    wrong.entry->offset += 1;
    EXPECT_THAT(error(wrong, archive.size()), HasSubstr("no file is where the directory says"));
    wrong = limits;
    wrong.entry->size += 1;
    EXPECT_THAT(error(wrong, archive.size()), HasSubstr("a wrong length"));
  }
}

TEST(Zip, WhatIsNotKnownToBeADisk) {
  ByteVector unknown = sample(300'000, 5);
  ByteVector image = as_disk(disk_sample(300'000));
  EXPECT_TRUE(decode(Format::Zip, zip({{"loader.bin", unknown}, {"disk.img", image}})).value() ==
              image);
  EXPECT_THAT(decode_error(Format::Zip, zip({{"loader.bin", unknown}})),
              HasSubstr("nothing that is known to be a disk; pass boot=any"));
  DecodeLimits any = kInline;
  any.any_content = true;
  EXPECT_TRUE(decode(Format::Zip, zip({{"loader.bin", unknown}}), 7, 65536, any).value() ==
              unknown);
  // After the image, its size is no matter.
  ByteVector large = zip(
      {{"disk.img", image}, {"manual.pdf", joined({as_vector("%PDF-1.7"), ByteVector(17_MiB)})}});
  EXPECT_TRUE(decode(Format::Zip, large).value() == image);
}

TEST(Zip, TheSizeThatItsHeadSays) {
  ByteVector image = as_disk(disk_sample(300'000));
  auto hint = [](const std::vector<ZipMember>& members) {
    return decoded_size_hint(Format::Zip, zip(members));
  };
  EXPECT_EQ(hint({{"disk.img", image}}), 300'000u);
  EXPECT_EQ(hint({{"README", as_vector("!")}, {"disk.img", image, 0}}), 300'000u);
  // It is not that of another file.
  ByteVector manual = joined({as_vector("%PDF-1.7"), ByteVector(17_MiB)});
  EXPECT_EQ(hint({{"manual.pdf", manual}}), std::nullopt);
  EXPECT_EQ(hint({{"manual.pdf", manual}, {"disk.img", image}}), 300'000u);
}

TEST(Zip, TheMarkOfAnArchiveThatWasSplit) {
  for (std::string_view mark : {"PK\x07\x08", "PK00"}) {
    ByteVector archive = zip({{.plain = kPlain}}, "", false, mark);
    EXPECT_EQ(sniff(archive), Format::Zip);
    EXPECT_TRUE(decode(Format::Zip, archive, 5).value() == kPlain);
  }
}

TEST(Zip, NamesWhatItDoesNotTake) {
  auto error = [](const std::vector<ZipMember>& members) {
    return decode_error(Format::Zip, zip(members));
  };
  ZipMember image{.plain = kPlain};
  EXPECT_THAT(error({image, {"other.img", kPlain}}),
              HasSubstr("several disk images, \"disk.img\" and \"other.img\""));
  EXPECT_THAT(error({{"README", as_vector("Write it to a card.\n")}}),
              HasSubstr("no disk image in it: \"README\" is text"));
  EXPECT_THAT(error({{"disk.vmdk", as_vector("KDMV\1\0\0\0")}}),
              HasSubstr("VMware disk (vmdk); convert"));
  EXPECT_THAT(error({{"disk.img.gz", gzip(kPlain)}}), HasSubstr("is gzip; unpack the archive"));
  EXPECT_THAT(
      error({{"disk.img.gz", gzip(kPlain)}, {"README", as_vector("Write it to a card.\n")}}),
      HasSubstr("is gzip; unpack the archive"));
  EXPECT_THAT(error({}), HasSubstr("no file in it"));
  EXPECT_THAT(error({{"only/", {}, 0}}), HasSubstr("no file in it"));
  EXPECT_THAT(error({{.plain = kPlain, .flags = 1}}),
              HasSubstr("\"disk.img\" in the zip archive is encrypted"));
  EXPECT_THAT(error({{.plain = kPlain, .flags = 1 << 6}}), HasSubstr("encrypted"));
  EXPECT_THAT(error({{.plain = kPlain, .method = 9}}), HasSubstr("deflate64"));
  EXPECT_THAT(error({{.plain = kPlain, .method = 93}}), HasSubstr("zstd"));
  EXPECT_THAT(error({{.plain = kPlain, .method = 0, .flags = 8}}), HasSubstr("pipe"));
  EXPECT_THAT(error({{"bad\nname\x1b[", kPlain, 9}}), HasSubstr("bad?name?["));
  EXPECT_THAT(error({{"__MACOSX/._x", ByteVector(17_MiB, 0)}, image}), HasSubstr("16.0 MiB"));
  std::vector<ZipMember> many(1100, {"d/", {}, 0});
  EXPECT_THAT(error(many), HasSubstr("more than 1024 entries"));
}

// Each field of the headers that says something of the content, made wrong.
TEST(Zip, TheDirectoryMustSayTheSame) {
  ByteVector archive = zip({{.plain = kPlain}});
  size_t directory = archive.size() - 22 - 46 - 8;
  ASSERT_EQ(archive[directory], 'P');
  ASSERT_EQ(archive[directory + 2], 1);
  for (size_t at : std::initializer_list<size_t>{14, 18, 22}) {  // crc, sizes
    ByteVector wrong = archive;
    wrong[at] ^= 1;
    EXPECT_FALSE(decode(Format::Zip, wrong).ok()) << at;
  }
  for (size_t at :
       std::initializer_list<size_t>{10, 16, 20, 24, 42, 46}) {  // method, crc, sizes, offset, name
    ByteVector wrong = archive;
    wrong[directory + at] ^= 1;
    EXPECT_THAT(decode_error(Format::Zip, wrong), HasSubstr("something else")) << at;
  }
  size_t end = archive.size() - 22;
  for (size_t at :
       std::initializer_list<size_t>{4, 6, 8, 10, 12, 16}) {  // disks, counts, length, offset
    ByteVector wrong = archive;
    wrong[end + at] ^= 1;
    EXPECT_THAT(decode_error(Format::Zip, wrong), HasSubstr("end record")) << at;
  }
  ByteVector longer = archive;
  longer[end + 20] = 1;  // a comment
  EXPECT_THAT(decode_error(Format::Zip, longer), HasSubstr("ends too early"));
  longer = joined({archive, {1}});
  EXPECT_THAT(decode_error(Format::Zip, longer), HasSubstr("not zip"));
}

TEST(Zip, AMemberThatTheDirectoryForgetsIsAnError) {
  ByteVector two = zip({{"d/", {}, 0}, {.plain = kPlain}});
  ByteVector one = zip({{.plain = kPlain}});
  // The files of one archive, the directory of the other.
  size_t files = two.size() - 22 - 46 - 8 - 46 - 2;
  size_t directory = one.size() - 22 - 46 - 8;
  ByteVector mixed(two.begin(), two.begin() + static_cast<ptrdiff_t>(files));
  mixed.insert(mixed.end(), one.begin() + static_cast<ptrdiff_t>(directory), one.end());
  EXPECT_FALSE(decode(Format::Zip, mixed).ok());
}

TEST(Zip, AWrongDescriptorIsAnError) {
  ByteVector archive = zip({{.plain = kPlain, .flags = 8}});
  size_t descriptor = archive.size() - 22 - 46 - 8 - 16;
  for (size_t at = descriptor; at < descriptor + 16; ++at) {
    ByteVector wrong = archive;
    wrong[at] ^= 4;
    EXPECT_FALSE(decode(Format::Zip, wrong).ok()) << at - descriptor;
  }
}

}  // namespace
}  // namespace curlingiron
