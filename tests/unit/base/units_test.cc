#include "base/units.h"

#include <gtest/gtest.h>

namespace curlingiron {
namespace {

TEST(Round, UpAndDown) {
  EXPECT_EQ(round_up(0, 512), 0u);
  EXPECT_EQ(round_up(1, 512), 512u);
  EXPECT_EQ(round_up(512, 512), 512u);
  EXPECT_EQ(round_down(1023, 512), 512u);
}

TEST(FormatSize, BinaryUnitsWithOneDecimal) {
  EXPECT_EQ(format_size(0), "0 B");
  EXPECT_EQ(format_size(1023), "1023 B");
  EXPECT_EQ(format_size(1024), "1.0 KiB");
  EXPECT_EQ(format_size(1536), "1.5 KiB");
  EXPECT_EQ(format_size(1_MiB - 1), "1023.9 KiB");
  EXPECT_EQ(format_size(6_GiB), "6.0 GiB");
  EXPECT_EQ(format_size(uint64_t{16} << 40), "16.0 TiB");
  EXPECT_EQ(format_size(UINT64_MAX), "15.9 EiB");
}

TEST(FormatRate, DecimalUnits) {
  EXPECT_EQ(format_rate(12'345'678, 1s), "12.3 MB/s");
  EXPECT_EQ(format_rate(999'000, 1s), "999 kB/s");
  EXPECT_EQ(format_rate(1000, Duration(0)), "1.0 MB/s");  // no division by zero
  EXPECT_EQ(format_rate(0, 1s), "0 kB/s");
}

TEST(FormatTime, ForLogsAndForPeople) {
  EXPECT_EQ(format_seconds(1204ms), "1.204");
  EXPECT_EQ(format_seconds(7ms), "0.007");
  EXPECT_EQ(format_seconds(-1s), "0.000");
  EXPECT_EQ(format_duration(59s), "59 s");
  EXPECT_EQ(format_duration(192s), "3 min 12 s");
  EXPECT_EQ(format_duration(7500s), "2 h 5 min");
  EXPECT_EQ(format_duration(-5s), "0 s");
}

TEST(ParseDuration, UnitsAndBounds) {
  EXPECT_EQ(parse_duration("30").value(), 30s);
  EXPECT_EQ(parse_duration("30s").value(), 30s);
  EXPECT_EQ(parse_duration("5m").value(), 5min);
  EXPECT_EQ(parse_duration("2h").value(), 2h);
  EXPECT_EQ(parse_duration("0").value(), 0s);
  EXPECT_TRUE(parse_duration("316224000").ok());
  for (const char* wrong : {"", "s", "-1", "1d", "316224001", "87841h", "18446744073709551615m"}) {
    EXPECT_FALSE(parse_duration(wrong).ok()) << wrong;
  }
}

TEST(ParseSize, UnitsAndBounds) {
  EXPECT_EQ(parse_size("512").value(), 512u);
  EXPECT_EQ(parse_size("4K").value(), 4096u);
  EXPECT_EQ(parse_size("4KiB").value(), 4096u);
  EXPECT_EQ(parse_size("10G").value(), 10_GiB);
  EXPECT_EQ(parse_size("15E").value(), uint64_t{15} << 60);
  for (const char* wrong :
       {"", "K", "iB", "4iB", "16E", "4KB", "4k", "-4K", "1.5G", "18446744073709551616"}) {
    EXPECT_FALSE(parse_size(wrong).ok()) << wrong;
  }
}

}  // namespace
}  // namespace curlingiron
