#include <gmock/gmock.h>

#include "unit/io/decoding.h"

namespace curlingiron {
namespace {

using ::testing::HasSubstr;

TEST(Lz4, EveryKindOfFrame) {
  for (LZ4F_blockSizeID_t block : {LZ4F_max64KB, LZ4F_max256KB, LZ4F_max1MB, LZ4F_max4MB}) {
    // More than one block.
    ByteVector plain = disk_sample(block == LZ4F_max4MB ? 5'000'000 : 1'300'000);
    for (int bits = 0; bits < 16; ++bits) {
      Lz4Options options{(bits & 1) != 0, (bits & 2) != 0, (bits & 4) != 0, (bits & 8) != 0, block};
      ByteVector compressed = lz4(plain, options);
      ASSERT_TRUE(decode(Format::Lz4, compressed, 10'007, 65536).value() == plain);
    }
  }
}

TEST(Lz4, FramesOfAllKindsInOneFile) {
  ByteVector a = sample(50'000, 1);
  ByteVector b = sample(70'000, 2);
  ByteVector compressed = joined({skippable(12), lz4(a), lz4_legacy(b), lz4({}),
                                  skippable(300'000, 0x5f), lz4_legacy(a), lz4_legacy(b)});
  for (size_t drip : {size_t{1}, compressed.size()}) {
    EXPECT_TRUE(decode(Format::Lz4, compressed, drip).value() == joined({a, b, a, b}));
  }
}

TEST(Lz4, AWrongContentSizeIsAnError) {
  ByteVector compressed = lz4(sample(1000), {.content_size = true});
  ByteVector without = lz4(sample(999), {.content_size = true});
  std::copy(compressed.begin(), compressed.begin() + 15, without.begin());
  EXPECT_THAT(decode_error(Format::Lz4, without), HasSubstr("damaged"));
}

TEST(Lz4, ADictionaryIsNamed) {
  ByteVector compressed = lz4(sample(1000));
  compressed[4] |= 1;
  EXPECT_THAT(decode_error(Format::Lz4, compressed), HasSubstr("dictionary"));
}

TEST(Lz4, LegacyBlocksOf8MiB) {
  ByteVector plain = disk_sample(20'000'000);
  EXPECT_TRUE(decode(Format::Lz4, lz4_legacy(plain), 65536).value() == plain);
  plain.resize(16_MiB);
  ByteVector compressed = lz4_legacy(plain);
  EXPECT_TRUE(decode(Format::Lz4, compressed, 65536).value() == plain);
  compressed.pop_back();
  EXPECT_THAT(decode_error(Format::Lz4, compressed), HasSubstr("ends too early"));
}

TEST(Lz4, LegacyBlocksBehindAShortOneAreGarbage) {
  ByteVector one = lz4_legacy(sample(1000));
  ByteVector again(one.begin() + 4, one.end());
  EXPECT_THAT(decode_error(Format::Lz4, joined({one, again})), HasSubstr("not lz4"));
  one[4] = 0xff;
  one[7] = 0x7f;
  EXPECT_THAT(decode_error(Format::Lz4, one), HasSubstr("block length"));
}

}  // namespace
}  // namespace curlingiron
