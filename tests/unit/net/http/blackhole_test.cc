// Ways that lose big packets without a word, as played by servers that fall silent where they would
// have to send one.
#include <atomic>

#include "support/patience.h"
#include "sys/clock.h"
#include "unit/net/full_listener.h"
#include "unit/net/http_fixture.h"

namespace curlingiron::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::Ge;
using ::testing::HasSubstr;
using ::testing::Lt;
using ::testing::Not;
using ::testing::SizeIs;

class HttpBlackholeTest : public HttpsTest {
 protected:
  HttpBlackholeTest() {
    options_.first_bytes = 400ms;  // a busy machine takes a while to answer
    options_.stall = 20s;
  }

  // The sizes that the client takes at once, of each connection.
  void note(Exchange& out) {
    std::lock_guard lock(mutex_);
    segments_.push_back(out.segment());
  }

  std::mutex mutex_;
  std::vector<int> segments_;
  std::string file_ = make_file(400'000);
};

// Segments with timestamps carry 12 bytes less.
constexpr int kTimestamps = 12;

TEST_F(HttpBlackholeTest, SegmentsBecomeSmallerStepByStepUntilBytesCome) {
  ScriptedServer server([&](const Request& request, Exchange& out) {
    note(out);
    if (out.segment() > 1300) return out.hang();
    serve_file(file_, request, out);
  });
  Time before = now();
  Result<std::string> all = fetch(server.url("/"));
  ASSERT_TRUE(all.ok()) << all.error().message();
  EXPECT_TRUE(all.value() == file_);
  EXPECT_LT(now() - before, patience(3s));
  EXPECT_THAT(segments_, ElementsAre(Ge(9000), 1440 - kTimestamps, 1220 - kTimestamps));
  EXPECT_THAT(log_.text(),
              HasSubstr("127.0.0.1: no data for 0.4 s, at byte 0; big packets may be "
                        "lost on the path, check its MTU: TCP segments are now 1440 bytes at "
                        "most; next try now"));
}

TEST_F(HttpBlackholeTest, ABeginningThatComesAloneIsNoAnswer) {
  ScriptedServer server([&](const Request& request, Exchange& out) {
    note(out);
    if (out.segment() <= 1300) return serve_file(file_, request, out);
    out.send(ok_head(file_.size()));
    out.send(std::string_view(file_).substr(0, 500));
    out.hang();
  });
  Result<std::string> all = fetch(server.url("/"));
  ASSERT_TRUE(all.ok()) << all.error().message();
  EXPECT_TRUE(all.value() == file_);
  EXPECT_THAT(segments_, SizeIs(3));
  EXPECT_EQ(resumptions_, 2U);
}

TEST_F(HttpBlackholeTest, WhatWasLearntIsKeptForTheRestOfTheTransfer) {
  ScriptedServer server([&](const Request& request, Exchange& out) {
    note(out);
    if (out.segment() > 1300) return out.hang();
    serve_file(file_, request, out, 150'000);
  });
  Result<std::string> all = fetch(server.url("/"));
  ASSERT_TRUE(all.ok()) << all.error().message();
  EXPECT_EQ(segments_.back(), 1220 - kTimestamps);
  EXPECT_THAT(segments_, SizeIs(5));
}

TEST_F(HttpBlackholeTest, APathThatHasALimitBeginsWithIt) {
  FixedPath paths({.max_segment = 1220});
  options_.paths = &paths;
  ScriptedServer server([&](const Request& request, Exchange& out) {
    note(out);
    serve_file(file_, request, out);
  });
  ASSERT_TRUE(fetch(server.url("/")).ok());
  EXPECT_THAT(segments_, ElementsAre(1220 - kTimestamps));
}

TEST_F(HttpBlackholeTest, AStallInTheMiddleTakesTheWholePatienceAndLowersSegmentsToo) {
  options_.stall = 400ms;
  ScriptedServer server([&](const Request& request, Exchange& out) {
    note(out);
    if (request.number > 0) return serve_file(file_, request, out);
    out.send(ok_head(file_.size()));
    out.send(std::string_view(file_).substr(0, 200'000));
    out.hang();
  });
  Time before = now();
  Result<std::string> all = fetch(server.url("/"));
  ASSERT_TRUE(all.ok()) << all.error().message();
  EXPECT_GE(now() - before, Duration(400ms));
  EXPECT_THAT(segments_, ElementsAre(Ge(9000), 1440 - kTimestamps));
}

TEST_F(HttpBlackholeTest, AServerThatIsSlowGetsItsTimeInTheEnd) {
  std::atomic<unsigned> asked = 0;
  ScriptedServer server([&](const Request& request, Exchange& out) {
    ++asked;
    std::this_thread::sleep_for(500ms);  // the server that is slow
    serve_file(file_, request, out);
  });
  Result<std::string> all = fetch(server.url("/"));
  ASSERT_TRUE(all.ok()) << all.error().message();
  EXPECT_EQ(asked, 3U);
}

// The server's certificate is the first big thing of a connection.
TEST_F(HttpBlackholeTest, HandshakesThatDoNotComeThrough) {
  TlsIdentity good = identity("good");
  ScriptedServer server(
      [&](const Request& request, Exchange& out) { serve_file(file_, request, out); }, &good);
  ScriptedServer proxy([&](const Request&, Exchange& out) {
    out.send("HTTP/1.1 200 Connected\r\n\r\n");
    note(out);
    if (out.segment() > 1300) return out.hang();
    out.tunnel(server.port());
  });
  options_.proxy = parse_proxy_url(concat("127.0.0.1:", proxy.port())).value();
  Result<std::string> all = fetch(server.url("/"));
  ASSERT_TRUE(all.ok()) << all.error().message();
  EXPECT_THAT(segments_, SizeIs(3));
}

TEST_F(HttpBlackholeTest, AConnectionThatIsNotMadeIsNoneOfThem) {
  options_.stall = 300ms;
  FullListener silent;
  std::string error = error_of(concat("http://127.0.0.1:", silent.port(), '/'), 1s);
  EXPECT_THAT(error, HasSubstr("no connection on port"));
  EXPECT_THAT(error, Not(HasSubstr("segments")));
  EXPECT_THAT(log_.text(), Not(HasSubstr("segments")));
}

}  // namespace
}  // namespace curlingiron::testing
