#include "formats/http_head.h"

#include "base/text.h"

namespace curlingiron {

Result<void> HttpHeadReader::add_line(std::string_view line) {
  bytes_ += line.size();
  if (bytes_ > kMaxHttpHead) return Error("the answer's head is longer than 64 KiB");
  if (complete_) return {};
  while (!line.empty() && (line.back() == '\r' || line.back() == '\n')) line.remove_suffix(1);
  if (head_.status == 0) {
    head_.status = TRY(parse_status_line(line));
    std::vector<std::string_view> words = split_blank(line);
    for (size_t i = 2; i < words.size(); ++i) {
      head_.reason += concat(i == 2 ? "" : " ", printable(words[i], 40));
      if (head_.reason.size() > 80) break;
    }
    return {};
  }
  if (line.empty()) {
    if (head_.status < 200) {
      head_ = HttpHead();
    } else {
      complete_ = true;
    }
    return {};
  }
  Result<HeaderField> field = parse_header_field(line);
  // A line that is no field holds nothing that is needed.
  if (!field.ok()) return {};
  return add_field(field.value());
}

Result<void> HttpHeadReader::add_field(const HeaderField& field) {
  auto is = [&](std::string_view name) { return equal_ignoring_case(field.name, name); };
  if (is("Content-Length")) {
    uint64_t length = TRY_CONTEXT("Content-Length", parse_u64(field.value));
    if (head_.length && *head_.length != length) return Error("two different Content-Lengths");
    head_.length = length;
  } else if (is("Transfer-Encoding")) {
    std::string coding = to_lower(field.value);
    head_.chunked =
        coding == "chunked" || coding.ends_with(" chunked") || coding.ends_with(",chunked");
  } else if (is("Content-Range")) {
    head_.range = TRY(parse_content_range(field.value));
  } else if (is("ETag")) {
    head_.etag = std::string(field.value);
  } else if (is("Last-Modified")) {
    head_.last_modified = std::string(field.value);
  } else if (is("Location")) {
    head_.location = std::string(field.value);
  } else if (is("Retry-After")) {
    head_.retry_after = std::string(field.value);
  } else if (is("Content-Type")) {
    head_.content_type = printable(field.value, 100);
  } else if (is("Content-Encoding")) {
    std::string coding = to_lower(field.value);
    head_.content_encoding = coding == "identity" ? "" : printable(coding, 40);
  } else if (is("Accept-Ranges")) {
    head_.accept_ranges = to_lower(printable(field.value, 40));
  } else if (is("Date")) {
    if (Result<int64_t> date = parse_http_date(field.value); date.ok()) head_.date = date.value();
  }
  return {};
}

}  // namespace curlingiron
