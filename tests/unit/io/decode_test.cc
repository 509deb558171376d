#include "io/decode.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "base/text.h"
#include "io/adapters.h"
#include "support/effort.h"
#include "unit/io/decoding.h"

namespace curlingiron {
namespace {

using ::testing::HasSubstr;

TEST(Sniff, KnowsFormatsByTheirMagic) {
  ByteVector plain = sample(2000);
  EXPECT_EQ(sniff(plain), Format::Raw);
  EXPECT_EQ(sniff({}), Format::Raw);
  EXPECT_EQ(sniff(gzip(plain)), Format::Gzip);
  EXPECT_EQ(sniff(zstd(plain)), Format::Zstd);
  EXPECT_EQ(sniff(joined({skippable(4), zstd(plain)})), Format::Zstd);
  EXPECT_EQ(sniff(joined({skippable(4, 0x5f), skippable(0), zstd(plain)})), Format::Zstd);
  EXPECT_EQ(sniff(skippable(100'000)), Format::Zstd);
  auto text = [](std::string_view bytes) { return sniff(as_bytes(bytes)); };
  EXPECT_EQ(text(std::string_view("\xfd\x37zXZ\0\0\4", 8)), Format::Xz);
  EXPECT_EQ(text("BZh91AY&SY0123456789"), Format::Bzip2);
  EXPECT_EQ(text("BZh9 is how this text begins"), Format::Raw);
  EXPECT_EQ(text("\x04\x22\x4d\x18rest"), Format::Lz4);
  EXPECT_EQ(text("\x02\x21\x4c\x18rest"), Format::Lz4);
  EXPECT_EQ(sniff(joined({skippable(4), {0x04, 0x22, 0x4d, 0x18}})), Format::Lz4);
  EXPECT_EQ(text("QFI\xfb"), Format::Qcow2);
  EXPECT_EQ(text("PK\x03\x04"), Format::Zip);
  EXPECT_EQ(text("PK\x05\x06"), Format::Zip);
  EXPECT_EQ(text("PK\x07\x08PK\x03\x04"), Format::Zip);  // once split
  EXPECT_EQ(text("PK\x07\x08"), Format::Raw);
  EXPECT_EQ(text("<!DOCTYPE html><html>"), Format::Raw);
  EXPECT_EQ(text("<xml>"), Format::Raw);
  EXPECT_EQ(text("\x1f\x8b"), Format::Raw);  // no method
}

TEST(Sniff, APrefixOfAMagicIsRaw) {
  ByteVector magic = zstd(sample(100));
  for (size_t n = 0; n < 4; ++n) EXPECT_EQ(sniff(ConstBytes(magic).first(n)), Format::Raw);
}

TEST(Sniff, KnowsWhatOnlyAnInitramfsComesIn) {
  auto text = [](std::string_view bytes) { return sniff(as_bytes(bytes)); };
  EXPECT_EQ(text(std::string_view("\x5d\0\0\x80\0\xff\xff\xff\xff\xff\xff\xff\xff\0", 14)),
            Format::Lzma);
  EXPECT_EQ(text(std::string_view("\x5d\0\0\x80\0\xff\xff\xff\xff\xff\xff\xff\xff\1", 14)),
            Format::Raw);
  EXPECT_EQ(text(std::string_view("\x89LZO\0\r\n\x1a\n", 9)), Format::Lzop);
}

TEST(OpenDecoder, SaysWhatToDoAboutFormatsItCannotDecode) {
  MemorySource inner({});
  for (int i = 0; i <= static_cast<int>(Format::Lzop); ++i) {
    Format format = static_cast<Format>(i);
    EXPECT_EQ(open_decoder(format, inner).ok(), is_decodable(format)) << format_name(format);
    if (is_decodable(format)) continue;
    EXPECT_GT(not_decodable(format).message().size(), 30u);
  }
  auto message = [&](Format format) { return open_decoder(format, inner).error().message(); };
  EXPECT_THAT(message(Format::Qcow2), HasSubstr("qemu-img"));
}

TEST(Raw, PassesThrough) {
  ByteVector plain = sample(100'000);
  EXPECT_EQ(decode(Format::Raw, plain, 999).value(), plain);
}

TEST(Gzip, MembersNamesAndEmptyMembers) {
  ByteVector a = sample(50'000, 1);
  ByteVector b = sample(70'000, 2);
  ByteVector compressed = joined({gzip(a, true), gzip({}), gzip(b), gzip({}, true)});
  for (size_t drip : {size_t{1}, compressed.size()}) {
    EXPECT_TRUE(decode(Format::Gzip, compressed, drip).value() == joined({a, b}));
  }
  EXPECT_TRUE(decode(Format::Gzip, gzip({})).value().empty());
}

TEST(Gzip, ZerosBehindTheEndArePadding) {
  ByteVector plain = sample(1000);
  for (size_t zeros : std::initializer_list<size_t>{1, 2, 3, 512, 1'000'000}) {
    ByteVector compressed = joined({gzip(plain), ByteVector(zeros, 0)});
    EXPECT_EQ(decode(Format::Gzip, compressed, 100).value(), plain);
    compressed.push_back(1);
    EXPECT_FALSE(decode(Format::Gzip, compressed, 100).ok());
  }
}

TEST(Gzip, GarbageBehindTheEndIsAnError) {
  ByteVector compressed = gzip(sample(1000));
  for (ByteVector garbage : {ByteVector{1}, ByteVector{0x1f}, ByteVector{0x1f, 0x8b},
                             ByteVector{0x1f, 0x8c}, ByteVector(1000, 0xff), zstd(sample(10))}) {
    EXPECT_FALSE(decode(Format::Gzip, joined({compressed, garbage})).ok());
  }
}

TEST(Zstd, DecodesInPiecesOfAnySize) {
  ByteVector plain = sample(600'000);
  for (ZstdOptions options :
       {ZstdOptions{}, ZstdOptions{false, true, 0}, ZstdOptions{true, false, 0}}) {
    ByteVector compressed = zstd(plain, options);
    for (size_t drip : {size_t{1}, size_t{3}, size_t{1000}, compressed.size()}) {
      for (size_t chunk : {size_t{7}, size_t{4096}, plain.size() * 2}) {
        EXPECT_TRUE(decode(Format::Zstd, compressed, drip, chunk).value() == plain);
      }
    }
  }
}

TEST(Zstd, FramesAndSkippableFrames) {
  ByteVector a = sample(50'000, 1);
  ByteVector b = sample(70'000, 2);
  ByteVector compressed = joined({skippable(12), zstd(a), skippable(300'000, 0x5f), zstd({}),
                                  zstd(b, {false, false, 0}), skippable(0)});
  for (size_t drip : {size_t{1}, compressed.size()}) {
    EXPECT_TRUE(decode(Format::Zstd, compressed, drip).value() == joined({a, b}));
  }
}

TEST(Zstd, WindowsUpTo128MiB) {
  ByteVector plain(200'000, 'x');
  EXPECT_EQ(decode(Format::Zstd, zstd(plain, {true, false, 27})).value(), plain);
  Result<ByteVector> result = decode(Format::Zstd, zstd(plain, {true, false, 28}));
  ASSERT_FALSE(result.ok());
  EXPECT_NE(result.error().message().find("128 MiB"), std::string::npos);
}

TEST(Zstd, AFrameShorterThanItSaysIsAnError) {
  // An empty last block, which libzstd's streaming decoder does not hold against the content size.
  ByteVector frame = {0x28, 0xb5, 0x2f, 0xfd, 0x20, 0x00, 0x01, 0x00, 0x00};
  EXPECT_EQ(decode(Format::Zstd, frame, 3).value().size(), 0u);
  frame[5] = 1;
  for (size_t drip : std::initializer_list<size_t>{1, 3, 100}) {
    Result<ByteVector> result = decode(Format::Zstd, frame, drip);
    ASSERT_FALSE(result.ok());
    EXPECT_NE(result.error().message().find("damaged"), std::string::npos);
  }
}

TEST(Zstd, GarbageBehindTheEndIsAnError) {
  ByteVector compressed = zstd(sample(1000));
  for (ByteVector garbage :
       {ByteVector{0x28}, ByteVector{0x28, 0xb5, 0x2f}, ByteVector{0x50, 0x2a}, gzip(sample(10))}) {
    EXPECT_FALSE(decode(Format::Zstd, joined({compressed, garbage})).ok());
  }
}

struct Subject {
  Format format;
  ByteVector plain;
  ByteVector compressed;
  // Ends at which the stream is complete: after a member, stream or frame.
  std::vector<size_t> edges;
  std::string_view name = format_name(format);
};

// Two parts of each: `a` and `b` bytes.
std::vector<Subject> subjects(size_t a_size, size_t b_size) {
  ByteVector a = as_disk(sample(a_size, 3));
  ByteVector b = sample(b_size, 4);
  ByteVector both = joined({a, b});
  ByteVector gzip_a = gzip(a, true);
  ByteVector zstd_a = joined({skippable(5), zstd(a)});
  ByteVector xz_a = joined({xz(a), ByteVector(4, 0)});
  ByteVector bzip2_a = bzip2(a, 1);
  ByteVector lz4_a = joined({lz4(a), skippable(7)});
  ZipMember member{.plain = both};
  ZipMember streamed{.plain = both, .flags = 8};
  ZipMember stored{.plain = both, .method = 0};
  return {
      {Format::Gzip, both, joined({gzip_a, gzip(b)}), {gzip_a.size()}},
      {Format::Zstd, both, joined({zstd_a, zstd(b, {true, false, 0})}), {13, zstd_a.size()}},
      {Format::Xz,
       both,
       joined({xz_a, xz(b, {LZMA_CHECK_SHA256, 1024})}),
       {xz_a.size() - 4, xz_a.size()}},
      {Format::Bzip2, both, joined({bzip2_a, bzip2(b)}), {bzip2_a.size()}},
      {Format::Lz4,
       both,
       joined({lz4_a, lz4(b, {true, true, true, true})}),
       {lz4_a.size() - 15, lz4_a.size()}},
      {Format::Zip, both, zip({member}), {}},
      {Format::Zip, both, zip({{"dir/", {}, 0}, streamed}, "comment", true), {}, "zip streamed"},
      {Format::Zip, both, zip({stored, {"__MACOSX/._disk.img", a}}), {}, "zip stored"},
  };
}

// 64 places of a large stream, and all of a small one.
TEST(Decoders, TruncationAnywhereIsAnError) {
  for (size_t size : {size_t{3000}, size_t{150'000}}) {
    for (const Subject& subject : subjects(size, size / 6)) {
      for (DecodeLimits limits : {kInline, kThreads}) {
        ASSERT_EQ(decode(subject.format, subject.compressed, 1 << 20, 65536, limits).value(),
                  subject.plain);
        size_t step = size < 10'000
                          ? static_cast<size_t>(repetitions(13, 1))
                          : subject.compressed.size() / static_cast<size_t>(repetitions(16, 64));
        if (size < 10'000 && limits.threads > 1) step *= 5;
        for (size_t end = 0; end < subject.compressed.size(); end += step) {
          ConstBytes cut = ConstBytes(subject.compressed).first(end);
          bool edge = std::count(subject.edges.begin(), subject.edges.end(), end) != 0;
          // Zeros between xz streams come in fours; at the end there may be any number.
          edge |= subject.format == Format::Xz && end > subject.edges[0] && end < subject.edges[1];
          Result<ByteVector> result = decode(subject.format, cut, 100, 65536, limits);
          // After a whole member nothing says that another was to come: only a digest or the
          // length that the server declared does.
          ASSERT_EQ(result.ok(), edge) << subject.name << " " << end;
          if (result.ok()) continue;
          EXPECT_THAT(result.error().message(), HasSubstr("ends too early"))
              << subject.name << " " << end;
        }
      }
    }
  }
}

TEST(Decoders, PiecesOfAnySize) {
  const auto size = static_cast<size_t>(repetitions(30'000, 100'000));
  for (const Subject& subject : subjects(size, 30'000)) {
    for (DecodeLimits limits : {kInline, kThreads}) {
      for (size_t drip : {size_t{1}, size_t{3}, size_t{1000}, subject.compressed.size()}) {
        for (size_t chunk : {size_t{1}, size_t{7}, size_t{4096}, subject.plain.size() * 2}) {
          ASSERT_TRUE(decode(subject.format, subject.compressed, drip, chunk, limits).value() ==
                      subject.plain)
              << subject.name << " " << drip << " " << chunk;
        }
      }
    }
  }
}

TEST(Decoders, EmptyImages) {
  EXPECT_EQ(decode(Format::Gzip, gzip({})).value().size(), 0u);
  EXPECT_EQ(decode(Format::Zstd, zstd({})).value().size(), 0u);
  EXPECT_EQ(decode(Format::Xz, xz({})).value().size(), 0u);
  EXPECT_EQ(decode(Format::Bzip2, bzip2({})).value().size(), 0u);
  EXPECT_EQ(decode(Format::Lz4, lz4({})).value().size(), 0u);
}

TEST(Decoders, AnErrorOfTheSourceIsHandedOn) {
  for (const Subject& subject : subjects(3000, 500)) {
    for (DecodeLimits limits : {kInline, kThreads}) {
      const auto step = static_cast<size_t>(repetitions(29, 11));
      for (size_t end = 0; end < subject.compressed.size(); end += step) {
        DripSource inner(subject.compressed, 50, end);
        std::unique_ptr<Source> source = open_decoder(subject.format, inner, limits).value();
        Result<ByteVector> result = read_all(*source);
        ASSERT_FALSE(result.ok());
        EXPECT_EQ(result.error().code(), ECONNRESET);
      }
    }
  }
}

TEST(Decoders, GarbageBehindTheEndIsAnError) {
  for (const Subject& subject : subjects(3000, 500)) {
    for (ByteVector garbage : {ByteVector{1}, ByteVector{0x1f}, ByteVector{'B', 'Z', 'h', '9'},
                               ByteVector(1000, 0xff), ByteVector(3, 0xfd)}) {
      EXPECT_FALSE(decode(subject.format, joined({subject.compressed, garbage})).ok())
          << subject.name;
    }
    for (size_t zeros : {size_t{1}, size_t{2}, size_t{511}, size_t{1'000'001}}) {
      ByteVector padded = joined({subject.compressed, ByteVector(zeros, 0)});
      EXPECT_TRUE(decode(subject.format, padded).ok()) << subject.name;
      padded.push_back(1);
      EXPECT_FALSE(decode(subject.format, padded).ok()) << subject.name;
    }
  }
}

// As gzip(1) does: with a warning that counts what is passed over.
TEST(Decoders, WhatFollowsTheEndIsPassedOverAsFarAsTheLimitsLetIt) {
  DecodeLimits some = kInline;
  some.most_after_checked = 100;
  DecodeLimits any = kInline;
  any.most_after_checked = any.most_after_unchecked = UINT64_MAX;
  ByteVector metadata = joined({as_vector("{\"metadata\": 1}"), ByteVector(80, 7)});
  ByteVector more = joined({metadata, ByteVector(100'000, 9)});
  for (const Subject& subject : subjects(3000, 500)) {
    for (size_t drip : {size_t{7}, size_t{1} << 20}) {
      auto result = [&](const ByteVector& after, const DecodeLimits& limits) {
        return decode(subject.format, joined({subject.compressed, after}), drip, 65536, limits);
      };
      EXPECT_TRUE(result(metadata, some).value() == subject.plain) << subject.name;
      EXPECT_FALSE(result(more, some).ok()) << subject.name;
      EXPECT_TRUE(result(more, any).value() == subject.plain) << subject.name;
      EXPECT_FALSE(result(metadata, kInline).ok()) << subject.name;
    }
  }
  // Without a checksum of its own, only a proof of the whole lets anything follow.
  for (auto [format, unchecked] :
       {std::pair{Format::Zstd, zstd(metadata, {false})},
        std::pair{Format::Lz4, lz4(metadata, {false})},
        std::pair{Format::Xz, xz(metadata, {LZMA_CHECK_NONE})},
        std::pair{Format::Zstd, joined({zstd(metadata, {false}), zstd({})})}}) {
    ByteVector file = joined({unchecked, metadata});
    EXPECT_FALSE(decode(format, file, 7, 65536, some).ok()) << format_name(format);
    EXPECT_TRUE(decode(format, file, 7, 65536, any).value() == metadata) << format_name(format);
  }
}

// What it holds would be missing from the image without a word, also where a digest proves the
// file.
TEST(Decoders, AnotherStreamIsNotPassedOver) {
  DecodeLimits any = kInline;
  any.most_after_checked = any.most_after_unchecked = UINT64_MAX;
  ByteVector metadata = joined({as_vector("{\"metadata\": 1}"), random_bytes(70'000, 3)});
  for (auto [format, stream] :
       {std::pair{Format::Gzip, gzip(sample(3000))}, std::pair{Format::Bzip2, bzip2(sample(3000))},
        std::pair{Format::Xz, xz(sample(3000))}, std::pair{Format::Zstd, zstd(sample(3000))},
        std::pair{Format::Lz4, lz4(sample(3000))}}) {
    ByteVector damaged = stream;
    damaged[0] ^= 0x10;
    for (const ByteVector& after :
         {damaged, joined({ByteVector(513, 0), damaged}), joined({as_vector("\n"), stream}),
          joined({ByteVector(511, 0), as_vector("x"), stream}), joined({metadata, stream})}) {
      for (size_t drip : {size_t{7}, size_t{1} << 20}) {
        Result<ByteVector> result = decode(format, joined({stream, after}), drip, 65536, any);
        ASSERT_FALSE(result.ok()) << format_name(format);
        EXPECT_THAT(result.error().message(), ::testing::HasSubstr("is another one"));
      }
    }
    EXPECT_TRUE(decode(format, joined({stream, metadata}), 4096, 65536, any).ok())
        << format_name(format);
  }
}

// Where thorough 10,000 bits in all, and as many of files so small that their headers are hit
// often.
TEST(Decoders, ASingleWrongBitNeverPassesForTheImage) {
  std::mt19937_64 random(5);
  const int trials = repetitions(120, 1250);
  for (bool small : {true, false}) {
    for (const Subject& subject : small ? subjects(700, 300) : subjects(30'000, 10'000)) {
      size_t errors = 0;
      for (int i = 0; i < trials; ++i) {
        ByteVector damaged = subject.compressed;
        size_t bit = random() % (damaged.size() * 8);
        damaged[bit / 8] ^= static_cast<uint8_t>(1 << (bit % 8));
        Result<ByteVector> result =
            decode(subject.format, damaged, 1 << 20, 65536, i % 8 == 0 ? kThreads : kInline);
        if (!result.ok()) {
          ++errors;
          continue;
        }
        // Only what says nothing about the content may change: a time, a name, a skipped byte.
        ASSERT_TRUE(result.value() == subject.plain) << subject.name << " bit " << bit;
      }
      EXPECT_GT(errors, static_cast<size_t>(small ? trials * 85 / 100 : trials * 99 / 100))
          << subject.name;
    }
  }
}

// The head of what decodes to 4 GiB and more; what it takes is bounded (ASan's and the machine's
// limits would tell), and the rest is never decoded.
TEST(Decoders, WhatDecodesToVeryMuchComesInPieces) {
  ByteVector zeros(64_MiB, 0);
  for (auto [format, compressed] :
       {std::pair{Format::Gzip, gzip(zeros)}, std::pair{Format::Zstd, zstd(zeros)},
        std::pair{Format::Xz, xz(zeros, {LZMA_CHECK_CRC64, 1_MiB})},
        std::pair{Format::Bzip2, bzip2(zeros)}, std::pair{Format::Lz4, lz4(zeros)}}) {
    ByteVector bomb;
    while (bomb.size() < 1_MiB) bomb.insert(bomb.end(), compressed.begin(), compressed.end());
    for (DecodeLimits limits : {kInline, kThreads}) {
      DripSource inner(bomb, 1 << 20);
      std::unique_ptr<Source> source = open_decoder(format, inner, limits).value();
      ByteVector piece(64_KiB);
      uint64_t total = 0;
      while (total < 256_MiB) {
        uint64_t free = source->zeros_ahead();
        source->skip_zeros(free);
        size_t n = source->read(piece).value();
        if (n == 0) break;
        ASSERT_TRUE(all_zero(ConstBytes(piece).first(n)));
        total += free + n;
      }
      EXPECT_GE(total, 256_MiB) << format_name(format);
    }
  }
}

TEST(DecodedSizeHint, ComesFromAHeadThatTellsIt) {
  ByteVector plain = as_disk(sample(123'456));
  auto hint = [](Format format, ConstBytes bytes) {
    return decoded_size_hint(format, bytes.first(std::min<size_t>(bytes.size(), kSniffBytes)));
  };
  EXPECT_EQ(hint(Format::Zstd, zstd(plain)), plain.size());
  EXPECT_EQ(hint(Format::Zstd, zstd(plain, {true, false, 0})), std::nullopt);
  EXPECT_EQ(hint(Format::Zstd, joined({skippable(4), zstd(plain)})), std::nullopt);
  EXPECT_EQ(hint(Format::Gzip, gzip(plain)), std::nullopt);
  EXPECT_EQ(hint(Format::Raw, plain), std::nullopt);
  EXPECT_EQ(hint(Format::Zstd, ConstBytes(zstd(plain)).first(5)), std::nullopt);
  EXPECT_EQ(hint(Format::Lz4, lz4(plain, {.content_size = true})), plain.size());
  EXPECT_EQ(hint(Format::Lz4, lz4(plain)), std::nullopt);
  EXPECT_EQ(hint(Format::Zip, zip({{.plain = plain}})), plain.size());
  EXPECT_EQ(hint(Format::Zip, zip({{.name = "d/", .plain = {}}, {.plain = plain, .zip64 = true}})),
            plain.size());
  EXPECT_EQ(hint(Format::Zip, zip({{.plain = plain, .flags = 8}})), std::nullopt);
}

}  // namespace
}  // namespace curlingiron
