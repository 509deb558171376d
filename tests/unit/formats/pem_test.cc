#include "formats/pem.h"

#include <gtest/gtest.h>

#include "base/text.h"

namespace curlingiron {
namespace {

constexpr std::string_view kAbc = "-----BEGIN X-----\nYWJj\n-----END X-----\n";

std::vector<std::string> texts(std::string_view text, size_t damaged = 0) {
  PemBlocks blocks = read_pem(text, "X");
  EXPECT_EQ(blocks.damaged, damaged) << text;
  std::vector<std::string> found;
  for (const ByteVector& block : blocks.contents) found.emplace_back(as_text(block));
  return found;
}

using Texts = std::vector<std::string>;

TEST(Pem, BlocksOfItsLabelInTheirOrder) {
  std::string other = "-----BEGIN Y-----\nYWJj\n-----END Y-----\n";
  EXPECT_EQ(texts(concat("text ---- more\r\n", kAbc, other,
                         "-----BEGIN X-----\r\nZG\r\nVm\r\n-----END X-----")),
            (Texts{"abc", "def"}));
  EXPECT_EQ(texts(""), Texts());
  EXPECT_EQ(texts(other), Texts());
}

TEST(Pem, WhatIsDamagedTakesNothingWithIt) {
  // Cut in the base64, in its end line, and without one.
  for (std::string_view cut : {"-----BEGIN X-----\nYW", "-----BEGIN X-----\nYWJj\n-----EN",
                               "-----BEGIN X-----\n", "-----BEGIN X-----"}) {
    EXPECT_EQ(texts(concat(cut, kAbc), 1), Texts{"abc"}) << cut;
    EXPECT_EQ(texts(concat(cut, '\n', kAbc), 1), Texts{"abc"}) << cut;
    EXPECT_EQ(texts(concat(kAbc, cut), 1), Texts{"abc"}) << cut;
  }
  EXPECT_EQ(texts(concat("-----BEGIN X-----\nY!Jj\n-----END X-----\n", kAbc), 1), Texts{"abc"});
  EXPECT_EQ(texts(concat("-----BEGIN X-----\n-----END X-----\n", kAbc), 1), Texts{"abc"});
  EXPECT_EQ(texts(concat("-----BEGIN X-----\nYWJj\n-----END Y-----\n", kAbc), 1), Texts{"abc"});
}

TEST(Pem, ManyThatNeverEndTakeNoTime) {
  std::string many;
  for (int i = 0; i < 300'000; ++i) many += "-----BEGIN X-----\n";
  EXPECT_EQ(texts(many, 300'000), Texts());
}

}  // namespace
}  // namespace curlingiron
