#include "base/advice.h"

#include <gtest/gtest.h>

namespace curlingiron {
namespace {

TEST(Advice, NamesSettingsAsTheyAreTyped) {
  EXPECT_EQ(as_typed("boot=any"), "boot=any");
  EXPECT_EQ(as_typed("sha256=HEX"), "sha256=HEX");
  EXPECT_EQ(as_typed("ca"), "--ca FILE to flash or build");
  set_setting_style(SettingStyle::Option);
  EXPECT_EQ(as_typed("boot=any"), "--set boot=any");
  EXPECT_EQ(as_typed("insecure"), "--set insecure");
  EXPECT_EQ(as_typed("sha256=HEX"), "--sha256 HEX");
  EXPECT_EQ(as_typed("member=\"a b\""), "--member \"a b\"");
  EXPECT_EQ(as_typed("ca"), "--ca FILE");
  set_setting_style(SettingStyle::Setting);
}

}  // namespace
}  // namespace curlingiron
