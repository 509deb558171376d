// Downloads by name, over paths: who is asked, and what happens when nobody answers.
#include <atomic>
#include <mutex>
#include <thread>

#include "support/patience.h"
#include "sys/clock.h"
#include "unit/net/dns_answers.h"
#include "unit/net/dns_server.h"
#include "unit/net/http_fixture.h"

namespace curlingiron::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

class HttpNamesTest : public HttpsTest {
 protected:
  HttpNamesTest() { options_.paths = &paths_; }

  HttpPath path() {
    HttpPath path;
    path.family = Family::V4;
    path.resolver.servers = {dns_.as_name_server()};
    return path;
  }

  std::mutex mutex_;
  std::vector<IpAddress> addresses_ = {ip("127.0.0.1")};
  std::atomic<bool> dns_alive_ = true;
  DnsServer dns_{[this](ConstBytes query, DnsServer::Transport) -> std::vector<ByteVector> {
    if (!dns_alive_) return {};
    std::lock_guard lock(mutex_);
    bool known = asked_name(query) != "nobody.example";
    return {known ? dns_answer(query, addresses_) : dns_answer(query, {}, DnsCode::NoSuchName)};
  }};
  FixedPath paths_{path()};
};

TEST_F(HttpNamesTest, TheHostIsAskedForAndTheCertificateIsForIt) {
  std::string file = make_file(1000);
  TlsIdentity named = identity("named");
  ScriptedServer server(
      [&](const Request& request, Exchange& out) { serve_file(file, request, out); }, &named);
  Result<std::string> all = fetch(server.url("/", "a.example"));
  ASSERT_TRUE(all.ok()) << all.error().message();
  EXPECT_TRUE(all.value() == file);
  EXPECT_THAT(dns_.queries(), ElementsAre("UDP a.example A"));
  EXPECT_THAT(server.requests()[0].header("Host"), HasSubstr("a.example:"));
  EXPECT_THAT(error_of(server.url("/", "c.example"), 1s), HasSubstr("and not for c.example"));
  EXPECT_THAT(paths_.failures(), IsEmpty());
}

TEST_F(HttpNamesTest, ADotAtTheEndIsAName) {
  ScriptedServer server([&](const Request&, Exchange& out) { out.send(concat(ok_head(2), "ab")); });
  Result<std::string> all = fetch(server.url("/", "image.test."));
  ASSERT_TRUE(all.ok()) << all.error().message();
}

TEST_F(HttpNamesTest, AddressesThatRefuseAreLeftForOthers) {
  {
    std::lock_guard lock(mutex_);
    addresses_ = {ip("127.0.0.77"), ip("127.0.0.1")};
  }
  ScriptedServer server([&](const Request&, Exchange& out) { out.send(concat(ok_head(2), "ab")); });
  Result<std::string> all = fetch(server.url("/", "image.test"));
  ASSERT_TRUE(all.ok()) << all.error().message();
}

TEST_F(HttpNamesTest, OfTheProxyTheNameIsAskedFor) {
  ScriptedServer proxy([&](const Request&, Exchange& out) { out.send(concat(ok_head(2), "ab")); });
  options_.proxy = parse_proxy_url(concat("proxy.test:", proxy.port())).value();
  Result<std::string> all = fetch("http://image.test/disk.img");
  ASSERT_TRUE(all.ok()) << all.error().message();
  EXPECT_THAT(dns_.queries(), ElementsAre("UDP proxy.test A"));
  options_.proxy = parse_proxy_url("nobody.example:3128").value();
  EXPECT_THAT(error_of("http://image.test/disk.img", 200ms),
              HasSubstr("proxy nobody.example: host not found (127.0.0.1 port "));
}

TEST_F(HttpNamesTest, FailuresNameTheServersAndAreTold) {
  EXPECT_THAT(error_of("http://nobody.example/", 300ms),
              HasSubstr("nobody.example: host not found (127.0.0.1 port "));
  EXPECT_THAT(paths_.failures(), Not(IsEmpty()));
  dns_alive_ = false;
  options_.stall = 100ms;
  EXPECT_THAT(error_of("http://nobody.example/", 300ms),
              HasSubstr("no answer from the DNS server"));
  HttpPath none = path();
  none.resolver.servers.clear();
  paths_.set(none);
  EXPECT_THAT(error_of("http://image.test/", 100ms),
              HasSubstr("image.test: no DNS server is known"));
}

TEST_F(HttpNamesTest, ALiteralOfAnotherFamilyIsNotTried) {
  EXPECT_THAT(error_of("http://[::1]:9/", 100ms), HasSubstr("is no IPv4 address"));
  EXPECT_THAT(dns_.queries(), IsEmpty());
}

TEST_F(HttpNamesTest, APastDeadlineEndsTheQuestion) {
  dns_alive_ = false;
  options_.stall = 20s;
  Time before = now();
  EXPECT_FALSE(fetch("http://image.test/", 200ms).ok());
  EXPECT_LT(now() - before, patience(2s));
}

TEST_F(HttpNamesTest, ADownloadGoesOnWhenDnsDies) {
  std::string file = make_file(300'000);
  ScriptedServer server([&](const Request& request, Exchange& out) {
    dns_alive_ = false;
    serve_file(file, request, out, request.number == 0 ? 150'000 : SIZE_MAX);
  });
  options_.stall = 300ms;
  Result<std::string> all = fetch(server.url("/", "image.test"));
  ASSERT_TRUE(all.ok()) << all.error().message();
  EXPECT_TRUE(all.value() == file);
  EXPECT_EQ(resumptions_, 1U);
  EXPECT_THAT(log_.text(), HasSubstr("its addresses of before are tried"));
}

TEST_F(HttpNamesTest, ANewAddressIsFoundWhenAConnectionFails) {
  std::string file = make_file(300'000);
  ScriptedServer server([&](const Request& request, Exchange& out) {
    serve_file(file, request, out, request.number == 0 ? 150'000 : SIZE_MAX);
  });
  ASSERT_TRUE(fetch(server.url("/", "image.test")).ok());
  EXPECT_THAT(dns_.queries(), SizeIs(2));
}

TEST_F(HttpNamesTest, RunsOfAFileAskOnce) {
  std::string file = make_file(1'000'000);
  ScriptedServer server([&](const Request& request, Exchange& out) {
    serve_file(file, request, out);
    out.keep();
  });
  Result<std::unique_ptr<HttpFile>> opened = open_file({server.url("/", "image.test")});
  ASSERT_TRUE(opened.ok()) << opened.error().message();
  ByteVector buffer(1000);
  for (uint64_t at = 0; at < 900'000; at += 100'000) {
    ASSERT_TRUE(opened.value()->read_at(at, buffer).ok());
  }
  EXPECT_THAT(dns_.queries(), SizeIs(1));
  EXPECT_EQ(server.requests().back().connection, 0U);
}

TEST_F(HttpNamesTest, ConnectionsAreBoundToTheInterface) {
  ScriptedServer server([&](const Request&, Exchange& out) { out.send(concat(ok_head(2), "ab")); });
  HttpPath bound = path();
  bound.interface = "lo";
  paths_.set(bound);
  Result<std::string> all = fetch(server.url("/", "image.test"));
  ASSERT_TRUE(all.ok()) << all.error().message();
  bound.interface = "nosuch0";
  paths_.set(bound);
  EXPECT_THAT(error_of(server.url("/"), 100ms), HasSubstr("cannot bind to nosuch0"));
}

TEST_F(HttpNamesTest, AnotherPathIsAnotherConnection) {
  std::string file = make_file(400'000);
  ScriptedServer server([&](const Request& request, Exchange& out) {
    serve_file(file, request, out);
    out.keep();
  });
  Result<std::unique_ptr<HttpFile>> opened = open_file({server.url("/", "image.test")});
  ASSERT_TRUE(opened.ok()) << opened.error().message();
  ByteVector buffer(1000);
  ASSERT_TRUE(opened.value()->read_at(100'000, buffer).ok());
  HttpPath other = path();
  other.interface = "lo";
  paths_.set(other);
  ASSERT_TRUE(opened.value()->read_at(200'000, buffer).ok());
  EXPECT_EQ(server.requests().back().connection, 1U);
}

}  // namespace
}  // namespace curlingiron::testing
