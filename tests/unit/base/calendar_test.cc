#include "base/calendar.h"

#include <gtest/gtest.h>

#include <ctime>

namespace curlingiron {
namespace {

// As the C library counts.
TEST(Calendar, DaysAreThoseOfTheCLibrary) {
  for (int64_t day = -200'000; day < 3'000'000; day += 37) {
    int64_t seconds = day * kDay + 12'345;
    time_t time = seconds;
    std::tm parts{};
    ASSERT_NE(::gmtime_r(&time, &parts), nullptr);
    std::chrono::year_month_day date = day_at(seconds);
    ASSERT_EQ(static_cast<int>(date.year()), parts.tm_year + 1900) << day;
    ASSERT_EQ(static_cast<unsigned>(date.month()), static_cast<unsigned>(parts.tm_mon + 1)) << day;
    ASSERT_EQ(static_cast<unsigned>(date.day()), static_cast<unsigned>(parts.tm_mday)) << day;
    ASSERT_EQ(seconds_at(parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday), day * kDay) << day;
  }
}

TEST(Calendar, ADayAfterTheMonthsLastIsOneOfTheNext) {
  EXPECT_EQ(seconds_at(2026, 2, 31), seconds_at(2026, 3, 3));
  EXPECT_EQ(seconds_at(1970, 1, 1), 0);
}

}  // namespace
}  // namespace curlingiron
