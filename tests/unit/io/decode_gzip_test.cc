#include <gmock/gmock.h>

#include "base/text.h"
#include "support/effort.h"
#include "unit/io/decoding.h"

namespace curlingiron {
namespace {

using ::testing::HasSubstr;

// ISA-L's inflate against what zlib makes in every way it knows.
TEST(Gzip, IsDecodedAsZlibMeantIt) {
  std::vector<ByteVector> plains = {{},
                                    {7},
                                    sample(1),
                                    sample(65'535),
                                    sample(65'536),
                                    disk_sample(700'000),
                                    random_bytes(200'000),
                                    ByteVector(3'000'000, 0),
                                    ByteVector(100'000, 'x')};
  // Matches at every distance, up to the window's end and across it.
  ByteVector far = random_bytes(40'000, 9);
  for (size_t distance : {size_t{1}, size_t{2}, size_t{100}, size_t{32'506}, size_t{32'768}}) {
    for (int i = 0; i < 300; ++i) far.push_back(far[far.size() - distance]);
  }
  plains.push_back(far);
  for (const ByteVector& plain : plains) {
    for (int level = 0; level <= 9; ++level) {
      // Stored, fast and lazy: the others are of these kinds.
      if (!is_thorough() && level != 0 && level != 1 && level != 6) continue;
      for (int strategy : {Z_DEFAULT_STRATEGY, Z_FILTERED, Z_HUFFMAN_ONLY, Z_RLE, Z_FIXED}) {
        if (strategy != Z_DEFAULT_STRATEGY && level != 1 && level != 6) continue;
        ByteVector compressed =
            deflate_with(plain, {level, strategy, MAX_WBITS + 16, 1 + level % 9});
        ASSERT_TRUE(decode(Format::Gzip, compressed, 1 << 20, 1 << 20).value() == plain);
        ASSERT_TRUE(decode(Format::Gzip, compressed, 1009, 4099).value() == plain)
            << level << " " << strategy << " " << plain.size();
      }
    }
  }
}

TEST(Gzip, SmallWindowsAndFlushes) {
  ByteVector plain = disk_sample(300'000);
  for (int bits = 9; bits <= 15; ++bits) {
    EXPECT_TRUE(decode(Format::Gzip, deflate_with(plain, {9, 0, bits + 16, 8})).value() == plain);
  }
  for (int flush : {Z_PARTIAL_FLUSH, Z_SYNC_FLUSH, Z_FULL_FLUSH, Z_BLOCK}) {
    z_stream stream{};
    ASSERT_EQ(deflateInit2(&stream, 6, Z_DEFLATED, MAX_WBITS + 16, 8, 0), Z_OK);
    ByteVector compressed(plain.size() * 2);
    stream.next_out = compressed.data();
    stream.avail_out = static_cast<uInt>(compressed.size());
    for (size_t at = 0; at < plain.size(); at += 777) {
      stream.next_in = plain.data() + at;
      stream.avail_in = static_cast<uInt>(std::min<size_t>(777, plain.size() - at));
      ASSERT_EQ(deflate(&stream, flush), Z_OK);
    }
    ASSERT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
    compressed.resize(stream.total_out);
    deflateEnd(&stream);
    EXPECT_TRUE(decode(Format::Gzip, compressed, 13).value() == plain);
  }
}

// A member with every field of RFC 1952, 2.3.
ByteVector with_all_fields(ConstBytes plain, size_t extra_length) {
  gz_header header{};
  ByteVector extra(extra_length, 0xee);
  std::string name(3000, 'n');
  std::string comment(5000, 'c');
  header.extra = extra.data();
  header.extra_len = static_cast<uInt>(extra.size());
  header.name = reinterpret_cast<Bytef*>(name.data());
  header.comment = reinterpret_cast<Bytef*>(comment.data());
  header.hcrc = 1;
  header.time = 0x12345678;
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, 6, Z_DEFLATED, MAX_WBITS + 16, 8, 0), Z_OK);
  EXPECT_EQ(deflateSetHeader(&stream, &header), Z_OK);
  ByteVector result(plain.size() * 2 + 100'000);
  stream.next_in = const_cast<Bytef*>(plain.data());
  stream.avail_in = static_cast<uInt>(plain.size());
  stream.next_out = result.data();
  stream.avail_out = static_cast<uInt>(result.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  result.resize(stream.total_out);
  deflateEnd(&stream);
  return result;
}

TEST(Gzip, HeaderFieldsArePassedOverAndChecked) {
  ByteVector plain = sample(1000);
  for (size_t extra : {size_t{0}, size_t{1}, size_t{65'535}}) {
    ByteVector compressed = with_all_fields(plain, extra);
    for (size_t drip : {size_t{1}, size_t{1000}, compressed.size()}) {
      EXPECT_EQ(decode(Format::Gzip, compressed, drip).value(), plain);
    }
    size_t header = 10 + (extra == 0 ? 0 : 2 + extra) + 3001 + 5001 + 2;
    for (size_t at : {size_t{4}, size_t{9}, header - 2, header - 1, header - 100}) {
      ByteVector damaged = compressed;
      damaged[at] ^= 1;
      EXPECT_THAT(decode_error(Format::Gzip, damaged), HasSubstr("header checksum")) << at;
    }
  }
}

TEST(Gzip, ChecksumAndLengthOfEachMemberAreChecked) {
  ByteVector first = gzip(sample(1000, 1));
  ByteVector second = gzip(sample(1000, 2));
  for (size_t member : std::initializer_list<size_t>{0, 1}) {
    for (size_t back = 1; back <= 8; ++back) {
      ByteVector compressed = joined({first, second});
      compressed[(member == 0 ? first.size() : compressed.size()) - back] ^= 0x10;
      EXPECT_THAT(decode_error(Format::Gzip, compressed),
                  HasSubstr(back <= 4 ? "a wrong length" : "a wrong checksum"));
    }
  }
}

TEST(Gzip, ReservedFlagsAndOtherMethodsAreErrors) {
  ByteVector compressed = gzip(sample(10));
  for (uint8_t flag : std::initializer_list<uint8_t>{0x20, 0x40, 0x80}) {
    ByteVector reserved = compressed;
    reserved[3] = flag;
    EXPECT_THAT(decode_error(Format::Gzip, reserved), HasSubstr("reserved"));
  }
  ByteVector method = joined({compressed, compressed});
  method[compressed.size() + 2] = 7;
  EXPECT_THAT(decode_error(Format::Gzip, method), HasSubstr("not deflate"));
}

TEST(Gzip, MessagesTellWhere) {
  ByteVector compressed = joined({gzip(sample(50'000)), {'x'}});
  EXPECT_THAT(decode_error(Format::Gzip, compressed),
              HasSubstr(concat("near compressed byte ", compressed.size() - 1)));
}

}  // namespace
}  // namespace curlingiron
