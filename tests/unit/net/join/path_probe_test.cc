#include "net/join/path_probe.h"
#include "support/patience.h"

#include <array>
#include <condition_variable>
#include <ctime>
#include <mutex>

#include "formats/http_text.h"
#include "sys/clock.h"
#include "unit/net/certificates.h"
#include "unit/net/dns_answers.h"
#include "unit/net/dns_server.h"
#include "unit/net/full_listener.h"
#include "unit/net/http_fixture.h"

namespace curlingiron::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::Ge;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

class PathProbeTest : public HttpsTest {
 protected:
  ~PathProbeTest() override { probe_.reset(); }

  void start(const std::string& url, const HttpPath& path = {}) {
    Result<std::unique_ptr<PathProbe>> started =
        PathProbe::start(parse_url(url).value(), options_, path, [this] {
          std::lock_guard lock(mutex_);
          ++changes_;
          changed_.notify_all();
        });
    ASSERT_TRUE(started.ok()) << started.error().message();
    probe_ = std::move(started).value();
  }

  // The state once it fits.
  ProbeState wait_for(const std::function<bool(const ProbeState&)>& fits, Duration limit = 5s) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, limit, [&] { return fits(probe_->state()); });
    return probe_->state();
  }
  ProbeState wait_for_answer(Duration limit = 5s) {
    return wait_for([](const ProbeState& state) { return state.answered; }, limit);
  }
  ProbeState wait_for_failure() {
    return wait_for([](const ProbeState& state) { return !state.text.empty(); });
  }
  Duration time_to_stop() {
    Time before = now();
    probe_->stop();
    probe_.reset();
    return now() - before;
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  unsigned changes_ = 0;
  std::unique_ptr<PathProbe> probe_;
};

TEST_F(PathProbeTest, AsksWithoutWhatIsForTheRealRequest) {
  ScriptedServer server([](const Request&, Exchange& out) { out.send(ok_head(1000)); });
  options_.headers = {"X-Token: secret"};
  std::string url = server.url("/disk.img");
  url.insert(7, "user:password@");
  start(url);
  ProbeState state = wait_for_answer();
  EXPECT_TRUE(state.answered);
  EXPECT_EQ(state.text, "200 OK");
  EXPECT_EQ(state.stage, HttpStage::Body);
  EXPECT_EQ(state.max_segment, 0);
  ASSERT_THAT(server.requests(), SizeIs(1));
  EXPECT_THAT(server.requests()[0].text, HasSubstr("HEAD /disk.img HTTP/1.1"));
  EXPECT_EQ(server.requests()[0].header("X-Token"), "");
  EXPECT_EQ(server.requests()[0].header("Authorization"), "");
}

TEST_F(PathProbeTest, AnyStatusIsAnAnswer) {
  for (std::string_view status : {"404 Not Found", "302 Found", "503 Busy", "401 Unauthorized"}) {
    ScriptedServer server([&](const Request&, Exchange& out) {
      out.send(status_head(status, "Location: http://127.0.0.1:1/\r\n"));
    });
    start(server.url("/"));
    EXPECT_EQ(wait_for_answer().text, status);
    EXPECT_LT(time_to_stop(), Duration(1s));
  }
}

TEST_F(PathProbeTest, AsksUntilTheServerIsThere) {
  uint16_t port = ScriptedServer([](const Request&, Exchange&) {}).port();
  start(concat("http://127.0.0.1:", port, '/'));
  ProbeState failed = wait_for_failure();
  EXPECT_FALSE(failed.answered);
  EXPECT_EQ(failed.stage, HttpStage::Connect);
  EXPECT_THAT(failed.text, HasSubstr("connection refused"));
  ScriptedServer server([](const Request&, Exchange& out) { out.send(ok_head(0)); }, nullptr, port);
  EXPECT_TRUE(wait_for_answer().answered);
  EXPECT_LE(changes_, 6U);
}

TEST_F(PathProbeTest, OverHttpsTheServerProvesItself) {
  TlsIdentity good = identity("good");
  ScriptedServer server([](const Request&, Exchange& out) { out.send(ok_head(0)); }, &good);
  start(server.url("/"));
  EXPECT_EQ(wait_for_answer().text, "200 OK over TLSv1.3");

  TlsIdentity expired = identity("expired");
  ScriptedServer other([](const Request&, Exchange& out) { out.send(ok_head(0)); }, &expired);
  start(other.url("/"));
  ProbeState state = wait_for_failure();
  EXPECT_FALSE(state.answered);
  EXPECT_EQ(state.stage, HttpStage::Tls);
  EXPECT_THAT(state.text, HasSubstr("certificate expired on 2021-01-31"));
  EXPECT_FALSE(state.date);
  EXPECT_THAT(other.requests(), SizeIs(0));

  options_.insecure = true;
  start(other.url("/"));
  EXPECT_TRUE(wait_for_answer().answered);
}

TEST_F(PathProbeTest, AServerThatWantsTheClientsCertificateAnswers) {
  for (int newest : {0x0303, 0x0304}) {
    TlsIdentity demanding = identity("good");
    demanding.client_ca_file = concat(folder(), "/ca.pem");
    demanding.newest = newest;
    ScriptedServer server([](const Request&, Exchange& out) { out.send(ok_head(0)); }, &demanding);
    options_.client_certificate =
        client(concat(folder(), "/client.pem"), concat(folder(), "/client.key"));
    start(server.url("/"));
    EXPECT_EQ(wait_for_answer().text, "asks for the client certificate");
    EXPECT_LT(time_to_stop(), Duration(1s));
  }
}

// A server whose certificate is good from `from` on, and whose clock says `date`.
class ServersClock : public PathProbeTest {
 protected:
  ProbeState ask(int64_t from, int64_t date, const std::string& issuer = "ca") {
    CertificateFolder certificates(folder());
    certificates.make({.name = "young",
                       .issuer = issuer,
                       .extensions = "subjectAltName=IP:127.0.0.1\n",
                       .from = asn1_time(from)});
    certificates.write("young-chain.pem",
                       certificates.pems({"young", issuer.empty() ? "young" : issuer}));
    TlsIdentity young = identity("young");
    young.certificate_file = certificates.file("young-chain.pem");
    server_.emplace(
        [date](const Request&, Exchange& out) {
          out.send(ok_head(0, concat("Date: ", http_date(date), "\r\n")));
        },
        &young);
    std::string url = server_->url("/disk.img?signature=secret");
    start(url.insert(8, "user:password@"));
    return wait_for_failure();
  }

  static std::string formatted(int64_t seconds, const char* form) {
    std::tm parts{};
    time_t time = seconds;
    ::gmtime_r(&time, &parts);
    std::array<char, 40> text{};
    return std::string(text.data(), std::strftime(text.data(), text.size(), form, &parts));
  }
  static std::string asn1_time(int64_t seconds) { return formatted(seconds, "%Y%m%d%H%M%SZ"); }
  static std::string http_date(int64_t seconds) {
    return formatted(seconds, "%a, %d %b %Y %H:%M:%S GMT");
  }

  static constexpr int64_t kDay = 86400;
  int64_t now_ = wall_clock_seconds();
  std::optional<ScriptedServer> server_;
};

TEST_F(ServersClock, IsToldWhereTheCertificateIsGoodByIt) {
  ProbeState state = ask(now_ + 100 * kDay, now_ + 200 * kDay);
  EXPECT_FALSE(state.answered);
  EXPECT_THAT(state.text, HasSubstr(concat("certificate is not valid before ",
                                           format_date(now_ + 100 * kDay))));
  EXPECT_EQ(state.date, now_ + 200 * kDay);
  // To one who has proven nothing no secret is told.
  ASSERT_THAT(server_->requests(), Not(SizeIs(0)));
  EXPECT_THAT(server_->requests()[0].text, HasSubstr("HEAD / HTTP/1.1"));
  for (const Request& request : server_->requests()) {
    EXPECT_EQ(request.header("Authorization"), "");
  }
}

TEST_F(ServersClock, IsNotToldWhereItDoesNotHelp) {
  EXPECT_FALSE(ask(now_ + 100 * kDay, now_ + 99 * kDay).date);
  EXPECT_FALSE(ask(now_ + 100 * kDay, now_ - kDay).date);
}

TEST_F(ServersClock, MovesByAYearAtMost) {
  EXPECT_TRUE(ask(now_ + 100 * kDay, now_ + 365 * kDay).date);
  ProbeState state = ask(now_ + 100 * kDay, now_ + 370 * kDay);
  EXPECT_FALSE(state.date);
  EXPECT_THAT(state.text,
              HasSubstr(concat("the server's own clock says ", format_date(now_ + 370 * kDay))));
}

// By the server's clock its own certificate is good, but that of an authority is not any more.
TEST_F(ServersClock, IsNotToldWhereThePathIsNotGoodByIt) {
  CertificateFolder(folder()).make({.name = "short-lived",
                                    .issuer = "ca",
                                    .extensions = std::string(kAuthority),
                                    .until = asn1_time(now_ + 150 * kDay)});
  EXPECT_TRUE(ask(now_ + 100 * kDay, now_ + 120 * kDay, "short-lived").date);
  EXPECT_FALSE(ask(now_ + 100 * kDay, now_ + 200 * kDay, "short-lived").date);
}

// By its own clock it is good, but nobody vouches for it.
TEST_F(ServersClock, OfOneThatProvesNothingIsNotTold) {
  EXPECT_FALSE(ask(now_ + 100 * kDay, now_ + 200 * kDay, "other").date);
  EXPECT_FALSE(ask(now_ + 100 * kDay, now_ + 200 * kDay, "").date);
}

TEST_F(PathProbeTest, SegmentsThatComeThroughAreTold) {
  options_.first_bytes = 150ms;
  std::mutex mutex;
  std::vector<int> segments;
  TlsIdentity good = identity("good");
  ScriptedServer server([](const Request&, Exchange& out) { out.send(ok_head(0)); }, &good);
  ScriptedServer proxy([&](const Request&, Exchange& out) {
    {
      std::lock_guard lock(mutex);
      segments.push_back(out.segment());
    }
    out.send("HTTP/1.1 200 Connected\r\n\r\n");
    if (out.segment() > 1300) return out.hang();
    out.tunnel(server.port());
  });
  options_.proxy = parse_proxy_url(concat("http://me:word@127.0.0.1:", proxy.port())).value();
  Time before = now();
  start(server.url("/"));
  ProbeState state = wait_for_answer();
  EXPECT_TRUE(state.answered) << state.text;
  EXPECT_EQ(state.max_segment, 1220);
  EXPECT_LT(now() - before, patience(2s));
  EXPECT_THAT(segments, ElementsAre(Ge(9000), 1428, 1208));
  // The proxy's credentials are for the proxy.
  EXPECT_THAT(proxy.requests()[0].header("Proxy-Authorization"), HasSubstr("Basic "));
  EXPECT_EQ(server.requests()[0].header("Proxy-Authorization"), "");
}

TEST_F(PathProbeTest, HowFarItCame) {
  DnsServer dns([](ConstBytes query, DnsServer::Transport) {
    return std::vector<ByteVector>{dns_answer(query, {}, DnsCode::NoSuchName)};
  });
  HttpPath path{.family = Family::V4, .resolver = {{dns.as_name_server()}, {}}};
  start("http://nobody.test/", path);
  ProbeState state = wait_for_failure();
  EXPECT_EQ(state.stage, HttpStage::Dns);
  EXPECT_THAT(state.text, HasSubstr("nobody.test: host not found (127.0.0.1 port "));

  start("http://127.0.0.1:9/", {.interface = "nosuch0"});
  state = wait_for_failure();
  EXPECT_EQ(state.stage, HttpStage::Connect);
  EXPECT_THAT(state.text, HasSubstr("127.0.0.1: cannot bind to nosuch0"));

  ScriptedServer cut([](const Request&, Exchange&) {});
  start(cut.url("/"));
  EXPECT_EQ(wait_for_failure().stage, HttpStage::Http);

  // Told while it is under way.
  ScriptedServer slow([](const Request&, Exchange& out) { out.hang(); });
  start(slow.url("/"));
  state = wait_for([](const ProbeState& now) { return now.stage == HttpStage::Http; });
  EXPECT_EQ(state.stage, HttpStage::Http);
  EXPECT_EQ(state.text, "");

  ScriptedServer plain([](const Request&, Exchange& out) { out.send("nothing of TLS\r\n"); });
  start(concat("https", plain.url("/").substr(4)));
  EXPECT_EQ(wait_for_failure().stage, HttpStage::Tls);
}

TEST_F(PathProbeTest, StopsAtOnceWhateverItWaitsFor) {
  DnsServer silent([](ConstBytes, DnsServer::Transport) { return std::vector<ByteVector>(); });
  start("http://image.test/", {.resolver = {{silent.as_name_server()}, {}}});
  std::this_thread::sleep_for(100ms);  // it waits by now; nothing shows it
  EXPECT_LT(time_to_stop(), Duration(500ms));

  FullListener full;
  start(concat("http://127.0.0.1:", full.port(), '/'));
  std::this_thread::sleep_for(100ms);
  EXPECT_LT(time_to_stop(), Duration(500ms));

  ScriptedServer hangs([](const Request&, Exchange& out) { out.hang(); });
  start(hangs.url("/"));
  std::this_thread::sleep_for(100ms);
  EXPECT_LT(time_to_stop(), Duration(500ms));

  // Between two tries.
  start("http://127.0.0.1:9/", {.interface = "nosuch0"});
  std::this_thread::sleep_for(900ms);
  EXPECT_LT(time_to_stop(), Duration(500ms));
}

}  // namespace
}  // namespace curlingiron::testing
