#include "sys/netlink.h"

#include <gtest/gtest.h>
#include <linux/if.h>
#include <linux/if_arp.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include <cerrno>

namespace curlingiron {
namespace {

ByteVector message(uint16_t type, ConstBytes body) {
  ByteWriter out;
  out.le32(static_cast<uint32_t>(16 + body.size()));
  out.le16(type);
  out.le16(0);
  out.le32(1);
  out.le32(0);
  out.append(body);
  return std::move(out).bytes();
}

ByteVector link_body(uint8_t family, uint32_t flags) {
  ByteWriter out;
  out.u8(family);
  out.u8(0);
  out.le16(ARPHRD_ETHER);
  out.le32(7);
  out.le32(flags);
  out.le32(0);
  out.le16(9);  // name "eth0", padded
  out.le16(IFLA_IFNAME);
  out.append(std::string_view("eth0\0\0\0\0", 8));
  out.le16(10);
  out.le16(IFLA_ADDRESS);
  out.append(std::string_view("\2\0\0\0\0\1\0\0", 8));
  out.le16(8);
  out.le16(IFLA_MTU);
  out.le32(1500);
  return std::move(out).bytes();
}

TEST(Netlink, ParsesLinks) {
  ByteVector datagram = message(RTM_NEWLINK, link_body(0, IFF_UP | IFF_LOWER_UP));
  ByteVector second = message(RTM_DELLINK, link_body(0, 0));
  datagram.insert(datagram.end(), second.begin(), second.end());
  ByteVector bridge = message(RTM_DELLINK, link_body(7, 0));  // AF_BRIDGE: only left its bridge
  datagram.insert(datagram.end(), bridge.begin(), bridge.end());
  Result<LinkBatch> batch = parse_links(datagram);
  ASSERT_TRUE(batch.ok()) << batch.error().message();
  ASSERT_EQ(batch.value().links.size(), 2U);
  const Link& link = batch.value().links[0];
  EXPECT_EQ(link.name, "eth0");
  EXPECT_EQ(link.index, 7);
  EXPECT_EQ(format_mac(link.mac), "02:00:00:00:00:01");
  EXPECT_EQ(link.mtu, 1500U);
  EXPECT_TRUE(link.ethernet && link.up && link.carrier && !link.loopback && !link.has_master);
  EXPECT_EQ(batch.value().links[1].change, LinkChange::Removed);
}

TEST(Netlink, TruncationsAreErrors) {
  ByteVector datagram = message(RTM_NEWLINK, link_body(0, 0));
  for (size_t size = 1; size < datagram.size(); ++size) {
    EXPECT_FALSE(parse_links(ConstBytes(datagram).first(size)).ok()) << size;
  }
}

TEST(Netlink, ErrorsCarryErrno) {
  ByteWriter body;
  body.le32(static_cast<uint32_t>(-EPERM));
  Result<LinkBatch> batch = parse_links(message(NLMSG_ERROR, body.bytes()));
  ASSERT_FALSE(batch.ok());
  EXPECT_EQ(batch.error().code(), EPERM);
}

TEST(Netlink, ListsThisMachinesLinks) {
  Result<RouteSocket> socket = RouteSocket::open();
  ASSERT_TRUE(socket.ok()) << socket.error().message();
  Result<std::vector<Link>> links = socket.value().links();
  ASSERT_TRUE(links.ok()) << links.error().message();
  bool has_loopback = false;
  for (const Link& link : links.value()) has_loopback = has_loopback || link.loopback;
  EXPECT_TRUE(has_loopback);
}

}  // namespace
}  // namespace curlingiron
