#include "formats/url.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace curlingiron {
namespace {

using ::testing::HasSubstr;

TEST(Url, Parts) {
  Result<Url> url = parse_url("HTTPS://user:p%40ss@Example.ORG:8443/a/b.img?key=1#part");
  ASSERT_TRUE(url.ok()) << url.error().message();
  EXPECT_EQ(url.value().scheme, UrlScheme::Https);
  EXPECT_EQ(url.value().user_info, "user:p%40ss");
  EXPECT_EQ(url.value().host, "example.org");
  EXPECT_EQ(url.value().port, 8443);
  EXPECT_EQ(url.value().target, "/a/b.img?key=1");
  EXPECT_EQ(url.value().text(), "https://user:p%40ss@example.org:8443/a/b.img?key=1");
  EXPECT_EQ(url.value().display(), "https://example.org:8443/a/b.img");
}

TEST(Url, APortAndAPathOrAPassword) {
  for (const char* text : {"http://bob:12/34@host/", "https://bob:1?2@host", "http://h:80/a@2x"}) {
    Result<Url> url = parse_url(text);
    ASSERT_FALSE(url.ok()) << text;
    EXPECT_THAT(url.error().message(), HasSubstr("%2F"));
  }
  for (const char* text : {"http://h/a@2x", "http://u:p@h:80/a@2x", "http://[::1]:80/a@2x",
                           "http://h:80/a%402x", "http://h:80/#@"}) {
    EXPECT_TRUE(parse_url(text).ok()) << text;
  }
  // What a server redirects to was not typed by anybody.
  EXPECT_TRUE(resolve_reference(parse_url("http://h/").value(), "http://h:80/a@2x").ok());
}

TEST(Url, Defaults) {
  EXPECT_EQ(parse_url("http://h").value().text(), "http://h/");
  EXPECT_EQ(parse_url("http://h").value().port, 80);
  EXPECT_EQ(parse_url("https://h?x").value().target, "/?x");
  EXPECT_EQ(parse_url("https://[FE80::1]:444/").value().text(), "https://[fe80::1]:444/");
  EXPECT_EQ(parse_url("http://h/gr\xc3\xb6\xc3\x9f"
                      "e")
                .value()
                .target,
            "/gr%C3%B6%C3%9Fe");
  // As curl asks: no ".", no "..", and the case of escapes as it was given.
  EXPECT_EQ(parse_url("http://h/a/../b/./c%2F%2fd?e=../f%2F").value().target,
            "/b/c%2F%2fd?e=../f%2F");
  EXPECT_EQ(parse_url("http://h/../..").value().target, "/");
  EXPECT_EQ(parse_url("http://h//a/").value().target, "//a/");
}

TEST(Url, Refused) {
  auto error = [](std::string_view text) {
    Result<Url> url = parse_url(text);
    return url.ok() ? std::string("no error") : url.error().message();
  };
  EXPECT_THAT(error("example.org/x"), HasSubstr("no scheme"));
  EXPECT_THAT(error("ftp://h/"), HasSubstr("'ftp' is not http or https"));
  EXPECT_THAT(error("http:///x"), HasSubstr("host is missing"));
  EXPECT_THAT(error("http://h /"), HasSubstr("blank"));
  EXPECT_THAT(error("http://h/\r\nX: y"), HasSubstr("control"));
  EXPECT_THAT(error("http://h:0/"), HasSubstr("no port"));
  EXPECT_THAT(error("http://h:65536/"), HasSubstr("no port"));
  EXPECT_THAT(error("http://[::1/"), HasSubstr("']'"));
  EXPECT_THAT(error("http://[]/"), HasSubstr("IPv6"));
  EXPECT_THAT(error("http://a\\b/"), HasSubstr("no host name"));
  for (std::string_view hollow :
       {"http://.a.b/", "http://a..b/", "http://./", "http://../", "http://a../"}) {
    EXPECT_THAT(error(hollow), HasSubstr("no host name")) << hollow;
  }
  EXPECT_EQ(error("http://a.b./"), "no error");
  EXPECT_THAT(error("http://" + std::string(5000, 'a')), HasSubstr("4096"));
}

TEST(Url, References) {
  Url base = parse_url("https://u:p@h.example:8443/a/b/c?q=1").value();
  auto resolve = [&](std::string_view reference) {
    Result<Url> url = resolve_reference(base, reference);
    return url.ok() ? url.value().text() : url.error().message();
  };
  EXPECT_EQ(resolve("http://other/x"), "http://other/x");
  EXPECT_EQ(resolve("//other/x"), "https://other/x");
  EXPECT_EQ(resolve("/x/../y"), "https://h.example:8443/y");
  EXPECT_EQ(resolve("d"), "https://h.example:8443/a/b/d");
  EXPECT_EQ(resolve("../d?z"), "https://h.example:8443/a/d?z");
  EXPECT_EQ(resolve("../../../../d/"), "https://h.example:8443/d/");
  EXPECT_EQ(resolve("."), "https://h.example:8443/a/b/");
  EXPECT_EQ(resolve("?z"), "https://h.example:8443/a/b/c?z");
  EXPECT_EQ(resolve("#f"), "https://h.example:8443/a/b/c?q=1");
  EXPECT_EQ(resolve("with space"), "https://h.example:8443/a/b/with%20space");
  EXPECT_THAT(resolve("javascript:x"), HasSubstr("no scheme"));
  EXPECT_THAT(resolve("x\r\ny"), HasSubstr("control"));
}

}  // namespace
}  // namespace curlingiron
