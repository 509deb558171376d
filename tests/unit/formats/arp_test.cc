#include "formats/arp.h"

#include <gtest/gtest.h>

namespace curlingiron {
namespace {

constexpr MacAddress kOwn = {2, 0, 0, 0, 0, 1};
constexpr MacAddress kOther = {2, 0, 0, 0, 0, 2};

TEST(Arp, RoundTrip) {
  ArpPacket packet{ArpOperation::Reply, kOther, Ipv4{0x0a00020f}, kOwn, Ipv4{0x0a000202}};
  ByteVector bytes = format_arp(packet);
  EXPECT_EQ(bytes, (ByteVector{0,  1, 8, 0,  6, 4, 0, 2, 2, 0, 0,  0, 0, 2,
                               10, 0, 2, 15, 2, 0, 0, 0, 0, 1, 10, 0, 2, 2}));
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(parse_arp(ConstBytes(bytes).first(size)).ok()) << size;
  }
  bytes.resize(46);  // the padding of a frame
  ArpPacket again = parse_arp(bytes).value();
  EXPECT_EQ(again.operation, packet.operation);
  EXPECT_EQ(again.sender_mac, packet.sender_mac);
  EXPECT_EQ(again.sender, packet.sender);
  EXPECT_EQ(again.target_mac, packet.target_mac);
  EXPECT_EQ(again.target, packet.target);
  for (size_t at : {1, 2, 4, 5, 7}) {
    ByteVector wrong = bytes;
    wrong[at] = 9;
    EXPECT_FALSE(parse_arp(wrong).ok()) << at;
  }
}

TEST(Arp, Claims) {
  Ipv4 address{0x0a00020f};
  ArpPacket probe = arp_probe(kOwn, address);
  EXPECT_TRUE(probe.sender.is_zero());
  EXPECT_EQ(probe.target, address);
  EXPECT_EQ(arp_claim(probe, kOwn), std::nullopt);
  EXPECT_EQ(arp_claim(arp_probe(kOther, address), kOwn), std::nullopt);
  ArpPacket reply{ArpOperation::Reply, kOther, address, kOwn, Ipv4{}};
  EXPECT_EQ(arp_claim(reply, kOwn), address);
  reply.operation = ArpOperation::Request;  // an announcement
  EXPECT_EQ(arp_claim(reply, kOwn), address);
  reply.sender_mac = kOwn;
  EXPECT_EQ(arp_claim(reply, kOwn), std::nullopt);
}

}  // namespace
}  // namespace curlingiron
