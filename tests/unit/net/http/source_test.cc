#include "net/http/source.h"
#include "support/patience.h"

#include <atomic>

#include "base/text.h"
#include "base/units.h"
#include "sys/clock.h"
#include "unit/net/dns_answers.h"
#include "unit/net/http_fixture.h"

namespace curlingiron {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using namespace testing;

class HttpSourceTest : public HttpTest {};

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

// A server may have signed it, or tell "%2F" from "%2f".
TEST_F(HttpSourceTest, AsksForTheFileToTheByte) {
  ScriptedServer server([](const Request& request, Exchange& out) {
    if (request.number == 0) {
      out.send(status_head("302 Found", "Location: /%2F/../%c3%A9?sig=%2F+%3d\r\n"));
    } else {
      serve_file("abc", request, out);
    }
  });
  EXPECT_EQ(fetch(server.url("/a%2F%2f/./x/../b?sig=a%2Fb%3D/../+c")).value(), "abc");
  EXPECT_EQ(server.requests()[0].path(), "/a%2F%2f/b?sig=a%2Fb%3D/../+c");
  EXPECT_EQ(server.requests()[1].path(), "/%c3%A9?sig=%2F+%3d");
  // A proxy that is no tunnel is asked for all of the URL, but for the server's password.
  options_.proxy = parse_proxy_url(concat("127.0.0.1:", server.port())).value();
  EXPECT_EQ(fetch("http://bob:s3cret@image.test:81/a%2F?b=%2f").value(), "abc");
  EXPECT_EQ(server.requests()[2].path(), "http://image.test:81/a%2F?b=%2f");
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
  EXPECT_THAT(error_of(server.url("/")), HasSubstr("neither a length nor chunks"));
}

// As HTTP/1.0 has it, and some proxies: for a caller who can tell the end from a cut.
TEST_F(HttpSourceTest, AnAnswerWithoutLengthEndsWithTheConnectionWhereThatIsWanted) {
  std::string file = make_file(300'000);
  for (std::string_view version : {"HTTP/1.0", "HTTP/1.1"}) {
    ScriptedServer server([&](const Request&, Exchange& out) {
      out.send(concat(version, " 200 OK\r\nConnection: close\r\n\r\n", file));
    });
    options_.open_end = true;
    Opened source = open(server.url("/"));
    ASSERT_TRUE(source.ok()) << source.error().message();
    EXPECT_FALSE(source.value()->answer().length);
    EXPECT_FALSE(source.value()->answer().marks_its_end);
    Result<std::string> all = drain(*source.value());
    ASSERT_TRUE(all.ok()) << all.error().message();
    EXPECT_TRUE(all.value() == file);
  }
}

// A connection that is reset has not ended.
TEST_F(HttpSourceTest, AnAnswerWithoutLengthThatBreaksIsReadAgain) {
  std::string file = make_file(900'000);
  ScriptedServer server([&](const Request& request, Exchange& out) {
    out.send("HTTP/1.0 200 OK\r\n\r\n");
    if (request.number != 0) {
      out.send(file);
      return;
    }
    out.send(std::string_view(file).substr(0, 300'000));
    out.reset();
  });
  options_.open_end = true;
  Result<std::string> all = fetch(server.url("/"));
  ASSERT_TRUE(all.ok()) << all.error().message();
  EXPECT_TRUE(all.value() == file);
  EXPECT_EQ(server.requests().size(), 2U);
}

TEST_F(HttpSourceTest, ChunksMarkTheirEnd) {
  ScriptedServer server([](const Request&, Exchange& out) {
    out.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
  });
  Opened source = open(server.url("/"));
  ASSERT_TRUE(source.ok()) << source.error().message();
  EXPECT_TRUE(source.value()->answer().marks_its_end);
}

// Asked for the rest, some servers send a part that is the whole.
TEST_F(HttpSourceTest, AWholeFileAsAPartIsReadUpToThePosition) {
  std::string file = make_file(900'000);
  ScriptedServer server([&](const Request& request, Exchange& out) {
    if (request.number == 0) {
      out.send(ok_head(file.size()));
      out.send(std::string_view(file).substr(0, 300'000));
    } else {
      out.send(partial_head(0, file.size()));
      out.send(file);
    }
  });
  Result<std::string> all = fetch(server.url("/a.img"));
  ASSERT_TRUE(all.ok()) << all.error().message();
  EXPECT_TRUE(all.value() == file);
  EXPECT_EQ(server.requests().size(), 2U);
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
  EXPECT_EQ(log_.warnings(), 1U);  // The same again is said at the fourth time.
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
  EXPECT_THAT(error_of(server.url("/"), 1s), HasSubstr("500 Broken"));
  EXPECT_LT(now() - before, patience(1s) + 850ms);
  EXPECT_GT(server.requests().size(), 2U);
}

TEST_F(HttpSourceTest, ASilentServerEndsAtTheDeadline) {
  ScriptedServer server([](const Request&, Exchange& out) { out.hang(); });
  options_.stall = 10s;
  Time before = now();
  EXPECT_THAT(error_of(server.url("/"), 100ms), HasSubstr("no answer before the deadline"));
  EXPECT_LT(now() - before, patience(1s));
}

TEST_F(HttpSourceTest, AStallIsResumed) {
  options_.stall = 300ms;
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

// Two ways, of which the second is found only when somebody doubts the first.
class TwoWays final : public PathChooser {
 public:
  enum class Second { Answers, Silent };
  explicit TwoWays(Second second) : second_(second) {}
  HttpPath path() override {
    bool other = doubts_ > 0 && second_ == Second::Answers;
    return other ? HttpPath{} : HttpPath{.family = Family::V4};
  }
  void failed(const HttpPath& /*path*/, const Error& /*why*/) override { ++doubts_; }
  bool is_gone(const HttpPath& /*path*/) override { return false; }
  unsigned doubts() const { return doubts_; }

 private:
  Second second_;
  std::atomic<unsigned> doubts_ = 0;
};

TEST_F(HttpSourceTest, AnotherWayIsTakenLongBeforeAStallIsOver) {
  TwoWays paths(TwoWays::Second::Answers);
  options_.paths = &paths;
  options_.first_bytes = 150ms;
  options_.stall = 20s;
  std::string file = make_file(400'000);
  ScriptedServer server([&](const Request& request, Exchange& out) {
    serve_file(file, request, out, request.number == 0 ? 200'000 : SIZE_MAX);
    if (request.number == 0) out.hang();
  });
  Time before = now();
  Result<std::string> all = fetch(server.url("/"), std::nullopt);
  ASSERT_TRUE(all.ok()) << all.error().message();
  EXPECT_TRUE(all.value() == file);
  EXPECT_LT(now() - before, patience(5s));
  EXPECT_THAT(log_.text(), HasSubstr("at byte 200000, and the source answers on another path"));
}

TEST_F(HttpSourceTest, SilenceIsBorneWhereThereIsNoOtherWay) {
  TwoWays paths(TwoWays::Second::Silent);
  options_.paths = &paths;
  options_.first_bytes = 100ms;
  options_.stall = 20s;
  std::string file = make_file(400'000);
  ScriptedServer server([&](const Request&, Exchange& out) {
    out.send(ok_head(file.size()));
    out.send(std::string_view(file).substr(0, 200'000));
    std::this_thread::sleep_for(500ms);  // longer than the first bytes may take
    out.send(std::string_view(file).substr(200'000));
  });
  Result<std::unique_ptr<HttpSource>> source = open(server.url("/"));
  ASSERT_TRUE(source.ok()) << source.error().message();
  Result<std::string> all = drain(*source.value());
  ASSERT_TRUE(all.ok()) << all.error().message();
  EXPECT_TRUE(all.value() == file);
  EXPECT_EQ(source.value()->resumptions(), 0U);
  EXPECT_EQ(paths.doubts(), 1U);
}

TEST_F(HttpSourceTest, ASlowReaderIsNoStall) {
  options_.stall = 300ms;
  std::string file = make_file(8'000'000);
  ScriptedServer server(
      [&](const Request& request, Exchange& out) { serve_file(file, request, out); });
  Result<std::unique_ptr<HttpSource>> source = open(server.url("/"));
  ASSERT_TRUE(source.ok());
  std::this_thread::sleep_for(options_.stall * 2);  // the reader that is slow
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
    std::this_thread::sleep_for(50ms);  // read() blocks by now; nothing shows it
    source.value()->set_deadline(now());
  });
  Time before = now();
  EXPECT_FALSE(drain(*source.value()).ok());
  EXPECT_LT(now() - before, patience(5s));
  canceller.join();
}

TEST_F(HttpSourceTest, ConnectionRefusedSaysSo) {
  uint16_t port = 0;
  {
    port = ScriptedServer([](const Request&, Exchange&) {}).port();
  }
  EXPECT_EQ(error_of(concat("http://127.0.0.1:", port, "/"), 60ms),
            concat("127.0.0.1: connection refused on port ", port,
                   "; check the port and that the server runs"));
}

TEST_F(HttpSourceTest, AnUnknownHostNamesTheResolvers) {
  FixedPath paths({.resolver = {{{ip("127.0.0.1"), "", 1}}, {}}});
  options_.paths = &paths;
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

}  // namespace
}  // namespace curlingiron
