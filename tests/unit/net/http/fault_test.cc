// What a line and a hostile server can do, at every 64th of a stream: the bytes are exact, or there
// is an error that says why.
#include <cstdlib>
#include <random>

#include "base/text.h"
#include "base/units.h"
#include "net/http/source.h"
#include "support/patience.h"
#include "sys/clock.h"
#include "unit/net/http_fixture.h"

namespace curlingiron {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;
using namespace testing;

#if defined(__SANITIZE_ADDRESS__)
constexpr bool kSanitized = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif
#else
constexpr bool kSanitized = false;
#endif

constexpr size_t kFile = 1'300'021;

// --- the stream breaks, in each way, at each place, on each kind of server

enum class Break { Cut, Reset, Stall };
enum class Serving {
  Ranges,         // as it should be
  WithoutRanges,  // always the whole
  Chunked,        // no length, ranges by the ETag
  ChunkedWhole,   // no length, no ranges
  NoValidator,    // ranges, but nothing proves the file
};

struct Fault {
  Break how;
  Serving serving;
  bool tls = false;
  bool digest_follows = false;
};

class FaultTest : public HttpsTest, public ::testing::WithParamInterface<Fault> {
 protected:
  // Sends `bytes` of the body, in chunks where the length is not told.
  static void send_body(Exchange& out, std::string_view body, size_t limit, bool chunked) {
    if (!chunked) {
      out.send(body.substr(0, limit));
      return;
    }
    for (size_t at = 0; at < std::min(limit, body.size());) {
      size_t count = std::min<size_t>(100'000, body.size() - at);
      char size[32];
      std::snprintf(size, sizeof size, "%zx\r\n", count);
      out.send(size);
      out.send(body.substr(at, std::min(count, limit - at)));
      if (at + count <= limit) out.send("\r\n");
      at += count;
    }
    if (limit >= body.size()) out.send("0\r\n\r\n");
  }

  static void answer(Serving serving, const std::string& file, const Request& request,
                     Exchange& out, size_t limit) {
    bool chunked = serving == Serving::Chunked || serving == Serving::ChunkedWhole;
    bool ranges = serving != Serving::WithoutRanges && serving != Serving::ChunkedWhole;
    std::string etag = serving == Serving::NoValidator ? "" : "ETag: \"v1\"\r\n";
    uint64_t start = ranges ? request.range_start().value_or(0) : 0;
    if (start >= file.size()) {
      out.send(status_head("416 No", concat("Content-Range: bytes */", file.size(), "\r\n")));
      return;
    }
    std::string body = file.substr(start);
    std::string head = start == 0 && !request.range_start()
                           ? std::string("HTTP/1.1 200 OK\r\n")
                           : concat("HTTP/1.1 206 Partial\r\nContent-Range: bytes ", start, '-',
                                    file.size() - 1, '/', file.size(), "\r\n");
    if (!ranges) head = "HTTP/1.1 200 OK\r\n";
    head += chunked ? std::string("Transfer-Encoding: chunked\r\n")
                    : concat("Content-Length: ", body.size(), "\r\n");
    out.send(concat(head, etag, "\r\n"));
    send_body(out, body, limit, chunked);
  }
};

TEST_P(FaultTest, TheBytesAreExactWhereverItBreaks) {
  const Fault fault = GetParam();
  options_.stall = fault.tls ? 60ms : 20ms;  // a handshake takes longer
  options_.first_backoff = 1ms;
  options_.digest_follows = fault.digest_follows;
  std::string file = make_file(kFile);
  TlsIdentity own = identity("good");
  size_t step = kSanitized ? 5 : 1;
  for (size_t i = 0; i <= 64; i += step) {
    SCOPED_TRACE(i);
    size_t limit = kFile * i / 64;
    ScriptedServer server(
        [&](const Request& request, Exchange& out) {
          bool breaks = request.number == 0;
          answer(fault.serving, file, request, out, breaks ? limit : SIZE_MAX);
          if (breaks && fault.how == Break::Reset) out.reset();
          if (breaks && fault.how == Break::Stall) out.hang();
        },
        fault.tls ? &own : nullptr);
    Result<std::string> all = fetch(server.url("/a.img"), std::nullopt);
    ASSERT_TRUE(all.ok()) << all.error().message();
    ASSERT_TRUE(all.value() == file);
  }
}

std::vector<Fault> all_faults() {
  std::vector<Fault> faults;
  for (Break how : {Break::Cut, Break::Reset, Break::Stall}) {
    for (Serving serving : {Serving::Ranges, Serving::WithoutRanges, Serving::Chunked,
                            Serving::ChunkedWhole, Serving::NoValidator}) {
      faults.push_back({how, serving});
    }
    faults.push_back({how, Serving::Ranges, true});
    faults.push_back({how, Serving::Chunked, true});
    faults.push_back({how, Serving::NoValidator, false, true});
  }
  return faults;
}

std::string fault_name(const ::testing::TestParamInfo<Fault>& info) {
  constexpr std::string_view kBreaks[] = {"Cut", "Reset", "Stall"};
  constexpr std::string_view kServing[] = {"Ranges", "WithoutRanges", "Chunked", "ChunkedWhole",
                                           "NoValidator"};
  return concat(kBreaks[static_cast<size_t>(info.param.how)],
                kServing[static_cast<size_t>(info.param.serving)], info.param.tls ? "Tls" : "",
                info.param.digest_follows ? "DigestFollows" : "");
}

INSTANTIATE_TEST_SUITE_P(All, FaultTest, ::testing::ValuesIn(all_faults()), fault_name);

// --- what the server says is wrong

class HostileTest : public HttpTest {
 protected:
  // An answer of this server is an error at once, of these words, with that many requests.
  void expect_refused(ScriptedServer::Script script, std::string_view words, size_t requests = 1) {
    ScriptedServer server(std::move(script));
    EXPECT_THAT(error_of(server.url("/a")), HasSubstr(std::string(words)));
    EXPECT_EQ(server.requests().size(), requests);
  }
  static ScriptedServer::Script redirect(std::string_view to) {
    return [to](const Request&, Exchange& out) {
      out.send(status_head("302 Found", concat("Location: ", to, "\r\n")));
    };
  }
};

TEST_F(HostileTest, AContentLengthThatIsTooLong) {
  // The server keeps to its word with Range: the file is shorter than was told.
  std::string file = make_file(100'000);
  expect_refused(
      [&](const Request& request, Exchange& out) {
        if (request.range_start()) return serve_file(file, request, out);
        out.send(ok_head(file.size() + 1000));
        out.send(file);
      },
      "(length 101000 is now 100000)", 2);
}

TEST_F(HostileTest, AContentLengthThatIsTooLongWithoutRange) {
  std::string file = make_file(100'000);
  ScriptedServer server([&](const Request&, Exchange& out) {
    out.send(ok_head(file.size() + 1000));
    out.send(file);
  });
  EXPECT_THAT(error_of(server.url("/a"), 100ms), HasSubstr("byte 100000"));
}

TEST_F(HostileTest, AContentLengthThatIsTooShortEndsThere) {
  // What HTTP says of the file's length holds: whoever knows better has a digest or a format.
  std::string file = make_file(100'000);
  ScriptedServer server([&](const Request&, Exchange& out) {
    out.send(ok_head(99'000));
    out.send(file);
  });
  Result<std::string> all = fetch(server.url("/a"));
  ASSERT_TRUE(all.ok()) << all.error().message();
  EXPECT_TRUE(all.value() == file.substr(0, 99'000));
}

TEST_F(HostileTest, TwoContentLengths) {
  expect_refused(
      [](const Request&, Exchange& out) {
        out.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef");
      },
      "Content-Length");
}

TEST_F(HostileTest, TheETagChangesAtEverySixtyFourth) {
  std::string file = make_file(kFile);
  std::string other = make_file(kFile, 3);
  for (size_t i = 1; i < 64; i += kSanitized ? 9 : 1) {
    ScriptedServer server([&](const Request& request, Exchange& out) {
      bool first = request.number == 0;
      serve_file(first ? file : other, request, out, first ? kFile * i / 64 : SIZE_MAX,
                 first ? kEtag : "\"v2\"");
    });
    EXPECT_THAT(error_of(server.url("/a"), std::nullopt),
                HasSubstr("the image changed on the server"));
    EXPECT_EQ(server.requests().size(), 2U);
  }
}

TEST_F(HostileTest, PartsThatAreWrong) {
  std::string file = make_file(200'000);
  for (std::string_view range :
       {"99999-199999/200000", "100001-199999/200000", "0-99999/200000", "100000-199999/200001",
        "100000-199999/100000", "x", "100000-5/9", "100000-199999/*"}) {
    SCOPED_TRACE(range);
    ScriptedServer server([&](const Request& request, Exchange& out) {
      if (request.number == 0) return serve_file(file, request, out, 100'000);
      out.send(concat("HTTP/1.1 206 Partial\r\nETag: \"v1\"\r\nContent-Range: bytes ", range,
                      "\r\nTransfer-Encoding: chunked\r\n\r\n186a0\r\n"));
      out.send(std::string_view(file).substr(100'000));
      out.send("\r\n0\r\n\r\n");
    });
    Result<std::string> all = fetch(server.url("/a"), std::nullopt);
    // Only the last one is no contradiction: the length is known already.
    EXPECT_EQ(all.ok(), range.ends_with('*'));
    if (all.ok()) {
      EXPECT_TRUE(all.value() == file);
    }
    EXPECT_EQ(server.requests().size(), 2U);
  }
}

TEST_F(HostileTest, APartWithMoreBytesThanItsRange) {
  std::string file = make_file(200'000);
  ScriptedServer server([&](const Request& request, Exchange& out) {
    if (request.number == 0) return serve_file(file, request, out, 100'000);
    out.send(
        "HTTP/1.1 206 Partial\r\nETag: \"v1\"\r\nContent-Range: bytes 100000-100009/200000\r\n"
        "Transfer-Encoding: chunked\r\n\r\n186a0\r\n");
    out.send(std::string_view(file).substr(100'000));
  });
  EXPECT_THAT(error_of(server.url("/a")), HasSubstr("more bytes than it announced"));
}

TEST_F(HostileTest, RedirectLoops) {
  expect_refused(redirect("/a"), "more than 10 redirects", 11);
  std::atomic<unsigned> count = 0;
  expect_refused(
      [&](const Request&, Exchange& out) {
        out.send(status_head("307 On", concat("Location: /", ++count, "\r\n")));
      },
      "more than 10 redirects", 11);
}

TEST_F(HostileTest, RedirectsToOtherSchemes) {
  for (std::string_view to : {"file:///etc/shadow", "ftp://127.0.0.1/a", "gopher://127.0.0.1/",
                              "javascript:1", "data:,x", "unix:/run/x"}) {
    SCOPED_TRACE(to);
    expect_refused(redirect(to), "redirects to what is no URL");
  }
}

TEST_F(HostileTest, RedirectsToNowhere) {
  expect_refused([](const Request&, Exchange& out) { out.send(status_head("302 Found")); },
                 "redirects to nowhere");
}

TEST_F(HostileTest, EndlessInterimAnswers) {
  expect_refused(
      [](const Request&, Exchange& out) {
        while (out.send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")) {
        }
      },
      "longer than 64 KiB");
  expect_refused(
      [](const Request&, Exchange& out) {
        while (out.send("HTTP/1.1 100 Continue\r\n\r\n")) {
        }
      },
      "longer than 64 KiB");
}

TEST_F(HostileTest, EndlessTrailersAreNotWaitedFor) {
  ScriptedServer server([](const Request&, Exchange& out) {
    out.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n");
    while (out.send("X-Trailer: 0123456789\r\n")) {
    }
  });
  // That the file has ended was proven before them.
  Time before = now();
  Result<std::string> all = fetch(server.url("/a"), 500ms);
  if (all.ok()) {
    EXPECT_EQ(all.value(), "abc");
  }
  EXPECT_LT(now() - before, patience(5s));
}

// --- servers that drip

class DripTest : public HttpTest {
 protected:
  // One byte every few milliseconds, without end: being slow is what is tested.
  static void drip(Exchange& out, std::string_view pattern, Duration pause = 5ms) {
    for (size_t i = 0; out.send(pattern.substr(i % pattern.size(), 1)); ++i) {
      std::this_thread::sleep_for(pause);
    }
  }
};

TEST_F(DripTest, HeadersDoNotHoldUpTheDeadline) {
  ScriptedServer server([](const Request&, Exchange& out) {
    out.send("HTTP/1.1 200 OK\r\n");
    drip(out, "X: y\r\n");
  });
  options_.stall = 10s;
  Time before = now();
  EXPECT_THAT(error_of(server.url("/"), 200ms), HasSubstr("no answer before the deadline"));
  EXPECT_LT(now() - before, patience(1s));
}

TEST_F(DripTest, RedirectsDoNotHoldUpTheDeadline) {
  ScriptedServer server([](const Request& request, Exchange& out) {
    std::this_thread::sleep_for(30ms);  // or ten redirects, the most there are, end before 100 ms
    out.send(status_head("302 Found", concat("Location: /", request.number, "\r\n")));
  });
  Time before = now();
  EXPECT_THAT(error_of(server.url("/"), 100ms), HasSubstr("no answer before the deadline"));
  EXPECT_LT(now() - before, patience(500ms));
}

TEST_F(DripTest, ABodyDoesNotHoldUpTheDeadline) {
  ScriptedServer server([](const Request&, Exchange& out) {
    out.send(ok_head(1'000'000));
    drip(out, "0123456789", 1ms);
  });
  options_.stall = 10s;
  Time before = now();
  EXPECT_THAT(error_of(server.url("/"), 200ms), HasSubstr("the deadline passed at byte"));
  EXPECT_LT(now() - before, patience(1s));
}

TEST_F(DripTest, AHeadThatDripsIsAStall) {
  options_.stall = 300ms;
  std::string file = make_file(1000);
  ScriptedServer server([&](const Request& request, Exchange& out) {
    if (request.number > 0) return serve_file(file, request, out);
    drip(out, "HTTP/1.1 200 OK\r\n", 20ms);
  });
  Result<std::string> all = fetch(server.url("/"));
  ASSERT_TRUE(all.ok()) << all.error().message();
  EXPECT_TRUE(all.value() == file);
}

TEST_F(DripTest, SlowButSteadyIsNoStall) {
  options_.stall = 300ms;
  std::string file = make_file(20'000);
  ScriptedServer server([&](const Request&, Exchange& out) {
    out.send(ok_head(file.size()));
    for (size_t at = 0; at < file.size(); at += 100) {
      if (!out.send(std::string_view(file).substr(at, 100))) return;
      std::this_thread::sleep_for(5ms);  // 20 kB/s: slow, and longer in all than a stall
    }
  });
  Result<std::string> all = fetch(server.url("/"), std::nullopt);
  ASSERT_TRUE(all.ok()) << all.error().message();
  EXPECT_EQ(resumptions_, 0U);
}

// --- a thousand downloads with random cuts

class ThousandTest : public HttpsTest {
 protected:
  void download(unsigned count, bool tls) {
    options_.first_backoff = 100us;
    TlsIdentity own = identity("good");
    std::mt19937_64 random(20261122);
    constexpr unsigned kPerServer = 50;  // a server keeps its threads to its end
    unsigned resumed = 0;
    for (unsigned i = 0; i < count; i += kPerServer) {
      std::mutex mutex;
      std::string file = make_file(200'000 + random() % 600'000, random() | 1);
      ScriptedServer server(
          [&](const Request& request, Exchange& out) {
            uint64_t dice = 0;
            {
              std::lock_guard lock(mutex);
              dice = random();
            }
            // Three in four answers break, in one way or the other.
            bool breaks = dice % 4 != 0;
            serve_file(file, request, out, breaks ? (dice >> 8) % file.size() : SIZE_MAX);
            if (breaks && (dice >> 4) % 2 == 0) out.reset();
          },
          tls ? &own : nullptr);
      for (unsigned k = 0; k < kPerServer; ++k) {
        SCOPED_TRACE(i + k);
        Result<std::string> all = fetch(server.url("/a"), std::nullopt);
        ASSERT_TRUE(all.ok()) << all.error().message();
        ASSERT_TRUE(all.value() == file);
        resumed += resumptions_;
      }
    }
    EXPECT_GT(resumed, count);
  }
};

// Each with several cuts and resets at random places. Under sanitizers a tenth of them.
TEST_F(ThousandTest, ResumedDownloadsInARowAreExact) { download(kSanitized ? 100 : 1000, false); }
TEST_F(ThousandTest, OverTlsToo) { download(kSanitized ? 50 : 200, true); }

}  // namespace
}  // namespace curlingiron
