// The DHCP client against simulated time and a scripted server: no I/O, no waiting.
#include "net/join/dhcp_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "unit/net/join/schedule.h"

namespace curlingiron {
namespace {

using ::testing::HasSubstr;

constexpr MacAddress kMac = {2, 0, 0, 0, 0, 1};

uint8_t code(DhcpOption option) { return static_cast<uint8_t>(option); }
Ipv4 ip(std::string_view text) { return parse_ipv4(text).value(); }
ByteVector be32(uint32_t value) {
  ByteWriter out;
  out.be32(value);
  return std::move(out).bytes();
}

class DhcpClientTest : public ::testing::Test {
 protected:
  DhcpActions on(DhcpEvent event) { return note(client_.on(event, now_)); }
  DhcpActions hear(const DhcpPacket& packet) { return note(client_.on_packet(packet, now_)); }

  DhcpActions note(DhcpActions actions) {
    for (const DhcpMessage& message : actions.send) {
      sent_.push_back(parse_dhcp(message.payload).value());
      targets_.push_back(message.server);
    }
    if (actions.probe) probed_.push_back(*actions.probe);
    if (actions.lost) has_address_ = false;
    if (actions.bound) has_address_ = true;
    wake_ = actions.wake;
    return actions;
  }

  // Lets time pass to the next wish of the client.
  DhcpActions wake() {
    EXPECT_TRUE(wake_.has_value());
    if (wake_) now_ = std::max(now_, *wake_);
    return on(DhcpEvent::Timer);
  }

  DhcpPacket answer(DhcpType type) {
    DhcpPacket packet;
    packet.operation = DhcpOperation::Reply;
    packet.type = type;
    packet.xid = sent_.back().xid;
    packet.mac = kMac;
    if (type == DhcpType::Nak) return packet;
    packet.yours = ip("10.0.2.15");
    packet.options[code(DhcpOption::ServerId)] = be32(ip("10.0.2.2").value);
    packet.options[code(DhcpOption::LeaseTime)] = be32(3600);
    return packet;
  }

  // An ACK after the time of the probe.
  DhcpActions acknowledge() {
    now_ += kDhcpProbeTime;
    return hear(answer(DhcpType::Ack));
  }

  DhcpActions bind() {
    on(DhcpEvent::LinkUp);
    hear(answer(DhcpType::Offer));
    return acknowledge();
  }

  DhcpClient client_{kMac, "iron", 42};
  Time now_{1000s};
  std::optional<Time> wake_;
  std::vector<DhcpPacket> sent_;
  std::vector<std::optional<Ipv4>> targets_;
  std::vector<Ipv4> probed_;
  bool has_address_ = false;
};

TEST_F(DhcpClientTest, DiscoverOfferRequestAck) {
  DhcpActions actions = on(DhcpEvent::LinkUp);
  ASSERT_EQ(sent_.size(), 1U);
  EXPECT_EQ(sent_[0].type, DhcpType::Discover);
  EXPECT_EQ(sent_[0].mac, kMac);
  EXPECT_FALSE(sent_[0].broadcast);
  EXPECT_EQ(sent_[0].options[code(DhcpOption::ClientId)], (ByteVector{1, 2, 0, 0, 0, 0, 1}));
  EXPECT_EQ(as_text(sent_[0].options[code(DhcpOption::HostName)]), "iron");
  EXPECT_THAT(sent_[0].options[code(DhcpOption::ParameterList)],
              ::testing::IsSupersetOf({1, 3, 6, 12, 15, 26, 28, 42, 51, 54, 121, 249}));
  hear(answer(DhcpType::Offer));
  ASSERT_EQ(sent_.size(), 2U);
  EXPECT_EQ(sent_[1].type, DhcpType::Request);
  EXPECT_EQ(sent_[1].xid, sent_[0].xid);
  EXPECT_EQ(sent_[1].options[code(DhcpOption::RequestedAddress)], be32(ip("10.0.2.15").value));
  EXPECT_EQ(sent_[1].options[code(DhcpOption::ServerId)], be32(ip("10.0.2.2").value));
  EXPECT_TRUE(sent_[1].client.is_zero());
  EXPECT_THAT(probed_, ::testing::ElementsAre(ip("10.0.2.15")));
  actions = acknowledge();
  ASSERT_TRUE(actions.bound);
  EXPECT_EQ(actions.bound->address, ip("10.0.2.15"));
  EXPECT_EQ(wake_, now_ + 1800s);
}

TEST_F(DhcpClientTest, RetransmitsForEverWithGrowingPauses) {
  on(DhcpEvent::LinkUp);
  Duration expected = 500ms;
  for (int i = 0; i < 50; ++i) {
    Duration pause = *wake_ - now_;
    EXPECT_GE(pause, expected - expected / 8) << i;
    EXPECT_LE(pause, expected + expected / 8) << i;
    wake();
    expected = std::min<Duration>(expected * 2, 8s);
  }
  EXPECT_EQ(sent_.size(), 51U);
  EXPECT_FALSE(sent_[1].broadcast);
  EXPECT_TRUE(sent_[2].broadcast);
  EXPECT_TRUE(sent_[50].broadcast);
  EXPECT_GT(sent_[50].seconds, 300);
  EXPECT_EQ(client_.progress(), "no DHCP offer after 51 discovers");
}

TEST_F(DhcpClientTest, AMissingServerIdIsAccepted) {
  on(DhcpEvent::LinkUp);
  DhcpPacket offer = answer(DhcpType::Offer);
  offer.options.erase(code(DhcpOption::ServerId));
  hear(offer);
  ASSERT_EQ(sent_.size(), 2U);
  EXPECT_EQ(sent_[1].options.count(code(DhcpOption::ServerId)), 0U);
  DhcpPacket ack = answer(DhcpType::Ack);
  ack.options.erase(code(DhcpOption::ServerId));
  now_ += kDhcpProbeTime;
  EXPECT_TRUE(hear(ack).bound);
  wake();
  EXPECT_EQ(targets_.back(), std::nullopt);  // nobody to ask alone
}

TEST_F(DhcpClientTest, OtherPeoplesPacketsAreIgnored) {
  on(DhcpEvent::LinkUp);
  DhcpPacket packet = answer(DhcpType::Offer);
  packet.xid ^= 1;
  hear(packet);
  packet = answer(DhcpType::Offer);
  packet.mac[5] ^= 1;
  hear(packet);
  packet = answer(DhcpType::Offer);
  packet.operation = DhcpOperation::Request;
  hear(packet);
  hear(answer(DhcpType::Ack));  // before any request
  hear(answer(DhcpType::Nak));
  packet = answer(DhcpType::Offer);
  packet.yours = ip("0.0.0.0");
  EXPECT_THAT(hear(packet).note, HasSubstr("no host can have"));
  EXPECT_EQ(sent_.size(), 1U);
}

TEST_F(DhcpClientTest, AnUnansweredRequestBeginsAgain) {
  on(DhcpEvent::LinkUp);
  hear(answer(DhcpType::Offer));
  for (int i = 0; i < 5; ++i) wake();
  EXPECT_EQ(sent_.back().type, DhcpType::Discover);
  EXPECT_THAT(client_.progress(), HasSubstr("no acknowledgement"));
}

TEST_F(DhcpClientTest, NakBeginsAgainAtOnceButNotInATightLoop) {
  on(DhcpEvent::LinkUp);
  hear(answer(DhcpType::Offer));
  DhcpPacket nak = answer(DhcpType::Nak);
  nak.options[code(DhcpOption::Message)] = {'n', 'o', '\n'};
  EXPECT_EQ(hear(nak).note, "the DHCP server refused the address (no?)");
  EXPECT_EQ(sent_.back().type, DhcpType::Discover);
  Time begin = now_;
  for (int i = 0; i < 8; ++i) {
    if (sent_.back().type != DhcpType::Discover) wake();
    hear(answer(DhcpType::Offer));
    hear(answer(DhcpType::Nak));
  }
  EXPECT_GT(now_ - begin, Duration(15s));
  EXPECT_THAT(client_.progress(), HasSubstr("refused 9 requests"));
}

TEST_F(DhcpClientTest, NakOfAnotherServerDoesNotCount) {
  on(DhcpEvent::LinkUp);
  hear(answer(DhcpType::Offer));
  DhcpPacket nak = answer(DhcpType::Nak);
  nak.options[code(DhcpOption::ServerId)] = be32(ip("10.0.2.99").value);
  hear(nak);
  EXPECT_EQ(sent_.back().type, DhcpType::Request);
  EXPECT_TRUE(acknowledge().bound);
}

TEST_F(DhcpClientTest, RenewsRebindsAndExpires) {
  bind();
  Time bound = now_;
  wake();
  EXPECT_EQ(now_, bound + 1800s);
  EXPECT_EQ(sent_.back().type, DhcpType::Request);
  EXPECT_EQ(sent_.back().client, ip("10.0.2.15"));
  EXPECT_EQ(sent_.back().options.count(code(DhcpOption::RequestedAddress)), 0U);
  EXPECT_EQ(sent_.back().options.count(code(DhcpOption::ServerId)), 0U);
  EXPECT_EQ(targets_.back(), ip("10.0.2.2"));
  while (targets_.back()) wake();
  EXPECT_EQ(now_, bound + 3150s);  // T2: by broadcast from now on
  size_t before = sent_.size();
  while (has_address_) wake();
  EXPECT_EQ(now_, bound + 3600s);
  EXPECT_LT(sent_.size() - before, 10U);
  EXPECT_EQ(sent_.back().type, DhcpType::Discover);
  EXPECT_FALSE(client_.has_lease());
}

TEST_F(DhcpClientTest, ARenewalProlongs) {
  bind();
  wake();
  DhcpActions actions = hear(answer(DhcpType::Ack));
  EXPECT_TRUE(actions.bound);
  EXPECT_FALSE(actions.lost);
  EXPECT_EQ(wake_, now_ + 1800s);
}

TEST_F(DhcpClientTest, ANakOfARenewalLosesTheAddress) {
  bind();
  wake();
  DhcpActions actions = hear(answer(DhcpType::Nak));
  EXPECT_TRUE(actions.lost);
  EXPECT_EQ(sent_.back().type, DhcpType::Discover);
}

TEST_F(DhcpClientTest, SenselessTimesAreReplaced) {
  on(DhcpEvent::LinkUp);
  hear(answer(DhcpType::Offer));
  now_ += kDhcpProbeTime;
  DhcpPacket ack = answer(DhcpType::Ack);
  ack.options[code(DhcpOption::RenewalTime)] = be32(99999);
  ack.options[code(DhcpOption::RebindingTime)] = be32(0);
  hear(ack);
  EXPECT_EQ(wake_, now_ + 1575s);  // half of T2, which is 7/8
  wake();
  ack = answer(DhcpType::Ack);
  ack.options[code(DhcpOption::LeaseTime)] = be32(0);
  hear(ack);
  EXPECT_EQ(wake_, now_ + 5s);
}

TEST_F(DhcpClientTest, AnInfiniteLeaseNeedsNothing) {
  on(DhcpEvent::LinkUp);
  hear(answer(DhcpType::Offer));
  now_ += kDhcpProbeTime;
  DhcpPacket ack = answer(DhcpType::Ack);
  ack.options[code(DhcpOption::LeaseTime)] = be32(0xffffffff);
  hear(ack);
  EXPECT_FALSE(wake_);
}

TEST_F(DhcpClientTest, CarrierLossPausesAndItsReturnAsksAtOnce) {
  on(DhcpEvent::LinkUp);
  on(DhcpEvent::LinkDown);
  EXPECT_FALSE(wake_);
  size_t before = sent_.size();
  on(DhcpEvent::Timer);
  EXPECT_EQ(sent_.size(), before);
  on(DhcpEvent::LinkUp);
  EXPECT_EQ(sent_.size(), before + 1);
  hear(answer(DhcpType::Offer));
  acknowledge();
  on(DhcpEvent::LinkDown);
  EXPECT_TRUE(client_.has_lease());
  EXPECT_EQ(wake_, now_ + 3600s);
  now_ += 100s;
  on(DhcpEvent::LinkUp);
  EXPECT_EQ(sent_.back().type, DhcpType::Request);
  EXPECT_EQ(sent_.back().client, ip("10.0.2.15"));
  EXPECT_EQ(targets_.back(), std::nullopt);
  // The new network knows nothing of it.
  EXPECT_TRUE(hear(answer(DhcpType::Nak)).lost);
}

TEST_F(DhcpClientTest, ALeaseEndsAlsoWithoutCarrier) {
  bind();
  on(DhcpEvent::LinkDown);
  EXPECT_TRUE(wake().lost);
  EXPECT_FALSE(wake_);
}

TEST_F(DhcpClientTest, AnAddressIsUsedOnlyWhenTheProbeHadItsTime) {
  on(DhcpEvent::LinkUp);
  Time asked = now_;
  hear(answer(DhcpType::Offer));
  now_ += 10ms;
  EXPECT_FALSE(hear(answer(DhcpType::Ack)).bound);
  EXPECT_FALSE(client_.has_lease());
  EXPECT_EQ(wake_, asked + 100ms);
  EXPECT_FALSE(hear(answer(DhcpType::Ack)).bound);  // a second one shortens nothing
  EXPECT_TRUE(wake().bound);
  EXPECT_EQ(wake_, now_ + 1800s);
  EXPECT_THAT(probed_, ::testing::ElementsAre(ip("10.0.2.15")));
}

TEST_F(DhcpClientTest, AnAddressThatSomebodyHasIsDeclined) {
  for (int answers_before : {1, 2, 3}) {
    SCOPED_TRACE(answers_before);
    client_ = DhcpClient(kMac, "iron", 42);
    sent_.clear();
    on(DhcpEvent::LinkUp);
    hear(answer(DhcpType::Offer));
    if (answers_before > 1) hear(answer(DhcpType::Ack));
    if (answers_before > 2) {
      EXPECT_TRUE(wake().bound);
    }
    uint32_t xid = sent_.back().xid;
    DhcpActions actions = note(client_.on_conflict(ip("10.0.2.99"), now_));
    EXPECT_TRUE(actions.send.empty());
    actions = note(client_.on_conflict(ip("10.0.2.15"), now_ + 1s));
    EXPECT_EQ(actions.lost, answers_before > 2);
    EXPECT_FALSE(client_.has_lease());
    ASSERT_EQ(sent_.size(), 4U);
    DhcpPacket& decline = sent_[2];
    EXPECT_EQ(decline.type, DhcpType::Decline);
    EXPECT_EQ(decline.xid, xid);
    EXPECT_TRUE(decline.client.is_zero());
    EXPECT_EQ(decline.seconds, 0);
    EXPECT_EQ(decline.options[code(DhcpOption::RequestedAddress)], be32(ip("10.0.2.15").value));
    EXPECT_EQ(decline.options[code(DhcpOption::ServerId)], be32(ip("10.0.2.2").value));
    EXPECT_EQ(decline.options.size(), 3U);         // and the client's id
    EXPECT_EQ(sent_[3].type, DhcpType::Discover);  // at once
    EXPECT_NE(sent_[3].xid, xid);
    EXPECT_EQ(client_.progress(), "somebody else has 10.0.2.15, which the DHCP server gave");
  }
}

TEST_F(DhcpClientTest, ASecondConflictWaits) {
  on(DhcpEvent::LinkUp);
  for (int i = 0; i < 5; ++i) {
    hear(answer(DhcpType::Offer));
    if (sent_.back().type != DhcpType::Request) {
      wake();
      hear(answer(DhcpType::Offer));
    }
    ASSERT_EQ(sent_.back().type, DhcpType::Request);
    Time before = now_;
    note(client_.on_conflict(ip("10.0.2.15"), now_));
    if (i == 0) {
      EXPECT_EQ(sent_.back().type, DhcpType::Discover);
    } else {
      EXPECT_EQ(sent_.back().type, DhcpType::Decline);
      EXPECT_GE(*wake_, before + 10s);
      EXPECT_LE(*wake_, before + 11s);
      wake();
    }
  }
}

TEST_F(DhcpClientTest, LateClaimsDoNotTakeTheAddressAway) {
  bind();
  now_ += kDhcpConflictWindow;
  EXPECT_FALSE(note(client_.on_conflict(ip("10.0.2.15"), now_)).lost);
  EXPECT_TRUE(client_.has_lease());
}

TEST_F(DhcpClientTest, AfterAConflictAnotherServersAddressIsTaken) {
  on(DhcpEvent::LinkUp);
  hear(answer(DhcpType::Offer));
  note(client_.on_conflict(ip("10.0.2.15"), now_));
  ASSERT_EQ(sent_.back().type, DhcpType::Discover);
  hear(answer(DhcpType::Offer));  // the same one again
  EXPECT_EQ(sent_.back().type, DhcpType::Discover);
  DhcpPacket other = answer(DhcpType::Offer);
  other.yours = ip("10.0.2.16");
  hear(other);
  EXPECT_EQ(sent_.back().type, DhcpType::Request);
  EXPECT_EQ(probed_.back(), ip("10.0.2.16"));
}

TEST_F(DhcpClientTest, TheAddressOfBeforeIsAskedFor) {
  client_ = DhcpClient(kMac, "iron", 42, ip("10.0.2.77"));
  on(DhcpEvent::LinkUp);
  EXPECT_EQ(sent_[0].options[code(DhcpOption::RequestedAddress)], be32(ip("10.0.2.77").value));
  hear(answer(DhcpType::Offer));  // of another one, which is fine
  EXPECT_EQ(sent_[1].options[code(DhcpOption::RequestedAddress)], be32(ip("10.0.2.15").value));
}

TEST_F(DhcpClientTest, AnotherServersOfferServesWhenTheFirstIsSilentOrRefuses) {
  for (bool refuses : {false, true}) {
    SCOPED_TRACE(refuses);
    client_ = DhcpClient(kMac, "iron", 42);
    sent_.clear();
    on(DhcpEvent::LinkUp);
    DhcpPacket second = answer(DhcpType::Offer);
    second.yours = ip("10.0.2.200");
    second.options[code(DhcpOption::ServerId)] = be32(ip("10.0.2.3").value);
    hear(answer(DhcpType::Offer));
    hear(second);
    hear(answer(DhcpType::Offer));  // the first one again is no other
    Time begin = now_;
    if (refuses) {
      DhcpPacket nak = answer(DhcpType::Nak);
      nak.options[code(DhcpOption::ServerId)] = be32(ip("10.0.2.2").value);
      hear(nak);
    } else {
      wake();
      wake();
    }
    EXPECT_LE(now_ - begin, Duration(2s));
    EXPECT_EQ(sent_.back().type, DhcpType::Request);
    EXPECT_EQ(sent_.back().options[code(DhcpOption::ServerId)], be32(ip("10.0.2.3").value));
    second.type = DhcpType::Ack;
    second.xid = sent_.back().xid;
    now_ += kDhcpProbeTime;
    EXPECT_EQ(hear(second).bound->address, ip("10.0.2.200"));
  }
}

TEST_F(DhcpClientTest, AServerThatIsTwelveSecondsSlow) {
  on(DhcpEvent::LinkUp);
  DhcpPacket offer = answer(DhcpType::Offer);
  Time end = now_ + 12s;
  while (*wake_ < end) wake();
  now_ = end;
  hear(offer);
  ASSERT_EQ(sent_.back().type, DhcpType::Request);
  DhcpPacket ack = answer(DhcpType::Ack);
  end = now_ + 20s;  // the client has given the offer up by then
  while (*wake_ < end) wake();
  now_ = end;
  ASSERT_EQ(sent_.back().type, DhcpType::Discover);
  EXPECT_TRUE(hear(ack).bound);
}

TEST_F(DhcpClientTest, AShortLeaseIsRenewedInTime) {
  for (uint32_t seconds : {1U, 10U, 30U, 60U, 300U}) {
    SCOPED_TRACE(seconds);
    client_ = DhcpClient(kMac, "iron", 42);
    on(DhcpEvent::LinkUp);
    hear(answer(DhcpType::Offer));
    now_ += kDhcpProbeTime;
    DhcpPacket ack = answer(DhcpType::Ack);
    ack.options[code(DhcpOption::LeaseTime)] = be32(seconds);
    ASSERT_TRUE(hear(ack).bound);
    has_address_ = true;
    size_t before = sent_.size();
    while (has_address_) {
      Time last = now_;
      wake();
      if (has_address_ && sent_.back().type == DhcpType::Request) {
        EXPECT_GE(now_ - last, Duration(500ms));
      }
    }
    EXPECT_GE(sent_.size() - before, seconds < 30 ? 3U : 5U);
    EXPECT_LE(sent_.size() - before, 14U);
  }
}

TEST_F(DhcpClientTest, ANakOfAStrangerDoesNotEndALease) {
  bind();
  wake();
  DhcpPacket nak = answer(DhcpType::Nak);
  nak.options[code(DhcpOption::ServerId)] = be32(ip("10.0.2.99").value);
  EXPECT_FALSE(hear(nak).lost);
  while (targets_.back()) wake();  // rebinding: whoever answers
  nak.xid = sent_.back().xid;
  EXPECT_TRUE(hear(nak).lost);
}

TEST_F(DhcpClientTest, AnAckOfAnotherAddressIsProbed) {
  on(DhcpEvent::LinkUp);
  hear(answer(DhcpType::Offer));
  now_ += kDhcpProbeTime;
  DhcpPacket ack = answer(DhcpType::Ack);
  ack.yours = ip("10.0.2.16");
  DhcpPacket strange = ack;
  strange.options[code(DhcpOption::ServerId)] = be32(ip("10.0.2.99").value);
  EXPECT_FALSE(hear(strange).probe);
  DhcpActions actions = hear(ack);
  EXPECT_EQ(actions.probe, ip("10.0.2.16"));
  EXPECT_FALSE(actions.bound);
  EXPECT_EQ(wake().bound->address, ip("10.0.2.16"));
}

TEST_F(DhcpClientTest, WhereNobodyKnowsTheLeaseAnotherIsLookedForBesideIt) {
  bind();
  on(DhcpEvent::LinkDown);
  now_ += 10s;
  on(DhcpEvent::LinkUp);
  Time back = now_;
  EXPECT_EQ(sent_.back().client, ip("10.0.2.15"));
  while (sent_.back().type != DhcpType::Discover) wake();
  EXPECT_LE(now_ - back, Duration(5s));
  EXPECT_TRUE(client_.has_lease());
  EXPECT_EQ(sent_.back().options[code(DhcpOption::RequestedAddress)], be32(ip("10.0.2.15").value));
  DhcpPacket offer = answer(DhcpType::Offer);
  offer.yours = ip("192.168.1.5");
  hear(offer);
  now_ += kDhcpProbeTime;
  DhcpPacket ack = offer;
  ack.type = DhcpType::Ack;
  DhcpActions actions = hear(ack);
  ASSERT_TRUE(actions.bound);
  EXPECT_FALSE(actions.lost);
  EXPECT_EQ(actions.bound->address, ip("192.168.1.5"));
}

TEST_F(DhcpClientTest, AFlappingLinkDoesNotFlood) {
  RateProof rate(kDhcpMostMessages, kDhcpMessageWindow);
  for (int i = 0; i < 10000; ++i) {
    size_t before = sent_.size();
    on(i % 2 == 0 ? DhcpEvent::LinkUp : DhcpEvent::LinkDown);
    for (; before < sent_.size(); ++before) rate.sent(now_);
    now_ += 7ms;
  }
  EXPECT_GT(sent_.size(), 50U);  // 70 seconds
  on(DhcpEvent::LinkUp);
  wake();
  hear(answer(DhcpType::Offer));
  if (sent_.back().type != DhcpType::Request) wake();
  EXPECT_TRUE(acknowledge().bound);
}

}  // namespace
}  // namespace curlingiron
