// Units in literals, and quantities as people read them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/time.h"

namespace curlingiron {

constexpr uint64_t operator""_KiB(unsigned long long n) { return n << 10; }
constexpr uint64_t operator""_MiB(unsigned long long n) { return n << 20; }
constexpr uint64_t operator""_GiB(unsigned long long n) { return n << 30; }

constexpr uint64_t round_up(uint64_t value, uint64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}
constexpr uint64_t round_down(uint64_t value, uint64_t multiple) {
  return value - value % multiple;
}

// "512 B", "4.0 KiB", "1.5 GiB".
std::string format_size(uint64_t bytes);
// "12.3 MB/s": decimal, as network and disk speeds are quoted.
std::string format_rate(uint64_t bytes, Duration elapsed);
// Seconds with three decimals: "1.204".
std::string format_seconds(Duration duration);
// For people: "4 s", "3 min 12 s", "2 h 5 min".
std::string format_duration(Duration duration);
// "30", "30s", "5m", "2h": seconds unless a unit is given. At most 10 years.
Result<Duration> parse_duration(std::string_view text);
// "512", "4K", "4KiB", "10G", "10GiB" (binary units).
Result<uint64_t> parse_size(std::string_view text);

}  // namespace curlingiron
