#include "formats/http_text.h"

#include <gtest/gtest.h>

#include "base/text.h"
#include "formats/http_head.h"

namespace curlingiron {
namespace {

TEST(HttpText, Dates) {
  EXPECT_EQ(parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").value(), 784111777);
  EXPECT_EQ(parse_http_date("Sunday, 06-Nov-94 08:49:37 GMT").value(), 784111777);
  EXPECT_EQ(parse_http_date("Sun Nov  6 08:49:37 1994").value(), 784111777);
  EXPECT_EQ(parse_http_date("Thu, 29 Feb 2024 23:59:59 GMT").value(), 1709251199);
  for (std::string_view bad :
       {"", "now", "Sun, 06 Nov 1994 08:49:37", "Sun, 32 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nox 1994 08:49:37 GMT", "Sun, 06 Nov 1994 24:00:00 GMT",
        "Sun, 06 Nov 99999 08:49:37 GMT", "Sun, 06 Nov 1994 8:49 GMT"}) {
    EXPECT_FALSE(parse_http_date(bad).ok()) << bad;
  }
  EXPECT_EQ(format_date(784111777), "1994-11-06");
  EXPECT_EQ(format_date_time(784111777), "1994-11-06 08:49:37 UTC");
  EXPECT_EQ(format_date(-1), "1969-12-31");
  EXPECT_EQ(format_date(951782400), "2000-02-29");
}

TEST(HttpText, ContentRange) {
  ContentRange range = parse_content_range("bytes 5-9/10").value();
  EXPECT_EQ(range.span->first, 5U);
  EXPECT_EQ(range.span->last, 9U);
  EXPECT_EQ(range.length, 10U);
  EXPECT_FALSE(parse_content_range("bytes 5-9/*").value().length);
  EXPECT_FALSE(parse_content_range("bytes */10").value().span);
  for (std::string_view bad :
       {"", "bytes", "bytes 5-9", "bytes 9-5/10", "bytes 5-10/10", "bytes */*", "lines 5-9/10",
        "bytes -5-9/10", "bytes 5-18446744073709551615/*", "bytes 5-18446744073709551616/*",
        "bytes 5-9/10/11", "bytes 5 - 9/10"}) {
    EXPECT_FALSE(parse_content_range(bad).ok()) << bad;
  }
}

TEST(HttpText, RetryAfter) {
  EXPECT_EQ(parse_retry_after("120", 0).value(), Duration(120s));
  EXPECT_EQ(parse_retry_after("Sun, 06 Nov 1994 08:49:37 GMT", 784111770).value(), Duration(7s));
  EXPECT_EQ(parse_retry_after("Sun, 06 Nov 1994 08:49:37 GMT", 784111999).value(), Duration(0s));
  EXPECT_EQ(parse_retry_after("18446744073709551615", 0).value(), Duration(std::chrono::hours(24)));
  EXPECT_FALSE(parse_retry_after("soon", 0).ok());
}

TEST(HttpText, StrongTags) {
  EXPECT_TRUE(is_strong_entity_tag("\"a\""));
  for (std::string_view weak : {"", "\"", "W/\"a\"", "a", "\"a\"b\"", "\"a b\"", "\"a\n\""}) {
    EXPECT_FALSE(is_strong_entity_tag(weak)) << weak;
  }
}

Result<HttpHead> read_head(std::string_view text) {
  HttpHeadReader reader;
  for (std::string_view line : split(text, '\n')) {
    TRY(reader.add_line(line));
    if (reader.complete()) return reader.head();
  }
  return Error("incomplete");
}

TEST(HttpHead, InterimAnswersArePassedOver) {
  HttpHead head =
      read_head(
          "HTTP/1.1 103 Hints\r\nETag: \"x\"\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 5\r\n"
          "Content-Encoding: identity\r\nTransfer-Encoding: gzip, Chunked\r\n\r\n")
          .value();
  EXPECT_EQ(head.status, 200U);
  EXPECT_EQ(head.reason, "OK");
  EXPECT_EQ(head.etag, "");
  EXPECT_EQ(head.length, 5U);
  EXPECT_EQ(head.content_encoding, "");
  EXPECT_TRUE(head.chunked);
}

TEST(HttpHead, Refused) {
  EXPECT_FALSE(read_head("ICY 200 OK\n\n").ok());
  EXPECT_FALSE(read_head("HTTP/1.1 2000 OK\n\n").ok());
  EXPECT_FALSE(read_head("HTTP/1.1 200 OK\nContent-Length: 5\nContent-Length: 6\n\n").ok());
  EXPECT_FALSE(read_head("HTTP/1.1 200 OK\nContent-Length: -1\n\n").ok());
  EXPECT_TRUE(read_head("HTTP/1.1 200\nContent-Length: 5\nContent-Length: 5\n\n").ok());
  HttpHeadReader reader;
  ASSERT_TRUE(reader.add_line("HTTP/1.1 200 OK").ok());
  EXPECT_FALSE(reader.add_line(std::string(kMaxHttpHead, 'x')).ok());
}

}  // namespace
}  // namespace curlingiron
