#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/if.h>
#include <linux/if_arp.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include <cerrno>

#include "base/text.h"
#include "formats/netlink/batch.h"
#include "formats/netlink/link.h"
#include "formats/netlink/route.h"

namespace curlingiron {
namespace {

using ::testing::HasSubstr;

ByteVector message(uint16_t type, ConstBytes body) { return format_message(type, 0, 1, body); }

ByteVector link_body(uint8_t family, uint32_t flags) {
  ByteWriter out;
  out.u8(family);
  out.u8(0);
  out.le16(ARPHRD_ETHER);
  out.le32(7);
  out.le32(flags);
  out.le32(0);
  add_attribute(out, IFLA_IFNAME, std::string_view("eth0"));
  MacAddress mac = {2, 0, 0, 0, 0, 1};
  add_attribute(out, IFLA_ADDRESS, ConstBytes(mac));
  add_number(out, IFLA_MTU, 1500);
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
  ASSERT_EQ(batch.value().items.size(), 2U);
  const Link& link = batch.value().items[0];
  EXPECT_EQ(link.name, "eth0");
  EXPECT_EQ(link.index, 7);
  EXPECT_EQ(format_mac(link.mac), "02:00:00:00:00:01");
  EXPECT_EQ(link.mtu, 1500U);
  EXPECT_TRUE(link.ethernet && link.up && link.carrier && !link.loopback && link.master == 0);
  EXPECT_EQ(batch.value().items[1].change, Change::Removed);
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
  for (uint16_t type : {uint16_t{NLMSG_ERROR}, uint16_t{NLMSG_DONE}}) {
    Result<LinkBatch> batch = parse_links(message(type, body.bytes()));
    ASSERT_FALSE(batch.ok());
    EXPECT_EQ(batch.error().code(), EPERM);
  }
}

TEST(Netlink, ErrorsCarryTheKernelsWords) {
  ByteWriter body;
  body.le32(static_cast<uint32_t>(-EINVAL));
  body.append(format_message(RTM_NEWROUTE, 0, 1, {}));
  add_attribute(body, NLMSGERR_ATTR_MSG, std::string_view("Nexthop has invalid gateway"));
  Result<RouteBatch> batch =
      parse_routes(format_message(NLMSG_ERROR, NLM_F_CAPPED | NLM_F_ACK_TLVS, 1, body.bytes()));
  ASSERT_FALSE(batch.ok());
  EXPECT_EQ(batch.error().message(), "rtnetlink: Invalid argument (Nexthop has invalid gateway)");
}

TEST(Netlink, InterruptedDumpsSaySo) {
  ByteVector datagram = format_message(RTM_NEWLINK, NLM_F_DUMP_INTR, 1, link_body(0, 0));
  Result<LinkBatch> batch = parse_links(datagram);
  ASSERT_TRUE(batch.ok());
  EXPECT_TRUE(batch.value().interrupted && !batch.value().done);
}

TEST(Netlink, VlansAreReadAsTheyAreMade) {
  VlanOptions vlan{4094, true};
  Result<LinkBatch> batch = parse_links(message(RTM_NEWLINK, format_vlan("v", 7, vlan)));
  ASSERT_TRUE(batch.ok());
  ASSERT_EQ(batch.value().items.size(), 1U);
  const Link& link = batch.value().items[0];
  EXPECT_EQ(link.kind, "vlan");
  EXPECT_EQ(link.lower, 7);
  EXPECT_EQ(link.vlan, vlan);
}

TEST(Netlink, BondsAreReadAsTheyAreMade) {
  BondOptions bond;
  bond.mode = BondMode::Ieee8023ad;
  bond.miimon = 100;
  bond.lacp_rate = 1;
  bond.xmit_hash_policy = 1;
  bond.ad_actor_sys_prio = 4711;
  bond.arp_targets = {Ipv4{0x0a000001}, Ipv4{0x0a000002}};
  ByteVector body = format_bond("bond0", bond, 9);
  Result<LinkBatch> batch = parse_links(message(RTM_NEWLINK, body));
  ASSERT_TRUE(batch.ok()) << batch.error().message();
  const Link& link = batch.value().items[0];
  EXPECT_EQ(link.name, "bond0");
  EXPECT_EQ(link.kind, "bond");
  EXPECT_EQ(link.bond, bond);
  EXPECT_EQ(link.bond_primary, 9);
}

TEST(Netlink, OptionsThatAreNotTheModesAreLeftOut) {
  // As the kernel lists them: all of them, those of other modes too.
  BondOptions bond;
  bond.mode = BondMode::ActiveBackup;
  for (const BondOption& option : bond_options()) bond.*option.value = option.standard;
  bond.lacp_rate = 1;
  bond.miimon = 50;
  Result<LinkBatch> batch = parse_links(message(RTM_NEWLINK, format_bond("bond0", bond, 0)));
  ASSERT_TRUE(batch.ok());
  BondOptions expected;
  expected.mode = BondMode::ActiveBackup;
  expected.miimon = 50;
  EXPECT_EQ(batch.value().items[0].bond, expected);
}

TEST(Netlink, MembersOfABondKeepTheirOwnAddress) {
  ByteWriter data;
  MacAddress own = {2, 0, 0, 0, 0, 9};
  add_attribute(data, IFLA_BOND_SLAVE_PERM_HWADDR, ConstBytes(own));
  ByteWriter info;
  add_attribute(info, IFLA_INFO_SLAVE_KIND, std::string_view("bond"));
  add_attribute(info, IFLA_INFO_SLAVE_DATA, data.bytes());
  ByteWriter body;
  body.append(link_body(0, 0));
  add_number(body, IFLA_MASTER, 3);
  add_attribute(body, IFLA_LINKINFO, info.bytes());
  Result<LinkBatch> batch = parse_links(message(RTM_NEWLINK, body.bytes()));
  ASSERT_TRUE(batch.ok());
  EXPECT_EQ(batch.value().items[0].permanent_mac, own);
  EXPECT_EQ(batch.value().items[0].master, 3);
}

TEST(Netlink, OtherFamiliesArePassedOver) {
  ByteVector route = format_route(Route{});
  route[0] = 128;  // RTNL_FAMILY_IPMR
  Result<RouteBatch> batch = parse_routes(message(RTM_NEWROUTE, route));
  ASSERT_TRUE(batch.ok());
  EXPECT_TRUE(batch.value().items.empty());
}

TEST(Netlink, RoutesLearntInUseArePassedOver) {
  ByteVector route = format_route(Route{});
  route[9] = RTM_F_CLONED >> 8;
  Result<RouteBatch> batch = parse_routes(message(RTM_NEWROUTE, route));
  ASSERT_TRUE(batch.ok());
  EXPECT_TRUE(batch.value().items.empty());
}

TEST(Netlink, PrefixesThatAreTooLongAreErrors) {
  Route route;
  route.destination.length = 33;
  EXPECT_FALSE(parse_routes(message(RTM_NEWROUTE, format_route(route))).ok());
}

}  // namespace
}  // namespace curlingiron
