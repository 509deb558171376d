#include "sys/route_socket.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/fib_rules.h>
#include <linux/if.h>
#include <linux/if_arp.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sched.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

#include "base/text.h"
#include "formats/netlink/batch.h"
#include "support/shell.h"
#include "sys/power.h"

namespace curlingiron {
namespace {

using ::testing::ElementsAreArray;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAreArray;

TEST(RouteSocket, ListsThisMachinesLinks) {
  Result<RouteSocket> socket = RouteSocket::open();
  ASSERT_TRUE(socket.ok()) << socket.error().message();
  Result<std::vector<Link>> links = socket.value().links();
  ASSERT_TRUE(links.ok()) << links.error().message();
  bool has_loopback = false;
  for (const Link& link : links.value()) has_loopback = has_loopback || link.loopback;
  EXPECT_TRUE(has_loopback);
}

// The lines of a program's output, in an order of their own.
std::vector<std::string> lines_of(const std::string& command) {
  std::string text = output_of(command);
  std::vector<std::string> lines;
  for (std::string_view line : split(text, '\n')) lines.emplace_back(trim(line));
  std::sort(lines.begin(), lines.end());
  return lines;
}

// A namespace of the test's own, with eth0 and eth1, both with carrier.
class LiveNetlink : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!is_root()) GTEST_SKIP() << "network namespaces need root";
    if (std::system("command -v ip >/dev/null") != 0) GTEST_SKIP() << "ip is not installed";
    home_ = std::move(open_path("/proc/thread-self/ns/net", O_RDONLY)).value();
    if (::unshare(CLONE_NEWNET) != 0) GTEST_SKIP() << "no network namespaces here";
    if (std::system("ip link add eth0 type veth peer name s0 2>/dev/null") != 0) {
      GTEST_SKIP() << "no veth pairs here";
    }
    output_of("ip link add eth1 type veth peer name s1");
    for (const char* name : {"lo", "s0", "eth0", "s1", "eth1"}) {
      if (std::string_view(name) != "lo")
        output_of(concat("ip link set ", name, " addrgenmode none"));
      output_of(concat("ip link set ", name, " up"));
    }
    socket_ = std::make_unique<RouteSocket>(RouteSocket::open().value());
  }

  void TearDown() override {
    if (home_.valid()) {
      ASSERT_EQ(::setns(home_.get(), CLONE_NEWNET), 0);
    }
  }

  int index_of(std::string_view name) {
    for (const Link& link : links()) {
      if (link.name == name) return link.index;
    }
    return 0;
  }

  std::vector<Link> links() { return socket_->links().value(); }
  std::vector<AssignedAddress> addresses() { return socket_->addresses().value(); }
  std::vector<Neighbour> neighbours() { return socket_->neighbours().value(); }

  UniqueFd home_;
  std::unique_ptr<RouteSocket> socket_;
};

TEST_F(LiveNetlink, AddressesAreListedAndAddedAgain) {
  output_of("ip addr add 10.0.0.5/24 brd + dev eth0");
  output_of("ip addr add 10.0.0.6/24 dev eth0");  // secondary
  output_of("ip addr add 192.0.2.1 peer 192.0.2.2/32 dev eth0");
  output_of("ip addr add 169.254.3.4/16 scope link dev eth1 metric 77");
  output_of("ip addr add 10.1.0.5/24 dev eth1 noprefixroute");
  output_of("ip -6 addr add 2001:db8::5/64 dev eth0 nodad");
  output_of("ip -6 addr add 2001:db8:1::5/128 dev eth0 nodad");
  output_of("ip -6 addr add 2001:db8:2::1 peer 2001:db8:2::2/128 dev eth0 nodad");
  output_of("ip -6 addr add 2001:db8:3::1/64 dev eth1 nodad noprefixroute");
  output_of("ip -6 addr add fe80::5/64 dev eth1 nodad");
  std::string json = "ip -j -p addr show";
  std::vector<AssignedAddress> before = socket_->addresses().value();
  std::vector<std::string> told = lines_of(json);
  std::vector<std::string> routes = lines_of("ip route show table all");
  auto find = [&](std::string_view text) -> AssignedAddress {
    IpAddress wanted = parse_ip(text).value();
    for (const AssignedAddress& address : before) {
      if (address.prefix.address == wanted) return address;
    }
    ADD_FAILURE() << text << " is not listed";
    return {};
  };
  EXPECT_EQ(find("10.0.0.5").broadcast, Ipv4{0x0a0000ff});
  EXPECT_EQ(find("10.0.0.5").index, index_of("eth0"));
  EXPECT_TRUE(find("10.0.0.5").permanent());
  EXPECT_EQ(find("192.0.2.1").peer, parse_ip("192.0.2.2").value());
  EXPECT_EQ(find("2001:db8:2::1").peer, parse_ip("2001:db8:2::2").value());
  EXPECT_EQ(find("169.254.3.4").metric, 77U);
  EXPECT_EQ(find("169.254.3.4").scope, RT_SCOPE_LINK);
  output_of("ip addr flush dev eth0");
  output_of("ip addr flush dev eth1");
  ASSERT_EQ(socket_->addresses().value().size(), 2U);  // loopback's
  for (const AssignedAddress& address : before) {
    if (address.index == index_of("lo")) continue;
    Result<void> added = socket_->add_address(address);
    ASSERT_TRUE(added.ok()) << added.error().message();
  }
  EXPECT_THAT(socket_->addresses().value(), UnorderedElementsAreArray(before));
  EXPECT_EQ(lines_of(json), told);
  EXPECT_EQ(lines_of("ip route show table all"), routes);
  std::reverse(before.begin(), before.end());  // secondary ones before those they hang on
  for (const AssignedAddress& address : before) {
    if (address.index == index_of("lo")) continue;
    Result<void> removed = socket_->remove_address(address);
    ASSERT_TRUE(removed.ok()) << removed.error().message();
  }
  EXPECT_EQ(socket_->addresses().value().size(), 2U);
}

TEST_F(LiveNetlink, LifetimesAreKept) {
  output_of("ip addr add 10.0.0.5/24 dev eth0 valid_lft 1000 preferred_lft 500");
  output_of("ip -6 addr add 2001:db8::5/64 dev eth0 nodad valid_lft 1000 preferred_lft 500");
  for (AssignedAddress address : addresses()) {
    if (address.index != index_of("eth0")) continue;
    EXPECT_FALSE(address.permanent());
    ASSERT_TRUE(address.valid && address.preferred);
    EXPECT_GT(*address.valid, Duration(990s));
    EXPECT_LE(*address.preferred, Duration(500s));
    address.valid = 2000s;
    address.preferred = 1500s;
    ASSERT_TRUE(socket_->add_address(address).ok());
  }
  std::string text = output_of("ip addr show dev eth0");
  EXPECT_THAT(text, HasSubstr("valid_lft 2000sec preferred_lft 1500sec"));
  EXPECT_EQ(text.find("1000sec"), std::string::npos);
}

TEST_F(LiveNetlink, AnAddressIsTentativeUntilItIsKnownToBeFree) {
  ASSERT_EQ(std::system("echo 1 > /proc/sys/net/ipv6/conf/eth1/optimistic_dad"), 0);
  output_of("ip -6 addr add 2001:db8::5/64 dev eth0");
  for (const AssignedAddress& address : addresses()) {
    if (address.index == index_of("eth0")) {
      EXPECT_TRUE(address.tentative());
    }
  }
  AssignedAddress optimistic;
  optimistic.index = index_of("eth1");
  optimistic.prefix = parse_prefix("2001:db8::6/64").value();
  optimistic.flags = IFA_F_OPTIMISTIC;
  ASSERT_TRUE(socket_->add_address(optimistic).ok());
  for (const AssignedAddress& address : addresses()) {
    if (address.index == index_of("eth1")) {
      EXPECT_FALSE(address.tentative());
    }
  }
}

TEST_F(LiveNetlink, RoutesAreListedAndAddedAgain) {
  output_of("ip addr add 10.0.0.5/24 dev eth0");
  output_of("ip addr add 10.0.0.6/24 dev eth0");
  output_of("ip addr add 10.1.0.5/24 dev eth1");
  output_of("ip -6 addr add 2001:db8::5/64 dev eth0 nodad");
  output_of("ip -6 addr add 2001:db8:1::5/64 dev eth1 nodad");
  output_of("ip -6 addr add fe80::5/64 dev eth0 nodad");
  output_of("ip -6 addr add fe80::6/64 dev eth1 nodad");
  const char* kRoutes[] = {
      "default via 10.0.0.1 dev eth0 proto dhcp src 10.0.0.6 metric 100",
      "default via 10.1.0.1 dev eth1 proto static metric 200 mtu lock 1400 advmss 1000 initcwnd "
      "20 initrwnd 30 quickack 1 window 5000 rto_min 50ms",
      "198.51.100.0/24 via 172.31.1.1 dev eth0 onlink",
      "172.31.1.1 dev eth0 scope link",
      "203.0.113.0/24 nexthop via 10.0.0.1 dev eth0 weight 3 nexthop via 10.1.0.1 dev eth1 "
      "weight 5",
      "blackhole 10.99.0.0/16",
      "unreachable 10.98.0.0/16 metric 5",
      "prohibit 10.97.0.0/16 table 7",
      "throw 10.96.0.0/16 table 70000",
      "default via 10.1.0.1 dev eth1 table 1000",
      "10.0.0.0/24 dev eth0 table 1000 scope link src 10.0.0.5",
      "192.0.2.0/24 via inet6 fe80::1 dev eth0",
      "192.0.3.0/24 nexthop via inet6 fe80::1 dev eth0 onlink nexthop via 10.1.0.1 dev eth1",
      "192.0.4.0/24 tos 0x10 via 10.0.0.1 dev eth0",
      "local 192.0.5.0/24 dev lo table 9",
  };
  const char* kRoutes6[] = {
      "default via fe80::1 dev eth0 metric 1024 pref high",
      "default via fe80::1 dev eth1 metric 2048 mtu 1400 hoplimit 64 proto ra pref low",
      "default from 2001:db8:5::/48 via fe80::2 dev eth0",
      "2001:db8:9::/48 via 2001:db8::1 dev eth0 src 2001:db8::5",
      "2001:db8:a::/48 nexthop via 2001:db8::1 dev eth0 nexthop via 2001:db8:1::1 dev eth1",
      "2001:db8:b::/48 via 2001:db8:77::1 dev eth1 onlink",
      "blackhole 2001:db8:c::/48",
      "unreachable 2001:db8:d::/48 metric 5",
      "prohibit 2001:db8:e::/48 table 7",
      "2001:db8:f::/64 dev eth1 table 70000 expires 5000",
  };
  for (const char* route : kRoutes) output_of(concat("ip route add ", route));
  for (const char* route : kRoutes6) output_of(concat("ip -6 route add ", route));
  std::string json = "ip -d route show table all | sed 's/expires [0-9]*sec //'";
  std::vector<Route> before = socket_->routes().value();
  std::vector<std::string> told = lines_of(json);
  size_t added_by_hand = 0;
  for (const Route& route : before) {
    if (route.protocol == RTPROT_KERNEL) continue;
    ++added_by_hand;
    Result<void> removed = socket_->remove_route(route);
    ASSERT_TRUE(removed.ok()) << format_prefix(route.destination) << ": "
                              << removed.error().message();
  }
  EXPECT_EQ(added_by_hand, std::size(kRoutes) + std::size(kRoutes6));
  ASSERT_EQ(socket_->routes().value().size(), before.size() - added_by_hand);
  // Those that others need come first: a gateway must be within reach.
  for (bool with_gateway : {false, true}) {
    for (const Route& route : before) {
      bool has = !route.hops.empty() && route.hops[0].gateway;
      if (route.protocol == RTPROT_KERNEL || has != with_gateway) continue;
      Result<void> added = socket_->add_route(route);
      ASSERT_TRUE(added.ok()) << format_prefix(route.destination) << ": "
                              << added.error().message();
      EXPECT_TRUE(socket_->add_route(route).ok()) << "a second time";
    }
  }
  EXPECT_THAT(socket_->routes().value(), UnorderedElementsAreArray(before));
  EXPECT_THAT(lines_of(json), ElementsAreArray(told));
}

TEST_F(LiveNetlink, RivalsStandBesideEachOther) {
  output_of("ip -6 addr add fe80::5/64 dev eth0 nodad");
  output_of("ip -6 addr add fe80::6/64 dev eth1 nodad");
  Route route;
  route.destination = {Ipv6{}, 0};
  route.metric = 1024;
  for (const char* name : {"eth0", "eth1"}) {
    NextHop hop;
    hop.index = index_of(name);
    hop.gateway = parse_ip("fe80::1").value();
    route.hops = {hop};
    ASSERT_TRUE(socket_->add_route(route, Rival::Kept).ok());
  }
  std::string text = output_of("ip -6 route show default");
  EXPECT_THAT(text, HasSubstr("eth0"));
  EXPECT_THAT(text, HasSubstr("eth1"));
  ASSERT_TRUE(socket_->add_route(route).ok());
  EXPECT_EQ(output_of("ip -6 route show default").find("eth0"), std::string::npos);
}

TEST_F(LiveNetlink, RulesAreListedAndAddedAgain) {
  const char* kRules[] = {
      "priority 100 from 10.0.2.15/32 lookup 100",
      "priority 101 to 10.0.0.0/8 iif eth0 lookup 70000",
      "priority 102 fwmark 0x10/0xff oif eth1 lookup main suppress_prefixlength 0",
      "priority 103 not from 10.0.0.0/8 tos 0x10 blackhole",
      "priority 104 uidrange 100-200 ipproto 6 sport 1000-2000 dport 80 lookup main",
      "priority 105 from all goto 32766",
      "priority 106 from all prohibit protocol static",
  };
  for (const char* family : {"-4", "-6"}) {
    for (const char* rule : kRules) {
      std::string text(rule);
      if (std::string_view(family) == "-6") {
        for (std::string_view old : {"10.0.2.15/32", "10.0.0.0/8"}) {
          if (size_t at = text.find(old); at != std::string::npos) {
            text.replace(at, old.size(), "2001:db8::/32");
          }
        }
      }
      output_of(concat("ip ", family, " rule add ", text));
    }
  }
  std::string show = "ip -d rule; ip -d -6 rule";
  std::vector<Rule> before = socket_->rules().value();
  std::vector<std::string> told = lines_of(show);
  ASSERT_EQ(before.size(), 2 * std::size(kRules) + 5);
  for (const Rule& rule : before) {
    Result<void> removed = socket_->remove_rule(rule);
    ASSERT_TRUE(removed.ok()) << rule.priority << ": " << removed.error().message();
  }
  ASSERT_TRUE(socket_->rules().value().empty());
  for (const Rule& rule : before) {
    Result<void> added = socket_->add_rule(rule);
    ASSERT_TRUE(added.ok()) << rule.priority << ": " << added.error().message();
    EXPECT_TRUE(socket_->add_rule(rule).ok()) << "a second time";
  }
  EXPECT_THAT(socket_->rules().value(), UnorderedElementsAreArray(before));
  EXPECT_EQ(lines_of(show), told);
}

TEST_F(LiveNetlink, NeighboursAreListedAndAddedAgain) {
  output_of("ip neigh add 10.0.0.1 lladdr 02:00:00:00:00:01 dev eth0 nud permanent");
  output_of("ip -6 neigh add fe80::1 lladdr 02:00:00:00:00:02 dev eth1 nud reachable");
  std::vector<Neighbour> before;
  for (const Neighbour& neighbour : neighbours()) {
    if (neighbour.state != NUD_NOARP) before.push_back(neighbour);
  }
  ASSERT_EQ(before.size(), 2U);
  std::vector<std::string> told = lines_of("ip neigh show nud all");
  for (const Neighbour& neighbour : before) {
    Result<void> removed = socket_->remove_neighbour(neighbour);
    ASSERT_TRUE(removed.ok()) << removed.error().message();
  }
  for (const Neighbour& neighbour : before) ASSERT_TRUE(socket_->add_neighbour(neighbour).ok());
  EXPECT_EQ(lines_of("ip neigh show nud all"), told);
}

TEST_F(LiveNetlink, LinksAreSet) {
  int eth0 = index_of("eth0");
  ASSERT_TRUE(socket_->set_down(eth0).ok());
  ASSERT_TRUE(socket_->rename(eth0, "uplink").ok());
  MacAddress mac = parse_mac("02:00:00:00:00:77").value();
  ASSERT_TRUE(socket_->set_mac(eth0, mac).ok());
  ASSERT_TRUE(socket_->set_mtu(eth0, 1400).ok());
  ASSERT_TRUE(socket_->set_up(eth0).ok());
  std::string text = output_of("ip link show uplink");
  EXPECT_THAT(text, HasSubstr("02:00:00:00:00:77"));
  EXPECT_THAT(text, HasSubstr("mtu 1400"));
  EXPECT_THAT(text, HasSubstr("LOWER_UP"));
}

TEST_F(LiveNetlink, PortsKnowTheirMaster) {
  if (std::system("ip link add br0 type bridge 2>/dev/null") != 0) {
    GTEST_SKIP() << "no bridges here";
  }
  ASSERT_TRUE(socket_->set_master(index_of("eth0"), index_of("br0")).ok());
  for (const Link& link : links()) {
    if (link.name == "br0") {
      EXPECT_EQ(link.kind, "bridge");
    }
    if (link.name != "eth0") continue;
    EXPECT_EQ(link.kind, "veth");
    EXPECT_EQ(link.master, index_of("br0"));
    EXPECT_EQ(link.lower, index_of("s0"));
  }
  ASSERT_TRUE(socket_->set_master(index_of("eth0"), 0).ok());
  EXPECT_EQ(output_of("ip link show eth0").find("br0"), std::string::npos);
  ASSERT_TRUE(socket_->remove_link(index_of("br0")).ok());
  EXPECT_EQ(index_of("br0"), 0);
}

TEST_F(LiveNetlink, VlansAreMade) {
  VlanOptions options{5, false};
  Result<int> made = socket_->create_vlan("eth0.5", index_of("eth0"), options);
  if (!made.ok() && made.error().code() == EOPNOTSUPP) GTEST_SKIP() << "no VLANs here";
  ASSERT_TRUE(made.ok()) << made.error().message();
  for (const Link& link : links()) {
    if (link.index != made.value()) continue;
    EXPECT_EQ(link.vlan, options);
    EXPECT_EQ(link.lower, index_of("eth0"));
  }
}

BondOptions bond_of(BondMode mode) {
  BondOptions options;
  options.mode = mode;
  return options;
}

TEST_F(LiveNetlink, BondsAreMade) {
  BondOptions lacp = bond_of(BondMode::Ieee8023ad);
  lacp.miimon = 100;
  lacp.lacp_rate = 1;
  lacp.xmit_hash_policy = 1;
  lacp.ad_select = 1;
  lacp.ad_actor_sys_prio = 7;
  lacp.ad_user_port_key = 5;
  lacp.min_links = 1;
  BondOptions backup = bond_of(BondMode::ActiveBackup);
  backup.miimon = 50;
  backup.updelay = backup.downdelay = 100;
  backup.fail_over_mac = backup.primary_reselect = 1;
  backup.num_peer_notif = 3;
  backup.resend_igmp = 2;
  BondOptions asked = bond_of(BondMode::ActiveBackup);
  asked.arp_interval = 100;
  asked.arp_validate = 1;
  asked.arp_targets = {Ipv4{0x0a000001}, Ipv4{0x0a000002}};
  BondOptions round = bond_of(BondMode::BalanceRr);
  round.packets_per_slave = 5;
  BondOptions balanced = bond_of(BondMode::BalanceTlb);
  balanced.miimon = 100;
  balanced.tlb_dynamic_lb = 0;
  BondOptions hashed = bond_of(BondMode::BalanceXor);
  hashed.miimon = 100;
  hashed.xmit_hash_policy = 2;
  ASSERT_TRUE(socket_->set_down(index_of("eth0")).ok());
  int eth0 = index_of("eth0");
  for (const BondOptions& options : {lacp, backup, asked, round, balanced, hashed}) {
    bool has_primary = options == backup;
    Result<int> made = socket_->create_bond("bond7", options, has_primary ? eth0 : 0);
    if (!made.ok() && made.error().code() == EOPNOTSUPP) GTEST_SKIP() << "no bonds here";
    ASSERT_TRUE(made.ok()) << bond_mode_name(options.mode) << ": " << made.error().message();
    ASSERT_TRUE(socket_->set_master(eth0, made.value()).ok());
    for (const Link& link : links()) {
      if (link.index == made.value()) {
        EXPECT_EQ(link.bond, options) << bond_mode_name(options.mode);
        EXPECT_EQ(link.bond_primary, has_primary ? eth0 : 0);
      }
      if (link.name == "eth0") {
        EXPECT_EQ(link.master, made.value());
      }
    }
    ASSERT_TRUE(socket_->remove_link(made.value()).ok());
    ASSERT_TRUE(socket_->set_down(eth0).ok());
  }
}

TEST_F(LiveNetlink, ReasonsComeInTheKernelsWords) {
  Route route;
  route.destination = parse_prefix("198.51.100.0/24").value();
  NextHop hop;
  hop.index = index_of("eth0");
  hop.gateway = parse_ip("192.0.2.1").value();
  route.hops = {hop};
  Result<void> added = socket_->add_route(route);
  ASSERT_FALSE(added.ok());
  EXPECT_EQ(added.error().code(), ENETUNREACH);
  EXPECT_THAT(added.error().message(), HasSubstr("Nexthop has invalid gateway"));
}

TEST_F(LiveNetlink, ChangesAreHeard) {
  NetworkMonitor monitor = NetworkMonitor::open().value();
  output_of("ip addr add 10.0.0.5/24 dev eth0");
  output_of("ip -6 addr add 2001:db8::5/64 dev eth0 nodad");
  output_of("ip -6 route add 2001:db8:9::/48 via 2001:db8::1");
  output_of("ip -6 route del 2001:db8:9::/48");
  output_of("ip addr del 10.0.0.5/24 dev eth0");
  output_of("ip link set eth1 down");
  Result<NetworkMonitor::Changes> changes = monitor.changes();
  ASSERT_TRUE(changes.ok()) << changes.error().message();
  std::vector<std::string> seen;
  for (const AssignedAddress& address : changes.value().addresses) {
    seen.push_back(
        concat(address.change == Change::Present ? "+" : "-", format_prefix(address.prefix)));
  }
  EXPECT_THAT(seen, ::testing::ElementsAre("+10.0.0.5/24", "+2001:db8::5/64", "-10.0.0.5/24"));
  seen.clear();
  for (const auto& [change, route] : changes.value().routes) {
    if (route.protocol == RTPROT_KERNEL) continue;
    seen.push_back(concat(change == Change::Present ? "+" : "-", format_prefix(route.destination)));
  }
  EXPECT_THAT(seen, ::testing::ElementsAre("+2001:db8:9::/48", "-2001:db8:9::/48"));
  bool down = false;
  for (const Link& link : changes.value().links) down = down || (link.name == "eth1" && !link.up);
  EXPECT_TRUE(down);
}

}  // namespace
}  // namespace curlingiron
