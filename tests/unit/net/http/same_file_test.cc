#include "net/http/same_file.h"

#include <gtest/gtest.h>

#include <random>

#include "support/random_bytes.h"

namespace curlingiron {
namespace {

// In pieces of all sizes.
void add_all(StreamMemory& memory, const ByteVector& file) {
  std::minstd_rand random(3);
  for (size_t at = 0; at < file.size();) {
    size_t size = std::min<size_t>(1 + random() % 100'000, file.size() - at);
    memory.add(at, ConstBytes(file).subspan(at, size));
    at += size;
  }
}

// The file comes again from `from` on, with one bit of `wrong` changed; where that is noticed.
std::optional<StreamMemory::Difference> compare_again(StreamMemory& memory, ByteVector file,
                                                      size_t from, std::optional<size_t> wrong) {
  if (wrong) file[*wrong] ^= 1;
  std::minstd_rand random(5);
  memory.begin_comparison(from == 0);
  for (size_t at = from; at < file.size();) {
    size_t size = std::min<size_t>(1 + random() % 50'000, file.size() - at);
    auto differs = memory.compare(at, ConstBytes(file).subspan(at, size), file.size());
    if (differs) return differs;
    at += size;
  }
  return std::nullopt;
}

TEST(SameFile, TheTailNamesTheByte) {
  for (size_t size : {size_t{1000}, kOverlap, kOverlap + 1, 3 * kOverlap + 17}) {
    ByteVector file = random_bytes(size);
    StreamMemory memory;
    memory.keep_tail();
    add_all(memory, file);
    size_t kept = size - std::min(size, kOverlap);
    EXPECT_FALSE(compare_again(memory, file, kept, std::nullopt)) << size;
    for (size_t wrong : {kept, kept + (size - kept) / 2, size - 1}) {
      auto differs = compare_again(memory, file, kept, wrong);
      ASSERT_TRUE(differs && differs->at) << size << ' ' << wrong;
      EXPECT_EQ(*differs->at, wrong);
    }
  }
}

TEST(SameFile, TheDigestSeesAllOfIt) {
  ByteVector file = random_bytes(300'000);
  StreamMemory memory;
  memory.keep_digest();
  add_all(memory, file);
  EXPECT_FALSE(compare_again(memory, file, 0, std::nullopt));
  for (size_t wrong : {size_t{0}, size_t{150'000}, file.size() - 1}) {
    auto differs = compare_again(memory, file, 0, wrong);
    ASSERT_TRUE(differs) << wrong;
    EXPECT_FALSE(differs->at);
  }
}

TEST(SameFile, OfAWholeThatComesAgainTheTailIsComparedToo) {
  ByteVector file = random_bytes(4 * kOverlap);
  StreamMemory memory;
  memory.keep_tail();
  add_all(memory, file);
  EXPECT_FALSE(compare_again(memory, file, 0, std::nullopt));
  EXPECT_FALSE(compare_again(memory, file, 0, size_t{5})) << "a digest of the whole follows";
  auto differs = compare_again(memory, file, 0, file.size() - 5);
  ASSERT_TRUE(differs && differs->at);
  EXPECT_EQ(*differs->at, file.size() - 5);
}

TEST(SameFile, AComparisonThatWasBrokenOffBeginsAnew) {
  ByteVector file = random_bytes(100'000);
  StreamMemory memory;
  memory.keep_digest();
  add_all(memory, file);
  memory.begin_comparison(true);
  EXPECT_FALSE(memory.compare(0, ConstBytes(file).first(40'000), file.size()));
  EXPECT_FALSE(compare_again(memory, file, 0, std::nullopt));
}

}  // namespace
}  // namespace curlingiron
