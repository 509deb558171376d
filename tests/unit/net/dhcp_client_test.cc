// The DHCP client against simulated time and a scripted server: no I/O, no waiting.
#include "net/dhcp_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

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

}  // namespace
}  // namespace curlingiron
