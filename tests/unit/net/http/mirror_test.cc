// Several mirrors of one file: their order, their deaths, and mirrors that are none.
#include "base/text.h"
#include "net/http/source.h"
#include "support/patience.h"
#include "sys/clock.h"
#include "unit/net/http_fixture.h"

namespace curlingiron {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using namespace testing;

class HttpMirrorTest : public HttpTest {
 protected:
  // Serves `file` with `etag`; the first answer's body is cut after `limit` bytes.
  static ScriptedServer::Script cut_once(const std::string& file, size_t limit,
                                         std::string_view etag = kEtag) {
    return [&file, limit, etag](const Request& request, Exchange& out) {
      serve_file(file, request, out, request.number == 0 ? limit : SIZE_MAX, etag);
    };
  }
  // As cut_once(), but the server refuses all that comes later.
  static ScriptedServer::Script die_after(const std::string& file, size_t limit,
                                          std::string_view etag = kEtag) {
    return [&file, limit, etag](const Request& request, Exchange& out) {
      if (request.number == 0) serve_file(file, request, out, limit, etag);
    };
  }
  static ScriptedServer::Script whole(const std::string& file, std::string_view etag = kEtag) {
    return cut_once(file, SIZE_MAX, etag);
  }
  static ScriptedServer::Script status(std::string_view text, std::string_view more = "") {
    return [text, more](const Request&, Exchange& out) { out.send(status_head(text, more)); };
  }
  void expect_file(const Result<std::string>& all, const std::string& file) {
    ASSERT_TRUE(all.ok()) << all.error().message();
    EXPECT_TRUE(all.value() == file);
  }
};

TEST_F(HttpMirrorTest, TheFirstThatWorksIsTaken) {
  std::string file = make_file(100'000);
  ScriptedServer first(whole(file));
  ScriptedServer second(whole(file));
  expect_file(fetch({first.url("/a"), second.url("/a")}), file);
  EXPECT_EQ(first.requests().size(), 1U);
  EXPECT_TRUE(second.requests().empty());
}

TEST_F(HttpMirrorTest, RefusalsArePassedOver) {
  std::string file = make_file(1000);
  ScriptedServer gone(status("404 Not Found"));
  ScriptedServer forbidden(status("403 Forbidden"));
  ScriptedServer busy(status("503 Busy"));
  ScriptedServer page([](const Request&, Exchange& out) {
    out.send(ok_head(3, "Content-Type: text/html; charset=utf-8\r\n"));
    out.send("<p>");
  });
  ScriptedServer good(whole(file));
  expect_file(
      fetch({gone.url("/"), forbidden.url("/"), busy.url("/"), page.url("/"), good.url("/")}),
      file);
  for (ScriptedServer* each : {&gone, &forbidden, &busy, &page, &good}) {
    EXPECT_EQ(each->requests().size(), 1U);
  }
  EXPECT_EQ(log_.warnings(), 4U);
}

TEST_F(HttpMirrorTest, TheErrorNamesEachCause) {
  ScriptedServer gone(status("404 Not Found"));
  ScriptedServer forbidden(status("410 Gone"));
  EXPECT_EQ(error_of({gone.url("/a?key=hidden"), forbidden.url("/b")}),
            concat("none of the 2 mirrors serves the file: [1] ", gone.url("/a"),
                   ": 404 Not Found; check the URL [2] ", forbidden.url("/b"),
                   ": 410 Gone; check the URL"));
  EXPECT_EQ(gone.requests().size(), 1U);
}

TEST_F(HttpMirrorTest, OnlyWhatMayPassIsAskedAgain) {
  ScriptedServer gone(status("404 Not Found"));
  ScriptedServer busy([](const Request& request, Exchange& out) {
    out.send(status_head(request.number < 3 ? "503 Busy" : "410 Gone"));
  });
  std::string error = error_of({gone.url("/"), busy.url("/")});
  EXPECT_THAT(error, AllOf(HasSubstr("404 Not Found"), HasSubstr("410 Gone")));
  EXPECT_THAT(log_.text(), HasSubstr("503 Busy"));
  EXPECT_EQ(gone.requests().size(), 1U);
  EXPECT_EQ(busy.requests().size(), 4U);
}

TEST_F(HttpMirrorTest, RoundsAreSpacedAndInOrder) {
  options_.first_backoff = 40ms;
  std::vector<int> order;
  std::mutex mutex;
  auto note = [&](int which) {
    return [&, which](const Request& request, Exchange& out) {
      {
        std::lock_guard lock(mutex);
        order.push_back(which);
      }
      out.send(status_head(request.number < 3 ? "500 Broken" : "410 Gone"));
    };
  };
  ScriptedServer a(note(1));
  ScriptedServer b(note(2));
  ScriptedServer c(note(3));
  Time before = now();
  EXPECT_THAT(error_of({a.url("/"), b.url("/"), c.url("/")}), HasSubstr("410 Gone"));
  // Backoffs of 20 to 40, 40 to 80 and 80 to 160 ms, after rounds of three.
  EXPECT_GE(now() - before, Duration(140ms));
  EXPECT_LT(now() - before, patience(2s));
  ASSERT_EQ(order.size(), 12U);
  for (size_t i = 0; i < order.size(); ++i) EXPECT_EQ(order[i], static_cast<int>(i % 3) + 1) << i;
}

TEST_F(HttpMirrorTest, RetryAfterOfOneMirrorDoesNotHoldUpTheOther) {
  std::string file = make_file(1000);
  ScriptedServer busy(status("429 Slow", "Retry-After: 30\r\n"));
  ScriptedServer flaky([&](const Request& request, Exchange& out) {
    if (request.number < 3) {
      out.send(status_head("500 Broken"));
    } else {
      serve_file(file, request, out);
    }
  });
  Time before = now();
  expect_file(fetch({busy.url("/"), flaky.url("/")}), file);
  EXPECT_LT(now() - before, patience(2s));
  EXPECT_EQ(busy.requests().size(), 1U);
}

// --- in the middle of the stream

TEST_F(HttpMirrorTest, ABreakIsFirstTriedOnTheSameMirror) {
  std::string file = make_file(300'000);
  ScriptedServer first(cut_once(file, 100'000));
  ScriptedServer second(whole(file));
  expect_file(fetch({first.url("/"), second.url("/")}), file);
  EXPECT_EQ(first.requests().size(), 2U);
  EXPECT_TRUE(second.requests().empty());
}

TEST_F(HttpMirrorTest, SwitchesByTheSameStrongETag) {
  std::string file = make_file(300'000);
  ScriptedServer first(die_after(file, 100'000));
  ScriptedServer second(whole(file));
  expect_file(fetch({first.url("/"), second.url("/")}), file);
  EXPECT_EQ(first.requests().size(), 2U);
  ASSERT_EQ(second.requests().size(), 1U);
  EXPECT_EQ(second.requests()[0].header("Range"), "bytes=100000-");
  EXPECT_EQ(second.requests()[0].header("If-Range"), kEtag);
}

TEST_F(HttpMirrorTest, WithoutAnETagInCommonAllIsReadAgain) {
  std::string file = make_file(300'000);
  for (std::string_view etag : {"", "\"other\""}) {
    ScriptedServer first(die_after(file, 100'000));
    ScriptedServer second(whole(file, etag));
    expect_file(fetch({first.url("/"), second.url("/")}), file);
    EXPECT_EQ(second.requests().size(), 1U);
  }
}

TEST_F(HttpMirrorTest, APartWithoutTheETagThatWasAskedForProvesNothing) {
  // Not honouring If-Range, the second sends a part of whatever it has.
  std::string file = make_file(300'000);
  ScriptedServer first(die_after(file, 100'000));
  ScriptedServer second([&](const Request& request, Exchange& out) {
    if (auto start = request.range_start()) {
      out.send(partial_head(*start, file.size(), "ETag: \"other\"\r\n"));
      out.send(std::string_view(file).substr(*start));
    } else {
      out.send(ok_head(file.size(), "ETag: \"other\"\r\n"));
      out.send(file);
    }
  });
  expect_file(fetch({first.url("/"), second.url("/")}), file);
  ASSERT_EQ(second.requests().size(), 2U);
  EXPECT_EQ(second.requests()[1].header("Range"), "");
}

TEST_F(HttpMirrorTest, WhereADigestFollowsTheOverlapIsCompared) {
  options_.digest_follows = true;
  std::string file = make_file(300'000);
  for (size_t cut : {1U, 1000U, 65'536U, 65'537U, 200'000U, 299'999U}) {
    SCOPED_TRACE(cut);
    ScriptedServer first(die_after(file, cut));
    ScriptedServer second(whole(file, "\"other\""));
    expect_file(fetch({first.url("/"), second.url("/")}), file);
    ASSERT_EQ(second.requests().size(), 1U);
    EXPECT_EQ(second.requests()[0].header("Range"),
              concat("bytes=", cut - std::min<size_t>(cut, kOverlap), '-'));
    EXPECT_EQ(second.requests()[0].header("If-Range"), "");
  }
}

TEST_F(HttpMirrorTest, AProvenMirrorIsResumedByItsOwnETag) {
  options_.digest_follows = true;
  std::string file = make_file(600'000);
  ScriptedServer first(die_after(file, 100'000));
  ScriptedServer second(cut_once(file, 200'000, "\"other\""));
  expect_file(fetch({first.url("/"), second.url("/")}), file);
  ASSERT_EQ(second.requests().size(), 2U);
  EXPECT_EQ(second.requests()[1].header("Range"),
            concat("bytes=", 100'000 - kOverlap + 200'000, '-'));
  EXPECT_EQ(second.requests()[1].header("If-Range"), "\"other\"");
}

TEST_F(HttpMirrorTest, AMirrorWithAnotherFileOfTheSameLengthIsExcluded) {
  std::string file = make_file(300'000);
  std::string other = file;
  other[99'990] = static_cast<char>(other[99'990] ^ 1);
  for (bool digest_follows : {false, true}) {
    SCOPED_TRACE(digest_follows);
    options_.digest_follows = digest_follows;
    ScriptedServer first([&](const Request& request, Exchange& out) {
      if (request.number == 0) {
        serve_file(file, request, out, 100'000);
      } else if (request.number > 2) {
        serve_file(file, request, out);
      }
    });
    ScriptedServer second(whole(other, "\"other\""));
    expect_file(fetch({first.url("/"), second.url("/b")}), file);
    EXPECT_EQ(second.requests().size(), 1U);
    EXPECT_THAT(
        log_.text(),
        HasSubstr(concat(second.url("/b"), ": this mirror holds another file of the same length (",
                         digest_follows ? "byte 99990 differs" : "its first 100000 bytes differ")));
  }
}

TEST_F(HttpMirrorTest, AMirrorWithAnotherLengthIsExcludedEvenIfItIsTheLast) {
  std::string file = make_file(300'000);
  std::string longer = file + "x";
  for (bool digest_follows : {false, true}) {
    options_.digest_follows = digest_follows;
    ScriptedServer first([&](const Request& request, Exchange& out) {
      if (request.number == 0) serve_file(file, request, out, 100'000);
      if (request.number > 0) out.send(status_head("404 Not Found"));
    });
    ScriptedServer second(whole(longer, digest_follows ? "\"other\"" : kEtag));
    EXPECT_THAT(error_of({first.url("/"), second.url("/")}, std::nullopt),
                AllOf(HasSubstr("404 Not Found"),
                      HasSubstr("this mirror holds another file (length 300001 and not 300000)")));
  }
}

TEST_F(HttpMirrorTest, AChangedFileOnOneMirrorIsOvercomeByTheOther) {
  std::string file = make_file(300'000);
  ScriptedServer first([&](const Request& request, Exchange& out) {
    serve_file(file, request, out, request.number == 0 ? 100'000 : SIZE_MAX,
               request.number == 0 ? kEtag : "\"v2\"");
  });
  ScriptedServer second(whole(file));
  expect_file(fetch({first.url("/"), second.url("/")}), file);
  EXPECT_EQ(first.requests().size(), 2U);
  EXPECT_THAT(log_.text(),
              HasSubstr("the image changed on the server while it was read (ETag "
                        "\"v1\" is now \"v2\"); start again; this mirror is given up"));
}

TEST_F(HttpMirrorTest, MirrorsDyingInTurnEverySixtyFourth) {
  // Each mirror drops every answer after a 64th; three of them with ETags of their own.
  std::string file = make_file(1'000'003);
  for (bool digest_follows : {false, true}) {
    options_.digest_follows = digest_follows;
    size_t piece = file.size() / 64 + (digest_follows ? kOverlap : 0);
    auto limping = [&](std::string_view etag) {
      return [&, etag](const Request& request, Exchange& out) {
        if (request.number % 3 == 2) return out.reset();
        // Without a digest that follows, a mirror without a common ETag must be read from the
        // start.
        bool again = !digest_follows && etag != kEtag && request.header("If-Range") != etag;
        serve_file(file, request, out, again ? SIZE_MAX : piece, etag);
      };
    };
    ScriptedServer a(limping(kEtag));
    ScriptedServer b(limping(digest_follows ? "\"b\"" : kEtag));
    ScriptedServer c(limping(digest_follows ? "\"c\"" : kEtag));
    expect_file(fetch({a.url("/"), b.url("/"), c.url("/")}, std::nullopt), file);
    EXPECT_GT(a.requests().size(), 3U);
    EXPECT_GT(b.requests().size(), 3U);
    EXPECT_GT(c.requests().size(), 3U);
  }
}

TEST_F(HttpMirrorTest, ChunkedFilesSwitchToo) {
  // No length is known before the end: the ETag alone proves the second to be the same.
  std::string file = make_file(200'000);
  ScriptedServer first([&](const Request& request, Exchange& out) {
    if (request.number > 0) return;
    out.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nETag: \"v1\"\r\n\r\n186a0\r\n");
    out.send(std::string_view(file).substr(0, 100'000));
  });
  ScriptedServer second(whole(file));
  expect_file(fetch({first.url("/"), second.url("/")}), file);
}

TEST_F(HttpMirrorTest, HeadersGoToEachMirrorAndCredentialsToTheirOwn) {
  ScriptedServer first(status("404 Not Found"));
  std::string file = make_file(10);
  ScriptedServer second(whole(file));
  options_.headers = {"X-Token: hidden"};
  std::string url = first.url("/");
  url.insert(7, "user:pass@");
  expect_file(fetch({url, second.url("/")}), file);
  EXPECT_EQ(first.requests()[0].header("X-Token"), "hidden");
  EXPECT_NE(first.requests()[0].header("Authorization"), "");
  EXPECT_EQ(second.requests()[0].header("X-Token"), "hidden");
  EXPECT_EQ(second.requests()[0].header("Authorization"), "");
  EXPECT_THAT(log_.text(), Not(HasSubstr("hidden")));
}

TEST_F(HttpMirrorTest, BehindTheCommitPointRoundsHaveNoEnd) {
  std::string file = make_file(300'000);
  options_.first_backoff = 1ms;
  ScriptedServer first([&](const Request& request, Exchange& out) {
    if (request.number == 0) serve_file(file, request, out, 100'000);
    if (request.number > 6) serve_file(file, request, out);
  });
  ScriptedServer second(status("503 Busy"));
  expect_file(fetch({first.url("/"), second.url("/")}, std::nullopt), file);
  EXPECT_GE(second.requests().size(), 4U);
}

TEST_F(HttpMirrorTest, NoneIsAnError) {
  EXPECT_THAT(error_of(std::vector<std::string>{}), HasSubstr("no URL"));
}

}  // namespace
}  // namespace curlingiron
