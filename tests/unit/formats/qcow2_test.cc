#include "formats/qcow2.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.h"

namespace curlingiron {
namespace {

using Kind = Qcow2Extent::Kind;
using testing::HasSubstr;

constexpr uint64_t kCopied = uint64_t{1} << 63;
constexpr uint64_t kPacked = uint64_t{1} << 62;

// A header's fields, valid unless a test says otherwise.
struct Fields {
  uint32_t magic = 0x514649fb;
  uint32_t version = 3;
  uint64_t backing_offset = 0;
  uint32_t backing_size = 0;
  uint32_t cluster_bits = 16;
  uint64_t virtual_size = 10_GiB;
  uint32_t crypt_method = 0;
  uint32_t l1_entries = 20;
  uint64_t l1_offset = 0x30000;
  uint64_t incompatible = 0;
  uint32_t refcount_order = 4;
  uint32_t header_length = 112;
  uint8_t compression = 0;
  ByteVector extensions = {};

  ByteVector bytes() const {
    ByteWriter out;
    out.be32(magic);
    out.be32(version);
    out.be64(backing_offset);
    out.be32(backing_size);
    out.be32(cluster_bits);
    out.be64(virtual_size);
    out.be32(crypt_method);
    out.be32(l1_entries);
    out.be64(l1_offset);
    out.be64(0x10000);
    out.be32(1);
    out.be32(0);
    out.be64(0);
    if (version >= 3) {
      out.be64(incompatible);
      out.be64(0);
      out.be64(0);
      out.be32(refcount_order);
      out.be32(header_length);
      if (header_length > 104) {
        out.u8(compression);
        out.zeros(7);
      }
    }
    out.append(extensions);
    out.zeros(64);
    return std::move(out).bytes();
  }
  Result<Qcow2Header> parse(uint64_t file_size = 1_GiB) const {
    return parse_qcow2_header(bytes(), file_size);
  }
};

std::string refusal(const Fields& fields, uint64_t file_size = 1_GiB) {
  Result<Qcow2Header> header = fields.parse(file_size);
  return header.ok() ? "not refused" : header.error().message();
}

TEST(Qcow2Header, TellsWhatAReaderNeeds) {
  Fields fields;
  Qcow2Header header = fields.parse().value();
  EXPECT_EQ(header.version, 3u);
  EXPECT_EQ(header.virtual_size, 10_GiB);
  EXPECT_EQ(header.l1_offset, 0x30000u);
  EXPECT_EQ(header.l1_entries, 20u);
  EXPECT_EQ(header.l2_coverage(), 512_MiB);
  EXPECT_EQ(header.compression, Qcow2Compression::Zlib);
  EXPECT_FALSE(header.extended_l2);

  fields.incompatible = 1 << 3 | 1 << 4 | 1;  // dirty, too: only the refcounts are
  fields.compression = 1;
  fields.l1_entries = 40;
  header = fields.parse().value();
  EXPECT_EQ(header.compression, Qcow2Compression::Zstd);
  EXPECT_TRUE(header.extended_l2);
  EXPECT_EQ(header.l2_coverage(), 256_MiB);

  fields = {};
  fields.version = 2;
  EXPECT_TRUE(fields.parse().ok());
}

TEST(Qcow2Header, CountsOnlyTheEntriesTheDiskNeeds) {
  Fields fields;
  fields.l1_entries = 1000;
  EXPECT_EQ(fields.parse().value().l1_entries, 20u);
  fields.virtual_size += 1;
  EXPECT_EQ(fields.parse().value().l1_entries, 21u);
  fields.virtual_size = 0;
  EXPECT_EQ(fields.parse().value().l1_entries, 0u);
}

TEST(Qcow2Header, IsWholeOrTruncated) {
  ByteVector bytes = Fields{}.bytes();
  for (size_t length = 0; length < 112; ++length) {
    Result<Qcow2Header> header = parse_qcow2_header(ConstBytes(bytes).first(length), length);
    ASSERT_FALSE(header.ok());
    EXPECT_THAT(header.error().message(), HasSubstr("truncated")) << length;
  }
}

TEST(Qcow2Header, OtherFilesAndVersions) {
  EXPECT_THAT(refusal({.magic = 0x514649fa}), HasSubstr("not a qcow2 image"));
  EXPECT_THAT(refusal({.version = 1}), HasSubstr("version 1"));
  EXPECT_THAT(refusal({.version = 4}), HasSubstr("version 4"));
  EXPECT_THAT(refusal({.cluster_bits = 8}), HasSubstr("2^8"));
  EXPECT_THAT(refusal({.cluster_bits = 22}), HasSubstr("2^22"));
  EXPECT_THAT(refusal({.cluster_bits = 0xffffffff}), HasSubstr("2^4294967295"));
  EXPECT_THAT(refusal({.refcount_order = 7}), HasSubstr("refcount order 7"));
  EXPECT_THAT(refusal({.header_length = 96}), HasSubstr("length 96"));
  EXPECT_THAT(refusal({.header_length = 108}), HasSubstr("length 108"));
}

TEST(Qcow2Header, ABackingFileIsNamed) {
  Fields fields;
  fields.extensions = ByteVector(16, 0);
  std::string name = "base\x1b[31m.qcow2";
  for (char c : name) fields.extensions.push_back(static_cast<uint8_t>(c));
  fields.backing_offset = 112 + 16;
  fields.backing_size = static_cast<uint32_t>(name.size());
  EXPECT_THAT(refusal(fields), HasSubstr("backing file \"base?[31m.qcow2\"; make an image that "
                                         "stands alone with \"qemu-img convert"));
  fields.version = 2;
  EXPECT_THAT(refusal(fields), HasSubstr("backing file"));
  // A name that is not there is no reason to read past anything.
  for (uint64_t offset : {uint64_t{1}, uint64_t{300}, UINT64_MAX}) {
    fields.backing_offset = offset;
    fields.backing_size = UINT32_MAX;
    EXPECT_THAT(refusal(fields), HasSubstr("backing file;")) << offset;
  }
}

TEST(Qcow2Header, WhatCannotBeReadIsRefusedByName) {
  EXPECT_THAT(refusal({.crypt_method = 1}), HasSubstr("encrypted (AES)"));
  EXPECT_THAT(refusal({.crypt_method = 2}), HasSubstr("encrypted (LUKS)"));
  EXPECT_THAT(refusal({.crypt_method = 3}), HasSubstr("encrypted (method 3)"));
  EXPECT_THAT(refusal({.incompatible = 1 << 1}), HasSubstr("marked corrupt"));
  EXPECT_THAT(refusal({.incompatible = 1 << 2}), HasSubstr("external file;"));
  EXPECT_THAT(refusal({.incompatible = 1 << 5}), HasSubstr("bit 5;"));
  EXPECT_THAT(refusal({.incompatible = kCopied}), HasSubstr("bit 63;"));
  EXPECT_THAT(refusal({.incompatible = 1 << 3, .compression = 2}), HasSubstr("type 2"));
  EXPECT_THAT(refusal({.incompatible = 1 << 3, .compression = 0}), HasSubstr("contradicts"));
  EXPECT_THAT(refusal({.incompatible = 0, .compression = 1}), HasSubstr("contradicts"));
  EXPECT_THAT(refusal({.incompatible = 1 << 3, .header_length = 104}), HasSubstr("contradicts"));
  EXPECT_THAT(refusal({.cluster_bits = 13, .l1_entries = 1 << 20, .incompatible = 1 << 4}),
              HasSubstr("subclusters in clusters of 8192"));
}

TEST(Qcow2Header, ExtensionsGiveNames) {
  ByteWriter names;
  names.be32(0x12345678);  // unknown: skipped, with its padding
  names.be32(3);
  names.append("abc");
  names.zeros(5);
  names.be32(0x6803f857);
  names.be32(48);
  names.u8(0);
  names.u8(7);
  names.append("flying clusters");
  names.zeros(46 - 15);
  names.be32(0x44415441);
  names.be32(8);
  names.append("data.raw");
  names.be64(0);
  Fields fields{.incompatible = 1 << 7, .extensions = names.bytes()};
  EXPECT_THAT(refusal(fields), HasSubstr("bit 7 \"flying clusters\""));
  fields.incompatible = 1 << 2;
  EXPECT_THAT(refusal(fields), HasSubstr("external file \"data.raw\""));
  // Damaged extensions hide the names, not the reason.
  fields.extensions[4] = 0xff;
  EXPECT_THAT(refusal(fields), HasSubstr("external file;"));
}

TEST(Qcow2Header, TheFirstTableIsWithinBounds) {
  EXPECT_THAT(refusal({.l1_entries = 19}), HasSubstr("needs 20"));
  EXPECT_THAT(refusal({.l1_entries = (32 << 20) / 8 + 1}), HasSubstr("not supported"));
  EXPECT_THAT(refusal({.cluster_bits = 9, .virtual_size = 129_GiB, .l1_entries = 1}),
              HasSubstr("not supported"));
  EXPECT_THAT(refusal({.virtual_size = UINT64_MAX}), HasSubstr("18446744073709551615 bytes"));
  EXPECT_THAT(refusal({.l1_offset = 0}), HasSubstr("no cluster of its own"));
  EXPECT_THAT(refusal({.l1_offset = 0x30200}), HasSubstr("no cluster of its own"));
  EXPECT_THAT(refusal({}, 0x30000 + 159), HasSubstr("truncated"));
  EXPECT_EQ(refusal({}, 0x30000 + 160), "not refused");
  EXPECT_THAT(refusal({.l1_offset = ~uint64_t{0xffff}}), HasSubstr("truncated"));
}

class Qcow2Entries : public testing::Test {
 protected:
  Qcow2Header header(Fields fields = {}) { return fields.parse(1_GiB).value(); }
  std::string damage(const Qcow2Header& h, uint64_t entry, uint64_t bitmap = 0,
                     uint64_t guest = 0x50000) {
    Result<Qcow2Extent> extent = map_qcow2_entry(h, entry, bitmap, guest);
    return extent.ok() ? "valid" : extent.error().message();
  }
};

TEST_F(Qcow2Entries, FirstTable) {
  Qcow2Header h = header();
  EXPECT_EQ(parse_qcow2_l1_entry(h, 0).value(), 0u);
  EXPECT_EQ(parse_qcow2_l1_entry(h, 0x40000).value(), 0x40000u);
  EXPECT_EQ(parse_qcow2_l1_entry(h, kCopied | 0x40000).value(), 0x40000u);
  EXPECT_EQ(parse_qcow2_l1_entry(h, 1_GiB - 0x10000).value(), 1_GiB - 0x10000);
  EXPECT_FALSE(parse_qcow2_l1_entry(h, 1_GiB).ok());
  EXPECT_FALSE(parse_qcow2_l1_entry(h, 0x48000).ok());
  EXPECT_FALSE(parse_qcow2_l1_entry(h, 0x40001).ok());
  EXPECT_FALSE(parse_qcow2_l1_entry(h, 0x40100).ok());
  EXPECT_FALSE(parse_qcow2_l1_entry(h, kPacked | 0x40000).ok());
  EXPECT_FALSE(parse_qcow2_l1_entry(h, uint64_t{1} << 56 | 0x40000).ok());
}

TEST_F(Qcow2Entries, PlainClusters) {
  Qcow2Header h = header();
  Qcow2Extent extent = map_qcow2_entry(h, kCopied | 0x70000, 0, 0x50000).value();
  EXPECT_EQ(extent.kind, Kind::Plain);
  EXPECT_EQ(extent.host, 0x70000u);
  EXPECT_EQ(extent.length, 0x10000u);
  extent = map_qcow2_entry(h, 0x70000, 0, 0x51234).value();
  EXPECT_EQ(extent.host, 0x71234u);
  EXPECT_EQ(extent.length, 0x10000u - 0x1234);
  EXPECT_EQ(map_qcow2_entry(h, 0, 0, 0x51234).value().kind, Kind::Zeros);
  EXPECT_EQ(map_qcow2_entry(h, 0, 0, 0x51234).value().length, 0x10000u - 0x1234);
  EXPECT_EQ(map_qcow2_entry(h, 1, 0, 0x50000).value().kind, Kind::Zeros);
  EXPECT_EQ(map_qcow2_entry(h, kCopied | 0x70001, 0, 0x50000).value().kind, Kind::Zeros);
}

TEST_F(Qcow2Entries, TheDiskMayEndWithinACluster) {
  Qcow2Header h = header({.virtual_size = 0x50000 + 1000});
  Qcow2Extent extent = map_qcow2_entry(h, 0x70000, 0, 0x50000).value();
  EXPECT_EQ(extent.length, 1000u);
  // Only what the disk needs must be in the file.
  h.file_size = 0x70000 + 1000;
  EXPECT_EQ(damage(h, 0x70000), "valid");
  h.file_size -= 1;
  EXPECT_THAT(damage(h, 0x70000), HasSubstr("truncated"));
}

TEST_F(Qcow2Entries, DamageIsNamedByItsOffset) {
  Qcow2Header h = header();
  EXPECT_THAT(damage(h, 0x70200), HasSubstr("disk offset 327680: "));
  EXPECT_THAT(damage(h, 0x70200, 0, 0x5ffff), HasSubstr("disk offset 327680: "));
  EXPECT_THAT(damage(h, 0x70200), HasSubstr("no cluster starts at"));
  for (unsigned bit : {1u, 8u, 56u, 61u}) {
    EXPECT_THAT(damage(h, uint64_t{1} << bit | 0x70000), HasSubstr("reserved")) << bit;
    EXPECT_THAT(damage(h, uint64_t{1} << bit), HasSubstr("reserved")) << bit;
  }
  EXPECT_THAT(damage(h, kCopied), HasSubstr("reserved"));
  EXPECT_THAT(damage(header({.version = 2}), 1), HasSubstr("reserved"));
  EXPECT_THAT(damage(h, 0x30000), HasSubstr("own tables"));
  EXPECT_THAT(damage(h, 1_GiB), HasSubstr("byte 1073741824 of a file that ends at byte"));
  EXPECT_EQ(damage(h, 1_GiB - 0x10000), "valid");
  EXPECT_THAT(damage(h, 0x00ff'ffff'ffff'0000), HasSubstr("ends at byte"));
}

TEST_F(Qcow2Entries, CompressedClusters) {
  Qcow2Header h = header();
  // 64 KiB: the sector count has 8 bits, from bit 54 on.
  auto entry = [](uint64_t host, uint64_t sectors) { return kPacked | (sectors - 1) << 54 | host; };
  Qcow2Extent extent = map_qcow2_entry(h, entry(0x70123, 3), 0, 0x50000).value();
  EXPECT_EQ(extent.kind, Kind::Packed);
  EXPECT_EQ(extent.host, 0x70123u);
  EXPECT_EQ(extent.packed_size, 3 * 512u - 0x123);
  EXPECT_EQ(extent.length, 0x10000u);
  extent = map_qcow2_entry(h, entry(0x70000, 256), 0, 0x50000).value();
  EXPECT_EQ(extent.packed_size, 256 * 512u);
  // The last sector may lie after the file's end; the first byte not.
  extent = map_qcow2_entry(h, entry(1_GiB - 100, 2), 0, 0x50000).value();
  EXPECT_EQ(extent.packed_size, 100u);
  EXPECT_THAT(damage(h, entry(1_GiB, 1)), HasSubstr("truncated"));
  EXPECT_THAT(damage(h, entry(0x70000, 1) | kCopied), HasSubstr("reserved"));
  EXPECT_THAT(damage(h, entry(0, 1)), HasSubstr("own tables"));
  EXPECT_THAT(damage(h, entry(0x30010, 1)), HasSubstr("own tables"));

  // 512 bytes: one bit of sectors, and offset bits above 55, which are reserved.
  Qcow2Header small = header({.cluster_bits = 9, .virtual_size = 1_MiB, .l1_entries = 32});
  extent = map_qcow2_entry(small, kPacked | uint64_t{1} << 61 | 0x70123, 0, 0).value();
  EXPECT_EQ(extent.packed_size, 1024u - 0x123);
  EXPECT_THAT(damage(small, kPacked | uint64_t{1} << 56 | 0x70000), HasSubstr("reserved"));
  // 2 MiB: 13 bits of sectors.
  Qcow2Header large = header({.cluster_bits = 21, .l1_entries = 1, .l1_offset = 4_MiB});
  extent = map_qcow2_entry(large, kPacked | uint64_t{8191} << 49 | 6_MiB, 0, 0).value();
  EXPECT_EQ(extent.packed_size, 4_MiB);
}

TEST_F(Qcow2Entries, Subclusters) {
  Qcow2Header h = header({.l1_entries = 40, .incompatible = 1 << 4});
  uint64_t sub = 2048;
  // 0-1 data, 2 zeros, 3 unallocated, 4-31 data
  uint64_t bitmap = (0xffffffffu & ~0xcu) | uint64_t{1} << (32 + 2);
  Qcow2Extent extent = map_qcow2_entry(h, 0x70000, bitmap, 0x50000).value();
  EXPECT_EQ(extent.kind, Kind::Plain);
  EXPECT_EQ(extent.length, 2 * sub);
  extent = map_qcow2_entry(h, 0x70000, bitmap, 0x50000 + 2 * sub + 5).value();
  EXPECT_EQ(extent.kind, Kind::Zeros);
  EXPECT_EQ(extent.length, 2 * sub - 5);
  extent = map_qcow2_entry(h, 0x70000, bitmap, 0x50000 + 4 * sub).value();
  EXPECT_EQ(extent.kind, Kind::Plain);
  EXPECT_EQ(extent.host, 0x70000 + 4 * sub);
  EXPECT_EQ(extent.length, 28 * sub);
  EXPECT_EQ(map_qcow2_entry(h, 0, uint64_t{0xffffffff} << 32, 0x50000).value().length, 0x10000u);

  EXPECT_THAT(damage(h, 0x70000, 1 | uint64_t{1} << 32), HasSubstr("both data and zeros"));
  EXPECT_THAT(damage(h, 0, 1), HasSubstr("without a place"));
  EXPECT_THAT(damage(h, 0x70001, 1), HasSubstr("reserved"));
  EXPECT_THAT(damage(h, kPacked | 0x70000, 1), HasSubstr("reserved"));
  EXPECT_EQ(damage(h, kPacked | 0x70000, 0), "valid");
  // What is allocated must be in the file, whatever part is asked for.
  h.file_size = 0x70000 + 4 * sub;
  EXPECT_EQ(damage(h, 0x70000, 0xf), "valid");
  EXPECT_THAT(damage(h, 0x70000, 0x1f), HasSubstr("truncated"));
}

}  // namespace
}  // namespace curlingiron
