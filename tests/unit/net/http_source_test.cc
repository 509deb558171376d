#include "net/http_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <mutex>

#include "base/log.h"
#include "base/text.h"
#include "base/units.h"
#include "formats/http_text.h"
#include "sys/clock.h"
#include "sys/file.h"
#include "unit/net/scripted_server.h"

namespace curlingiron {
namespace {

using testing::Exchange;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::Request;
using testing::ScriptedServer;
using testing::TlsIdentity;

constexpr std::string_view kEtag = "\"v1\"";

// Bytes that differ everywhere, so that an offset that is off shows.
std::string make_file(size_t size) {
  std::string file(size, '\0');
  uint64_t x = 88172645463325252;
  for (char& c : file) {
    x ^= x << 13, x ^= x >> 7, x ^= x << 17;
    c = static_cast<char>(x);
  }
  return file;
}

std::string ok_head(size_t length, std::string_view more = "ETag: \"v1\"\r\n") {
  return concat("HTTP/1.1 200 OK\r\nContent-Length: ", length, "\r\n", more, "\r\n");
}

std::string partial_head(size_t first, size_t size, std::string_view more = "ETag: \"v1\"\r\n") {
  return concat("HTTP/1.1 206 Partial Content\r\nContent-Length: ", size - first,
                "\r\nContent-Range: bytes ", first, '-', size - 1, '/', size, "\r\n", more, "\r\n");
}

// A server as it should be; `limit` bytes of each answer's body are sent, then the line is cut.
void serve_file(const std::string& file, const Request& request, Exchange& out,
                size_t limit = SIZE_MAX) {
  std::optional<uint64_t> start = request.range_start();
  if (start && request.header("If-Range") == kEtag) {
    out.send(partial_head(*start, file.size()));
    out.send(std::string_view(file).substr(*start, limit));
  } else {
    out.send(ok_head(file.size()));
    out.send(std::string_view(file).substr(0, limit));
  }
}

class RecordingLog final : public LogSink {
 public:
  RecordingLog() {
    set_log_sink(this);
    set_log_level(LogLevel::Debug);
  }
  ~RecordingLog() override { set_log_sink(nullptr); }
  void log(LogLevel level, std::string_view line) override {
    std::lock_guard lock(mutex_);
    if (level == LogLevel::Warning) ++warnings_;
    text_ += concat(line, '\n');
  }
  std::string text() const { return text_; }
  unsigned warnings() const { return warnings_; }

 private:
  std::mutex mutex_;
  std::string text_;
  unsigned warnings_ = 0;
};

class HttpSourceTest : public ::testing::Test {
 protected:
  HttpSourceTest() {
    options_.stall = 300ms;
    options_.first_backoff = 4ms;
  }

  Result<std::unique_ptr<HttpSource>> open(const std::string& url,
                                           std::optional<Duration> limit = 5s) {
    std::optional<Time> deadline;
    if (limit) deadline = now() + *limit;
    return HttpSource::open(TRY(parse_url(url)), options_, deadline);
  }

  Result<std::string> drain(HttpSource& source, size_t step = 70'001) {
    std::string all;
    ByteVector buffer(step);
    for (;;) {
      size_t n = TRY(source.read(buffer));
      if (n == 0) break;
      all += as_text(ConstBytes(buffer).first(n));
    }
    EXPECT_EQ(source.delivered(), all.size());
    return all;
  }

  Result<std::string> fetch(const std::string& url, std::optional<Duration> limit = 5s) {
    std::unique_ptr<HttpSource> source = TRY(open(url, limit));
    Result<std::string> all = drain(*source);
    resumptions_ = source->resumptions();
    return all;
  }

  std::string error_of(const std::string& url, std::optional<Duration> limit = 5s) {
    Result<std::string> result = fetch(url, limit);
    return result.ok() ? "no error" : result.error().message();
  }

  HttpOptions options_;
  RecordingLog log_;
  unsigned resumptions_ = 0;
};

TEST_F(HttpSourceTest, ReadsAWholeFile) {
  std::string file = make_file(5'000'003);
  ScriptedServer server([&](const Request& request, Exchange& out) {
    if (request.path() != "/a.img?key=secret") return;
    out.send(ok_head(file.size(),
                     "Content-Type: application/x-raw\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"));
    out.send(file);
  });
  Result<std::unique_ptr<HttpSource>> source = open(server.url("/a.img?key=secret"));
  ASSERT_TRUE(source.ok()) << source.error().message();
  const HttpAnswer& answer = source.value()->answer();
  EXPECT_EQ(answer.length, file.size());
  EXPECT_EQ(answer.content_type, "application/x-raw");
  EXPECT_EQ(answer.date, 784111777);
  EXPECT_EQ(answer.effective_url, server.url("/a.img"));
  EXPECT_EQ(answer.tls, "");
  Result<std::string> all = drain(*source.value());
  ASSERT_TRUE(all.ok()) << all.error().message();
  EXPECT_TRUE(all.value() == file);
  EXPECT_EQ(source.value()->resumptions(), 0U);
  EXPECT_EQ(server.requests()[0].header("Accept-Encoding"), "identity");
}

TEST_F(HttpSourceTest, AnEmptyFileEndsAtOnce) {
  ScriptedServer server([](const Request&, Exchange& out) { out.send(ok_head(0)); });
  Result<std::string> all = fetch(server.url("/"));
  ASSERT_TRUE(all.ok()) << all.error().message();
  EXPECT_EQ(all.value(), "");
}

TEST_F(HttpSourceTest, ResumesAfterACutAtEverySixteenth) {
  std::string file = make_file(1'000'003);
  for (size_t i = 0; i <= 16; ++i) {
    SCOPED_TRACE(i);
    ScriptedServer server([&](const Request& request, Exchange& out) {
      serve_file(file, request, out, request.number == 0 ? file.size() * i / 16 : SIZE_MAX);
    });
    Result<std::string> all = fetch(server.url("/a.img"));
    ASSERT_TRUE(all.ok()) << all.error().message();
    EXPECT_TRUE(all.value() == file);
    EXPECT_EQ(server.requests().size(), i == 16 ? 1U : 2U);
    EXPECT_EQ(resumptions_, i == 16 ? 0U : 1U);
    if (i > 0 && i < 16) {
      EXPECT_EQ(server.requests()[1].header("Range"), concat("bytes=", file.size() * i / 16, '-'));
      EXPECT_EQ(server.requests()[1].header("If-Range"), kEtag);
    }
  }
}

TEST_F(HttpSourceTest, ResumesManyTimesInOneFile) {
  std::string file = make_file(1'600'000);
  ScriptedServer server([&](const Request& request, Exchange& out) {
    serve_file(file, request, out, 100'000);
    if (request.number % 2 == 0) out.reset();
  });
  // A reset may throw away what was under way, so that there are at least this many requests.
  Result<std::string> all = fetch(server.url("/a.img"));
  ASSERT_TRUE(all.ok()) << all.error().message();
  EXPECT_TRUE(all.value() == file);
  EXPECT_GE(server.requests().size(), 16U);
  EXPECT_EQ(log_.warnings(), server.requests().size() - 1);
}

TEST_F(HttpSourceTest, AServerWithoutRangeIsReadAgainAndCompared) {
  std::string file = make_file(900'000);
  ScriptedServer server([&](const Request& request, Exchange& out) {
    out.send(ok_head(file.size()));
    out.send(std::string_view(file).substr(0, request.number < 2 ? 300'000 : SIZE_MAX));
  });
  Result<std::string> all = fetch(server.url("/a.img"));
  ASSERT_TRUE(all.ok()) << all.error().message();
  EXPECT_TRUE(all.value() == file);
  EXPECT_EQ(server.requests().size(), 3U);
}

TEST_F(HttpSourceTest, WithoutValidatorNoRangeIsAskedFor) {
  std::string file = make_file(900'000);
  ScriptedServer server([&](const Request& request, Exchange& out) {
    out.send(ok_head(file.size(), "ETag: W/\"weak\"\r\n"));
    out.send(std::string_view(file).substr(0, request.number == 0 ? 300'000 : SIZE_MAX));
  });
  Result<std::string> all = fetch(server.url("/a.img"));
  ASSERT_TRUE(all.ok()) << all.error().message();
  EXPECT_TRUE(all.value() == file);
  EXPECT_EQ(server.requests()[1].header("Range"), "");
}

TEST_F(HttpSourceTest, ReadAgainWithOtherBytesIsAChangedImage) {
  std::string file = make_file(900'000);
  std::string other = file;
  other[1000] = static_cast<char>(other[1000] ^ 1);
  ScriptedServer server([&](const Request& request, Exchange& out) {
    out.send(ok_head(file.size(), ""));
    if (request.number == 0)
      out.send(std::string_view(file).substr(0, 300'000));
    else
      out.send(other);
  });
  EXPECT_THAT(error_of(server.url("/a.img"), std::nullopt), HasSubstr("changed on the server"));
  EXPECT_EQ(server.requests().size(), 2U);
}

TEST_F(HttpSourceTest, OldLastModifiedServesAsValidator) {
  std::string file = make_file(500'000);
  std::string dates =
      "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\nDate: Sun, 06 Nov 1994 08:50:37 GMT\r\n";
  ScriptedServer server([&](const Request& request, Exchange& out) {
    if (request.number == 0) {
      out.send(ok_head(file.size(), dates));
      out.send(std::string_view(file).substr(0, 1234));
    } else {
      out.send(partial_head(*request.range_start(), file.size(), dates));
      out.send(std::string_view(file).substr(*request.range_start()));
    }
  });
  Result<std::string> all = fetch(server.url("/a.img"));
  ASSERT_TRUE(all.ok()) << all.error().message();
  EXPECT_TRUE(all.value() == file);
  EXPECT_EQ(server.requests()[1].header("If-Range"), "Sun, 06 Nov 1994 08:49:37 GMT");
}

// What a server may answer to a resumption, and the error that must come of it at once.
struct BadResume {
  std::string name;
  std::string answer;  // head and body
  std::string error;
};

class BadResumeTest : public HttpSourceTest, public ::testing::WithParamInterface<BadResume> {};

TEST_P(BadResumeTest, IsFinalEvenBehindTheCommitPoint) {
  std::string file = make_file(1000);
  ScriptedServer server([&](const Request& request, Exchange& out) {
    if (request.number == 0) {
      out.send(ok_head(1000));
      out.send(std::string_view(file).substr(0, 500));
    } else {
      out.send(GetParam().answer);
      out.send(file);
    }
  });
  EXPECT_THAT(error_of(server.url("/a.img"), std::nullopt), HasSubstr(GetParam().error));
  EXPECT_EQ(server.requests().size(), 2U);
}

INSTANTIATE_TEST_SUITE_P(
    All, BadResumeTest,
    ::testing::Values(
        BadResume{"WrongOffset", partial_head(499, 1000), "resumed at byte 499 instead of 500"},
        BadResume{"OtherEtag", partial_head(500, 1000, "ETag: \"v2\"\r\n"),
                  "changed on the server"},
        BadResume{"OtherEtagFromStart", ok_head(1000, "ETag: \"v2\"\r\n"),
                  "changed on the server while it was read (ETag \"v1\" is now \"v2\")"},
        BadResume{"OtherLength", partial_head(500, 1001), "(length 1000 is now 1001)"},
        BadResume{"OtherLengthFromStart", ok_head(1001), "(length 1000 is now 1001)"},
        BadResume{"Shorter",
                  "HTTP/1.1 416 Range Not Satisfiable\r\nContent-Range: bytes */400\r\n\r\n",
                  "(length 1000 is now 400)"},
        BadResume{"LengthsDisagree",
                  "HTTP/1.1 206 Partial\r\nContent-Length: 400\r\nContent-Range: bytes "
                  "500-999/1000\r\n\r\n",
                  "disagree"},
        BadResume{"NoContentRange", "HTTP/1.1 206 Partial\r\nContent-Length: 500\r\n\r\n",
                  "without Content-Range"},
        BadResume{"BrokenContentRange",
                  "HTTP/1.1 206 Partial\r\nContent-Length: 500\r\nContent-Range: bytes "
                  "999-500/1000\r\n\r\n",
                  "malformed"},
        BadResume{"Gone", "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
                  "404 Not Found; check the URL"}),
    [](const auto& bad) { return bad.param.name; });

TEST_F(HttpSourceTest, AShortAnswerIsNeverTheEnd) {
  std::string file = make_file(1000);
  ScriptedServer server([&](const Request& request, Exchange& out) {
    serve_file(file, request, out, request.number == 0 ? 999 : 0);
  });
  EXPECT_THAT(error_of(server.url("/a.img"), 200ms), HasSubstr("byte 999"));
}

TEST_F(HttpSourceTest, BytesBeyondTheLengthAreNotOfTheFile) {
  std::string file = make_file(1000);
  ScriptedServer server([&](const Request&, Exchange& out) {
    out.send(ok_head(1000));
    out.send(file + "and more");
  });
  Result<std::string> all = fetch(server.url("/a.img"));
  ASSERT_TRUE(all.ok()) << all.error().message();
  EXPECT_TRUE(all.value() == file);
}

TEST_F(HttpSourceTest, ChunksEndWithTheirMark) {
  ScriptedServer server([](const Request&, Exchange& out) {
    out.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
  });
  Result<std::string> all = fetch(server.url("/"));
  ASSERT_TRUE(all.ok()) << all.error().message();
  EXPECT_EQ(all.value(), "abc");
}

TEST_F(HttpSourceTest, CutChunksAreReadAgain) {
  ScriptedServer server([](const Request& request, Exchange& out) {
    out.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
    if (request.number > 0) out.send("4\r\ndefg\r\n0\r\n\r\n");
  });
  Result<std::string> all = fetch(server.url("/"));
  ASSERT_TRUE(all.ok()) << all.error().message();
  EXPECT_EQ(all.value(), "abcdefg");
}

TEST_F(HttpSourceTest, ALostEndMarkIsFoundByRange) {
  ScriptedServer server([](const Request& request, Exchange& out) {
    if (request.number == 0) {
      out.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nETag: \"v1\"\r\n\r\n3\r\nabc\r\n");
    } else {
      out.send("HTTP/1.1 416 No\r\nContent-Range: bytes */3\r\nContent-Length: 0\r\n\r\n");
    }
  });
  Result<std::string> all = fetch(server.url("/"));
  ASSERT_TRUE(all.ok()) << all.error().message();
  EXPECT_EQ(all.value(), "abc");
}

TEST_F(HttpSourceTest, AnAnswerWithoutLengthIsRefused) {
  ScriptedServer server(
      [](const Request&, Exchange& out) { out.send("HTTP/1.1 200 OK\r\n\r\nabc"); });
  EXPECT_THAT(error_of(server.url("/")), HasSubstr("neither length nor chunks"));
}

TEST_F(HttpSourceTest, AnEncodedBodyIsRefused) {
  ScriptedServer server([](const Request&, Exchange& out) {
    out.send(ok_head(3, "Content-Encoding: gzip\r\n"));
    out.send("abc");
  });
  EXPECT_THAT(error_of(server.url("/")), HasSubstr("Content-Encoding: gzip"));
}

TEST_F(HttpSourceTest, NotFoundIsFinalAndSaysNoSecrets) {
  ScriptedServer server([](const Request&, Exchange& out) {
    out.send("HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\nabc");
  });
  std::string url = server.url("/x.img?token=hidden");
  url.insert(7, "user:hidden@");
  EXPECT_EQ(error_of(url), concat(server.url("/x.img"), ": 404 Not Found; check the URL"));
  EXPECT_EQ(server.requests().size(), 1U);
  EXPECT_EQ(server.requests()[0].header("Authorization"), "Basic dXNlcjpoaWRkZW4=");
  EXPECT_THAT(log_.text(), Not(HasSubstr("hidden")));
}

TEST_F(HttpSourceTest, ServerErrorsPass) {
  std::string file = make_file(100);
  ScriptedServer server([&](const Request& request, Exchange& out) {
    if (request.number < 3) {
      out.send("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n");
    } else {
      serve_file(file, request, out);
    }
  });
  Result<std::string> all = fetch(server.url("/"));
  ASSERT_TRUE(all.ok()) << all.error().message();
  EXPECT_EQ(server.requests().size(), 4U);
  EXPECT_EQ(log_.warnings(), 3U);
  EXPECT_THAT(log_.text(), HasSubstr("503 Busy; check the URL and the server; next try in 0.0 s"));
}

TEST_F(HttpSourceTest, RetryAfterIsHonoured) {
  std::string file = make_file(100);
  ScriptedServer server([&](const Request& request, Exchange& out) {
    if (request.number == 0) {
      out.send("HTTP/1.1 429 Slow\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n");
    } else {
      serve_file(file, request, out);
    }
  });
  Time before = now();
  ASSERT_TRUE(fetch(server.url("/")).ok());
  EXPECT_GE(now() - before, Duration(1s));
}

TEST_F(HttpSourceTest, TheDeadlineEndsRetriesWithTheLastCause) {
  ScriptedServer server([](const Request&, Exchange& out) {
    out.send("HTTP/1.1 500 Broken\r\nContent-Length: 0\r\n\r\n");
  });
  Time before = now();
  EXPECT_THAT(error_of(server.url("/"), 150ms), HasSubstr("500 Broken"));
  EXPECT_LT(now() - before, Duration(1s));
  EXPECT_GT(server.requests().size(), 2U);
}

TEST_F(HttpSourceTest, ASilentServerEndsAtTheDeadline) {
  ScriptedServer server([](const Request&, Exchange& out) { out.hang(); });
  options_.stall = 10s;
  Time before = now();
  EXPECT_THAT(error_of(server.url("/"), 100ms), HasSubstr("no answer before the deadline"));
  EXPECT_LT(now() - before, Duration(1s));
}

TEST_F(HttpSourceTest, AStallIsResumed) {
  std::string file = make_file(10'000);
  ScriptedServer server([&](const Request& request, Exchange& out) {
    serve_file(file, request, out, request.number == 0 ? 4000 : SIZE_MAX);
    if (request.number == 0) out.hang();
  });
  Result<std::string> all = fetch(server.url("/"), std::nullopt);
  ASSERT_TRUE(all.ok()) << all.error().message();
  EXPECT_TRUE(all.value() == file);
  EXPECT_THAT(log_.text(), HasSubstr("no data for 0.3 s, at byte 4000"));
}

TEST_F(HttpSourceTest, ASlowReaderIsNoStall) {
  std::string file = make_file(8'000'000);
  ScriptedServer server(
      [&](const Request& request, Exchange& out) { serve_file(file, request, out); });
  Result<std::unique_ptr<HttpSource>> source = open(server.url("/"));
  ASSERT_TRUE(source.ok());
  std::this_thread::sleep_for(options_.stall * 2);
  Result<std::string> all = drain(*source.value(), 1000);
  ASSERT_TRUE(all.ok()) << all.error().message();
  EXPECT_TRUE(all.value() == file);
  EXPECT_EQ(source.value()->resumptions(), 0U);
}

TEST_F(HttpSourceTest, APastDeadlineEndsAReadThatWaits) {
  ScriptedServer server([&](const Request&, Exchange& out) {
    out.send(ok_head(1000));
    out.hang();
  });
  options_.stall = 20s;
  Result<std::unique_ptr<HttpSource>> source = open(server.url("/"), std::nullopt);
  ASSERT_TRUE(source.ok());
  std::thread canceller([&] {
    std::this_thread::sleep_for(50ms);
    source.value()->set_deadline(now());
  });
  Time before = now();
  EXPECT_FALSE(drain(*source.value()).ok());
  EXPECT_LT(now() - before, Duration(5s));
  canceller.join();
}

TEST_F(HttpSourceTest, ConnectionRefusedSaysSo) {
  uint16_t port = 0;
  {
    port = ScriptedServer([](const Request&, Exchange&) {}).port();
  }
  EXPECT_EQ(error_of(concat("http://127.0.0.1:", port, "/"), 60ms),
            concat("127.0.0.1: connection refused on port ", port,
                   "; check that the server runs and the port"));
}

TEST_F(HttpSourceTest, AnUnknownHostNamesTheResolvers) {
  options_.nameservers = {"127.0.0.1:1"};
  EXPECT_THAT(error_of("http://nowhere.invalid/", 1s), HasSubstr("nowhere.invalid: "));
}

TEST_F(HttpSourceTest, AnswersThatAreNoHttpAreFinal) {
  ScriptedServer server([](const Request&, Exchange& out) { out.send("SSH-2.0-x\r\n"); });
  EXPECT_THAT(error_of(server.url("/")), HasSubstr("does not answer with HTTP"));
}

TEST_F(HttpSourceTest, EndlessHeadersAreFinal) {
  ScriptedServer server([](const Request&, Exchange& out) {
    out.send("HTTP/1.1 200 OK\r\n");
    while (out.send("X-Filler: 0123456789012345678901234567890123456789\r\n")) {
    }
  });
  EXPECT_THAT(error_of(server.url("/")), HasSubstr("longer than 64 KiB"));
}

TEST_F(HttpSourceTest, AnEndlessHeaderLineIsFinal) {
  ScriptedServer server([](const Request&, Exchange& out) {
    out.send("HTTP/1.1 200 OK\r\nX: ");
    while (out.send("0123456789012345678901234567890123456789")) {
    }
  });
  EXPECT_THAT(error_of(server.url("/")), HasSubstr("too long"));
}

TEST_F(HttpSourceTest, RedirectsAreFollowedAndHeadersStayHome) {
  std::string file = make_file(100);
  ScriptedServer other(
      [&](const Request& request, Exchange& out) { serve_file(file, request, out); });
  ScriptedServer server([&](const Request& request, Exchange& out) {
    out.send(concat("HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: ",
                    request.path() == "/a" ? "b?x=1" : other.url("/c"), "\r\n\r\n"));
  });
  options_.headers = {"X-Token: hidden"};
  std::string url = server.url("/a");
  url.insert(7, "user:pass@");
  Result<std::unique_ptr<HttpSource>> source = open(url);
  ASSERT_TRUE(source.ok()) << source.error().message();
  EXPECT_EQ(source.value()->answer().effective_url, other.url("/c"));
  ASSERT_EQ(server.requests().size(), 2U);
  EXPECT_EQ(server.requests()[1].path(), "/b?x=1");
  EXPECT_EQ(server.requests()[1].header("X-Token"), "hidden");
  EXPECT_NE(server.requests()[1].header("Authorization"), "");
  ASSERT_EQ(other.requests().size(), 1U);
  EXPECT_EQ(other.requests()[0].header("X-Token"), "");
  EXPECT_EQ(other.requests()[0].header("Authorization"), "");
}

TEST_F(HttpSourceTest, ARedirectLoopEnds) {
  ScriptedServer server([](const Request&, Exchange& out) {
    out.send("HTTP/1.1 301 Moved\r\nContent-Length: 0\r\nLocation: /a\r\n\r\n");
  });
  EXPECT_THAT(error_of(server.url("/a")), HasSubstr("more than 10 redirects"));
  EXPECT_EQ(server.requests().size(), 11U);
}

TEST_F(HttpSourceTest, RedirectsToOtherSchemesAreRefused) {
  ScriptedServer server([](const Request&, Exchange& out) {
    out.send("HTTP/1.1 301 Moved\r\nContent-Length: 0\r\nLocation: file:///etc/shadow\r\n\r\n");
  });
  EXPECT_THAT(error_of(server.url("/a")), HasSubstr("not http or https"));
}

TEST_F(HttpSourceTest, ResumesWhereTheRedirectLedAndElseAsksAgain) {
  std::string file = make_file(1000);
  std::atomic<unsigned> asked = 0;
  ScriptedServer mirror([&](const Request& request, Exchange& out) {
    // The first signed URL is good once.
    if (request.path() == "/signed0" && request.number > 0) {
      out.send("HTTP/1.1 403 Expired\r\nContent-Length: 0\r\n\r\n");
    } else {
      serve_file(file, request, out, request.number == 0 ? 500 : SIZE_MAX);
    }
  });
  ScriptedServer server([&](const Request&, Exchange& out) {
    out.send(concat("HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: ",
                    mirror.url(concat("/signed", asked++)), "\r\n\r\n"));
  });
  Result<std::string> all = fetch(server.url("/a"));
  ASSERT_TRUE(all.ok()) << all.error().message();
  EXPECT_TRUE(all.value() == file);
  EXPECT_EQ(server.requests().size(), 2U);
  ASSERT_EQ(mirror.requests().size(), 3U);
  EXPECT_EQ(mirror.requests()[1].path(), "/signed0");
  EXPECT_EQ(mirror.requests()[2].path(), "/signed1");
}

TEST_F(HttpSourceTest, MalformedHeadersOfTheUserAreNotQuoted) {
  options_.headers = {"X: hidden\r\nHost: evil"};
  std::string error = error_of("http://127.0.0.1/");
  EXPECT_THAT(error, HasSubstr("header="));
  EXPECT_THAT(error, Not(HasSubstr("hidden")));
}

// --- TLS: certificates are made by the openssl program

class HttpsSourceTest : public HttpSourceTest {
 protected:
  static void run(const std::string& command) {
    int status =
        std::system(concat("cd ", folder(), " && (", command, ") >/dev/null 2>&1").c_str());
    ASSERT_EQ(status, 0) << command;
  }

  static std::string folder() { return directory_->path(); }

  static void SetUpTestSuite() {
    directory_ = new TemporaryDirectory(std::move(TemporaryDirectory::create()).value());
    run("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key "
        "-out ca.pem -subj '/CN=Test CA' -days 100");
    run("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout other.key "
        "-out other.pem -subj '/CN=Other CA' -days 100");
    make_certificate("good", "IP:127.0.0.1,DNS:localhost", "20200101000000Z", "20991231000000Z");
    make_certificate("expired", "IP:127.0.0.1", "20200101000000Z", "20210131000000Z");
    make_certificate("future", "IP:127.0.0.1", "20900101000000Z", "20991231000000Z");
    make_certificate("named", "DNS:a.example,DNS:b.example", "20200101000000Z", "20991231000000Z");
  }
  static void TearDownTestSuite() {
    delete directory_;
    directory_ = nullptr;
  }

  // x509 cannot date back in OpenSSL 3.0; `ca` can.
  static void make_certificate(const std::string& name, const std::string& names,
                               const std::string& from, const std::string& until) {
    run(concat("printf '[ca]\\ndefault_ca=d\\n[d]\\ndatabase=", name, ".txt\\nserial=", name,
               ".srl\\nnew_certs_dir=.\\ndefault_md=sha256\\npolicy=p\\nunique_subject=no\\n"
               "[p]\\ncommonName=supplied\\n[x]\\nsubjectAltName=",
               names, "\\n' > ", name, ".cnf && : > ", name, ".txt && echo 01 > ", name, ".srl && ",
               "openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ", name,
               ".key -out ", name, ".csr -subj /CN=server && openssl ca -batch -notext -config ",
               name, ".cnf -extensions x -cert ca.pem -keyfile ca.key -startdate ", from,
               " -enddate ", until, " -in ", name, ".csr -out ", name, ".pem"));
  }

  static TlsIdentity identity(const std::string& name) {
    return {concat(folder(), '/', name, ".pem"), concat(folder(), '/', name, ".key")};
  }

  std::string https_error(const std::string& name, std::optional<Duration> limit = 5s) {
    TlsIdentity own = identity(name);
    std::string file = make_file(100);
    ScriptedServer server(
        [&](const Request& request, Exchange& out) { serve_file(file, request, out); }, &own);
    return error_of(server.url("/a.img"), limit);
  }

  HttpsSourceTest() { options_.ca_file = concat(folder(), "/ca.pem"); }

  static TemporaryDirectory* directory_;
};

TemporaryDirectory* HttpsSourceTest::directory_ = nullptr;

TEST_F(HttpsSourceTest, GoodCertificate) {
  TlsIdentity own = identity("good");
  std::string file = make_file(3'000'000);
  ScriptedServer server(
      [&](const Request& request, Exchange& out) {
        serve_file(file, request, out, request.number == 0 ? 1'000'000 : SIZE_MAX);
        if (request.number == 0) out.reset();
      },
      &own);
  Result<std::unique_ptr<HttpSource>> source = open(server.url("/a.img"));
  ASSERT_TRUE(source.ok()) << source.error().message();
  EXPECT_EQ(source.value()->answer().tls, "TLSv1.3");
  Result<std::string> all = drain(*source.value());
  ASSERT_TRUE(all.ok()) << all.error().message();
  EXPECT_TRUE(all.value() == file);
}

TEST_F(HttpsSourceTest, ExpiredCertificate) {
  EXPECT_EQ(https_error("expired"),
            "127.0.0.1: certificate expired on 2021-01-31; set the clock, renew it, or pass "
            "insecure");
}

TEST_F(HttpsSourceTest, NotYetValidCertificateNamesTheClock) {
  EXPECT_THAT(https_error("future"),
              HasSubstr(concat("not valid before 2090-01-01, but this machine's clock says ",
                               format_date(wall_clock_seconds()))));
}

TEST_F(HttpsSourceTest, WrongName) {
  EXPECT_THAT(https_error("named"),
              HasSubstr("certificate is for a.example, b.example and not for 127.0.0.1"));
}

TEST_F(HttpsSourceTest, UnknownCa) {
  options_.ca_file = concat(folder(), "/other.pem");
  EXPECT_THAT(https_error("good"), HasSubstr("unknown CA (issuer Test CA); pass"));
}

TEST_F(HttpsSourceTest, InsecureIsOnlyWhenAskedFor) {
  options_.ca_file.clear();
  EXPECT_THAT(https_error("expired"), HasSubstr("no CA certificates"));
  options_.insecure = true;
  EXPECT_EQ(https_error("expired"), "no error");
}

TEST_F(HttpsSourceTest, ABadCaFileIsNamed) {
  options_.ca_file = concat(folder(), "/missing.pem");
  EXPECT_THAT(https_error("good"), HasSubstr("missing.pem"));
}

TEST_F(HttpsSourceTest, NeverFromHttpsToHttp) {
  TlsIdentity own = identity("good");
  ScriptedServer plain([](const Request&, Exchange& out) { out.send(ok_head(0)); });
  ScriptedServer server(
      [&](const Request&, Exchange& out) {
        out.send(concat("HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: ", plain.url("/b"),
                        "\r\n\r\n"));
      },
      &own);
  EXPECT_THAT(error_of(server.url("/a")), HasSubstr("redirects from https to http"));
  EXPECT_TRUE(plain.requests().empty());
}

TEST_F(HttpsSourceTest, PlainHttpOnTheTlsPortSaysSo) {
  ScriptedServer plain([](const Request&, Exchange& out) { out.send(ok_head(0)); });
  EXPECT_THAT(error_of(concat("https://127.0.0.1:", plain.port(), "/"), 3s),
              HasSubstr("TLS handshake"));
}

TEST_F(HttpsSourceTest, ARefusedCertificateIsRetriedOnlyBehindTheCommitPoint) {
  // The first connection is good; then another server with a bad certificate takes the port's
  // place behind a redirect.
  TlsIdentity good = identity("good");
  TlsIdentity expired = identity("expired");
  std::string file = make_file(1000);
  ScriptedServer bad([&](const Request&, Exchange&) {}, &expired);
  std::atomic<unsigned> asked = 0;
  ScriptedServer server(
      [&](const Request& request, Exchange& out) {
        unsigned turn = asked++;
        if (turn == 0) {
          serve_file(file, request, out, 500);
        } else if (turn < 3) {
          out.send(concat("HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: ", bad.url("/b"),
                          "\r\n\r\n"));
        } else {
          serve_file(file, request, out);
        }
      },
      &good);
  EXPECT_THAT(error_of(server.url("/a"), 5s), HasSubstr("certificate expired"));
  asked = 0;
  Result<std::string> all = fetch(server.url("/a"), std::nullopt);
  ASSERT_TRUE(all.ok()) << all.error().message();
  EXPECT_TRUE(all.value() == file);
}

}  // namespace
}  // namespace curlingiron
