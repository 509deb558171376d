#include "formats/network_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.h"

namespace curlingiron {
namespace {

using ::testing::HasSubstr;

// One of everything, in the form in which it is written.
constexpr std::string_view kEverything =
    "link eth0 mac 52:54:00:12:34:56 mtu 9000 ipv4 dhcp ipv6 auto\n"
    "link eth1 mac 52:54:00:12:34:57 address 02:00:00:00:00:01 ipv4 off ipv6 off\n"
    "link eth2\n"
    "link * ipv6 dhcp6\n"
    "link bond0 address 52:54:00:12:34:56 bond eth0,eth1 mode 802.3ad primary eth0 miimon 100 "
    "xmit_hash_policy layer3+4 lacp_rate fast ad_actor_sys_prio 7 arp_ip_target "
    "10.0.0.1,10.0.0.2\n"
    "link bond0.5 vlan 5 on bond0 qinq ipv4 dhcp\n"
    "address 10.0.2.15/24 dev eth2 broadcast 10.0.2.255 from dhcp4\n"
    "address 10.0.3.15/24\n"
    "address 192.0.2.1/32 peer 192.0.2.2 dev bond0.5 scope link metric 7 noprefixroute\n"
    "address 2001:db8::5/64 dev eth2 from ra\n"
    "address 10.9.9.9/32 dev lo scope 7\n"
    "route default via 10.0.2.2 dev eth2 metric 100 src 10.0.2.15 mtu lock 1400 advmss 1000 "
    "from dhcp4\n"
    "route default via fe80::1 dev eth2 onlink table 7 pref high from ra\n"
    "route 0.0.0.0/0 via fe80::1 dev eth2\n"
    "route 0.0.0.0/0 dev bond0.5 table local scope host\n"
    "route ::/0 from 2001:db8::/48 dev eth2\n"
    "route 10.8.0.0/16 via 10.0.2.9\n"
    "route 10.7.0.0/16 tos 16 hoplimit 3 nexthop via 10.0.2.1 dev eth2 weight 3 nexthop via "
    "10.0.3.1 onlink weight 256\n"
    "route blackhole 10.0.0.0/8\n"
    "route unreachable 2001:db8::/32 table 70000 metric 5\n"
    "route local 192.0.5.0/24 dev lo\n"
    "rule 100 from 10.0.2.15/32 lookup 100\n"
    "rule 101 inet6 iif eth2 oif bond0.5 lookup main\n"
    "rule 102 not from 2001:db8::/32 to 2001:db8:1::/48 tos 16 prohibit\n"
    "rule 103 fwmark 16/255 ipproto tcp sport 1000-2000 dport 80 uidrange 1-2 goto 200\n"
    "rule 104 suppress_prefixlength 0 lookup main\n"
    "neighbour 10.0.2.2 mac 52:54:00:12:34:58 dev eth2 permanent\n"
    "neighbour fe80::1 mac 52:54:00:12:34:58 dev eth2\n"
    "nameserver 10.0.2.3 dev eth2 from dhcp4\n"
    "nameserver 2001:db8::53 port 5353\n"
    "search example.org example.net\n"
    "captured\n";

TEST(NetworkConfig, EverythingIsReadAndWritten) {
  Result<NetworkConfig> config = parse_network_config(kEverything);
  ASSERT_TRUE(config.ok()) << config.error().message();
  EXPECT_EQ(format_network_config(config.value()), kEverything);
  EXPECT_TRUE(config.value().captured && config.value().has_vlans() && config.value().has_bonds());
  const LinkConfig* bond = config.value().find("bond0");
  ASSERT_NE(bond, nullptr);
  EXPECT_EQ(bond->bond->options.mode, BondMode::Ieee8023ad);
  EXPECT_EQ(bond->bond->options.lacp_rate, 1U);
  EXPECT_EQ(bond->bond->options.xmit_hash_policy, 1U);
  EXPECT_EQ(config.value().find("bond0.5")->vlan->options.id, 5);
  const RouteConfig& route = config.value().routes[0];
  EXPECT_EQ(route.origin, Origin::Dhcp4);
  EXPECT_EQ(route.metrics.mtu, 1400U);
  EXPECT_EQ(route.metrics.lock, 1U << 2);
  EXPECT_TRUE(config.value().routes[1].destination.address.is_v6());
  EXPECT_TRUE(config.value().routes[2].destination.address.is_v4());
  EXPECT_EQ(config.value().routes[6].hops[1].weight, 256);
  EXPECT_EQ(config.value().routes[5].scope, 0);
  EXPECT_EQ(config.value().routes[9].scope, 254);  // host
  EXPECT_EQ(config.value().rules[1].family, Family::V6);
}

TEST(NetworkConfig, PeopleMayWriteItTheirWay) {
  Result<NetworkConfig> config = parse_network_config(
      "# my machine\n\n  link eth0   # the blue cable\n\troute default dev eth0 table main\n"
      "route default\tnexthop via 10.0.0.1 nexthop via 10.0.0.2\n"
      "rule 7 from 10.0.0.1 fwmark 0x10 table 9\n");
  ASSERT_TRUE(config.ok()) << config.error().message();
  EXPECT_EQ(format_network_config(config.value()),
            "link eth0\n"
            "route 0.0.0.0/0 dev eth0\n"
            "route default nexthop via 10.0.0.1 weight 1 nexthop via 10.0.0.2 weight 1\n"
            "rule 7 from 10.0.0.1/32 fwmark 16/4294967295 lookup 9\n");
}

TEST(NetworkConfig, MistakesAreNamed) {
  struct Row {
    std::string_view text;
    std::string_view error;
  };
  const Row kRows[] = {
      {"lnik eth0", "network line 1: \"lnik\" begins no line; a line begins with link, address"},
      {"link eth0\nlink eth1 mtu", "network line 2: after \"mtu\" a value is missing"},
      {"link eth0 frob", "\"frob\" is no word of link"},
      {"link eth0 mtu 5", "mtu: 5 is not between 68 and 65535"},
      {"link eth0 ipv4 maybe", "ipv4: \"maybe\" is none of dhcp, off"},
      {"link eth/0", "\"eth/0\" is no name of a link"},
      {"link eth0 miimon 100", "\"miimon\" is no word of link"},
      {"link eth0\nlink b bond eth0 lacp_rate 7777", "lacp_rate: \"7777\" is none of slow, fast"},
      {"link eth0\nlink b bond eth0 mode 9", "\"9\" is no mode"},
      {"link eth0\nlink v vlan 5 eth0", "vlan NUMBER is followed by \"on LINK\""},
      {"link eth0\nlink v vlan 4095 on eth0", "4095 is not between 0 and 4094"},
      {"address 10.0.0.1/33", "wrong prefix length"},
      {"address 10.0.0.1/24 dev eth0", "the device \"eth0\", which has no link line"},
      {"link b bond eth0", "\"eth0\", which has no link line"},
      {"link eth0\nlink eth0", "eth0 is described twice"},
      {"link a mac 02:00:00:00:00:01\nlink b mac 02:00:00:00:00:01", "a and b have the same mac"},
      {"link a vlan 1 on b\nlink b vlan 2 on a", "lies on itself"},
      {"link a bond a", "lies on itself"},
      {"link e\nlink a bond e\nlink b bond e", "e is a member of both a and b"},
      {"link e\nlink a bond e primary x", "its primary x is none of its members"},
      {"link e\nlink a vlan 5 on e bond e", "cannot be both"},
      {"address 10.0.0.1\naddress 10.0.0.1", "is described twice"},
      {"route blackhole 10.0.0.0/8 via 10.0.0.1", "leads nowhere"},
      {"route 10.0.0.0/8", "neither via nor dev"},
      {"route 2001:db8::/32 via 10.0.0.1", "other family"},
      {"route default via 10.0.0.1 src fe80::1", "two families"},
      {"route default via 10.0.0.1 nexthop via 10.0.0.2", "after each nexthop"},
      {"rule 5 from 10.0.0.1", "a rule says what to do"},
      {"rule 5 from 10.0.0.1 to ::1 lookup 7", "two families"},
      {"rule 5 sport 9-3 lookup 7", "3 is not between 9 and 65535"},
      {"neighbour 10.0.0.1", "both mac and dev"},
      {"nameserver dns.example", "is no IP address"},
      {"search", "search takes domains"},
      {"captured x", "captured takes no words"},
  };
  for (const Row& row : kRows) {
    Result<NetworkConfig> config = parse_network_config(row.text);
    ASSERT_FALSE(config.ok()) << row.text;
    EXPECT_THAT(config.error().message(), HasSubstr(std::string(row.error))) << row.text;
  }
}

TEST(NetworkConfig, LinksAreMadeInOrder) {
  Result<NetworkConfig> config = parse_network_config(
      "link v vlan 5 on b\nlink b bond e0,e1\nlink e0\nlink e1\nlink w vlan 6 on e0\n");
  ASSERT_TRUE(config.ok()) << config.error().message();
  std::vector<std::string> names;
  for (const LinkConfig* link : order_of_making(config.value())) names.push_back(link->name);
  EXPECT_THAT(names, ::testing::ElementsAre("e0", "e1", "w", "b", "v"));
}

}  // namespace
}  // namespace curlingiron
