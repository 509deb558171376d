#include "base/address.h"

#include <gtest/gtest.h>

namespace curlingiron {
namespace {

TEST(Address, Ipv4) {
  EXPECT_EQ(format_ipv4(parse_ipv4("10.0.255.1").value()), "10.0.255.1");
  for (std::string_view bad : {"", "1.2.3", "1.2.3.4.5", "256.0.0.1", "01.2.3.4", "1..2.3",
                               "a.b.c.d", "1.2.3.4 ", "+1.2.3.4"}) {
    EXPECT_FALSE(parse_ipv4(bad).ok()) << bad;
  }
}

TEST(Address, Masks) {
  for (uint8_t length = 0; length <= 32; ++length) {
    EXPECT_EQ(prefix_length(prefix_mask(length)), length);
  }
  EXPECT_FALSE(prefix_length(parse_ipv4("255.0.255.0").value()));
}

TEST(Address, Mac) {
  EXPECT_EQ(format_mac(parse_mac("52:54:00:AB:cd:0f").value()), "52:54:00:ab:cd:0f");
  for (std::string_view bad : {"", "52:54:00:ab:cd", "52:54:00:ab:cd:0f:11", "52:54:0:ab:cd:0f",
                               "5254.00ab.cd0f", "52:54:00:ab:cd:0g"}) {
    EXPECT_FALSE(parse_mac(bad).ok()) << bad;
  }
}

}  // namespace
}  // namespace curlingiron
