// Which interface gets what, as a configuration says it.
#include "net/join/link_plan.h"

#include <gtest/gtest.h>

#include "base/text.h"
#include "formats/ip_settings.h"

namespace curlingiron {
namespace {

constexpr MacAddress kMac = {0x52, 0x54, 0, 0, 0, 1};
constexpr MacAddress kOther = {0x52, 0x54, 0, 0, 0, 2};

Link card(const std::string& name, const MacAddress& mac) {
  Link link;
  link.index = 2;
  link.ethernet = true;
  link.name = name;
  link.mac = mac;
  return link;
}

NetworkConfig config(std::string_view text) {
  Result<NetworkConfig> parsed = parse_network_config(text);
  EXPECT_TRUE(parsed.ok()) << (parsed.ok() ? "" : parsed.error().message());
  return parsed.ok() ? parsed.value() : NetworkConfig();
}

NetworkConfig settings(std::initializer_list<std::string_view> ips) {
  NetworkConfig made;
  std::string host;
  for (std::string_view ip : ips) {
    Result<void> applied = apply_ip(ip, made, host);
    EXPECT_TRUE(applied.ok()) << ip;
  }
  return made;
}

TEST(LinkPlan, WithoutAWordEveryNicIsAskedAllThereIs) {
  LinkPlan plan = plan_link(NetworkConfig(), card("eth0", kMac));
  EXPECT_TRUE(plan.wanted);
  EXPECT_TRUE(plan.dhcp4);
  EXPECT_EQ(plan.ipv6, Ipv6Plan::Auto);
  EXPECT_TRUE(plan.addresses.empty());
  EXPECT_FALSE(plan.previous());
}

TEST(LinkPlan, AMacGoesBeforeAName) {
  NetworkConfig made = config(
      "link enp1s0 mac 52:54:00:00:00:01\n"
      "link eth0 mac 52:54:00:00:00:02\n"
      "address 192.0.2.1/24 dev enp1s0\n"
      "address 192.0.2.2/24 dev eth0\n");
  LinkPlan plan = plan_link(made, card("eth0", kMac));
  EXPECT_EQ(plan.name, "enp1s0");
  ASSERT_EQ(plan.addresses.size(), 1U);
  EXPECT_EQ(format_prefix(plan.addresses[0].prefix), "192.0.2.1/24");
  EXPECT_EQ(plan_link(made, card("eth7", kOther)).name, "eth0");
  EXPECT_FALSE(plan_link(made, card("eth8", {2, 0, 0, 0, 0, 9})).wanted);
}

TEST(LinkPlan, ThePermanentMacCountsWhereTheOtherWasChanged) {
  NetworkConfig made = config("link eth0 mac 52:54:00:00:00:01\naddress 192.0.2.1/24 dev eth0\n");
  Link changed = card("eth5", kOther);
  changed.permanent_mac = kMac;
  EXPECT_TRUE(plan_link(made, changed).wanted);
}

TEST(LinkPlan, AStaticAddressAsksNoServer) {
  LinkPlan v4 = plan_link(settings({"192.0.2.1::192.0.2.254:24::eth0:none"}), card("eth0", kMac));
  EXPECT_FALSE(v4.dhcp4);
  EXPECT_EQ(v4.ipv6, Ipv6Plan::Off);
  EXPECT_FALSE(v4.floating);
  LinkPlan v6 = plan_link(settings({"[2001:db8::5]::[fe80::1]:64::eth0:none"}), card("eth0", kMac));
  EXPECT_FALSE(v6.dhcp4);
  EXPECT_EQ(v6.ipv6, Ipv6Plan::StaticOnly);
  LinkPlan both = plan_link(settings({"192.0.2.1::192.0.2.254:24::eth0:none", "eth0:auto6"}),
                            card("eth0", kMac));
  EXPECT_FALSE(both.dhcp4);
  EXPECT_EQ(both.ipv6, Ipv6Plan::Auto);
  EXPECT_EQ(both.addresses.size(), 1U);
}

TEST(LinkPlan, AnAddressForNoNicInParticularFloats) {
  LinkPlan plan = plan_link(settings({"192.0.2.1::192.0.2.254:24:::none"}), card("eth3", kMac));
  EXPECT_TRUE(plan.floating);
  EXPECT_EQ(plan.addresses.size(), 1U);
}

TEST(LinkPlan, OnlyTheNamedNicIsUsed) {
  NetworkConfig made = settings({"eth1:dhcp"});
  EXPECT_TRUE(plan_link(made, card("eth1", kMac)).dhcp4);
  EXPECT_FALSE(plan_link(made, card("eth0", kOther)).wanted);
}

TEST(LinkPlan, WhatWasLeasedIsAFallback) {
  NetworkConfig made = config(
      "captured\n"
      "link eth0 mac 52:54:00:00:00:01 ipv4 dhcp ipv6 auto\n"
      "address 192.0.2.7/24 dev eth0 from dhcp4\n"
      "address 2001:db8::7/64 dev eth0 from ra\n"
      "address 192.0.2.99/32 dev eth0\n");
  LinkPlan plan = plan_link(made, card("eth0", kMac));
  EXPECT_TRUE(plan.dhcp4);
  EXPECT_EQ(plan.ipv6, Ipv6Plan::Auto);
  EXPECT_EQ(plan.addresses.size(), 1U);
  ASSERT_EQ(plan.leased4.size(), 1U);
  EXPECT_EQ(plan.leased6.size(), 1U);
  EXPECT_EQ(plan.previous(), parse_ipv4("192.0.2.7").value());
}

TEST(LinkPlan, WhatCarriesAVlanAndNothingElseAsksNobody) {
  NetworkConfig made = config(
      "link eth0 mac 52:54:00:00:00:01\n"
      "link eth0.5 vlan 5 on eth0\n"
      "address 192.0.2.7/24 dev eth0.5\n");
  LinkPlan plan = plan_link(made, card("eth0", kMac));
  EXPECT_TRUE(plan.wanted);
  EXPECT_FALSE(plan.dhcp4);
  EXPECT_EQ(plan.ipv6, Ipv6Plan::Off);
  Link vlan = card("eth0.5", kMac);
  vlan.kind = "vlan";
  EXPECT_EQ(plan_link(made, vlan).addresses.size(), 1U);
}

TEST(LinkPlan, MembersFindTheirBond) {
  NetworkConfig made = config(
      "link eth0 mac 52:54:00:00:00:01\n"
      "link eth1 mac 52:54:00:00:00:02\n"
      "link bond0 bond eth0,eth1 mode active-backup miimon 100\n");
  const LinkConfig* bond = find_bond_of(made, card("ens1", kMac));
  ASSERT_NE(bond, nullptr);
  EXPECT_EQ(bond->name, "bond0");
  EXPECT_EQ(find_bond_of(made, card("eth0", {2, 0, 0, 0, 0, 9})), bond);
  EXPECT_FALSE(plan_link(made, card("ens1", kMac)).dhcp4);
  EXPECT_EQ(plan_link(made, card("ens1", kMac)).ipv6, Ipv6Plan::Off);
  // A bond takes its member's address over: it is not the member.
  Link made_bond = card("bond0", kMac);
  made_bond.kind = "bond";
  EXPECT_EQ(find_link(made, made_bond), bond);
  EXPECT_EQ(find_bond_of(made, made_bond), nullptr);
}

}  // namespace
}  // namespace curlingiron
