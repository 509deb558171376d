#include "base/units.h"

#include "base/text.h"

namespace curlingiron {
namespace {

// "12.3" from tenths.
std::string tenths(uint64_t value) { return concat(value / 10, ".", value % 10); }

}  // namespace

std::string format_size(uint64_t bytes) {
  static constexpr std::string_view kUnits[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  if (bytes < 1_KiB) return concat(bytes, " B");
  unsigned unit = 0;
  while (unit < 5 && bytes >> (10 * (unit + 2)) != 0) ++unit;
  unsigned shift = 10 * (unit + 1);
  uint64_t whole = bytes >> shift;
  uint64_t fraction = (bytes & ((uint64_t{1} << shift) - 1)) >> (shift - 10);  // in 1/1024
  return concat(tenths(whole * 10 + fraction * 10 / 1024), " ", kUnits[unit]);
}

std::string format_rate(uint64_t bytes, Duration elapsed) {
  auto milliseconds =
      static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(elapsed).count());
  if (milliseconds == 0) milliseconds = 1;
  uint64_t kilobytes = bytes / milliseconds;  // bytes per millisecond = kB/s
  if (kilobytes < 1000) return concat(kilobytes, " kB/s");
  return concat(tenths(kilobytes / 100), " MB/s");
}

std::string format_seconds(Duration duration) {
  auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
  auto magnitude = static_cast<uint64_t>(milliseconds < 0 ? 0 : milliseconds);
  std::string fraction = concat(magnitude % 1000);
  return concat(magnitude / 1000, ".", std::string(3 - fraction.size(), '0'), fraction);
}

std::string format_duration(Duration duration) {
  int64_t seconds = std::chrono::duration_cast<std::chrono::seconds>(duration).count();
  if (seconds < 0) seconds = 0;
  if (seconds < 60) return concat(seconds, " s");
  if (seconds < 3600) return concat(seconds / 60, " min ", seconds % 60, " s");
  return concat(seconds / 3600, " h ", seconds / 60 % 60, " min");
}

Result<Duration> parse_duration(std::string_view text) {
  uint64_t unit = 1;
  std::string_view digits = text;
  if (digits.ends_with('s')) {
    digits.remove_suffix(1);
  } else if (digits.ends_with('m')) {
    unit = 60;
    digits.remove_suffix(1);
  } else if (digits.ends_with('h')) {
    unit = 3600;
    digits.remove_suffix(1);
  }
  uint64_t count = TRY(parse_u64(digits));
  constexpr uint64_t kLongest = uint64_t{10} * 366 * 24 * 3600;
  if (count > kLongest / unit) return Error(concat("\"", printable(text, 40), "\" is too long"));
  return std::chrono::duration_cast<Duration>(std::chrono::seconds(count * unit));
}

Result<uint64_t> parse_size(std::string_view text) {
  std::string_view digits = text;
  if (digits.ends_with("iB")) digits.remove_suffix(2);
  static constexpr std::string_view kUnits = "KMGTPE";
  unsigned shift = 0;
  if (!digits.empty()) {
    size_t unit = kUnits.find(digits.back());
    if (unit != std::string_view::npos) {
      shift = 10 * static_cast<unsigned>(unit + 1);
      digits.remove_suffix(1);
    }
  }
  if (shift == 0 && digits.size() != text.size()) {
    return Error(concat("\"", printable(text, 40), "\" is not a size; write 512, 4K or 10G"));
  }
  uint64_t count = TRY(parse_u64(digits));
  if (shift != 0 && count >> (64 - shift) != 0) {
    return Error(concat("\"", printable(text, 40), "\" is too large"));
  }
  return count << shift;
}

}  // namespace curlingiron
