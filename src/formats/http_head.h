// The head of an HTTP/1.1 answer, line by line (RFC 9112), as far as a download needs it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "formats/http_text.h"

namespace curlingiron {

inline constexpr size_t kMaxHttpHead = size_t{64} << 10;  // bytes, interim answers included

struct HttpHead {
  unsigned status = 0;
  std::string reason;              // "Not Found", printable
  std::optional<uint64_t> length;  // Content-Length
  bool chunked = false;            // Transfer-Encoding ends with chunked
  std::optional<ContentRange> range;
  std::string etag;
  std::string last_modified;
  std::string location;
  std::string retry_after;
  std::string content_type;
  std::string content_encoding;  // lower case; empty for identity
  std::string accept_ranges;     // lower case; empty: nothing said
  std::optional<int64_t> date;   // seconds since the epoch
};

// Reads the lines of one answer; interim answers (1xx) before it are passed over.
class HttpHeadReader {
 public:
  // One line with or without its end; an empty one ends the head. Errors: no status line, more
  // than kMaxHttpHead bytes, two different lengths, a Content-Range that cannot be read.
  Result<void> add_line(std::string_view line);

  // What follows now is the body; more lines are its trailers, and ignored.
  bool complete() const { return complete_; }
  const HttpHead& head() const { return head_; }

 private:
  Result<void> add_field(const HeaderField& field);

  HttpHead head_;
  bool complete_ = false;
  size_t bytes_ = 0;
};

}  // namespace curlingiron
