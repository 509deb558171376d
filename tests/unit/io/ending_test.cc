#include "io/ending.h"

#include <gmock/gmock.h>

#include <fstream>
#include <iterator>

#include "io/random.h"
#include "unit/io/decoding.h"

namespace curlingiron {
namespace {

using ::testing::HasSubstr;

// "exact 4096, least 4096, by ...", or the error.
std::string said(Format format, ConstBytes file, const DecodeLimits& limits = kInline) {
  MemoryRandomSource source(file);
  Result<Ending> ending = read_ending(format, source, limits);
  if (!ending.ok()) return ending.error().message();
  std::string text;
  if (ending.value().exact_size) text += concat("exact ", *ending.value().exact_size, ", ");
  if (ending.value().least_size) text += concat("least ", *ending.value().least_size, ", ");
  if (!ending.value().member.empty()) text += concat("member ", ending.value().member, ", ");
  return concat(text, "by ", ending.value().known_by);
}

DecodeLimits passing(uint64_t checked, uint64_t unchecked = 0) {
  DecodeLimits limits = kInline;
  limits.most_after_checked = checked;
  limits.most_after_unchecked = unchecked;
  return limits;
}

TEST(Ending, Gzip) {
  constexpr std::string_view kBy = "by the size in its last bytes, modulo 4 GiB";
  EXPECT_EQ(said(Format::Gzip, gzip(ByteVector(1_MiB, 1))), concat("least 1048576, ", kBy));
  // Of several members only the last says its size.
  EXPECT_EQ(said(Format::Gzip, joined({gzip(ByteVector(2_MiB, 1)), gzip(ByteVector(512, 1))})),
            concat("least 512, ", kBy));
  EXPECT_EQ(said(Format::Gzip, {}), "by ");
  EXPECT_EQ(said(Format::Gzip, gzip({})), "by ");
  // What was appended is not taken for a size: no disk has it, or deflate could not pack so much.
  EXPECT_EQ(said(Format::Gzip, joined({gzip(ByteVector(1_MiB, 1)), as_vector("{\"a\": 1}")})),
            "by ");
  EXPECT_EQ(said(Format::Gzip, joined({gzip(ByteVector(1_MiB, 1)), {0, 0, 0, 0x80}})), "by ");
}

// As OpenWrt's fwtool appends it to its images: the block's length, big-endian, would be read as a
// size of hundreds of MiB.
TEST(Ending, GzipBeforeMetadata) {
  auto block = [](size_t length) {
    ByteWriter out;
    out.append(ByteVector(length - 16, '{'));
    out.append("FWx0");
    out.zeros(4 + 4);
    out.be32(static_cast<uint32_t>(length));
    return std::move(out).bytes();
  };
  ByteVector image = gzip(ByteVector(1_MiB, 1));
  constexpr std::string_view kSaid = "least 1048576, by the size in its last bytes, modulo 4 GiB";
  EXPECT_EQ(said(Format::Gzip, joined({image, block(0x11c)})), kSaid);
  EXPECT_EQ(said(Format::Gzip, joined({image, block(0x200), block(16)})), kSaid);
  EXPECT_EQ(said(Format::Gzip, block(16)), "by ");
}

TEST(Ending, Xz) {
  constexpr std::string_view kBy = "by the index at its end";
  ByteVector a = sample(100'000, 1);
  ByteVector b = sample(70'000, 2);
  EXPECT_EQ(said(Format::Xz, xz(a)), concat("exact 100000, least 100000, ", kBy));
  EXPECT_EQ(said(Format::Xz, xz(a, {LZMA_CHECK_CRC64, 1024})),
            concat("exact 100000, least 100000, ", kBy));
  EXPECT_EQ(said(Format::Xz, joined({xz(a), ByteVector(8, 0), xz(b), ByteVector(4, 0)})),
            concat("exact 170000, least 170000, ", kBy));
  EXPECT_EQ(said(Format::Xz, xz({})), concat("exact 0, least 0, ", kBy));
}

TEST(Ending, XzThatIsCutOffOrGoesOn) {
  ByteVector whole = xz(sample(300'000), {LZMA_CHECK_CRC64, 65536});
  for (size_t cut = 1; cut < whole.size(); cut += 1 + cut / 3) {
    EXPECT_THAT(said(Format::Xz, ConstBytes(whole).first(whole.size() - cut)),
                HasSubstr("does not end as xz files do"))
        << cut;
  }
  ByteVector appended = joined({whole, ByteVector(1000, 7)});
  constexpr std::string_view kRight = "exact 300000, least 300000, by the index at its end";
  EXPECT_EQ(said(Format::Xz, appended, passing(1000)), kRight);
  EXPECT_THAT(said(Format::Xz, appended, passing(999)),
              HasSubstr("1000 bytes that are not xz follow the end"));
  EXPECT_THAT(said(Format::Xz, joined({whole, ByteVector(1000, 7), ByteVector(99)}), passing(1000)),
              HasSubstr("1099 bytes that are not xz"));
  EXPECT_EQ(said(Format::Xz, joined({whole, ByteVector(100'000)})), kRight);
  // Without checksums, nothing may follow.
  ByteVector unchecked =
      joined({xz(sample(300'000), {LZMA_CHECK_NONE, 65536}), ByteVector(1000, 7)});
  EXPECT_THAT(said(Format::Xz, unchecked, passing(1_MiB)), HasSubstr("1000 bytes"));
  EXPECT_EQ(said(Format::Xz, unchecked, passing(1_MiB, 1_MiB)), kRight);
  // The search goes on over pieces, as far as anything may follow.
  for (size_t after : {size_t{4_MiB} - 70'000, size_t{4_MiB} - 6, size_t{70_MiB}}) {
    ByteVector far = joined({whole, ByteVector(after, 7)});
    EXPECT_THAT(said(Format::Xz, far, passing(1_MiB)), HasSubstr("does not end as xz files do"));
    EXPECT_EQ(said(Format::Xz, far, passing(UINT64_MAX, UINT64_MAX)), kRight) << after;
  }
  // What is cut off is refused, however much might follow.
  EXPECT_THAT(
      said(Format::Xz, ConstBytes(whole).first(whole.size() - 8), passing(UINT64_MAX, UINT64_MAX)),
      HasSubstr("does not end as xz files do"));
  // The footer is good, what it leads to is not.
  ByteVector damaged = whole;
  damaged[whole.size() - 20] ^= 1;
  EXPECT_THAT(said(Format::Xz, damaged), HasSubstr("index at its end is damaged"));
}

// As zstd's contrib/seekable_format/zstd_seekable_compression_format.md has it.
ByteVector seekable(const std::vector<ByteVector>& parts, bool checksums) {
  ByteWriter out;
  ByteWriter table;
  for (const ByteVector& part : parts) {
    ByteVector frame = zstd(part);
    out.append(frame);
    table.le32(static_cast<uint32_t>(frame.size()));
    table.le32(static_cast<uint32_t>(part.size()));
    if (checksums) table.le32(0);
  }
  out.le32(0x184d2a5e);
  out.le32(static_cast<uint32_t>(table.size() + 9));
  out.append(table.bytes());
  out.le32(static_cast<uint32_t>(parts.size()));
  out.u8(checksums ? 0x80 : 0);
  out.le32(0x8f92eab1);
  return std::move(out).bytes();
}

// As a server's: not to be read in thousands of places.
class RemoteSource : public RandomSource {
 public:
  explicit RemoteSource(ConstBytes bytes) : memory_(bytes) {}
  uint64_t size() const override { return memory_.size(); }
  Result<void> read_at(uint64_t offset, MutableBytes into) override {
    return memory_.read_at(offset, into);
  }

 private:
  MemoryRandomSource memory_;
};

TEST(Ending, ZstdFromFrameToFrame) {
  constexpr std::string_view kBy = "by the heads of its frames";
  ByteVector two = joined({skippable(9), zstd(sample(300'000)), skippable(0, 0x5f),
                           zstd(ByteVector(1'000'000, 7), {false, true, 0})});
  EXPECT_EQ(said(Format::Zstd, two), concat("exact 1300000, least 1300000, ", kBy));
  ByteVector followed = joined({two, ByteVector(100, 9)});
  // One of the frames has no checksum.
  EXPECT_EQ(said(Format::Zstd, followed, passing(100, 100)),
            concat("exact 1300000, least 1300000, ", kBy));
  EXPECT_THAT(said(Format::Zstd, followed, passing(100, 99)),
              HasSubstr("100 bytes that are not zstd follow"));
  EXPECT_EQ(said(Format::Zstd, joined({two, ByteVector(100'000)})),
            concat("exact 1300000, least 1300000, ", kBy));
  EXPECT_EQ(said(Format::Zstd, joined({two, zstd(sample(1000), {true, false, 0})})), "by ");
  for (size_t cut = 1; cut < two.size() - 9; cut += 1 + cut / 3) {
    std::string text = said(Format::Zstd, ConstBytes(two).first(two.size() - cut));
    // Between two frames it may be a whole file.
    EXPECT_TRUE(text.find("cut off") != std::string::npos ||
                text == concat("exact 300000, least 300000, ", kBy))
        << cut << text;
  }
}

TEST(Ending, ZstdWithASeekTable) {
  auto said = [](Format format, ConstBytes bytes) {
    RemoteSource source(bytes);
    Ending ending = read_ending(format, source, kInline).value();
    return concat(ending.least_size ? concat("least ", *ending.least_size, ", ") : "", "by ",
                  ending.known_by);
  };
  for (bool checksums : {false, true}) {
    ByteVector file = seekable({sample(100'000), sample(50'000)}, checksums);
    EXPECT_EQ(said(Format::Zstd, file), "least 150000, by the seek table at its end");
    EXPECT_EQ(said(Format::Zstd, ConstBytes(file).first(file.size() - 1)), "by ");
    EXPECT_EQ(said(Format::Zstd, joined({zstd(sample(10)), file})), "by ");  // of another file
  }
  EXPECT_EQ(said(Format::Zstd, zstd(sample(1000))), "by ");
}

TEST(Ending, Zip) {
  ByteVector image = as_disk(disk_sample(2'000'000));
  ByteVector text = as_vector("Write disk.img to a card.\n");
  EXPECT_EQ(said(Format::Zip, zip({{"disk.img", image}})),
            "exact 2000000, least 2000000, member disk.img, by the zip archive's directory");
  ByteVector several = zip(
      {{"README", text}, {"a/disk.img", image, 8, 8}, {"disk.img.sig", sample(566)}}, "a comment");
  EXPECT_EQ(said(Format::Zip, several),
            "exact 2000000, least 2000000, member a/disk.img, by the zip archive's directory");
  EXPECT_EQ(said(Format::Zip, zip({{"stored.img", image, 0}, {"README", text}})),
            "exact 2000000, least 2000000, member stored.img, by the zip archive's directory");
  EXPECT_EQ(said(Format::Zip, zip({{"README", text}})), "by ");
  ByteVector two = zip({{"one.img", image}, {"two.img", image, 0}});
  EXPECT_THAT(said(Format::Zip, two),
              HasSubstr("several disk images, \"one.img\" and \"two.img\""));
  DecodeLimits limits = kInline;
  limits.member = "two.img";
  EXPECT_EQ(said(Format::Zip, two, limits),
            "exact 2000000, least 2000000, member two.img, by the zip archive's directory");
  EXPECT_THAT(said(Format::Zip, ConstBytes(two).first(two.size() - 30)),
              HasSubstr("no directory at its end"));
}

TEST(Ending, ZipBesideOtherFiles) {
  constexpr std::string_view kRight =
      "exact 2000000, least 2000000, member disk.img, by the zip archive's directory";
  ByteVector image = as_disk(disk_sample(2'000'000));
  ByteVector unknown = sample(300'000, 5);
  ByteVector archive = zip({{"loader.bin", unknown}, {"disk.img", image}});
  EXPECT_EQ(said(Format::Zip, archive), kRight);
  DecodeLimits any = kInline;
  any.any_content = true;
  EXPECT_THAT(said(Format::Zip, archive, any), HasSubstr("several disk images"));
  EXPECT_EQ(said(Format::Zip, zip({{"loader.bin", unknown}})), "by ");
  // By its name alone, where one has that name without folders.
  DecodeLimits named = kInline;
  named.member = "disk.img";
  EXPECT_EQ(said(Format::Zip, zip({{"old/disk.img", unknown}, {"disk.img", image}}), named),
            kRight);
  EXPECT_THAT(said(Format::Zip, zip({{"a/disk.img", unknown}, {"b/disk.img", image}}), named),
              HasSubstr("several disk images"));
  // What cannot be decoded beside the image does not have to be.
  EXPECT_THAT(said(Format::Zip, zip({{"disk.img", image}, {"secret", unknown, 8, 1}})),
              HasSubstr("exact 2000000"));
  EXPECT_THAT(said(Format::Zip, zip({{"disk.img", image}, {"notes", unknown, 12}})),
              HasSubstr("exact 2000000"));
}

TEST(Ending, BytesAfterAZip) {
  constexpr std::string_view kRight =
      "exact 2000000, least 2000000, member disk.img, by the zip archive's directory";
  ByteVector archive = zip({{"disk.img", as_disk(disk_sample(2'000'000))}});
  for (size_t zeros : {1u, 21u, 22u, 23u, 70'000u, 1'000'000u}) {
    EXPECT_EQ(said(Format::Zip, joined({archive, ByteVector(zeros)})), kRight) << zeros;
  }
  ByteVector signature = joined({archive, ByteVector(300, 7)});
  EXPECT_EQ(said(Format::Zip, signature, passing(300)), kRight);
  EXPECT_THAT(said(Format::Zip, signature, passing(299)),
              HasSubstr("300 bytes that are not zip follow"));
}

ByteVector with_vhd_footer(ByteVector disk, uint64_t size, uint32_t type) {
  ByteWriter out;
  out.append("conectix");
  out.zeros(40);
  out.be64(size);
  out.zeros(4);
  out.be32(type);
  out.zeros(4);
  out.zeros(512 - out.size());
  ByteVector footer = std::move(out).bytes();
  uint32_t sum = 0;
  for (uint8_t byte : footer) sum += byte;
  for (unsigned i = 0; i < 4; ++i) footer[64 + i] = static_cast<uint8_t>(~sum >> (24 - 8 * i));
  return joined({disk, footer});
}

TEST(Ending, Raw) {
  ByteVector disk = as_disk(sample(4096));
  EXPECT_EQ(said(Format::Raw, disk), "exact 4096, least 4096, by the file's length");
  EXPECT_EQ(said(Format::Raw, ConstBytes(disk).first(100)),
            "exact 100, least 100, by the file's length");
  EXPECT_EQ(said(Format::Raw, with_vhd_footer(disk, 4096, 2)),
            "exact 4096, least 4096, by the file's length");
  EXPECT_THAT(said(Format::Raw, with_vhd_footer(disk, 8192, 2)), HasSubstr("VHD footer"));
  EXPECT_THAT(said(Format::Raw, with_vhd_footer(disk, 4096, 3)), HasSubstr("not of fixed size"));
  ByteVector apple = joined({disk, ByteVector(512)});
  std::copy_n("koly", 4, apple.end() - 512);
  EXPECT_THAT(said(Format::Raw, apple), HasSubstr("Apple disk image"));
}

TEST(Ending, FormatsThatSayNothing) {
  for (Format format : {Format::Bzip2, Format::Lz4, Format::Qcow2}) {
    EXPECT_FALSE(has_ending(format));
    EXPECT_EQ(said(format, sample(100)), "by ");
  }
}

// A server that fails at the end says nothing of the image.
TEST(Ending, WhatCannotBeReadIsNoFaultOfTheFile) {
  class Broken : public RandomSource {
   public:
    uint64_t size() const override { return 1_MiB; }
    Result<void> read_at(uint64_t, MutableBytes) override { return Error("connection refused"); }
  } file;
  for (Format format : {Format::Raw, Format::Gzip, Format::Xz, Format::Zstd, Format::Zip}) {
    Result<Ending> ending = read_ending(format, file, kInline);
    ASSERT_FALSE(ending.ok());
    EXPECT_EQ(ending.error().code(), kUnreadable);
    EXPECT_THAT(ending.error().message(), HasSubstr("connection refused"));
  }
}

}  // namespace
}  // namespace curlingiron
