// The DHCPv6 client against simulated time and a scripted server: no I/O, no waiting.
#include "net/join/dhcp6_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "unit/net/join/schedule.h"

namespace curlingiron {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr MacAddress kMac = {2, 0, 0, 0, 0, 1};
constexpr uint32_t kId = 7;
const ByteVector kServer = {0, 3, 0, 1, 2, 0, 0, 0, 0, 9};
const ByteVector kOther = {0, 3, 0, 1, 2, 0, 0, 0, 0, 8};

Ipv6 ip6(std::string_view text) { return parse_ipv6(text).value(); }

class Dhcp6ClientTest : public ::testing::Test {
 protected:
  Dhcp6Actions on(Dhcp6Event event) { return note(client_.on(event, now_)); }
  Dhcp6Actions hear(const Dhcp6Packet& packet) {
    // As it comes from the wire.
    return note(client_.on_packet(parse_dhcp6(format_dhcp6(packet)).value(), now_));
  }

  Dhcp6Actions note(Dhcp6Actions actions) {
    for (const ByteVector& message : actions.send) sent_.push_back(parse_dhcp6(message).value());
    if (actions.lost) has_address_ = false;
    if (actions.bound) has_address_ = !actions.bound->addresses.empty();
    wake_ = actions.wake;
    return actions;
  }

  Dhcp6Actions wake() {
    EXPECT_TRUE(wake_.has_value());
    if (wake_) now_ = std::max(now_, *wake_);
    return on(Dhcp6Event::Timer);
  }

  Dhcp6Packet answer(Dhcp6Type type) {
    Dhcp6Packet packet;
    packet.type = type;
    packet.xid = sent_.back().xid;
    packet.client_id = duid_of(kMac);
    packet.server_id = kServer;
    Dhcp6Association association;
    association.id = kId;
    association.renewal = 50s;
    association.rebinding = 80s;
    association.addresses = {{ip6("2001:db8::5"), 100s, 200s, {}}};
    packet.associations = {association};
    packet.nameservers = {ip6("2001:db8::53")};
    packet.search = {"example.org"};
    return packet;
  }
  Dhcp6Packet refusal(Dhcp6Type type, Dhcp6StatusCode code) {
    Dhcp6Packet packet = answer(type);
    packet.associations[0].addresses.clear();
    packet.associations[0].status = {code, "because\n"};
    return packet;
  }

  Dhcp6Actions bind() {
    on(Dhcp6Event::LinkUp);
    hear(answer(Dhcp6Type::Advertise));
    return hear(answer(Dhcp6Type::Reply));
  }

  void restart(Dhcp6Mode mode = Dhcp6Mode::Stateful) {
    client_ = Dhcp6Client(mode, duid_of(kMac), kId, 42);
    sent_.clear();
    has_address_ = false;
  }

  Dhcp6Client client_{Dhcp6Mode::Stateful, duid_of(kMac), kId, 42};
  Time now_{1000s};
  std::optional<Time> wake_;
  std::vector<Dhcp6Packet> sent_;
  bool has_address_ = false;
};

TEST_F(Dhcp6ClientTest, SolicitAdvertiseRequestReply) {
  EXPECT_EQ(client_.progress(), "DHCPv6 has not started");
  on(Dhcp6Event::LinkUp);
  ASSERT_EQ(sent_.size(), 1U);
  EXPECT_EQ(sent_[0].type, Dhcp6Type::Solicit);
  EXPECT_EQ(sent_[0].client_id, duid_of(kMac));
  EXPECT_THAT(sent_[0].server_id, IsEmpty());
  ASSERT_EQ(sent_[0].associations.size(), 1U);
  EXPECT_EQ(sent_[0].associations[0].id, kId);
  EXPECT_THAT(sent_[0].associations[0].addresses, IsEmpty());
  EXPECT_THAT(sent_[0].requested, ElementsAre(23, 24, 82));
  EXPECT_EQ(sent_[0].elapsed, 0);
  EXPECT_FALSE(sent_[0].rapid_commit);
  hear(answer(Dhcp6Type::Advertise));
  ASSERT_EQ(sent_.size(), 2U);
  EXPECT_EQ(sent_[1].type, Dhcp6Type::Request);
  EXPECT_NE(sent_[1].xid, sent_[0].xid);
  EXPECT_EQ(sent_[1].server_id, kServer);
  EXPECT_EQ(sent_[1].associations[0].addresses[0].address, ip6("2001:db8::5"));
  Dhcp6Actions actions = hear(answer(Dhcp6Type::Reply));
  ASSERT_TRUE(actions.bound);
  ASSERT_EQ(actions.bound->addresses.size(), 1U);
  EXPECT_EQ(actions.bound->addresses[0], (Dhcp6Address{ip6("2001:db8::5"), 100s, 200s, {}}));
  EXPECT_THAT(actions.bound->nameservers, ElementsAre(ip6("2001:db8::53")));
  EXPECT_THAT(actions.bound->search, ElementsAre("example.org"));
  EXPECT_EQ(wake_, now_ + 50s);
  EXPECT_EQ(client_.progress(), "has 2001:db8::5");
}

// RFC 8415 section 15, with a smaller longest pause.
TEST_F(Dhcp6ClientTest, RetransmitsForEverWithGrowingPauses) {
  on(Dhcp6Event::LinkUp);
  Duration last = 0s;
  for (int i = 0; i < 50; ++i) {
    Duration pause = *wake_ - now_;
    if (i == 0) {
      EXPECT_GE(pause, Duration(1s));
      EXPECT_LE(pause, Duration(1100ms));
    } else {
      EXPECT_GE(pause, std::min<Duration>(last * 19 / 10, 27s)) << i;
      EXPECT_LE(pause, std::min<Duration>(last * 21 / 10, 33s)) << i;
    }
    last = pause;
    wake();
    EXPECT_EQ(sent_.back().xid, sent_.front().xid);
  }
  EXPECT_GT(*sent_[5].elapsed, 2000);
  EXPECT_EQ(client_.progress(), "no DHCPv6 server answered 51 solicits");
}

TEST_F(Dhcp6ClientTest, AServerMayAskForLongerPausesWithinReason) {
  on(Dhcp6Event::LinkUp);
  Dhcp6Packet advertise = refusal(Dhcp6Type::Advertise, Dhcp6StatusCode::NoAddressesAvailable);
  advertise.solicit_max_time = 86400s;
  hear(advertise);
  for (int i = 0; i < 20; ++i) {
    EXPECT_LE(*wake_ - now_, Duration(132s));
    wake();
  }
  EXPECT_GE(*wake_ - now_, Duration(108s));
}

TEST_F(Dhcp6ClientTest, OtherPeoplesPacketsAreIgnored) {
  on(Dhcp6Event::LinkUp);
  Dhcp6Packet packet = answer(Dhcp6Type::Advertise);
  packet.xid ^= 1;
  hear(packet);
  packet = answer(Dhcp6Type::Advertise);
  packet.client_id.back() ^= 1;
  hear(packet);
  packet = answer(Dhcp6Type::Advertise);
  packet.client_id.clear();
  hear(packet);
  packet = answer(Dhcp6Type::Advertise);
  packet.server_id.clear();
  hear(packet);
  packet = answer(Dhcp6Type::Advertise);
  packet.associations[0].id ^= 1;
  hear(packet);
  packet = answer(Dhcp6Type::Reply);  // Rapid Commit was not asked for
  packet.rapid_commit = true;
  hear(packet);
  hear(answer(Dhcp6Type::Reconfigure));
  hear(answer(Dhcp6Type::Solicit));
  EXPECT_EQ(sent_.size(), 1U);
  hear(answer(Dhcp6Type::Advertise));
  ASSERT_EQ(sent_.size(), 2U);
  packet = answer(Dhcp6Type::Reply);
  packet.server_id = kOther;
  EXPECT_FALSE(hear(packet).bound);
  EXPECT_TRUE(hear(answer(Dhcp6Type::Reply)).bound);
}

TEST_F(Dhcp6ClientTest, AddressesThatDoNotCount) {
  on(Dhcp6Event::LinkUp);
  Dhcp6Packet packet = answer(Dhcp6Type::Advertise);
  Dhcp6Address& address = packet.associations[0].addresses[0];
  address.valid = 0s;
  hear(packet);
  address.valid = 50s;  // shorter than preferred
  hear(packet);
  address.preferred = std::nullopt;
  hear(packet);
  address = {ip6("2001:db8::5"), 1s, 2s, {Dhcp6StatusCode::NotOnLink, ""}};
  hear(packet);
  EXPECT_EQ(sent_.size(), 1U);
  packet.associations[0].addresses.push_back({ip6("2001:db8::6"), {}, {}, {}});
  hear(packet);
  ASSERT_EQ(sent_.size(), 2U);
  ASSERT_EQ(sent_[1].associations[0].addresses.size(), 1U);
  EXPECT_EQ(sent_[1].associations[0].addresses[0].address, ip6("2001:db8::6"));
}

TEST_F(Dhcp6ClientTest, AServerWithoutAddressesStillTellsNameServers) {
  for (bool in_association : {true, false}) {
    restart();
    on(Dhcp6Event::LinkUp);
    Dhcp6Packet packet = refusal(Dhcp6Type::Advertise, Dhcp6StatusCode::NoAddressesAvailable);
    if (!in_association) {
      packet.status = packet.associations[0].status;
      packet.associations.clear();
    }
    Dhcp6Actions actions = hear(packet);
    EXPECT_EQ(actions.note,
              "the DHCPv6 server has no address for us: it has no address left (because?)");
    ASSERT_TRUE(actions.bound);
    EXPECT_THAT(actions.bound->addresses, IsEmpty());
    EXPECT_THAT(actions.bound->nameservers, ElementsAre(ip6("2001:db8::53")));
    EXPECT_FALSE(client_.has_lease());
    actions = hear(packet);  // nothing new
    EXPECT_FALSE(actions.bound);
    EXPECT_EQ(actions.note, "");
    EXPECT_THAT(client_.progress(), HasSubstr("it has no address left"));
    EXPECT_EQ(sent_.size(), 1U);
    hear(answer(Dhcp6Type::Advertise));
    EXPECT_TRUE(hear(answer(Dhcp6Type::Reply)).bound);
  }
}

TEST_F(Dhcp6ClientTest, AnotherServersOfferServesWhenTheFirstIsSilentOrRefuses) {
  for (bool refuses : {false, true}) {
    SCOPED_TRACE(refuses);
    restart();
    on(Dhcp6Event::LinkUp);
    Dhcp6Packet second = answer(Dhcp6Type::Advertise);
    second.server_id = kOther;
    second.associations[0].addresses[0].address = ip6("2001:db8::8");
    hear(answer(Dhcp6Type::Advertise));
    hear(second);
    Time begin = now_;
    if (refuses) {
      hear(refusal(Dhcp6Type::Reply, Dhcp6StatusCode::NoAddressesAvailable));
    } else {
      wake();
      wake();
    }
    EXPECT_LE(now_ - begin, Duration(4s));
    EXPECT_EQ(sent_.back().type, Dhcp6Type::Request);
    EXPECT_EQ(sent_.back().server_id, kOther);
    second.type = Dhcp6Type::Reply;
    second.xid = sent_.back().xid;
    EXPECT_EQ(hear(second).bound->addresses[0].address, ip6("2001:db8::8"));
  }
}

TEST_F(Dhcp6ClientTest, AnUnansweredRequestBeginsAgain) {
  on(Dhcp6Event::LinkUp);
  hear(answer(Dhcp6Type::Advertise));
  Time begin = now_;
  while (sent_.back().type == Dhcp6Type::Request) wake();
  EXPECT_EQ(sent_.back().type, Dhcp6Type::Solicit);
  EXPECT_LE(now_ - begin, Duration(40s));
  EXPECT_GE(now_ - begin, Duration(25s));  // a server that is twelve seconds slow has its chance
  EXPECT_THAT(client_.progress(), HasSubstr("did not give it on 1 request"));
}

TEST_F(Dhcp6ClientTest, RefusalsBeginAgainAtOnceButNotInATightLoop) {
  for (Dhcp6StatusCode code : {Dhcp6StatusCode::NoAddressesAvailable, Dhcp6StatusCode::NotOnLink,
                               Dhcp6StatusCode::NoBinding, Dhcp6StatusCode::Success}) {
    restart();
    on(Dhcp6Event::LinkUp);
    hear(answer(Dhcp6Type::Advertise));
    Time begin = now_;
    EXPECT_THAT(hear(refusal(Dhcp6Type::Reply, code)).note, HasSubstr("refused the address"));
    EXPECT_EQ(sent_.back().type, Dhcp6Type::Solicit);
    EXPECT_EQ(now_, begin);
    for (int i = 0; i < 8; ++i) {
      if (sent_.back().type != Dhcp6Type::Solicit) wake();
      hear(answer(Dhcp6Type::Advertise));
      hear(refusal(Dhcp6Type::Reply, code));
    }
    EXPECT_GT(now_ - begin, Duration(30s));
  }
}

TEST_F(Dhcp6ClientTest, FailuresAndUseMulticastAreAskedAgain) {
  on(Dhcp6Event::LinkUp);
  hear(answer(Dhcp6Type::Advertise));
  for (Dhcp6StatusCode code : {Dhcp6StatusCode::UnspecifiedFailure, Dhcp6StatusCode::UseMulticast,
                               static_cast<Dhcp6StatusCode>(999)}) {
    Dhcp6Packet packet = answer(Dhcp6Type::Reply);
    packet.status.code = code;
    size_t before = sent_.size();
    EXPECT_FALSE(hear(packet).bound);
    EXPECT_EQ(sent_.size(), before);
    wake();
    EXPECT_EQ(sent_.back().type, Dhcp6Type::Request);
  }
  EXPECT_TRUE(hear(answer(Dhcp6Type::Reply)).bound);
}

TEST_F(Dhcp6ClientTest, RenewsRebindsAndExpires) {
  bind();
  Time bound = now_;
  wake();
  EXPECT_EQ(now_, bound + 50s);
  EXPECT_EQ(sent_.back().type, Dhcp6Type::Renew);
  EXPECT_EQ(sent_.back().server_id, kServer);
  EXPECT_EQ(sent_.back().associations[0].addresses[0].address, ip6("2001:db8::5"));
  EXPECT_EQ(sent_.back().elapsed, 0);
  while (sent_.back().type == Dhcp6Type::Renew) wake();
  EXPECT_EQ(now_, bound + 80s);
  EXPECT_EQ(sent_.back().type, Dhcp6Type::Rebind);
  EXPECT_THAT(sent_.back().server_id, IsEmpty());
  EXPECT_TRUE(client_.has_lease());
  while (has_address_) wake();
  EXPECT_EQ(now_, bound + 200s);
  EXPECT_LT(sent_.size(), 20U);
  EXPECT_EQ(sent_.back().type, Dhcp6Type::Solicit);
  EXPECT_EQ(sent_.back().associations[0].addresses[0].address, ip6("2001:db8::5"));  // please
}

TEST_F(Dhcp6ClientTest, ARenewalProlongsAndMayBringOtherAddresses) {
  bind();
  wake();
  Dhcp6Packet reply = answer(Dhcp6Type::Reply);
  reply.nameservers.clear();  // as before
  reply.associations[0].addresses = {{ip6("2001:db8::5"), 0s, 0s, {}},
                                     {ip6("2001:db8::6"), 10s, 3600s, {}}};
  Dhcp6Actions actions = hear(reply);
  ASSERT_TRUE(actions.bound);
  EXPECT_FALSE(actions.lost);
  ASSERT_EQ(actions.bound->addresses.size(), 1U);
  EXPECT_EQ(actions.bound->addresses[0].address, ip6("2001:db8::6"));
  EXPECT_THAT(actions.bound->nameservers, ElementsAre(ip6("2001:db8::53")));
  EXPECT_EQ(wake_, now_ + 50s);
}

TEST_F(Dhcp6ClientTest, ARenewalThatTakesTheAddressBack) {
  bind();
  wake();
  Dhcp6Packet reply = answer(Dhcp6Type::Reply);
  reply.associations[0].addresses[0].valid = reply.associations[0].addresses[0].preferred = 0s;
  EXPECT_TRUE(hear(reply).lost);
  EXPECT_EQ(sent_.back().type, Dhcp6Type::Solicit);
}

TEST_F(Dhcp6ClientTest, NoBindingAsksForTheSameAgain) {
  bind();
  wake();
  EXPECT_FALSE(hear(refusal(Dhcp6Type::Reply, Dhcp6StatusCode::NoBinding)).lost);
  EXPECT_EQ(sent_.back().type, Dhcp6Type::Request);
  EXPECT_EQ(sent_.back().associations[0].addresses[0].address, ip6("2001:db8::5"));
  EXPECT_TRUE(hear(answer(Dhcp6Type::Reply)).bound);
}

TEST_F(Dhcp6ClientTest, RenewalsThatAreRefused) {
  bind();
  wake();
  EXPECT_FALSE(hear(refusal(Dhcp6Type::Reply, Dhcp6StatusCode::NoAddressesAvailable)).lost);
  EXPECT_TRUE(client_.has_lease());  // until it ends
  wake();
  Dhcp6Packet strange = refusal(Dhcp6Type::Reply, Dhcp6StatusCode::NotOnLink);
  strange.server_id = kOther;
  EXPECT_FALSE(hear(strange).lost);
  EXPECT_TRUE(hear(refusal(Dhcp6Type::Reply, Dhcp6StatusCode::NotOnLink)).lost);
  EXPECT_EQ(sent_.back().type, Dhcp6Type::Solicit);
}

TEST_F(Dhcp6ClientTest, TimesThatMakeNoSense) {
  struct Case {
    std::optional<Duration> renewal, rebinding, preferred, valid;
    std::optional<Duration> wakes_after;
  };
  const Case cases[] = {
      {0s, 0s, 100s, 200s, 50s},                                 // as the client likes
      {90s, 80s, 100s, 200s, 50s},                               // T1 after T2
      {150s, 300s, 100s, 200s, 50s},                             // T2 after the end
      {1s, 2s, 1s, 1s, 5s},                                      // hardly a lease
      {0s, 0s, 0s, 200s, 100s},                                  // deprecated from the start
      {{}, {}, {}, {}, {}},                                      // for ever
      {0s, 0s, {}, {}, {}},          {{}, {}, 100s, 200s, 50s},  // never, but it ends
      {10s, {}, {}, {}, 10s},
  };
  for (const Case& one : cases) {
    restart();
    on(Dhcp6Event::LinkUp);
    hear(answer(Dhcp6Type::Advertise));
    Dhcp6Packet reply = answer(Dhcp6Type::Reply);
    reply.associations[0].renewal = one.renewal;
    reply.associations[0].rebinding = one.rebinding;
    reply.associations[0].addresses = {{ip6("2001:db8::5"), one.preferred, one.valid, {}}};
    ASSERT_TRUE(hear(reply).bound);
    std::optional<Duration> wakes;
    if (wake_) wakes = *wake_ - now_;
    EXPECT_EQ(wakes, one.wakes_after);
  }
}

TEST_F(Dhcp6ClientTest, AShortLeaseIsRenewedInTime) {
  for (Duration valid : {Duration(1s), Duration(10s), Duration(60s), Duration(300s)}) {
    restart();
    on(Dhcp6Event::LinkUp);
    hear(answer(Dhcp6Type::Advertise));
    Dhcp6Packet reply = answer(Dhcp6Type::Reply);
    reply.associations[0].renewal = reply.associations[0].rebinding = Duration(0);
    reply.associations[0].addresses = {{ip6("2001:db8::5"), valid, valid, {}}};
    hear(reply);
    size_t before = sent_.size();
    while (has_address_) wake();
    EXPECT_GE(sent_.size() - before, valid < 30s ? 3U : 5U);
    EXPECT_LE(sent_.size() - before, 12U);
  }
}

TEST_F(Dhcp6ClientTest, DuplicatesAreDeclined) {
  bind();
  EXPECT_TRUE(note(client_.on_duplicate(ip6("2001:db8::99"), now_)).send.empty());
  Dhcp6Actions actions = note(client_.on_duplicate(ip6("2001:db8::5"), now_));
  EXPECT_TRUE(actions.lost);
  ASSERT_EQ(sent_.size(), 4U);
  EXPECT_EQ(sent_[2].type, Dhcp6Type::Decline);
  EXPECT_EQ(sent_[2].server_id, kServer);
  EXPECT_EQ(sent_[2].associations[0].addresses[0].address, ip6("2001:db8::5"));
  EXPECT_THAT(sent_[2].requested, IsEmpty());
  EXPECT_EQ(sent_[3].type, Dhcp6Type::Solicit);
  EXPECT_THAT(sent_[3].associations[0].addresses, IsEmpty());  // not that one again
  EXPECT_EQ(client_.progress(), "somebody else has 2001:db8::5, which the DHCPv6 server gave");
  hear(answer(Dhcp6Type::Advertise));  // of the same; another server may have a better one
  EXPECT_EQ(sent_.back().type, Dhcp6Type::Solicit);
  wake();
  hear(answer(Dhcp6Type::Advertise));
  hear(answer(Dhcp6Type::Reply));
  EXPECT_TRUE(client_.has_lease());
  Time again = now_;
  EXPECT_TRUE(note(client_.on_duplicate(ip6("2001:db8::5"), now_)).lost);
  EXPECT_EQ(sent_.back().type, Dhcp6Type::Decline);
  wake();
  EXPECT_GE(now_ - again, Duration(10s));
  EXPECT_EQ(sent_.back().type, Dhcp6Type::Solicit);
}

TEST_F(Dhcp6ClientTest, ADuplicateAmongSeveral) {
  on(Dhcp6Event::LinkUp);
  hear(answer(Dhcp6Type::Advertise));
  Dhcp6Packet reply = answer(Dhcp6Type::Reply);
  reply.associations[0].addresses.push_back({ip6("2001:db8::6"), 100s, 200s, {}});
  EXPECT_EQ(hear(reply).bound->addresses.size(), 2U);
  Dhcp6Actions actions = note(client_.on_duplicate(ip6("2001:db8::5"), now_));
  EXPECT_FALSE(actions.lost);
  ASSERT_TRUE(actions.bound);
  EXPECT_EQ(actions.bound->addresses[0].address, ip6("2001:db8::6"));
  EXPECT_EQ(sent_.back().type, Dhcp6Type::Decline);
}

TEST_F(Dhcp6ClientTest, TheLinkComesBack) {
  bind();
  on(Dhcp6Event::LinkDown);
  EXPECT_EQ(wake_, now_ + 200s);  // it ends also without a link
  now_ += 10s;
  on(Dhcp6Event::LinkUp);
  EXPECT_EQ(sent_.back().type, Dhcp6Type::Confirm);
  EXPECT_THAT(sent_.back().server_id, IsEmpty());
  EXPECT_THAT(sent_.back().requested, IsEmpty());
  Dhcp6Packet reply = answer(Dhcp6Type::Reply);
  reply.server_id = kOther;  // whoever knows
  reply.associations.clear();
  Dhcp6Actions actions = hear(reply);
  ASSERT_TRUE(actions.bound);
  EXPECT_EQ(actions.bound->addresses[0].valid, Duration(190s));
  EXPECT_EQ(wake_, now_ + 40s);
  wake();
  EXPECT_EQ(sent_.back().type, Dhcp6Type::Renew);
  EXPECT_EQ(sent_.back().server_id, kServer);
}

TEST_F(Dhcp6ClientTest, TheLinkComesBackInAnotherNetwork) {
  bind();
  on(Dhcp6Event::LinkDown);
  on(Dhcp6Event::LinkUp);
  Dhcp6Packet reply = answer(Dhcp6Type::Reply);
  reply.associations.clear();
  reply.status.code = Dhcp6StatusCode::NotOnLink;
  EXPECT_TRUE(hear(reply).lost);
  EXPECT_EQ(sent_.back().type, Dhcp6Type::Solicit);
}

TEST_F(Dhcp6ClientTest, WhereNobodyConfirmsAnotherLeaseIsLookedForBeside) {
  bind();
  on(Dhcp6Event::LinkDown);
  on(Dhcp6Event::LinkUp);
  Time begin = now_;
  while (sent_.back().type == Dhcp6Type::Confirm) wake();
  EXPECT_EQ(sent_.back().type, Dhcp6Type::Solicit);
  EXPECT_LE(now_ - begin, Duration(13s));
  EXPECT_TRUE(client_.has_lease());
  Dhcp6Packet packet = answer(Dhcp6Type::Advertise);
  packet.associations[0].addresses[0].address = ip6("2001:db8:1::1");
  hear(packet);
  packet.type = Dhcp6Type::Reply;
  packet.xid = sent_.back().xid;
  Dhcp6Actions actions = hear(packet);
  ASSERT_TRUE(actions.bound);
  EXPECT_FALSE(actions.lost);
  ASSERT_EQ(actions.bound->addresses.size(), 1U);
  EXPECT_EQ(actions.bound->addresses[0].address, ip6("2001:db8:1::1"));
}

TEST_F(Dhcp6ClientTest, ALeaseEndsAlsoWithoutLink) {
  bind();
  on(Dhcp6Event::LinkDown);
  EXPECT_TRUE(wake().lost);
  EXPECT_FALSE(wake_);
  on(Dhcp6Event::LinkUp);
  EXPECT_EQ(sent_.back().type, Dhcp6Type::Solicit);
}

TEST_F(Dhcp6ClientTest, Stateless) {
  restart(Dhcp6Mode::Stateless);
  on(Dhcp6Event::LinkUp);
  EXPECT_EQ(sent_[0].type, Dhcp6Type::InformationRequest);
  EXPECT_THAT(sent_[0].associations, IsEmpty());
  EXPECT_THAT(sent_[0].requested, ElementsAre(23, 24, 32, 83));
  wake();
  EXPECT_EQ(client_.progress(), "no DHCPv6 server answered 2 information requests");
  Dhcp6Packet reply = answer(Dhcp6Type::Reply);
  reply.associations.clear();
  Dhcp6Actions actions = hear(reply);
  ASSERT_TRUE(actions.bound);
  EXPECT_THAT(actions.bound->addresses, IsEmpty());
  EXPECT_THAT(actions.bound->nameservers, ElementsAre(ip6("2001:db8::53")));
  EXPECT_EQ(wake_, now_ + 86400s);
  wake();
  EXPECT_EQ(sent_.back().type, Dhcp6Type::InformationRequest);
  reply.xid = sent_.back().xid;
  reply.information_refresh = 1s;
  EXPECT_TRUE(hear(reply).bound);
  EXPECT_EQ(wake_, now_ + 600s);
  on(Dhcp6Event::LinkDown);
  EXPECT_FALSE(wake_);
  on(Dhcp6Event::LinkUp);
  EXPECT_EQ(sent_.back().type, Dhcp6Type::InformationRequest);
}

TEST_F(Dhcp6ClientTest, TheAddressOfBeforeIsAskedFor) {
  client_ = Dhcp6Client(Dhcp6Mode::Stateful, {0, 1, 2, 3}, kId, 42, ip6("2001:db8::77"));
  on(Dhcp6Event::LinkUp);
  EXPECT_EQ(sent_[0].client_id, (ByteVector{0, 1, 2, 3}));
  EXPECT_EQ(sent_[0].associations[0].addresses[0].address, ip6("2001:db8::77"));
}

TEST_F(Dhcp6ClientTest, AFlappingLinkDoesNotFlood) {
  RateProof rate(kDhcp6MostMessages, kDhcp6MessageWindow);
  for (int i = 0; i < 10000; ++i) {
    size_t before = sent_.size();
    on(i % 2 == 0 ? Dhcp6Event::LinkUp : Dhcp6Event::LinkDown);
    for (; before < sent_.size(); ++before) rate.sent(now_);
    now_ += 7ms;
  }
  EXPECT_GT(sent_.size(), 50U);  // 70 seconds
  on(Dhcp6Event::LinkUp);
  wake();
  hear(answer(Dhcp6Type::Advertise));
  if (sent_.back().type != Dhcp6Type::Request) wake();
  EXPECT_TRUE(hear(answer(Dhcp6Type::Reply)).bound);
}

}  // namespace
}  // namespace curlingiron
