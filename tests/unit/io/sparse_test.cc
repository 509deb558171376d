#include "io/sparse.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <random>

#include "base/units.h"
#include "unit/io/sources.h"

namespace curlingiron {
namespace {

TEST(KeepingSource, KeepsWhatPassesUpToItsBound) {
  ByteVector bytes = random_bytes(100'000);
  DripSource inner(bytes, 777);
  std::unique_ptr<KeepingSource> source = KeepingSource::start(inner, bytes.size()).value();
  EXPECT_EQ(read_all(*source, 1000).value(), bytes);
  // Read from its start, wherever the writer left it.
  std::unique_ptr<SparseFileSource> again = SparseFileSource::open(source->take().value()).value();
  EXPECT_EQ(read_all(*again, 4096).value(), bytes);

  DripSource longer(bytes, 777);
  std::unique_ptr<KeepingSource> bound = KeepingSource::start(longer, bytes.size() - 1).value();
  EXPECT_EQ(read_all(*bound, 1000).error().code(), ENOMEM);
}

// Runs of zeros and of other bytes, of lengths that fit no page, read and skipped in all mixtures.
TEST(SparseCopy, IsTheSameWithItsHoles) {
  std::mt19937 random(5);
  for (int trial = 0; trial < 20; ++trial) {
    ByteVector bytes;
    for (int run = 0; run < 6; ++run) {
      size_t length = random() % 200'000;
      ByteVector piece = random() % 2 == 0 ? ByteVector(length) : random_bytes(length);
      bytes.insert(bytes.end(), piece.begin(), piece.end());
    }
    std::unique_ptr<SparseCopy> copy = SparseCopy::start(bytes.size()).value();
    for (size_t at = 0; at < bytes.size();) {
      size_t n = std::min<size_t>(1 + random() % 150'000, bytes.size() - at);
      ConstBytes piece = ConstBytes(bytes).subspan(at, n);
      if (all_zero(piece) && random() % 2 == 0) {
        copy->add_zeros(n);
      } else {
        ByteVector chunk(150'000, 0xee);
        std::ranges::copy(piece, chunk.begin());
        ASSERT_TRUE(copy->add(chunk, n));
        EXPECT_EQ(chunk.size(), 150'000);
      }
      at += n;
    }
    std::unique_ptr<SparseFileSource> source =
        SparseFileSource::open(copy->finish().value()).value();
    EXPECT_EQ(source->size(), bytes.size());
    ByteVector read;
    ByteVector chunk(30'000);
    for (;;) {
      if (uint64_t zeros = source->zeros_ahead(); zeros != 0) {
        uint64_t some = 1 + random() % zeros;
        source->skip_zeros(some);
        read.resize(read.size() + static_cast<size_t>(some));
      } else {
        size_t n = source->read(MutableBytes(chunk).first(1 + random() % chunk.size())).value();
        if (n == 0) break;
        read.insert(read.end(), chunk.begin(), chunk.begin() + static_cast<ptrdiff_t>(n));
      }
      EXPECT_EQ(source->position(), read.size());
    }
    EXPECT_TRUE(read == bytes);
  }
}

TEST(SparseCopy, ZerosTakeNoRoom) {
  std::unique_ptr<SparseCopy> copy = SparseCopy::start(100'000).value();
  ByteVector chunk(1'000'000);
  EXPECT_TRUE(copy->add(chunk, chunk.size()));
  chunk = random_bytes(1'000'000);
  EXPECT_TRUE(copy->add(chunk, 100'000));
  UniqueFd file = copy->finish().value();
  EXPECT_EQ(seek_end(file).value(), 1'100'000);
}

TEST(SparseCopy, SaysThatItDoesNotFit) {
  for (bool goes_on : {false, true}) {
    std::unique_ptr<SparseCopy> copy = SparseCopy::start(100'000).value();
    ByteVector chunk = random_bytes(200'000);
    bool fits = copy->add(chunk, 100'001);
    // It is copied on a thread: nothing may have been noticed yet.
    for (int i = 0; goes_on && fits; ++i) {
      ASSERT_LT(i, 100);
      fits = copy->add(chunk, chunk.size());
    }
    EXPECT_FALSE(copy->finish().value().valid());
  }
}

TEST(KeepingSource, ZerosTakeNoRoom) {
  ByteVector bytes(1'000'000);
  ByteVector end = random_bytes(50'000);
  bytes.insert(bytes.end(), end.begin(), end.end());
  bytes.resize(bytes.size() + 300'000);
  DripSource inner(bytes, 65'536);
  std::unique_ptr<KeepingSource> source = KeepingSource::start(inner, 200'000).value();
  EXPECT_TRUE(read_all(*source, 131'072).value() == bytes);
  std::unique_ptr<SparseFileSource> again = SparseFileSource::open(source->take().value()).value();
  EXPECT_GE(again->zeros_ahead(), 900'000);
  EXPECT_TRUE(read_all(*again, 4096).value() == bytes);
}

}  // namespace
}  // namespace curlingiron
