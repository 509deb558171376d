#include "net/dns/resolver.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fcntl.h>

#include <atomic>
#include <set>

#include "base/text.h"
#include "sys/clock.h"
#include "sys/file.h"
#include "unit/net/dns_answers.h"
#include "unit/net/dns_server.h"

namespace curlingiron::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

class ResolverTest : public ::testing::Test {
 protected:
  void write(const std::string& path, std::string_view text) {
    UniqueFd root = open_root(directory_.path()).value();
    ASSERT_TRUE(make_directory(root, "etc").ok());
    ASSERT_TRUE(write_file_atomically(concat(directory_.path(), '/', path), as_bytes(text)).ok());
  }

  Result<std::vector<IpAddress>> resolve(const std::string& host,
                                         std::optional<Family> family = std::nullopt,
                                         Duration patience = 3s) {
    Resolver resolver(directory_.path());
    resolver.start(host, family, config_, patience);
    Time begin = now();
    for (;;) {
      resolver.perform();
      if (resolver.result()) break;
      ++turns_;
      std::vector<PollItem> items = resolver.waits_for();
      EXPECT_TRUE(poll_items(items, resolver.next() - now()).ok());
    }
    took_ = now() - begin;
    EXPECT_TRUE(resolver.waits_for().empty());
    return *resolver.result();
  }
  std::string text(const std::string& host, std::optional<Family> family = std::nullopt,
                   Duration patience = 3s) {
    Result<std::vector<IpAddress>> result = resolve(host, family, patience);
    if (!result.ok()) return result.error().message();
    std::vector<std::string> list;
    for (const IpAddress& address : result.value()) list.push_back(format_ip(address));
    return join(list, " ");
  }

  TemporaryDirectory directory_ = std::move(TemporaryDirectory::create()).value();
  ResolverConfig config_;
  Duration took_{0};
  unsigned turns_ = 0;
};

std::vector<ByteVector> both(ConstBytes query) {
  return {dns_answer(query, {ip("192.0.2.1"), ip("2001:db8::1")})};
}

TEST_F(ResolverTest, AsksForBothFamiliesFromFreshPorts) {
  DnsServer server([](ConstBytes query, DnsServer::Transport) { return both(query); });
  config_.servers = {server.as_name_server()};
  EXPECT_EQ(text("host.test"), "2001:db8::1 192.0.2.1");
  EXPECT_THAT(server.queries(), UnorderedElementsAre("UDP host.test A", "UDP host.test AAAA"));
  EXPECT_EQ(text("host.test", Family::V4), "192.0.2.1");
  std::vector<uint16_t> ports = server.ports();
  EXPECT_EQ(std::set<uint16_t>(ports.begin(), ports.end()).size(), 3U);
  EXPECT_LT(took_, Duration(1s));
}

TEST_F(ResolverTest, AddressesAndLocalNamesAreNotAskedFor) {
  DnsServer server([](ConstBytes query, DnsServer::Transport) { return both(query); });
  config_.servers = {server.as_name_server()};
  write("etc/hosts", "192.0.2.4 box box.lan\n2001:db8::4 box\n192.0.2.5 four\n");
  EXPECT_EQ(text("192.0.2.9"), "192.0.2.9");
  EXPECT_EQ(text("[2001:db8::9]", Family::V6), "2001:db8::9");
  EXPECT_THAT(text("192.0.2.9", Family::V6), HasSubstr("is no IPv6 address"));
  EXPECT_EQ(text("localhost"), "::1 127.0.0.1");
  EXPECT_EQ(text("x.localhost.", Family::V4), "127.0.0.1");
  EXPECT_EQ(text("BOX"), "192.0.2.4 2001:db8::4");
  EXPECT_EQ(text("box", Family::V6), "2001:db8::4");
  EXPECT_TRUE(server.queries().empty());
  // Of the other family the file says nothing.
  EXPECT_EQ(text("four", Family::V6), "2001:db8::1");
}

TEST_F(ResolverTest, ClosedPortsFailAtOnceAndADeadServerCostsNothing) {
  uint16_t closed = 0;
  {
    closed = DnsServer([](ConstBytes, DnsServer::Transport) { return std::vector<ByteVector>(); })
                 .as_name_server()
                 .port;
  }
  config_.servers = {{ip("127.0.0.1"), "", closed}};
  EXPECT_EQ(text("host.test"), concat("no DNS server resolves the name (127.0.0.1 port ", closed,
                                      " has no DNS server running); check the name servers"));
  EXPECT_LT(took_, Duration(1s));
  DnsServer silent([](ConstBytes, DnsServer::Transport) { return std::vector<ByteVector>(); });
  DnsServer good([](ConstBytes query, DnsServer::Transport) { return both(query); });
  config_.servers.push_back(silent.as_name_server());
  config_.servers.push_back(good.as_name_server());
  EXPECT_EQ(text("host.test"), "2001:db8::1 192.0.2.1");
  EXPECT_LT(took_, Duration(1s));
}

TEST_F(ResolverTest, LostQuestionsAreRepeatedAndForgedAnswersIgnored) {
  std::atomic<unsigned> seen = 0;
  DnsServer server([&](ConstBytes query, DnsServer::Transport) -> std::vector<ByteVector> {
    ByteVector forged = dns_answer(query, {ip("203.0.113.66")});
    forged[0] ^= 0x55;
    if (seen++ == 0) return {forged};
    return {forged, dns_answer(query, {ip("192.0.2.1")})};
  });
  config_.servers = {server.as_name_server()};
  EXPECT_EQ(text("host.test", Family::V4), "192.0.2.1");
  EXPECT_GE(took_, Duration(700ms));
  EXPECT_LT(turns_, 20U);
}

TEST_F(ResolverTest, OnlyThePeerIsListenedTo) {
  // Forges a good answer from another port.
  int other = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  std::atomic<DnsServer*> asked = nullptr;
  DnsServer server([&](ConstBytes query, DnsServer::Transport) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    to.sin_port = htons(asked.load()->ports().back());
    ByteVector forged = dns_answer(query, {ip("203.0.113.66")});
    ::sendto(other, forged.data(), forged.size(), 0, reinterpret_cast<sockaddr*>(&to), sizeof to);
    return std::vector<ByteVector>{dns_answer(query, {ip("192.0.2.1")})};
  });
  asked = &server;
  config_.servers = {server.as_name_server()};
  EXPECT_EQ(text("host.test", Family::V4), "192.0.2.1");
  ::close(other);
}

TEST_F(ResolverTest, TruncatedAnswersComeOverTcp) {
  DnsServer server([](ConstBytes query, DnsServer::Transport transport) {
    bool udp = transport == DnsServer::Transport::Udp;
    std::vector<IpAddress> addresses;
    for (int i = 1; i < 12 && !udp; ++i) addresses.push_back(ip(concat("192.0.2.", i)));
    return std::vector<ByteVector>{dns_answer(query, addresses, DnsCode::NoError, udp)};
  });
  config_.servers = {server.as_name_server()};
  Result<std::vector<IpAddress>> result = resolve("host.test", Family::V4);
  ASSERT_TRUE(result.ok()) << result.error().message();
  EXPECT_EQ(result.value().size(), 11U);
  EXPECT_THAT(server.queries(), ElementsAre("UDP host.test A", "TCP host.test A"));
}

TEST_F(ResolverTest, SearchDomainsAreTried) {
  DnsServer server([](ConstBytes query, DnsServer::Transport) -> std::vector<ByteVector> {
    if (asked_name(query) == "box.lan.test") return both(query);
    return {dns_answer(query, {}, DnsCode::NoSuchName)};
  });
  config_ = {{server.as_name_server()}, {"other.test", "lan.test"}};
  EXPECT_EQ(text("box", Family::V4), "192.0.2.1");
  EXPECT_THAT(server.queries(), ElementsAre("UDP box.other.test A", "UDP box.lan.test A"));
}

TEST_F(ResolverTest, TheEndOfPatience) {
  DnsServer server([](ConstBytes, DnsServer::Transport) { return std::vector<ByteVector>(); });
  config_.servers = {server.as_name_server()};
  EXPECT_THAT(text("host.test", std::nullopt, 300ms), HasSubstr("no answer from the DNS server"));
  EXPECT_LT(took_, Duration(1s));
}

TEST_F(ResolverTest, ThisMachinesOwnServers) {
  UniqueFd root = open_root(directory_.path()).value();
  EXPECT_EQ(system_resolver(root), (ResolverConfig{{{ip("127.0.0.1")}}, {}}));
  write("etc/resolv.conf", "nameserver 10.0.2.3\nnameserver fe80::1%eth0\nsearch lan.test\n");
  ResolverConfig config = system_resolver(root);
  EXPECT_EQ(config, (ResolverConfig{{{ip("10.0.2.3")}, {ip("fe80::1"), "eth0"}}, {"lan.test"}}));
  EXPECT_EQ(server_text(config.servers[1]), "fe80::1%eth0");
}

}  // namespace
}  // namespace curlingiron::testing
