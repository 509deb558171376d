#include "payload/module_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "payload/compress.h"

namespace curlingiron {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

ByteVector sample(size_t size = 300'000) {
  std::mt19937 random(1);
  ByteVector bytes(size);
  for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<uint8_t>(i % 64 < 48 ? i : random());
  return bytes;
}

// Without the zeros that compress() ends with.
ByteVector packed(Compression compression) {
  ByteVector bytes = sample();
  ByteVector packed = compress(bytes, compression, Effort::Fast, Contents::Modules).value();
  while (compression != Compression::None && packed.back() == 0) packed.pop_back();
  return packed;
}

constexpr Compression kAll[] = {Compression::Xz, Compression::Zstd, Compression::Gzip,
                                Compression::None};

TEST(Compress, RoundTripsAndIsReproducible) {
  ByteVector plain = sample();
  for (Compression compression : kAll) {
    for (Effort effort : {Effort::Best, Effort::Fast}) {
      for (Contents contents : {Contents::Modules, Contents::X86Program}) {
        ByteVector once = compress(plain, compression, effort, contents).value();
        EXPECT_EQ(once.size() % 4, 0U);
        EXPECT_EQ(compress(plain, compression, effort, contents).value(), once);
        // gzip data ends with its length, which may end with a zero of its own.
        for (int padding = 0; padding < 4; ++padding) {
          Result<ByteVector> back = decompress_whole(once, plain.size());
          if (back.ok()) {
            EXPECT_EQ(back.value(), plain);
            break;
          }
          ASSERT_LT(padding, 3) << compression_name(compression) << back.error().message();
          ASSERT_EQ(once.back(), 0);
          once.pop_back();
        }
      }
    }
  }
}

// The filters of the first block, from its header (the .xz file format, 3.1): pairs of filter and
// first property byte.
std::vector<std::pair<int, int>> filters_of(ConstBytes xz) {
  size_t at = 12 + 1;  // after the stream header and the block header's size
  uint8_t flags = xz[at++];
  for (int bit : {0x40, 0x80}) {
    if ((flags & bit) == 0) continue;
    while ((xz[at] & 0x80) != 0) ++at;
    ++at;
  }
  std::vector<std::pair<int, int>> filters;
  for (int i = 0; i <= (flags & 3); ++i) {
    int id = xz[at++];
    int size = xz[at++];
    filters.emplace_back(id, size == 0 ? -1 : xz[at]);
    at += static_cast<size_t>(size);
  }
  return filters;
}

// The kernel's decoder (Documentation/staging/xz.rst): CRC32, at most 8 MiB of dictionary here.
TEST(Compress, XzIsWhatTheKernelTakes) {
  constexpr int kX86 = 0x04;
  constexpr int kLzma2 = 0x21;
  constexpr int k384KiB = 13;
  constexpr int k8MiB = 22;
  ByteVector xz = compress(sample(), Compression::Xz, Effort::Best, Contents::Modules).value();
  ASSERT_GT(xz.size(), 24U);
  EXPECT_EQ(xz[7], 1);  // stream flags: CRC32
  EXPECT_THAT(filters_of(xz), ElementsAre(Pair(kLzma2, k384KiB)));
  ByteVector program =
      compress(sample(), Compression::Xz, Effort::Best, Contents::X86Program).value();
  EXPECT_THAT(filters_of(program), ElementsAre(Pair(kX86, -1), Pair(kLzma2, k384KiB)));
  ByteVector zeros(20U << 20);
  ByteVector large = compress(zeros, Compression::Xz, Effort::Fast, Contents::Modules).value();
  EXPECT_THAT(filters_of(large), ElementsAre(Pair(kLzma2, k8MiB)));
}

TEST(Compress, Names) {
  for (Compression compression : kAll) {
    EXPECT_EQ(parse_compression(compression_name(compression)).value(), compression);
  }
  EXPECT_THAT(parse_compression("lzma").error().message(), HasSubstr("xz, zstd, gzip or none"));
  EXPECT_EQ(kernel_option(Compression::Zstd), "RD_ZSTD");
}

TEST(Decompress, EveryKindOfDamageIsAnError) {
  ByteVector plain = sample();
  for (Compression compression : {Compression::Xz, Compression::Zstd, Compression::Gzip}) {
    ByteVector file = packed(compression);
    if (compression == Compression::Gzip) {
      while (!decompress_whole(file, plain.size()).ok()) file.push_back(0);
    }
    ASSERT_EQ(decompress_whole(file, plain.size()).value(), plain);
    EXPECT_THAT(decompress_whole(file, plain.size() - 1).error().message(),
                HasSubstr("unpacks to more"));
    for (size_t size = 8; size < file.size(); size += 1 + file.size() / 97) {
      ByteVector cut(file.begin(), file.begin() + static_cast<ptrdiff_t>(size));
      EXPECT_FALSE(decompress_whole(cut, plain.size()).ok())
          << compression_name(compression) << " " << size;
    }
    ByteVector damaged = file;
    damaged[damaged.size() / 2] ^= 0x10;
    Result<ByteVector> result = decompress_whole(damaged, plain.size());
    EXPECT_FALSE(result.ok() && result.value() == plain) << compression_name(compression);
    EXPECT_FALSE(result.ok()) << compression_name(compression);
  }
  ByteVector raw = {1, 2, 3};
  EXPECT_EQ(decompress_whole(raw, 10).value(), raw);
}

}  // namespace
}  // namespace curlingiron
