// Random access over Range: exact bytes, few requests, and files that change.
#include "net/http/file.h"
#include "support/patience.h"

#include <random>

#include "base/text.h"
#include "base/units.h"
#include "sys/clock.h"
#include "unit/net/http_fixture.h"

namespace curlingiron {
namespace {

using ::testing::HasSubstr;
using namespace testing;

class HttpFileTest : public HttpTest {
 protected:
  static ScriptedServer::Script keeping(const std::string& file) {
    return [&file](const Request& request, Exchange& out) {
      serve_file(file, request, out);
      out.keep();
    };
  }

  static void expect_bytes(HttpFile& from, const std::string& file, uint64_t offset,
                           uint64_t length) {
    ByteVector bytes(static_cast<size_t>(length));
    Result<void> got = from.read_at(offset, bytes);
    ASSERT_TRUE(got.ok()) << got.error().message();
    EXPECT_TRUE(as_text(bytes) == std::string_view(file).substr(offset, length))
        << offset << '+' << length;
  }

  std::string open_error(const std::string& url) {
    Result<std::unique_ptr<HttpFile>> opened = open_file({url});
    code_ = opened.ok() ? 0 : opened.error().code();
    return opened.ok() ? "no error" : opened.error().message();
  }

  int code_ = 0;
};

TEST_F(HttpFileTest, ReadsAnywhere) {
  std::string file = make_file(3'000'017);
  ScriptedServer server(keeping(file));
  auto opened = open_file({server.url("/a.qcow2")});
  ASSERT_TRUE(opened.ok()) << opened.error().message();
  HttpFile& from = *opened.value();
  EXPECT_EQ(from.size(), file.size());
  EXPECT_EQ(from.answer().length, file.size());
  EXPECT_EQ(from.answer().ranges, RangeSupport::Announced);
  std::mt19937_64 random(7);
  for (int i = 0; i < 300; ++i) {
    uint64_t offset = random() % file.size();
    uint64_t length =
        std::min<uint64_t>(random() % (i % 10 == 0 ? 500'000 : 5'000) + 1, file.size() - offset);
    expect_bytes(from, file, offset, length);
  }
  expect_bytes(from, file, 0, file.size());
  expect_bytes(from, file, file.size(), 0);
  expect_bytes(from, file, file.size() - 1, 1);
  ByteVector one(1);
  EXPECT_FALSE(from.read_at(file.size(), one).ok());
  EXPECT_EQ(log_.warnings(), 0U);
  EXPECT_EQ(from.resumptions(), 0U);
}

TEST_F(HttpFileTest, WhatIsExpectedIsOneRequest) {
  std::string file = make_file(8'000'000);
  ScriptedServer server(keeping(file));
  auto opened = open_file({server.url("/a.qcow2")});
  ASSERT_TRUE(opened.ok());
  HttpFile& from = *opened.value();
  from.expect(1'000'000, 5'000'000);
  // In order, with gaps.
  for (uint64_t at = 1'000'000; at + 70'000 < 6'000'000; at += 70'000 + at % 100'000) {
    expect_bytes(from, file, at, 65'536);
  }
  ASSERT_EQ(server.requests().size(), 2U);
  EXPECT_EQ(server.requests()[0].header("Range"), "bytes=0-65535");
  EXPECT_EQ(server.requests()[1].header("Range"), "bytes=1000000-5999999");
  EXPECT_EQ(server.requests()[1].header("If-Range"), kEtag);
  // The same connection for what follows, as the rest was small.
  expect_bytes(from, file, 6'000'000, 10);
  expect_bytes(from, file, 100, 1000);
  expect_bytes(from, file, 7'000'000, 100'000);
  ASSERT_EQ(server.requests().size(), 4U);
  for (const Request& request : server.requests()) EXPECT_EQ(request.connection, 0U);
}

TEST_F(HttpFileTest, TheFirstBytesAreKept) {
  std::string file = make_file(100'000);
  ScriptedServer server(keeping(file));
  auto opened = open_file({server.url("/")});
  ASSERT_TRUE(opened.ok());
  expect_bytes(*opened.value(), file, 0, 512);
  expect_bytes(*opened.value(), file, 65'000, 536);
  EXPECT_EQ(server.requests().size(), 1U);
  expect_bytes(*opened.value(), file, 65'000, 537);
  EXPECT_EQ(server.requests().size(), 2U);
}

TEST_F(HttpFileTest, AHeadThatComesAloneIsNotTheEnd) {
  std::string file = make_file(100'000);
  ScriptedServer server([&](const Request& request, Exchange& out) {
    uint64_t start = *request.range_start();
    uint64_t last = std::min<uint64_t>(*request.range_last(), file.size() - 1);
    out.send(concat("HTTP/1.1 206 Partial\r\nETag: \"v1\"\r\nContent-Length: ", last - start + 1,
                    "\r\nContent-Range: bytes ", start, '-', last, "/100000\r\n\r\n"));
    std::this_thread::sleep_for(30ms);  // a body that comes late
    out.send(std::string_view(file).substr(start, last - start + 1));
  });
  auto opened = open_file({server.url("/")});
  ASSERT_TRUE(opened.ok()) << opened.error().message();
  expect_bytes(*opened.value(), file, 0, 65'536);
  EXPECT_EQ(server.requests().size(), 1U);
}

TEST_F(HttpFileTest, AMirrorMayTakeOverWhileItOpens) {
  std::string file = make_file(100'000);
  for (size_t cut : {0U, 1U, 30'000U, 65'535U}) {
    SCOPED_TRACE(cut);
    ScriptedServer a([&](const Request& request, Exchange& out) {
      if (request.number == 0) serve_file(file, request, out, cut);
    });
    ScriptedServer b(keeping(file));
    auto opened = open_file({a.url("/"), b.url("/")});
    ASSERT_TRUE(opened.ok()) << opened.error().message();
    expect_bytes(*opened.value(), file, 0, file.size());
    EXPECT_EQ(b.requests()[0].header("Range"),
              cut == 0 ? "bytes=0-65535" : concat("bytes=0-", cut - 1));
  }
}

TEST_F(HttpFileTest, SmallAndEmptyFiles) {
  for (size_t size : {0U, 1U, 65'535U, 65'536U, 65'537U}) {
    SCOPED_TRACE(size);
    std::string file = make_file(size);
    ScriptedServer server(keeping(file));
    auto opened = open_file({server.url("/")});
    ASSERT_TRUE(opened.ok()) << opened.error().message();
    EXPECT_EQ(opened.value()->size(), size);
    expect_bytes(*opened.value(), file, 0, size);
  }
}

TEST_F(HttpFileTest, AServerWithoutRangeIsAResultOfItsOwn) {
  std::string file = make_file(100'000);
  ScriptedServer server([&](const Request&, Exchange& out) {
    out.send(ok_head(file.size()));
    out.send(file);
  });
  EXPECT_THAT(open_error(server.url("/")), HasSubstr("does not serve parts of the file"));
  EXPECT_EQ(code_, kNoRanges);
  EXPECT_EQ(server.requests().size(), 1U);
}

TEST_F(HttpFileTest, SoIsOneThatDoesNotTellTheLength) {
  std::string file = make_file(65'536);
  ScriptedServer server([&](const Request&, Exchange& out) {
    out.send(
        "HTTP/1.1 206 Partial\r\nContent-Length: 65536\r\nContent-Range: bytes 0-65535/*\r\n\r\n");
    out.send(file);
  });
  EXPECT_THAT(open_error(server.url("/")), HasSubstr("does not give the file's length"));
  EXPECT_EQ(code_, kNoRanges);
}

TEST_F(HttpFileTest, OtherRefusalsAreNot) {
  ScriptedServer server(
      [&](const Request&, Exchange& out) { out.send(status_head("404 Not Found")); });
  EXPECT_THAT(open_error(server.url("/")), HasSubstr("404"));
  EXPECT_NE(code_, kNoRanges);
}

TEST_F(HttpFileTest, AMirrorWithoutRangeIsPassedOver) {
  std::string file = make_file(200'000);
  ScriptedServer plain([&](const Request&, Exchange& out) {
    out.send(ok_head(file.size()));
    out.send(file);
  });
  ScriptedServer good(keeping(file));
  auto opened = open_file({plain.url("/"), good.url("/")});
  ASSERT_TRUE(opened.ok()) << opened.error().message();
  expect_bytes(*opened.value(), file, 100'000, 100'000);
}

TEST_F(HttpFileTest, ACutAtEverySixtyFourthIsResumed) {
  std::string file = make_file(1'000'003);
  for (size_t i = 0; i < 64; ++i) {
    SCOPED_TRACE(i);
    size_t cut = (file.size() - 100'000) * i / 64;
    ScriptedServer server([&](const Request& request, Exchange& out) {
      serve_file(file, request, out, request.number == 1 ? cut : SIZE_MAX);
      if (request.number == 1 && i % 2 == 0) out.reset();
    });
    auto opened = open_file({server.url("/")});
    ASSERT_TRUE(opened.ok());
    opened.value()->expect(100'000, file.size() - 100'000);
    for (uint64_t at = 100'000; at < file.size(); at += 50'000) {
      expect_bytes(*opened.value(), file, at, std::min<uint64_t>(50'000, file.size() - at));
    }
    EXPECT_EQ(opened.value()->resumptions(), 1U);
  }
}

TEST_F(HttpFileTest, AServerMaySendShorterParts) {
  std::string file = make_file(1'000'000);
  ScriptedServer server([&](const Request& request, Exchange& out) {
    uint64_t start = *request.range_start();
    uint64_t last = std::min<uint64_t>(*request.range_last(), start + 99'999);
    out.send(concat("HTTP/1.1 206 Partial\r\nETag: \"v1\"\r\nContent-Length: ", last - start + 1,
                    "\r\nContent-Range: bytes ", start, '-', last, "/1000000\r\n\r\n"));
    out.send(std::string_view(file).substr(start, last - start + 1));
    out.keep();
  });
  auto opened = open_file({server.url("/")});
  ASSERT_TRUE(opened.ok());
  expect_bytes(*opened.value(), file, 100'000, 900'000);
  EXPECT_EQ(server.requests().size(), 10U);
  EXPECT_EQ(log_.warnings(), 0U);
}

struct BadPart {
  std::string name;
  std::string answer;  // the head of the answer to bytes=100000-165535
  std::string error;
};

class BadPartTest : public HttpFileTest, public ::testing::WithParamInterface<BadPart> {};

TEST_P(BadPartTest, IsFinal) {
  std::string file = make_file(200'000);
  ScriptedServer server([&](const Request& request, Exchange& out) {
    if (request.number == 0) return serve_file(file, request, out);
    out.send(GetParam().answer);
    out.send(file);
  });
  auto opened = open_file({server.url("/")}, std::nullopt);
  ASSERT_TRUE(opened.ok());
  ByteVector bytes(10);
  Result<void> got = opened.value()->read_at(100'000, bytes);
  ASSERT_FALSE(got.ok());
  EXPECT_THAT(got.error().message(), HasSubstr(GetParam().error));
  EXPECT_EQ(server.requests().size(), 2U);
}

std::string part_head(std::string_view range, size_t length,
                      std::string_view more = "ETag: \"v1\"\r\n") {
  return concat("HTTP/1.1 206 Partial\r\nContent-Length: ", length, "\r\nContent-Range: bytes ",
                range, "\r\n", more, "\r\n");
}

INSTANTIATE_TEST_SUITE_P(
    All, BadPartTest,
    ::testing::Values(
        BadPart{"OtherOffset", part_head("99999-165534/200000", 65'536), "at byte 99999 instead"},
        BadPart{"MoreThanAskedFor", part_head("100000-165536/200000", 65'537),
                "more than the part"},
        BadPart{"OtherLength", part_head("100000-165535/200001", 65'536),
                "(length 200000 is now 200001)"},
        BadPart{"OtherETag", part_head("100000-165535/200000", 65'536, "ETag: \"v2\"\r\n"),
                "(ETag \"v1\" is now \"v2\")"},
        BadPart{"TheWholeWithAnotherETag", ok_head(200'000, "ETag: \"v2\"\r\n"),
                "(ETag \"v1\" is now \"v2\")"},
        BadPart{"TheWhole", ok_head(200'000), "does not serve parts"},
        BadPart{"Shorter", "HTTP/1.1 416 No\r\nContent-Range: bytes */90000\r\n\r\n",
                "(length 200000 is now 90000)"},
        BadPart{"Gone", status_head("410 Gone"), "410 Gone"}),
    [](const auto& bad) { return bad.param.name; });

TEST_F(HttpFileTest, LastModifiedMustStayWhereThereIsNoETag) {
  std::string file = make_file(200'000);
  ScriptedServer server([&](const Request& request, Exchange& out) {
    uint64_t start = *request.range_start();
    uint64_t last = std::min<uint64_t>(*request.range_last(), file.size() - 1);
    out.send(part_head(
        concat(start, '-', last, "/200000"), last - start + 1,
        concat("Last-Modified: Sun, 06 Nov 1994 08:49:3", request.number < 2 ? 7 : 8, " GMT\r\n")));
    out.send(std::string_view(file).substr(start, last - start + 1));
  });
  auto opened = open_file({server.url("/")});
  ASSERT_TRUE(opened.ok());
  expect_bytes(*opened.value(), file, 66'000, 10);
  ByteVector bytes(10);
  Result<void> got = opened.value()->read_at(190'000, bytes);
  ASSERT_FALSE(got.ok());
  EXPECT_THAT(got.error().message(), HasSubstr("the image changed on the server"));
}

TEST_F(HttpFileTest, WithoutAnyValidatorThisIsSaid) {
  std::string file = make_file(100'000);
  ScriptedServer server(
      [&](const Request& request, Exchange& out) { serve_file(file, request, out, SIZE_MAX, ""); });
  auto opened = open_file({server.url("/")});
  ASSERT_TRUE(opened.ok());
  EXPECT_THAT(log_.text(), HasSubstr("neither ETag nor Last-Modified"));
  expect_bytes(*opened.value(), file, 66'000, 34'000);
}

TEST_F(HttpFileTest, SwitchesToAMirrorThatIsProven) {
  std::string file = make_file(500'000);
  std::string other = file;
  other[5] = 'x';
  for (bool digest_follows : {false, true}) {
    SCOPED_TRACE(digest_follows);
    options_.digest_follows = digest_follows;
    std::string_view etag = digest_follows ? "\"c\"" : kEtag;
    ScriptedServer a([&](const Request& request, Exchange& out) {
      if (request.number == 0) serve_file(file, request, out);
      if (request.number == 1) serve_file(file, request, out, 100'000);
    });
    ScriptedServer b([&](const Request& request, Exchange& out) {
      serve_file(other, request, out, SIZE_MAX, "\"b\"");
    });
    ScriptedServer c([&](const Request& request, Exchange& out) {
      serve_file(file, request, out, SIZE_MAX, etag);
    });
    auto opened = open_file({a.url("/"), b.url("/"), c.url("/")});
    ASSERT_TRUE(opened.ok());
    expect_bytes(*opened.value(), file, 70'000, 430'000);
    EXPECT_EQ(b.requests().size(), 1U);
    ASSERT_EQ(c.requests().size(), 2U);
    EXPECT_EQ(c.requests()[0].header("Range"), "bytes=0-65535");
    EXPECT_EQ(c.requests()[1].header("Range"), "bytes=170000-499999");
    EXPECT_EQ(c.requests()[1].header("If-Range"), etag);
    EXPECT_THAT(log_.text(), HasSubstr(digest_follows ? "byte 5 differs" : "no ETag in common"));
  }
}

TEST_F(HttpFileTest, AStallIsResumedAndTheDeadlineHolds) {
  options_.stall = 300ms;
  std::string file = make_file(300'000);
  ScriptedServer server([&](const Request& request, Exchange& out) {
    bool sick = request.number == 1 || request.number > 2;
    serve_file(file, request, out, sick ? 10'000 : SIZE_MAX);
    if (sick) out.hang();
  });
  auto opened = open_file({server.url("/")}, std::nullopt);
  ASSERT_TRUE(opened.ok());
  expect_bytes(*opened.value(), file, 100'000, 50'000);
  EXPECT_EQ(opened.value()->resumptions(), 1U);
  opened.value()->set_deadline(now() + 50ms);
  ByteVector bytes(100'000);
  Time before = now();
  EXPECT_FALSE(opened.value()->read_at(200'000, bytes).ok());
  EXPECT_LT(now() - before, patience(2s));
}

TEST_F(HttpFileTest, RedirectsAreFollowedOnce) {
  std::string file = make_file(300'000);
  ScriptedServer store(keeping(file));
  ScriptedServer server([&](const Request&, Exchange& out) {
    out.send(status_head("302 Found", concat("Location: ", store.url("/b"), "\r\n")));
  });
  auto opened = open_file({server.url("/a")});
  ASSERT_TRUE(opened.ok());
  expect_bytes(*opened.value(), file, 100'000, 10);
  expect_bytes(*opened.value(), file, 299'000, 10);
  expect_bytes(*opened.value(), file, 66'000, 10);
  EXPECT_EQ(server.requests().size(), 1U);
}

}  // namespace
}  // namespace curlingiron
