#include <gmock/gmock.h>

#include <bit>
#include <random>

#include "base/text.h"
#include "support/effort.h"
#include "unit/io/decoding.h"

namespace curlingiron {
namespace {

using ::testing::HasSubstr;

constexpr uint64_t kBlockMark = 0x314159265359;
constexpr uint64_t kEndMark = 0x177245385090;

class BitReader {
 public:
  explicit BitReader(ConstBytes bytes) : bytes_(bytes) {}
  uint64_t take(unsigned count) {
    uint64_t value = 0;
    while (count-- != 0) {
      value = value << 1 | (bytes_[position / 8] >> (7 - position % 8) & 1);
      ++position;
    }
    return value;
  }
  size_t position = 0;

 private:
  ConstBytes bytes_;
};

class BitWriter {
 public:
  void put(uint64_t value, unsigned count) {
    while (count-- != 0) {
      if (bits_ % 8 == 0) bytes.push_back(0);
      if ((value >> count & 1) != 0) bytes.back() |= static_cast<uint8_t>(0x80 >> bits_ % 8);
      ++bits_;
    }
  }
  ByteVector bytes;

 private:
  size_t bits_ = 0;
};

// The first block of a file as it is, but with further tables of code lengths that no selector
// names. A length is a walk of steps: the mark's bits make one as well as any.
ByteVector with_marks_inside(ConstBytes file, std::span<const uint64_t> marks) {
  BitReader in(file);
  BitWriter out;
  auto copy = [&](unsigned count) {
    uint64_t value = in.take(count);
    out.put(value, count);
    return value;
  };
  copy(32);
  EXPECT_EQ(copy(48), kBlockMark);
  copy(32 + 1 + 24);
  uint64_t map = copy(16);
  unsigned symbols = 2;
  for (int i = std::popcount(map); i != 0; --i) {
    symbols += static_cast<unsigned>(std::popcount(copy(16)));
  }
  uint64_t tables = in.take(3);
  EXPECT_LE(tables + marks.size(), 6u);
  out.put(tables + marks.size(), 3);
  for (uint64_t selectors = copy(15); selectors != 0; --selectors) {
    while (copy(1) != 0) {
    }
  }
  for (; tables != 0; --tables) {
    copy(5);
    for (unsigned i = 0; i < symbols; ++i) {
      while (copy(1) != 0) copy(1);
    }
  }
  for (uint64_t mark : marks) {
    int length = 10;
    out.put(static_cast<uint64_t>(length), 5);
    unsigned done = 0;
    bool stepping = false;
    for (unsigned bit = 48; bit-- != 0;) {
      uint64_t value = mark >> bit & 1;
      out.put(value, 1);
      if (stepping) {
        length += value != 0 ? -1 : 1;
        EXPECT_TRUE(length >= 1 && length <= 20);
        stepping = false;
      } else if (value != 0) {
        stepping = true;
      } else {
        ++done;
      }
    }
    if (stepping) out.put(0, 1);
    EXPECT_LT(done, symbols);
    for (; done < symbols; ++done) out.put(0, 1);
  }
  while (in.position < file.size() * 8) copy(1);
  // The padding has moved; what is left of it ends the file.
  while (!out.bytes.empty() && out.bytes.back() == 0) out.bytes.pop_back();
  return out.bytes;
}

ByteVector by_libbz2(ConstBytes file, size_t size) {
  ByteVector plain(size);
  unsigned length = static_cast<unsigned>(size);
  EXPECT_EQ(BZ2_bzBuffToBuffDecompress(reinterpret_cast<char*>(plain.data()), &length,
                                       reinterpret_cast<char*>(const_cast<uint8_t*>(file.data())),
                                       static_cast<unsigned>(file.size()), 0, 0),
            BZ_OK);
  return plain;
}

TEST(Bzip2, MarksInsideOfABlockAreNoBlocks) {
  ByteVector plain = random_bytes(150, 7);  // so few that libbz2 makes two tables
  for (std::vector<uint64_t> marks : {std::vector<uint64_t>{kBlockMark},
                                      {kEndMark},
                                      {kBlockMark, kEndMark, kBlockMark, kBlockMark},
                                      {kEndMark, kEndMark}}) {
    ByteVector file = with_marks_inside(bzip2(plain), marks);
    ASSERT_EQ(by_libbz2(file, plain.size()), plain);
    ByteVector other = sample(250'000);
    ByteVector all = joined({bzip2(other, 1), file, bzip2(other, 1), file});
    for (unsigned threads : {1u, 2u, 4u}) {
      EXPECT_EQ(decode(Format::Bzip2, file, 7, 65536, {1_GiB, threads}).value(), plain);
      EXPECT_TRUE(decode(Format::Bzip2, all, 1000, 65536, {1_GiB, threads}).value() ==
                  joined({other, plain, other, plain}));
      const auto step = static_cast<size_t>(repetitions(41, 3));
      for (size_t end = 0; end < file.size(); end += step) {
        EXPECT_FALSE(
            decode(Format::Bzip2, ConstBytes(file).first(end), 1000, 65536, {1_GiB, threads}).ok());
      }
    }
  }
}

uint32_t bzip2_crc(ConstBytes bytes) {
  uint32_t crc = 0xffffffff;
  for (uint8_t byte : bytes) {
    crc ^= uint32_t{byte} << 24;
    for (int i = 0; i < 8; ++i) crc = crc << 1 ^ ((crc >> 31) != 0 ? 0x04c11db7u : 0);
  }
  return ~crc;
}

// Made as bzip2 before 0.9.5 may have: the mark says that the block was disturbed, and the CRCs are
// those of what libbz2 makes of that.
TEST(Bzip2, RandomisedBlocks) {
  ByteVector compressed = bzip2(sample(200'000, 5));
  constexpr size_t kBit = 32 + 48 + 32;
  compressed[kBit / 8] |= static_cast<uint8_t>(0x80 >> kBit % 8);
  ByteVector plain(2'000'000);
  bz_stream stream{};
  ASSERT_EQ(BZ2_bzDecompressInit(&stream, 0, 0), BZ_OK);
  stream.next_in = reinterpret_cast<char*>(compressed.data());
  stream.avail_in = static_cast<unsigned>(compressed.size());
  stream.next_out = reinterpret_cast<char*>(plain.data());
  stream.avail_out = static_cast<unsigned>(plain.size());
  ASSERT_EQ(BZ2_bzDecompress(&stream), BZ_DATA_ERROR);
  plain.resize(stream.total_out_lo32);
  BZ2_bzDecompressEnd(&stream);
  ASSERT_GT(plain.size(), 150'000u);
  EXPECT_FALSE(decode(Format::Bzip2, compressed).ok());

  BitReader in(compressed);
  BitWriter out;
  auto copy = [&](unsigned count) { out.put(in.take(count), count); };
  copy(32);
  copy(48);
  out.put(bzip2_crc(plain), 32);
  in.take(32);
  for (;;) {
    size_t at = in.position;
    bool end = in.take(48) == kEndMark;
    in.position = at;
    if (end) break;
    copy(1);
  }
  copy(48);
  out.put(bzip2_crc(plain), 32);
  ASSERT_EQ(by_libbz2(out.bytes, plain.size()), plain);
  EXPECT_TRUE(decode(Format::Bzip2, out.bytes, 100, 999).value() == plain);
  EXPECT_TRUE(decode(Format::Bzip2, out.bytes, 100, 65536, kThreads).value() == plain);
}

// Whatever is wrong within a block, libbz2 and we agree on it.
TEST(Bzip2, AcceptsWhatLibbz2Accepts) {
  std::mt19937_64 random(17);
  size_t accepted = 0;
  const int trials = repetitions(200, 3000);
  for (int i = 0; i < trials; ++i) {
    ByteVector plain = sample(1 + random() % 400, random());
    if (i % 3 == 0) plain.insert(plain.end(), random() % 2000, 'a');
    ByteVector compressed = bzip2(plain);
    // In the tables and after them, not in the CRC.
    if (i % 2 == 0) {
      size_t bit = 32 + 48 + 32 + random() % (compressed.size() * 8 - 112);
      compressed[bit / 8] ^= static_cast<uint8_t>(0x80 >> bit % 8);
    }
    ByteVector theirs(100'000);
    unsigned length = static_cast<unsigned>(theirs.size());
    int code = BZ2_bzBuffToBuffDecompress(reinterpret_cast<char*>(theirs.data()), &length,
                                          reinterpret_cast<char*>(compressed.data()),
                                          static_cast<unsigned>(compressed.size()), 0, 0);
    theirs.resize(length);
    Result<ByteVector> ours = decode(Format::Bzip2, compressed);
    ASSERT_EQ(ours.ok(), code == BZ_OK) << i;
    if (!ours.ok()) continue;
    ++accepted;
    ASSERT_EQ(ours.value(), theirs);
  }
  EXPECT_GE(accepted, static_cast<size_t>(trials / 2));
}

TEST(Bzip2, BlocksOfAllLevelsOnAnyNumberOfThreads) {
  ByteVector plain = disk_sample(1'500'000);
  for (int level = 1; level <= 9; level += repetitions(4, 1)) {
    ByteVector compressed = bzip2(plain, level);
    for (unsigned threads : {1u, 3u}) {
      ASSERT_TRUE(decode(Format::Bzip2, compressed, 10'007, 65536, {1_GiB, threads}).value() ==
                  plain);
    }
  }
}

TEST(Bzip2, StreamsOneAfterTheOther) {
  ByteVector a = disk_sample(1'000'000, 1);
  ByteVector compressed;
  ByteVector expected;
  for (int i = 0; i < 40; ++i) {
    ByteVector piece(a.begin() + i * 20'000, a.begin() + i * 20'000 + (i % 7) * 3000);
    ByteVector stream = bzip2(piece, 1 + i % 9);
    compressed.insert(compressed.end(), stream.begin(), stream.end());
    expected.insert(expected.end(), piece.begin(), piece.end());
  }
  for (DecodeLimits limits : {kInline, kThreads}) {
    for (size_t drip : {size_t{1}, size_t{997}, compressed.size()}) {
      ASSERT_TRUE(decode(Format::Bzip2, compressed, drip, 5000, limits).value() == expected);
    }
  }
}

TEST(Bzip2, ZerosComeAsHolesFromThreads) {
  ByteVector plain = joined({sample(300'000), ByteVector(30'000'000, 0), sample(1'000'000)});
  ByteVector compressed = bzip2(plain);
  DripSource inner(compressed, 1 << 20);
  std::unique_ptr<Source> source = open_decoder(Format::Bzip2, inner, kThreads).value();
  ByteVector all;
  ByteVector piece(10'000);
  uint64_t skipped = 0;
  for (;;) {
    uint64_t zeros = source->zeros_ahead();
    zeros -= zeros / 3;
    source->skip_zeros(zeros);
    skipped += zeros;
    all.insert(all.end(), static_cast<size_t>(zeros), 0);
    size_t n = source->read(piece).value();
    if (n == 0) break;
    all.insert(all.end(), piece.begin(), piece.begin() + static_cast<ptrdiff_t>(n));
  }
  EXPECT_TRUE(all == plain);
  EXPECT_GT(skipped, 25'000'000u);
}

TEST(Bzip2, EveryChecksumCounts) {
  ByteVector plain = random_bytes(350'000);
  ByteVector compressed = bzip2(plain, 1);
  for (DecodeLimits limits : {kInline, kThreads}) {
    for (size_t at : {size_t{10}, size_t{12}, compressed.size() - 3, compressed.size() / 2}) {
      ByteVector damaged = compressed;
      damaged[at] ^= 0x10;
      EXPECT_THAT(decode_error(Format::Bzip2, damaged, limits), HasSubstr("damaged")) << at;
    }
  }
  // Whole blocks that are missing or in the wrong order.
  BitReader in(compressed);
  std::vector<size_t> marks;
  for (size_t bit = 0; bit + 48 <= compressed.size() * 8; ++bit) {
    in.position = bit;
    uint64_t mark = in.take(48);
    if (mark == kBlockMark || mark == kEndMark) marks.push_back(bit);
  }
  ASSERT_EQ(marks.size(), 5u);
  auto assemble = [&](std::initializer_list<size_t> blocks) {
    BitWriter out;
    in.position = 0;
    out.put(in.take(32), 32);
    for (size_t block : blocks) {
      in.position = marks[block];
      size_t end = block == 4 ? marks[4] + 80 : marks[block + 1];
      while (in.position < end) out.put(in.take(1), 1);
    }
    return out.bytes;
  };
  for (DecodeLimits limits : {kInline, kThreads}) {
    EXPECT_TRUE(decode(Format::Bzip2, assemble({0, 1, 2, 3, 4}), 1000, 65536, limits).value() ==
                plain);
    for (const ByteVector& wrong :
         {assemble({0, 1, 3, 4}), assemble({1, 0, 2, 3, 4}), assemble({0, 1, 2, 3, 3, 4})}) {
      EXPECT_THAT(decode_error(Format::Bzip2, wrong, limits), HasSubstr("over all blocks"));
    }
    EXPECT_THAT(decode_error(Format::Bzip2, assemble({0, 1, 2, 3}), limits),
                HasSubstr("ends too early"));
  }
}

TEST(Bzip2, MarksWithoutBlocksAreErrorsSoon) {
  BitWriter out;
  out.put(0x425a6839, 32);
  for (int i = 0; i < 100'000; ++i) out.put(kBlockMark, 48);
  for (DecodeLimits limits : {kInline, kThreads}) {
    EXPECT_THAT(decode_error(Format::Bzip2, out.bytes, limits), HasSubstr("damaged"));
  }
  BitWriter endless;
  endless.put(0x425a6839, 32);
  endless.put(kBlockMark, 48);
  ByteVector file = joined({endless.bytes, random_bytes(5_MiB)});
  EXPECT_FALSE(decode(Format::Bzip2, file).ok());
  EXPECT_FALSE(decode(Format::Bzip2, file, 1 << 20, 65536, kThreads).ok());
}

// libbz2 sets aside what the level in the header says, and refuses a block of more.
TEST(Bzip2, ABlockIsNoLongerThanTheHeaderAllows) {
  // Noise; and zeros, of which 46 MB are a block, and come as holes.
  for (const ByteVector& plain : {random_bytes(3 * 899'000), ByteVector(60'000'000)}) {
    ByteVector stream = bzip2(plain, 9);
    EXPECT_TRUE(decode(Format::Bzip2, stream).ok());
    for (char level : {'1', '8'}) {
      stream[3] = static_cast<uint8_t>(level);
      for (DecodeLimits limits : {kInline, kThreads}) {
        EXPECT_THAT(decode_error(Format::Bzip2, stream, limits),
                    HasSubstr("longer than the header"));
      }
    }
  }
}

TEST(Bzip2, ADecoderCanBeDroppedAtAnyTime) {
  ByteVector compressed = bzip2(disk_sample(3'000'000), 1);
  ByteVector piece(10'000);
  for (int reads = 0; reads < 30; ++reads) {
    DripSource inner(compressed, 1 << 20);
    std::unique_ptr<Source> source = open_decoder(Format::Bzip2, inner, kThreads).value();
    for (int i = 0; i < reads; ++i) ASSERT_TRUE(source->read(piece).ok());
  }
}

}  // namespace
}  // namespace curlingiron
