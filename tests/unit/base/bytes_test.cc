#include "base/bytes.h"

#include <gtest/gtest.h>

namespace curlingiron {
namespace {

TEST(ByteReader, ReadsFieldsInBothOrders) {
  ByteVector bytes(40);
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(0x80 + i);
  ByteReader in(bytes);
  EXPECT_EQ(in.u8().value(), 0x80);
  EXPECT_EQ(in.be16().value(), 0x8182);
  EXPECT_EQ(in.le16().value(), 0x8483);
  EXPECT_EQ(in.be32().value(), 0x85868788u);
  EXPECT_EQ(in.le32().value(), 0x8c8b8a89u);
  EXPECT_EQ(in.be64().value(), 0x8d8e8f9091929394u);
  EXPECT_EQ(in.le64().value(), 0x9c9b9a9998979695u);
  EXPECT_EQ(in.position(), 29u);
  EXPECT_EQ(in.take(3).value()[0], 0x9d);
  EXPECT_TRUE(in.skip(7).ok());
  EXPECT_FALSE(in.at_end());
  EXPECT_EQ(in.rest().size(), 1u);
}

TEST(ByteReader, NothingIsReadPastTheEnd) {
  ByteVector bytes(8, 1);
  for (size_t size = 0; size < 8; ++size) {
    ByteReader in(ConstBytes(bytes).first(size));
    EXPECT_FALSE(in.be64().ok());
    EXPECT_FALSE(in.le64().ok());
    EXPECT_FALSE(in.take(size + 1).ok());
    EXPECT_FALSE(in.skip(SIZE_MAX).ok());
    EXPECT_EQ(in.position(), 0u) << "a failed read consumes nothing";
    EXPECT_EQ(in.take(size).value().size(), size);
    EXPECT_TRUE(in.at_end());
    EXPECT_FALSE(in.u8().ok());
    EXPECT_TRUE(in.take(0).ok());
  }
}

TEST(ByteWriter, IsTheReadersMirror) {
  ByteWriter out;
  out.u8(1);
  out.be16(0x0203);
  out.be32(0x04050607);
  out.be64(0x08090a0b0c0d0e0f);
  out.le16(0x0203);
  out.le32(0x04050607);
  out.le64(0x08090a0b0c0d0e0f);
  out.append("text");
  out.zeros(3);
  ByteReader in(out.bytes());
  EXPECT_EQ(in.u8().value(), 1);
  EXPECT_EQ(in.be16().value(), 0x0203);
  EXPECT_EQ(in.be32().value(), 0x04050607u);
  EXPECT_EQ(in.be64().value(), 0x08090a0b0c0d0e0fu);
  EXPECT_EQ(in.le16().value(), 0x0203);
  EXPECT_EQ(in.le32().value(), 0x04050607u);
  EXPECT_EQ(in.le64().value(), 0x08090a0b0c0d0e0fu);
  EXPECT_EQ(as_text(in.take(4).value()), "text");
  EXPECT_TRUE(all_zero(in.rest()));
  EXPECT_EQ(out.size(), 1 + 2 * 14 + 4 + 3u);
}

TEST(AllZero, FindsTheOneByteWhereverItIs) {
  EXPECT_TRUE(all_zero({}));
  for (size_t size : std::initializer_list<size_t>{1, 7, 15, 16, 17, 31, 32, 33, 64, 1000}) {
    ByteVector bytes(size);
    EXPECT_TRUE(all_zero(bytes));
    for (size_t at = 0; at < size; ++at) {
      bytes[at] = 0x80;
      EXPECT_FALSE(all_zero(bytes)) << size << " " << at;
      bytes[at] = 0;
    }
  }
}

TEST(Hex, RoundTripAndErrors) {
  ByteVector all(256);
  for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<uint8_t>(i);
  EXPECT_EQ(from_hex(to_hex(all)).value(), all);
  EXPECT_EQ(to_hex(ByteVector{0x00, 0xab, 0xff}), "00abff");
  EXPECT_EQ(from_hex("aBCd").value(), (ByteVector{0xab, 0xcd}));
  EXPECT_TRUE(from_hex("").value().empty());
  for (const char* wrong : {"a", "abc", "0g", "g0", " 0", "0x"}) EXPECT_FALSE(from_hex(wrong).ok());
}

TEST(Has, AtAnOffsetAndNotPastTheEnd) {
  ConstBytes bytes = as_bytes("abcdef");
  EXPECT_TRUE(has(bytes, 0, "abc"));
  EXPECT_TRUE(has(bytes, 3, "def"));
  EXPECT_TRUE(has(bytes, 3, as_bytes("de")));
  EXPECT_FALSE(has(bytes, 1, "abc"));
  EXPECT_FALSE(has(bytes, 4, "efg"));
  EXPECT_FALSE(has(bytes, 7, ""));
  EXPECT_TRUE(has(bytes, 6, ""));
  EXPECT_FALSE(has({}, 0, "a"));
}

}  // namespace
}  // namespace curlingiron
