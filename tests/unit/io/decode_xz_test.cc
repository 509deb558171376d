#include <gmock/gmock.h>

#include "base/text.h"
#include "formats/gpt.h"
#include "unit/io/decoding.h"

namespace curlingiron {
namespace {

using ::testing::HasSubstr;

TEST(Xz, BlocksStreamsAndChecks) {
  ByteVector plain = disk_sample(700'000);
  for (lzma_check check :
       {LZMA_CHECK_NONE, LZMA_CHECK_CRC32, LZMA_CHECK_CRC64, LZMA_CHECK_SHA256}) {
    ByteVector compressed = joined({xz(plain, {check, 100'000}), ByteVector(8, 0),
                                    xz(plain, {check, 0}), xz({}), xz(plain, {check, 300'000})});
    ByteVector expected = joined({plain, plain, plain});
    for (unsigned threads : {1u, 4u}) {
      ASSERT_TRUE(decode(Format::Xz, compressed, 10'007, 65536, {1_GiB, threads}).value() ==
                  expected)
          << threads;
    }
  }
}

TEST(Xz, PaddingComesInFours) {
  ByteVector compressed = xz(sample(1000));
  for (size_t zeros = 0; zeros < 13; ++zeros) {
    ByteVector padded = joined({compressed, ByteVector(zeros, 0)});
    // At the end there may be any number: a sector's rest, a tape's block.
    EXPECT_TRUE(decode(Format::Xz, padded).ok()) << zeros;
    EXPECT_TRUE(decode(Format::Xz, padded, 1, 100, kThreads).ok()) << zeros;
    EXPECT_EQ(decode(Format::Xz, joined({padded, compressed})).ok(), zeros % 4 == 0) << zeros;
  }
}

TEST(Xz, AnUnknownCheckIsAnError) {
  ByteVector compressed = xz(sample(1000));
  compressed[7] = 0x0d;  // reserved
  uint32_t crc = crc32(ConstBytes(compressed).subspan(6, 2));
  for (size_t i = 0; i < 4; ++i) compressed[8 + i] = static_cast<uint8_t>(crc >> (8 * i));
  for (DecodeLimits limits : {kInline, kThreads}) {
    EXPECT_THAT(decode_error(Format::Xz, compressed, limits), HasSubstr("kind of checksum"));
  }
}

TEST(Xz, FitsInTheMemoryThatThereIs) {
  ByteVector plain = disk_sample(3'000'000);
  ByteVector compressed = xz(plain, {LZMA_CHECK_CRC64, 500'000, 6});  // a window of 8 MiB
  // Enough for all, for one thread, and for none.
  for (uint64_t memory : {512_MiB, 48_MiB + 80_MiB, 48_MiB + 10_MiB}) {
    EXPECT_TRUE(decode(Format::Xz, compressed, 65536, 65536, {memory, 4}).value() == plain)
        << memory;
  }
  for (unsigned threads : {1u, 4u}) {
    for (uint64_t memory : {48_MiB + 4_MiB, uint64_t{0}}) {
      Result<ByteVector> result = decode(Format::Xz, compressed, 65536, 65536, {memory, threads});
      ASSERT_FALSE(result.ok());
      EXPECT_EQ(result.error().code(), ENOMEM);
      EXPECT_THAT(result.error().message(), HasSubstr("needs 8."));
    }
  }
}

TEST(Zstd, AWindowThatDoesNotFitIsRefusedAtTheHead) {
  ByteVector compressed = zstd(ByteVector(200'000, 'x'), {true, false, 27});
  EXPECT_TRUE(decode(Format::Zstd, compressed, 1 << 20, 65536, {48_MiB + 128_MiB, 1}).ok());
  Result<ByteVector> result =
      decode(Format::Zstd, compressed, 1 << 20, 65536, {48_MiB + 127_MiB, 1});
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code(), ENOMEM);
  EXPECT_THAT(result.error().message(), HasSubstr("64.0 MiB"));
}

}  // namespace
}  // namespace curlingiron
