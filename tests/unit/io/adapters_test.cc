#include "io/adapters.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <random>

#include "sys/file.h"
#include "unit/io/sources.h"

namespace curlingiron {
namespace {

TEST(ReadFull, FillsFromSmallReadsAndStopsAtTheEnd) {
  ByteVector bytes = random_bytes(1000);
  DripSource source(bytes, 7);
  ByteVector into(600);
  EXPECT_EQ(read_full(source, into).value(), 600u);
  EXPECT_TRUE(std::equal(into.begin(), into.end(), bytes.begin()));
  EXPECT_EQ(read_full(source, into).value(), 400u);
  EXPECT_EQ(read_full(source, into).value(), 0u);
  EXPECT_EQ(source.empty_reads, 0u);
}

TEST(ReadFull, AnErrorIsAnError) {
  ByteVector bytes(100);
  DripSource source(bytes, 10, 50);
  ByteVector into(80);
  EXPECT_EQ(read_full(source, into).error().code(), ECONNRESET);
}

TEST(MemorySource, ReadsToTheEnd) {
  ByteVector bytes = random_bytes(100);
  MemorySource source(bytes);
  EXPECT_EQ(read_all(source, 33).value(), bytes);
  ByteVector more(10);
  EXPECT_EQ(source.read(more).value(), 0u);
}

TEST(FileSource, ReadsAFile) {
  TemporaryDirectory folder = TemporaryDirectory::create().value();
  ByteVector bytes = random_bytes(100'000);
  std::string path = folder.path() + "/image";
  ASSERT_TRUE(write_file_atomically(path, bytes).ok());
  FileSource source(open_path(path, O_RDONLY).value());
  EXPECT_EQ(read_all(source, 4096).value(), bytes);
}

TEST(PeekSource, PeekingDoesNotConsume) {
  ByteVector bytes = random_bytes(5000);
  DripSource inner(bytes, 100);
  PeekSource source(inner);
  auto expect_peek = [&](size_t count, size_t from, size_t expected) {
    Result<ConstBytes> peeked = source.peek(count);
    ASSERT_TRUE(peeked.ok());
    ASSERT_EQ(peeked.value().size(), expected);
    EXPECT_TRUE(std::equal(peeked.value().begin(), peeked.value().end(),
                           bytes.begin() + static_cast<ptrdiff_t>(from)));
  };
  expect_peek(512, 0, 512);
  expect_peek(100, 0, 100);
  expect_peek(2000, 0, 2000);
  ByteVector into(300);
  EXPECT_EQ(source.read(into).value(), 300u);
  expect_peek(3000, 300, 3000);
  EXPECT_EQ(read_full(source, into).value(), 300u);
  expect_peek(10'000, 600, 4400);
  EXPECT_EQ(inner.reads_at_end, 1u);
  ByteVector rest = read_all(source, 1000).value();
  EXPECT_TRUE(std::equal(rest.begin(), rest.end(), bytes.begin() + 600, bytes.end()));
  EXPECT_EQ(inner.reads_at_end, 1u) << "asked again after the end";
  EXPECT_EQ(source.peek(10).value().size(), 0u);
}

TEST(PeekSource, IsBounded) {
  ByteVector bytes(kPeekLimit + 1000);
  MemorySource inner(bytes);
  PeekSource source(inner);
  EXPECT_EQ(source.peek(bytes.size()).value().size(), kPeekLimit);
  EXPECT_EQ(read_all(source).value().size(), bytes.size());
}

TEST(PeekSource, AnErrorLosesNoByte) {
  ByteVector bytes = random_bytes(1000);
  DripSource inner(bytes, 100, 350);
  PeekSource source(inner);
  EXPECT_FALSE(source.peek(512).ok());
  ByteVector into(350);
  EXPECT_EQ(read_full(source, into).value(), 350u);
  EXPECT_TRUE(std::equal(into.begin(), into.end(), bytes.begin()));
  EXPECT_FALSE(source.read(into).ok());
}

TEST(DigestSource, DigestsWhatPasses) {
  ByteVector bytes = random_bytes(10'000);
  DripSource inner(bytes, 77);
  MessageDigest digest(DigestKind::Sha256);
  DigestSource source(inner, digest);
  EXPECT_EQ(read_all(source, 1000).value(), bytes);
  EXPECT_EQ(digest.finish(), digest_of(DigestKind::Sha256, bytes));
}

TEST(ReadAheadSource, HandsOnEveryByteInOrder) {
  ByteVector bytes = random_bytes(3 * kReadAhead + 12345);
  for (size_t largest : {size_t{1000}, size_t{65537}, bytes.size()}) {
    DripSource inner(bytes, largest);
    std::unique_ptr<ReadAheadSource> source = ReadAheadSource::start(inner).value();
    for (size_t chunk : {size_t{777}, size_t{1} << 20}) {
      if (chunk == 777) {
        ByteVector head(chunk);
        ASSERT_EQ(read_full(*source, head).value(), chunk);
        continue;
      }
      ByteVector rest = read_all(*source, chunk).value();
      EXPECT_TRUE(std::equal(rest.begin(), rest.end(), bytes.begin() + 777, bytes.end()));
    }
    ByteVector more(10);
    EXPECT_EQ(source->read(more).value(), 0u) << "the end stays the end";
    EXPECT_EQ(inner.reads_at_end, 1u);
  }
}

TEST(ReadAheadSource, AnErrorComesBehindTheBytesBeforeItAndStays) {
  ByteVector bytes = random_bytes(100'000);
  DripSource inner(bytes, 1000, 54'321);
  std::unique_ptr<ReadAheadSource> source = ReadAheadSource::start(inner).value();
  ByteVector into(54'321);
  ASSERT_EQ(read_full(*source, into).value(), into.size());
  EXPECT_TRUE(std::equal(into.begin(), into.end(), bytes.begin()));
  EXPECT_EQ(source->read(into).error().code(), ECONNRESET);
  EXPECT_EQ(source->read(into).error().code(), ECONNRESET);
}

TEST(ReadAheadSource, IsBoundedAndGoesEarly) {
  ByteVector bytes(4 * kReadAhead);
  DripSource inner(bytes, bytes.size());
  {
    std::unique_ptr<ReadAheadSource> source = ReadAheadSource::start(inner).value();
    ByteVector into(1);
    ASSERT_EQ(source->read(into).value(), 1u);
  }
  EXPECT_LE(inner.position, kReadAhead + 1);
}

// A read that is under way when the reader goes.
class BlockedSource final : public Source {
 public:
  Result<size_t> read(MutableBytes) override {
    entered.set_value();
    release.get_future().wait();
    left = true;
    return size_t{0};
  }
  std::promise<void> entered;
  std::promise<void> release;
  std::atomic<bool> left = false;
};

TEST(ReadAheadSource, TheDestructorWaitsForTheReadUnderWay) {
  BlockedSource inner;
  std::unique_ptr<ReadAheadSource> source = ReadAheadSource::start(inner).value();
  inner.entered.get_future().wait();
  std::future<void> destroyed = std::async(std::launch::async, [&] { source.reset(); });
  inner.release.set_value();
  destroyed.wait();
  EXPECT_TRUE(inner.left);
}

}  // namespace
}  // namespace curlingiron
