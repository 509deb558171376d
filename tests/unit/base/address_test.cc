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

TEST(Address, Ipv6) {
  // RFC 5952 sections 1, 2 and 4.
  struct Row {
    std::string_view text, written;
  };
  for (Row row : {Row{"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},
                  {"2001:0DB8::0001", "2001:db8::1"},
                  {"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},
                  {"2001:0:0:1:0:0:0:1", "2001:0:0:1::1"},
                  {"::", "::"},
                  {"::1", "::1"},
                  {"fe80::", "fe80::"},
                  {"1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"},
                  {"64:ff9b::192.0.2.33", "64:ff9b::c000:221"}}) {
    Result<Ipv6> address = parse_ipv6(row.text);
    ASSERT_TRUE(address.ok()) << row.text;
    EXPECT_EQ(format_ipv6(address.value()), row.written);
    EXPECT_EQ(parse_ipv6(row.written).value(), address.value());
  }
  for (std::string_view bad :
       {"", ":", ":::", "1", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1::2::3",
        "12345::", "g::", "1:2:3:4:5:6:7:8::", "::1:2:3:4:5:6:7:8", ":1::", "1::2:", "fe80::1%eth0",
        "1.2.3.4::", "::1.2.3", "1:2:3:4:5:6:7:1.2.3.4", "::ffff:1.2.3.4:5"}) {
    EXPECT_FALSE(parse_ipv6(bad).ok()) << bad;
  }
}

TEST(Address, EitherFamily) {
  EXPECT_EQ(format_ip(parse_ip("10.0.0.1").value()), "10.0.0.1");
  EXPECT_EQ(format_ip(parse_ip("[fe80::1]").value()), "fe80::1");
  EXPECT_TRUE(parse_ip("fe80::1").value().is_link_local());
  EXPECT_TRUE(parse_ip("169.254.3.4").value().is_link_local());
  EXPECT_TRUE(parse_ip("127.0.0.53").value().is_loopback());
  EXPECT_TRUE(parse_ip("::1").value().is_loopback());
  for (std::string_view bad : {"", "[10.0.0.1]", "[]", "[::1", "host"}) {
    EXPECT_FALSE(parse_ip(bad).ok()) << bad;
  }
}

TEST(Address, Prefixes) {
  EXPECT_EQ(format_prefix(parse_prefix("10.1.2.3/8").value()), "10.1.2.3/8");
  EXPECT_EQ(format_prefix(parse_prefix("10.1.2.3").value()), "10.1.2.3/32");
  EXPECT_EQ(format_prefix(parse_prefix("2001:db8::").value()), "2001:db8::/128");
  EXPECT_EQ(format_prefix(network_of(parse_prefix("10.1.2.3/9").value())), "10.0.0.0/9");
  EXPECT_EQ(format_prefix(network_of(parse_prefix("2001:db8:ffff::1/36").value())),
            "2001:db8:f000::/36");
  EXPECT_EQ(format_prefix(network_of(parse_prefix("fe80::1/0").value())), "::/0");
  EXPECT_TRUE(contains(parse_prefix("10.0.0.0/8").value(), parse_ip("10.9.8.7").value()));
  EXPECT_FALSE(contains(parse_prefix("10.0.0.0/8").value(), parse_ip("11.0.0.1").value()));
  EXPECT_FALSE(contains(parse_prefix("0.0.0.0/0").value(), parse_ip("::1").value()));
  EXPECT_TRUE(contains(parse_prefix("fe80::/10").value(), parse_ip("febf::1").value()));
  for (std::string_view bad : {"10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/-1", "/8"}) {
    EXPECT_FALSE(parse_prefix(bad).ok()) << bad;
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
