// Dates of the proleptic Gregorian calendar, in UTC, as seconds since 1970-01-01.
#pragma once

#include <chrono>
#include <cstdint>

namespace curlingiron {

inline constexpr int64_t kDay = 86400;  // seconds

// The beginning of a day. Years from -32767 to 32767, months from 1 to 12; a day after the month's
// last is one of the next month.
constexpr int64_t seconds_at(int64_t year, int64_t month, int64_t day) {
  std::chrono::year_month_day first{std::chrono::year(static_cast<int>(year)),
                                    std::chrono::month(static_cast<unsigned>(month)),
                                    std::chrono::day(1)};
  return (std::chrono::sys_days(first).time_since_epoch().count() + day - 1) * kDay;
}

// The day of a moment between those years.
constexpr std::chrono::year_month_day day_at(int64_t seconds) {
  return std::chrono::sys_days(std::chrono::floor<std::chrono::days>(
      std::chrono::sys_seconds(std::chrono::seconds(seconds))));
}

}  // namespace curlingiron
