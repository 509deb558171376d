// Values of HTTP header fields (RFC 9110), as far as a download needs them.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/result.h"
#include "base/time.h"

namespace curlingiron {

// "HTTP/1.1 404 Not Found": the status code, 100 to 599.
Result<unsigned> parse_status_line(std::string_view line);

struct HeaderField {
  std::string_view name;
  std::string_view value;  // without blanks at its ends
};
// True for "Name: value" on one line, as a request may carry it.
bool is_request_header(std::string_view text);
// "Name: value", with or without the line end.
Result<HeaderField> parse_header_field(std::string_view line);

// "bytes 0-99/200", "bytes 0-99/*", "bytes */200". Positions in bytes; `last` is inclusive.
struct ContentRange {
  struct Span {
    uint64_t first = 0;
    uint64_t last = 0;
  };
  std::optional<Span> span;        // absent in the answer 416
  std::optional<uint64_t> length;  // of the whole file
};
Result<ContentRange> parse_content_range(std::string_view value);

// The three forms of section 5.6.7, in seconds since 1970-01-01T00:00:00Z.
Result<int64_t> parse_http_date(std::string_view text);

// Retry-After: seconds, or a date, of which `now` (seconds since the epoch) is taken away. Never
// negative; at most one day.
Result<Duration> parse_retry_after(std::string_view value, int64_t now);

// "2026-01-31" and "2026-01-31 12:00:00 UTC".
std::string format_date(int64_t seconds);
std::string format_date_time(int64_t seconds);

// A quoted entity tag without "W/": the only kind that proves equality of bytes (section 8.8.3).
bool is_strong_entity_tag(std::string_view etag);

}  // namespace curlingiron
