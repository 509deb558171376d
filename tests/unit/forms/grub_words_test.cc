#include "forms/grub_words.h"

#include <gtest/gtest.h>

namespace curlingiron {
namespace {

TEST(GrubWords, AreWhatTheyWere) {
  EXPECT_EQ(quoted_for_grub("quiet console=ttyS0"), "'quiet' 'console=ttyS0'");
  EXPECT_EQ(quoted_for_grub("curlingiron.src=https://x/?a=1&b=2;$c {d}"),
            "'curlingiron.src=https://x/?a=1&b=2;$c' '{d}'");
  EXPECT_EQ(quoted_for_grub("it's \"a b\""), "'it'\\''s' 'a b'");
  EXPECT_EQ(quoted_for_grub(""), "");
}

}  // namespace
}  // namespace curlingiron
