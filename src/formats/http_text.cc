#include "formats/http_text.h"

#include <algorithm>
#include <array>
#include <string>

#include "base/calendar.h"
#include "base/text.h"

namespace curlingiron {
namespace {

constexpr std::array<std::string_view, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

Result<int64_t> number_in(std::string_view text, int64_t low, int64_t high) {
  uint32_t value = TRY(parse_u32(text));
  if (value < low || value > high) return Error("a number out of its range");
  return int64_t{value};
}

Result<int64_t> month_number(std::string_view name) {
  for (size_t i = 0; i < kMonths.size(); ++i) {
    if (equal_ignoring_case(kMonths[i], name)) return static_cast<int64_t>(i + 1);
  }
  return Error("no month");
}

Result<int64_t> seconds_of_day(std::string_view text) {
  std::vector<std::string_view> parts = split(text, ':');
  if (parts.size() != 3) return Error("no time of day");
  int64_t hours = TRY(number_in(parts[0], 0, 23));
  int64_t minutes = TRY(number_in(parts[1], 0, 59));
  int64_t seconds = TRY(number_in(parts[2], 0, 60));
  return hours * 3600 + minutes * 60 + seconds;
}

Result<int64_t> date_from(std::string_view day, std::string_view month, int64_t year,
                          std::string_view clock) {
  int64_t day_number = TRY(number_in(day, 1, 31));
  return seconds_at(year, TRY(month_number(month)), day_number) + TRY(seconds_of_day(clock));
}

Result<int64_t> parse_date_words(const std::vector<std::string_view>& words) {
  // Sun, 06 Nov 1994 08:49:37 GMT
  if (words.size() == 6 && words[5] == "GMT") {
    return date_from(words[1], words[2], TRY(number_in(words[3], 1600, 9999)), words[4]);
  }
  // Sunday, 06-Nov-94 08:49:37 GMT
  if (words.size() == 4 && words[3] == "GMT") {
    std::vector<std::string_view> parts = split(words[1], '-');
    if (parts.size() != 3) return Error("no date");
    int64_t year = TRY(number_in(parts[2], 0, 99));
    return date_from(parts[0], parts[1], year + (year < 70 ? 2000 : 1900), words[2]);
  }
  // Sun Nov  6 08:49:37 1994
  if (words.size() == 5) {
    return date_from(words[2], words[1], TRY(number_in(words[4], 1600, 9999)), words[3]);
  }
  return Error("no date");
}

std::string two_digits(int64_t number) { return concat(number < 10 ? "0" : "", number); }

}  // namespace

Result<unsigned> parse_status_line(std::string_view line) {
  Error wrong("no HTTP status line");
  if (!line.starts_with("HTTP/")) return wrong;
  std::vector<std::string_view> words = split_blank(line);
  if (words.size() < 2 || words[1].size() != 3) return wrong;
  Result<uint32_t> code = parse_u32(words[1]);
  if (!code.ok() || code.value() < 100 || code.value() > 599) return wrong;
  return static_cast<unsigned>(code.value());
}

bool is_request_header(std::string_view text) {
  bool one_line =
      std::all_of(text.begin(), text.end(), [](char c) { return !is_control(c) || c == '\t'; });
  return one_line && parse_header_field(text).ok();
}

Result<HeaderField> parse_header_field(std::string_view line) {
  size_t colon = line.find(':');
  if (colon == std::string_view::npos || colon == 0) return Error("a header line without a name");
  return HeaderField{line.substr(0, colon), trim(line.substr(colon + 1))};
}

Result<ContentRange> parse_content_range(std::string_view value) {
  Error wrong(concat("Content-Range '", printable(value, 60), "' is malformed"));
  std::vector<std::string_view> words = split_blank(value);
  if (words.size() != 2 || !equal_ignoring_case(words[0], "bytes")) return wrong;
  std::vector<std::string_view> parts = split(words[1], '/');
  if (parts.size() != 2) return wrong;
  ContentRange range;
  if (parts[1] != "*") {
    Result<uint64_t> length = parse_u64(parts[1]);
    if (!length.ok()) return wrong;
    range.length = length.value();
  }
  if (parts[0] == "*") {
    if (!range.length) return wrong;
    return range;
  }
  std::vector<std::string_view> ends = split(parts[0], '-');
  if (ends.size() != 2) return wrong;
  Result<uint64_t> first = parse_u64(ends[0]);
  Result<uint64_t> last = parse_u64(ends[1]);
  if (!first.ok() || !last.ok() || first.value() > last.value()) return wrong;
  if (range.length && last.value() >= *range.length) return wrong;
  // An inclusive end at the type's last value has no count that fits.
  if (last.value() == UINT64_MAX) return wrong;
  range.span = ContentRange::Span{first.value(), last.value()};
  return range;
}

Result<int64_t> parse_http_date(std::string_view text) {
  Result<int64_t> date = parse_date_words(split_blank(text));
  if (!date.ok()) return Error(concat("'", printable(text, 60), "' is no HTTP date"));
  return date;
}

Result<Duration> parse_retry_after(std::string_view value, int64_t now) {
  int64_t seconds = 0;
  Result<uint64_t> number = parse_u64(trim(value));
  if (number.ok()) {
    seconds = static_cast<int64_t>(std::min<uint64_t>(number.value(), kDay));
  } else {
    seconds = TRY(parse_http_date(value)) - now;
  }
  return Duration(std::chrono::seconds(std::clamp<int64_t>(seconds, 0, kDay)));
}

std::string format_date(int64_t seconds) {
  std::chrono::year_month_day date = day_at(seconds);
  return concat(static_cast<int>(date.year()), '-', two_digits(static_cast<unsigned>(date.month())),
                '-', two_digits(static_cast<unsigned>(date.day())));
}

std::string format_date_time(int64_t seconds) {
  int64_t rest = (seconds % kDay + kDay) % kDay;
  return concat(format_date(seconds), ' ', two_digits(rest / 3600), ':', two_digits(rest / 60 % 60),
                ':', two_digits(rest % 60), " UTC");
}

bool is_strong_entity_tag(std::string_view etag) {
  return etag.size() >= 2 && etag.size() <= 1024 && etag.front() == '"' && etag.back() == '"' &&
         std::all_of(etag.begin() + 1, etag.end() - 1,
                     [](char c) { return !is_control(c) && c != ' ' && c != '"'; });
}

}  // namespace curlingiron
