// The client of name servers against servers in simulated time: slow, dead, lying and lossy ones.
#include "net/dns/dns_lookup.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "base/text.h"
#include "unit/net/dns_answers.h"

namespace curlingiron::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr Duration kPatience = 10s;

struct FakeServer {
  enum class Kind { Answers, Denies, Empty, Fails, Refuses, Unreachable, Dead, OnlyTcp };
  Kind kind = Kind::Answers;
  std::vector<IpAddress> addresses = {ip("192.0.2.1"), ip("2001:db8::1")};
  Duration delay = 10ms;
  std::map<std::string, std::vector<IpAddress>> names =
      {};  // where it knows some and denies others
  bool tcp_works = true;
  std::vector<IpAddress> in_truncated = {};
};

struct Network {
  double loss = 0;
  double duplicates = 0;
  Duration jitter{0};
};

class Simulation {
 public:
  Simulation(std::string host, std::vector<FakeServer> servers,
             std::vector<Family> families = {Family::V4, Family::V6},
             std::vector<std::string> search = {}, uint64_t seed = 1, Network network = {})
      : servers_(std::move(servers)), random_(seed), network_(network) {
    DnsLookupPlan plan;
    plan.host = std::move(host);
    plan.families = std::move(families);
    for (size_t i = 0; i < servers_.size(); ++i) plan.servers.push_back(concat("10.0.0.", i + 1));
    plan.search = std::move(search);
    plan.deadline = Time{} + kPatience;
    lookup_.emplace(
        std::move(plan), [this] { return random_(); }, now_);
  }

  const Result<DnsLookup::Addresses>& run() {
    while (!lookup_->result()) {
      ++turns_;
      if (turns_ > 20'000) {
        ADD_FAILURE() << "it spins";
        break;
      }
      for (const DnsSend& send : lookup_->due(now_)) deliver(send);
      if (lookup_->result()) break;
      Time next = lookup_->next(now_);
      EXPECT_LE(next, Time{} + kPatience);
      if (!events_.empty()) next = std::min(next, events_.begin()->first);
      EXPECT_GE(next, now_);
      now_ = std::max(now_, next);
      while (!events_.empty() && events_.begin()->first <= now_) {
        std::function<void()> event = std::move(events_.begin()->second);
        events_.erase(events_.begin());
        event();
      }
    }
    EXPECT_LE(now_, Time{} + kPatience + 1ms);
    return *lookup_->result();
  }

  std::vector<std::string> addresses() {
    const Result<DnsLookup::Addresses>& result = run();
    std::vector<std::string> texts;
    EXPECT_TRUE(result.ok()) << result.error().message();
    if (!result.ok()) return texts;
    for (const IpAddress& address : result.value()) texts.push_back(format_ip(address));
    return texts;
  }
  std::string error() {
    const Result<DnsLookup::Addresses>& result = run();
    return result.ok() ? "no error" : result.error().message();
  }

  Duration took() const { return now_ - Time{}; }
  unsigned sent() const { return sent_; }
  unsigned turns() const { return turns_; }
  DnsLookup& lookup() { return *lookup_; }
  Time now() const { return now_; }

 private:
  void later(Duration delay, std::function<void()> what) {
    if (network_.jitter > Duration(0)) {
      delay += Duration(
          static_cast<int64_t>(random_() % static_cast<uint64_t>(network_.jitter.count())));
    }
    events_.emplace(now_ + delay, std::move(what));
  }

  void deliver(const DnsSend& send) {
    ++sent_;
    const FakeServer& server = servers_[send.server];
    unsigned generation = lookup_->generation();
    if (server.kind == FakeServer::Kind::Unreachable) {
      later(1ms, [=, this] {
        if (lookup_->generation() == generation) {
          lookup_->failed(send.slot, send.transport, "has no DNS server running", now_);
        }
      });
      return;
    }
    if (send.transport == DnsTransport::Stream && !server.tcp_works) return;
    std::optional<ByteVector> answer = answer_of(server, send);
    if (!answer) return;
    bool datagram = send.transport == DnsTransport::Datagram;
    if (datagram && chance(network_.loss)) return;
    for (int copies = datagram && chance(network_.duplicates) ? 2 : 1; copies > 0; --copies) {
      later(server.delay, [this, send, generation, bytes = *answer] {
        if (lookup_->generation() != generation) return;  // its sockets are closed
        lookup_->answered(send.slot, send.transport, bytes, now_);
      });
    }
  }

  std::optional<ByteVector> answer_of(const FakeServer& server, const DnsSend& send) {
    const ByteVector& query = send.message;
    bool stream = send.transport == DnsTransport::Stream;
    switch (server.kind) {
      case FakeServer::Kind::Answers: {
        if (server.names.empty()) return dns_answer(query, server.addresses);
        auto known = server.names.find(to_lower(asked_name(query)));
        if (known == server.names.end()) return dns_answer(query, {}, DnsCode::NoSuchName);
        return dns_answer(query, known->second);
      }
      case FakeServer::Kind::Denies: return dns_answer(query, {}, DnsCode::NoSuchName);
      case FakeServer::Kind::Empty: return dns_answer(query, {});
      case FakeServer::Kind::Fails: return dns_answer(query, {}, DnsCode::ServerFailure);
      case FakeServer::Kind::Refuses: return dns_answer(query, {}, DnsCode::Refused);
      case FakeServer::Kind::OnlyTcp:
        if (!stream) return dns_answer(query, server.in_truncated, DnsCode::NoError, true);
        return dns_answer(query, server.addresses);
      case FakeServer::Kind::Unreachable:
      case FakeServer::Kind::Dead: return std::nullopt;
    }
    __builtin_unreachable();
  }

  bool chance(double probability) {
    return static_cast<double>(random_() % 1'000'000) < probability * 1'000'000;
  }

  std::vector<FakeServer> servers_;
  std::mt19937_64 random_;
  Network network_;
  Time now_{};
  std::optional<DnsLookup> lookup_;
  std::multimap<Time, std::function<void()>> events_;
  unsigned sent_ = 0;
  unsigned turns_ = 0;
};

using Kind = FakeServer::Kind;

TEST(DnsLookup, BothFamiliesIpv6First) {
  Simulation sim("host.test", {{}});
  EXPECT_THAT(sim.addresses(), ElementsAre("2001:db8::1", "192.0.2.1"));
  EXPECT_LE(sim.took(), Duration(20ms));
  EXPECT_EQ(sim.sent(), 2U);
}

TEST(DnsLookup, OneFamilyIsAskedAlone) {
  Simulation sim("host.test", {{}}, {Family::V4});
  EXPECT_THAT(sim.addresses(), ElementsAre("192.0.2.1"));
  EXPECT_EQ(sim.sent(), 1U);
}

TEST(DnsLookup, ADeadFirstServerCostsNothing) {
  Simulation sim("host.test", {{Kind::Dead}, {}});
  EXPECT_THAT(sim.addresses(), ElementsAre("2001:db8::1", "192.0.2.1"));
  EXPECT_LE(sim.took(), Duration(20ms));
}

TEST(DnsLookup, AnAnswerBeatsADenialInAnyOrder) {
  for (Duration denial : {Duration(1ms), Duration(50ms)}) {
    Simulation sim("host.test", {{Kind::Denies, {}, denial}, {}});
    EXPECT_THAT(sim.addresses(), ElementsAre("2001:db8::1", "192.0.2.1"));
  }
  Simulation slow("host.test", {{Kind::Denies}, {Kind::Answers, {ip("192.0.2.9")}, 1500ms}});
  EXPECT_THAT(slow.addresses(), ElementsAre("192.0.2.9"));
}

TEST(DnsLookup, ADenialIsBelievedOnceAllHaveAnswered) {
  Simulation sim("host.test", {{Kind::Denies}, {Kind::Fails}, {Kind::Refuses}});
  EXPECT_EQ(sim.error(),
            "host not found (10.0.0.1 says there is no such name, 10.0.0.2 fails, 10.0.0.3 refuses "
            "to answer); check the name");
  EXPECT_LE(sim.took(), Duration(20ms));
}

TEST(DnsLookup, ASilentServerIsWaitedForAShortTime) {
  Simulation sim("host.test", {{Kind::Denies}, {Kind::Dead}});
  EXPECT_EQ(sim.error(),
            "host not found (10.0.0.1 says there is no such name, 10.0.0.2 does not answer); check "
            "the name");
  EXPECT_EQ(sim.took(), Duration(2s));
}

TEST(DnsLookup, AFamilyThatIsMissingIsSaid) {
  Simulation sim("host.test", {{Kind::Answers, {ip("192.0.2.1")}}}, {Family::V6});
  EXPECT_EQ(sim.error(), "host not found (10.0.0.1 knows no IPv6 address of it); check the name");
}

TEST(DnsLookup, TheOtherFamilyIsWaitedForAMoment) {
  Simulation sim("host.test", {{Kind::Answers, {ip("192.0.2.1")}, 10ms},
                               {Kind::Answers, {ip("2001:db8::2")}, 500ms}});
  EXPECT_THAT(sim.addresses(), ElementsAre("192.0.2.1"));
  EXPECT_EQ(sim.took(), Duration(60ms));
}

TEST(DnsLookup, DeadServersAreNamed) {
  Simulation one("host.test", {{Kind::Dead}});
  EXPECT_EQ(one.error(),
            "no answer from the DNS server 10.0.0.1; check the network and the name servers");
  EXPECT_EQ(one.took(), kPatience);
  // Behind 0, 1, 3 and 7 seconds, more or less; for each family.
  EXPECT_EQ(one.sent(), 8U);
  Simulation two("host.test", {{Kind::Dead}, {Kind::Dead}});
  EXPECT_THAT(two.error(), HasSubstr("the DNS servers 10.0.0.1, 10.0.0.2; "));
}

TEST(DnsLookup, WithoutServersItSaysSo) {
  Simulation sim("host.test", {});
  EXPECT_THAT(sim.error(), HasSubstr("no DNS server is known"));
}

TEST(DnsLookup, ServersThatFailEndItWhenNoneIsLeft) {
  Simulation sim("host.test", {{Kind::Unreachable}, {Kind::Fails}});
  EXPECT_EQ(sim.error(),
            "no DNS server resolves the name (10.0.0.1 has no DNS server running, 10.0.0.2 fails); "
            "check the name servers");
  EXPECT_LE(sim.took(), Duration(20ms));
}

TEST(DnsLookup, AServerThatFailedIsAskedAgainWhileAnotherIsSilent) {
  Simulation sim("host.test", {{Kind::Unreachable}, {Kind::Dead}});
  EXPECT_THAT(sim.error(), HasSubstr("10.0.0.1 has no DNS server running, 10.0.0.2 does not"));
  EXPECT_EQ(sim.sent(), 16U);
}

TEST(DnsLookup, TruncatedAnswersAreAskedForOverTcp) {
  FakeServer server{Kind::OnlyTcp, {ip("192.0.2.7")}};
  server.in_truncated = {ip("192.0.2.8")};
  Simulation works("host.test", {server}, {Family::V4});
  EXPECT_THAT(works.addresses(), ElementsAre("192.0.2.7"));
  server.tcp_works = false;
  Simulation partial("host.test", {server}, {Family::V4});
  EXPECT_THAT(partial.addresses(), ElementsAre("192.0.2.8"));
  EXPECT_LE(partial.took(), Duration(5s));
  server.in_truncated.clear();
  Simulation nothing("host.test", {server}, {Family::V4});
  EXPECT_THAT(nothing.error(), HasSubstr("10.0.0.1 does not answer over TCP"));
}

TEST(DnsLookup, SearchDomains) {
  FakeServer server;
  server.names = {{"box.b.test", {ip("192.0.2.3")}}, {"x.y.b.test", {ip("192.0.2.4")}}};
  std::vector<std::string> search = {"a.test", "b.test"};
  std::vector<Family> v4 = {Family::V4};
  Simulation bare("box", {server}, v4, search);
  EXPECT_THAT(bare.addresses(), ElementsAre("192.0.2.3"));
  Simulation dotted("x.y", {server}, v4, search);
  EXPECT_THAT(dotted.addresses(), ElementsAre("192.0.2.4"));
  EXPECT_EQ(dotted.sent(), 3U);
  Simulation absolute("box.", {server}, v4, search);
  EXPECT_THAT(absolute.error(), HasSubstr("no such name"));
  EXPECT_EQ(absolute.sent(), 1U);
  Simulation unknown("nobody", {server, {Kind::Dead}}, v4, search);
  EXPECT_THAT(unknown.error(), HasSubstr("10.0.0.1 says there is no such name, 10.0.0.2 does not"));
  // The dead server is waited for once.
  EXPECT_LE(unknown.took(), Duration(2100ms));
}

TEST(DnsLookup, AHostThatIsNoNameIsNotAsked) {
  Simulation sim("a..b", {{}});
  EXPECT_THAT(sim.error(), HasSubstr("host not found"));
  EXPECT_EQ(sim.sent(), 0U);
}

TEST(DnsLookup, ForgedAnswersAreIgnored) {
  Simulation sim("host.test", {{Kind::Dead}}, {Family::V4});
  DnsLookup& lookup = sim.lookup();
  std::vector<DnsSend> sends = lookup.due(sim.now());
  ASSERT_EQ(sends.size(), 1U);
  std::vector<IpAddress> evil = {ip("203.0.113.66")};
  ByteVector wrong_id = dns_answer(sends[0].message, evil);
  wrong_id[1] ^= 1;
  ByteVector wrong_name = dns_answer(sends[0].message, evil);
  wrong_name[kDnsHeader + 1] ^= 1;
  ByteVector cut = dns_answer(sends[0].message, evil);
  cut.pop_back();
  for (const ByteVector& forged : {wrong_id, wrong_name, cut, sends[0].message, ByteVector()}) {
    lookup.answered(0, DnsTransport::Datagram, forged, sim.now());
    EXPECT_FALSE(lookup.result());
    EXPECT_TRUE(lookup.listens(0, DnsTransport::Datagram));
  }
  // Nor is one that comes another way than it was asked for.
  lookup.answered(0, DnsTransport::Stream, dns_answer(sends[0].message, evil), sim.now());
  lookup.answered(7, DnsTransport::Datagram, dns_answer(sends[0].message, evil), sim.now());
  EXPECT_FALSE(lookup.result());
  lookup.answered(0, DnsTransport::Datagram, dns_answer(sends[0].message, {ip("192.0.2.1")}),
                  sim.now());
  ASSERT_TRUE(lookup.result());
  EXPECT_EQ(lookup.result()->value(), (DnsLookup::Addresses{ip("192.0.2.1")}));
}

// Every schedule ends in time with an answer that a server gave, and no server is flooded.
TEST(DnsLookup, TenThousandSchedules) {
  std::mt19937_64 random(7);
  constexpr Kind kKinds[] = {Kind::Answers, Kind::Denies,      Kind::Empty, Kind::Fails,
                             Kind::Refuses, Kind::Unreachable, Kind::Dead,  Kind::OnlyTcp};
  unsigned resolved = 0;
  for (unsigned run = 0; run < 10'000; ++run) {
    std::vector<FakeServer> servers(1 + random() % 4);
    bool one_answers = false;
    for (FakeServer& server : servers) {
      server.kind = kKinds[random() % std::size(kKinds)];
      server.delay = Duration(std::chrono::milliseconds(random() % 1500));
      server.tcp_works = random() % 2 == 0;
      if (random() % 2 == 0) server.in_truncated = {ip("192.0.2.8")};
      bool quick = server.delay < Duration(500ms);
      one_answers = one_answers || (server.kind == Kind::Answers && quick);
    }
    Network network{static_cast<double>(random() % 4) / 10, static_cast<double>(random() % 5) / 10,
                    Duration(std::chrono::milliseconds(random() % 300))};
    std::vector<std::string> search;
    if (random() % 3 == 0) search = {"a.test", "b.test"};
    size_t names = search.size() + 1;
    size_t count = servers.size();
    bool lossless = network.loss == 0;
    Simulation sim(random() % 2 == 0 ? "host" : "host.test", std::move(servers),
                   {Family::V4, Family::V6}, search, run, network);
    const Result<DnsLookup::Addresses>& result = sim.run();
    if (result.ok()) {
      ++resolved;
      ASSERT_FALSE(result.value().empty());
      for (const IpAddress& address : result.value()) {
        ASSERT_THAT(format_ip(address), ::testing::AnyOf("192.0.2.1", "2001:db8::1", "192.0.2.8"));
      }
    } else {
      ASSERT_FALSE(result.error().message().empty());
      ASSERT_FALSE(one_answers && lossless) << result.error().message();
    }
    // Eight datagrams' time, and as many over TCP, for each server, family and name.
    ASSERT_LE(sim.sent(), count * 2 * names * 16) << run;
    ASSERT_LE(sim.turns(), 1000U) << run;
  }
  EXPECT_GT(resolved, 4000U);
}

}  // namespace
}  // namespace curlingiron::testing
