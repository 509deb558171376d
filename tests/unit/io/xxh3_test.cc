#include "io/xxh3.h"

#include <gtest/gtest.h>

namespace curlingiron {
namespace {

TEST(Xxh3, KnownAnswersAndPieces) {
  EXPECT_EQ(xxh3({}), 0x2d06800538d394c2u);  // xxHash's specification, empty input, seed 0
  ByteVector bytes(5000, 3);
  Xxh3 digest;
  EXPECT_EQ(digest.value(), xxh3({}));
  digest.update(ConstBytes(bytes).first(1234));
  EXPECT_EQ(digest.value(), xxh3(ConstBytes(bytes).first(1234)));
  digest.update(ConstBytes(bytes).subspan(1234));
  EXPECT_EQ(digest.value(), xxh3(bytes));
  bytes[4321] ^= 1;
  EXPECT_NE(digest.value(), xxh3(bytes));
}

}  // namespace
}  // namespace curlingiron
