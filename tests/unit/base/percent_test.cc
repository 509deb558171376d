#include "base/percent.h"

#include <gtest/gtest.h>

namespace curlingiron {
namespace {

TEST(Percent, DecodesPairsOfDigitsAndLeavesTheRest) {
  EXPECT_EQ(percent_decode("a%20b%2Fc%2f"), "a b/c/");
  EXPECT_EQ(percent_decode("%"), "%");
  EXPECT_EQ(percent_decode("100%"), "100%");
  EXPECT_EQ(percent_decode("%4"), "%4");
  EXPECT_EQ(percent_decode("%zz%41"), "%zzA");
  EXPECT_EQ(percent_decode("%25%32%30"), "%20");
  EXPECT_EQ(percent_decode(""), "");
}

}  // namespace
}  // namespace curlingiron
