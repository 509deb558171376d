#include "net/capture/capture.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <sched.h>

#include <cstdlib>
#include <filesystem>

#include "base/text.h"
#include "sys/file.h"
#include "sys/power.h"

namespace curlingiron {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

IpAddress ip(std::string_view text) { return parse_ip(text).value(); }

// A machine that is made up, link by link.
class Machine {
 public:
  Link& card(std::string_view name, bool carrier = true) {
    Link& link = add(name, "");
    link.carrier = carrier;
    link.permanent_mac = link.mac;
    state.nics.push_back(link.index);
    return link;
  }

  Link& add(std::string_view name, std::string_view kind) {
    Link link;
    link.index = static_cast<int>(state.links.size()) + 1;
    link.name = std::string(name);
    link.kind = std::string(kind);
    link.ethernet = link.up = link.carrier = true;
    link.mtu = 1500;
    link.mac = {2, 0, 0, 0, 0, static_cast<uint8_t>(link.index)};
    state.links.push_back(link);
    return state.links.back();
  }

  int index(std::string_view name) const {
    for (const Link& link : state.links) {
      if (link.name == name) return link.index;
    }
    ADD_FAILURE() << name;
    return 0;
  }

  AssignedAddress& address(std::string_view device, std::string_view prefix, uint32_t flags = 0) {
    AssignedAddress address;
    address.index = index(device);
    address.prefix = parse_prefix(prefix).value();
    address.flags = flags;
    state.addresses.push_back(address);
    return state.addresses.back();
  }

  AssignedAddress& leased(std::string_view device, std::string_view prefix, uint32_t flags = 0) {
    AssignedAddress& made = address(device, prefix, flags);
    made.valid = made.preferred = 3600s;
    return made;
  }

  Route& route(std::string_view device, std::string_view destination, std::string_view gateway,
               uint8_t protocol) {
    Route route;
    route.destination = parse_prefix(destination).value();
    route.protocol = protocol;
    NextHop hop;
    hop.index = index(device);
    if (!gateway.empty()) hop.gateway = ip(gateway);
    route.scope =
        route.family() == Family::V4 && gateway.empty() ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
    route.hops = {hop};
    state.routes.push_back(route);
    return state.routes.back();
  }

  Rule& rule(uint32_t priority, uint32_t table) {
    Rule rule;
    rule.priority = priority;
    rule.table = table;
    state.rules.push_back(rule);
    return state.rules.back();
  }

  // The lines of the config; it must be one that /init reads.
  std::vector<std::string> lines() {
    CapturedNetwork captured = config_of(state, files);
    notes = captured.notes;
    std::string text = format_network_config(captured.config);
    Result<NetworkConfig> again = parse_network_config(text);
    EXPECT_TRUE(again.ok() && again.value() == captured.config)
        << text << (again.ok() ? "" : again.error().message());
    std::vector<std::string> lines;
    for (std::string_view line : split(text, '\n')) {
      if (!line.empty() && line != "captured") lines.emplace_back(line);
    }
    return lines;
  }

  KernelNetwork state;
  ResolverFiles files;
  std::vector<std::string> notes;
};

ResolvConf servers(std::string_view text) { return parse_resolv_conf(text); }

TEST(CaptureConfig, StaticAddressesAsAHandOrIfupdownSetsThem) {
  Machine machine;
  machine.card("eth0");
  machine.card("eth1", false);
  machine.address("eth0", "192.0.2.10/32").broadcast = Ipv4{0xc000020a};
  machine.address("eth0", "2001:db8::5/64");
  machine.address("eth0", "fe80::fc/64");
  machine.route("eth0", "0.0.0.0/0", "172.31.1.1", RTPROT_BOOT).hops[0].on_link = true;
  machine.route("eth0", "172.31.1.1", "", RTPROT_BOOT);
  machine.route("eth0", "::/0", "fe80::1", RTPROT_STATIC).metric = 1024;
  machine.route("eth0", "2001:db8::/64", "", RTPROT_KERNEL).metric = 256;
  machine.route("eth0", "fe80::/64", "", RTPROT_KERNEL).metric = 256;
  machine.route("eth0", "192.0.2.10", "", RTPROT_KERNEL).table = RT_TABLE_LOCAL;
  machine.files.resolv_conf = servers("nameserver 9.9.9.9\nsearch example.org\n");
  EXPECT_THAT(
      machine.lines(),
      ElementsAre("link eth0 mac 02:00:00:00:00:01",
                  "address 192.0.2.10/32 dev eth0 broadcast 192.0.2.10",
                  "address 2001:db8::5/64 dev eth0", "route default via 172.31.1.1 dev eth0 onlink",
                  "route 172.31.1.1/32 dev eth0", "route default via fe80::1 dev eth0 metric 1024",
                  "nameserver 9.9.9.9", "search example.org"));
  EXPECT_THAT(machine.notes, IsEmpty());
}

TEST(CaptureConfig, LeasesAsNetworkManagerSetsThem) {
  Machine machine;
  machine.card("eth0");
  machine.leased("eth0", "10.0.2.15/24", IFA_F_NOPREFIXROUTE);
  machine.leased("eth0", "2001:db8::5/64", IFA_F_NOPREFIXROUTE);
  machine.leased("eth0", "2001:db8::77/128", IFA_F_NOPREFIXROUTE);
  machine.leased("eth0", "2001:db8::aaaa/64", IFA_F_TEMPORARY);
  Route& way_out = machine.route("eth0", "0.0.0.0/0", "10.0.2.2", RTPROT_DHCP);
  way_out.metric = 100;
  way_out.preferred = ip("10.0.2.15");
  machine.route("eth0", "10.0.2.0/24", "", RTPROT_KERNEL).metric = 100;
  machine.route("eth0", "2001:db8::/64", "", RTPROT_RA).metric = 100;
  machine.route("eth0", "::/0", "fe80::1", RTPROT_RA).metric = 100;
  machine.files.resolv_conf = servers("nameserver 10.0.2.3\n");
  Neighbour gateway{{ip("10.0.2.2"), {2, 0, 0, 0, 0, 9}}, Change::Present, 1, NUD_STALE};
  Neighbour other{{ip("10.0.2.9"), {2, 0, 0, 0, 0, 8}}, Change::Present, 1, NUD_STALE};
  machine.state.neighbours = {gateway, other};
  EXPECT_THAT(machine.lines(),
              ElementsAre("link eth0 mac 02:00:00:00:00:01 ipv4 dhcp ipv6 auto",
                          "address 10.0.2.15/24 dev eth0 noprefixroute from dhcp4",
                          "address 2001:db8::5/64 dev eth0 noprefixroute from ra",
                          "address 2001:db8::77/128 dev eth0 noprefixroute from dhcp6",
                          "route default via 10.0.2.2 dev eth0 metric 100 src 10.0.2.15 from dhcp4",
                          "route 10.0.2.0/24 dev eth0 metric 100 from dhcp4",
                          "route 2001:db8::/64 dev eth0 metric 100 from ra",
                          "route default via fe80::1 dev eth0 metric 100 from ra",
                          "neighbour 10.0.2.2 mac 02:00:00:00:00:09 dev eth0",
                          "nameserver 10.0.2.3 from dhcp4"));
}

TEST(CaptureConfig, LeasesForEverAreToldByTheirRoutes) {
  Machine machine;
  machine.card("eth0");
  machine.address("eth0", "10.0.2.15/24");
  machine.route("eth0", "0.0.0.0/0", "10.0.2.2", RTPROT_DHCP).preferred = ip("10.0.2.15");
  EXPECT_THAT(machine.lines(),
              ElementsAre("link eth0 mac 02:00:00:00:00:01 ipv4 dhcp",
                          "address 10.0.2.15/24 dev eth0 from dhcp4",
                          "route default via 10.0.2.2 dev eth0 src 10.0.2.15 from dhcp4"));
}

TEST(CaptureConfig, DhclientsRoutesLookLikeThoseOfAHand) {
  Machine machine;
  machine.card("eth0");
  machine.leased("eth0", "10.0.2.15/24");
  machine.route("eth0", "0.0.0.0/0", "10.0.2.2", RTPROT_BOOT);
  machine.route("eth0", "10.8.0.0/16", "10.0.2.9", RTPROT_STATIC);
  EXPECT_THAT(machine.lines(), ElementsAre("link eth0 mac 02:00:00:00:00:01 ipv4 dhcp",
                                           "address 10.0.2.15/24 dev eth0 from dhcp4",
                                           "route default via 10.0.2.2 dev eth0 from dhcp4",
                                           "route 10.8.0.0/16 via 10.0.2.9 dev eth0"));
}

TEST(CaptureConfig, ABondWithAVlanAndABridgeOnIt) {
  Machine machine;
  machine.card("eth1").mtu = 9000;
  machine.card("eth0", false).mtu = 9000;
  Link bond = machine.add("bond0", "bond");
  bond.bond = BondOptions{};
  bond.bond->mode = BondMode::Ieee8023ad;
  bond.bond->miimon = 100;
  bond.mtu = 9000;
  bond.mac = machine.state.links[0].mac;
  machine.state.links[2] = bond;
  for (size_t i : {0U, 1U}) {
    machine.state.links[i].master = bond.index;
    machine.state.links[i].mac = bond.mac;
  }
  Link& vlan = machine.add("bond0.5", "vlan");
  vlan.vlan = VlanOptions{5, false};
  vlan.lower = bond.index;
  vlan.mac = bond.mac;
  vlan.master = 5;
  Link& bridge = machine.add("vmbr0", "bridge");
  bridge.mac = {2, 0, 0, 0, 0, 0x77};
  Link& tap = machine.add("tap100", "tun");
  tap.master = 5;
  machine.address("vmbr0", "10.0.5.2/24");
  machine.route("vmbr0", "0.0.0.0/0", "10.0.5.1", RTPROT_STATIC);
  machine.route("vmbr0", "10.0.5.0/24", "", RTPROT_KERNEL);
  EXPECT_THAT(
      machine.lines(),
      ElementsAre("link eth1 mac 02:00:00:00:00:01", "link eth0 mac 02:00:00:00:00:02",
                  "link bond0 address 02:00:00:00:00:01 mtu 9000 bond eth0,eth1 mode 802.3ad "
                  "miimon 100 ipv4 off ipv6 off",
                  "link bond0.5 address 02:00:00:00:00:77 mtu 1500 vlan 5 on bond0",
                  "address 10.0.5.2/24 dev bond0.5", "route default via 10.0.5.1 dev bond0.5"));
  EXPECT_THAT(machine.notes, ElementsAre("vmbr0: a bridge; what it has goes to bond0.5"));
}

TEST(CaptureConfig, WhatNoCardCarriesIsLeftOut) {
  Machine machine;
  machine.card("eth0");
  machine.add("docker0", "bridge");
  Link& container = machine.add("veth1", "veth");
  container.master = 2;
  machine.add("wg0", "wireguard");
  machine.address("eth0", "10.0.0.5/24");
  machine.address("docker0", "172.17.0.1/16");
  machine.address("wg0", "10.200.0.2/32");
  machine.route("eth0", "0.0.0.0/0", "10.0.0.1", RTPROT_STATIC);
  machine.route("docker0", "172.17.0.0/16", "", RTPROT_KERNEL);
  machine.route("wg0", "0.0.0.0/0", "", RTPROT_BOOT).table = 51820;
  Rule& rule = machine.rule(32764, 51820);
  rule.invert = true;
  rule.mark = rule.mask = 51820;
  machine.files.resolv_conf = servers("nameserver 127.0.0.53\n");
  machine.files.resolved = servers("nameserver 10.0.0.1\nnameserver 10.200.0.1\n");
  machine.files.per_link = {{1, servers("nameserver 10.0.0.1\n")},
                            {4, servers("nameserver 10.200.0.1\n")}};
  EXPECT_THAT(machine.lines(),
              ElementsAre("link eth0 mac 02:00:00:00:00:01", "address 10.0.0.5/24 dev eth0",
                          "route default via 10.0.0.1 dev eth0", "nameserver 10.0.0.1 dev eth0"));
  EXPECT_THAT(
      machine.notes,
      ElementsAre(
          "docker0: a bridge that no network card carries; left out with its addresses and routes",
          "wg0: a wireguard that no network card carries; left out with its addresses and routes"));
}

TEST(CaptureConfig, PolicyRoutingIsKeptWithoutTheKernelsRules) {
  Machine machine;
  machine.card("eth0");
  machine.card("eth1");
  machine.address("eth0", "10.0.0.5/24");
  machine.address("eth1", "10.1.0.5/24");
  machine.route("eth0", "0.0.0.0/0", "10.0.0.1", RTPROT_STATIC).table = 100;
  machine.route("eth1", "0.0.0.0/0", "10.1.0.1", RTPROT_STATIC).table = 101;
  for (auto [priority, table] : {std::pair{0U, 255U}, {32766U, 254U}, {32767U, 253U}}) {
    machine.rule(priority, table).protocol = RTPROT_KERNEL;
  }
  machine.rule(100, 100).from = parse_prefix("10.0.0.5").value();
  machine.rule(101, 101).iif = "eth1";
  machine.rule(102, 102);
  EXPECT_THAT(machine.lines(),
              ElementsAre("link eth0 mac 02:00:00:00:00:01", "link eth1 mac 02:00:00:00:00:02",
                          "address 10.0.0.5/24 dev eth0", "address 10.1.0.5/24 dev eth1",
                          "route default via 10.0.0.1 dev eth0 table 100",
                          "route default via 10.1.0.1 dev eth1 table 101",
                          "rule 100 from 10.0.0.5/32 lookup 100", "rule 101 iif eth1 lookup 101"));
}

TEST(CaptureConfig, TheLowerHalfOfASyntheticCardIsNotTold) {
  Machine machine;
  machine.card("eth0");
  Link& slice = machine.card("enP1s1");
  slice.master = 1;
  slice.mac = machine.state.links[0].mac;
  machine.leased("eth0", "10.0.0.5/24");
  EXPECT_THAT(machine.lines(), ElementsAre("link eth0 mac 02:00:00:00:00:01 ipv4 dhcp",
                                           "address 10.0.0.5/24 dev eth0 from dhcp4"));
  EXPECT_EQ(cards_of(machine.state).size(), 1U);
}

TEST(CaptureConfig, ChangedAddressesAndSizesAreSetAgain) {
  Machine machine;
  Link& card = machine.card("a b");
  card.mac = {2, 0, 0, 0, 0, 0x66};
  card.mtu = 9000;
  EXPECT_THAT(machine.lines(),
              ElementsAre("link nic020000000001 mac 02:00:00:00:00:01 address 02:00:00:00:00:66 "
                          "mtu 9000"));
}

TEST(CaptureConfig, TwoCardsWithOneAddressAreToldByName) {
  Machine machine;
  machine.card("eth0");
  MacAddress first = machine.state.links[0].mac;
  machine.card("eth1").permanent_mac = first;
  EXPECT_THAT(machine.lines(), ElementsAre("link eth0 mac 02:00:00:00:00:01",
                                           "link eth1 address 02:00:00:00:00:02"));
}

TEST(CaptureConfig, AFullTableIsNotCarriedAlong) {
  Machine machine;
  machine.card("eth0");
  machine.address("eth0", "10.0.0.5/24");
  for (uint32_t i = 0; i < 3000; ++i) {
    machine.route("eth0", format_prefix({Ipv4{0x14000000 + (i << 8)}, 24}), "10.0.0.2", 186);
  }
  machine.route("eth0", "0.0.0.0/0", "10.0.0.1", RTPROT_STATIC);
  EXPECT_EQ(machine.lines().size(), 3U);
  EXPECT_THAT(machine.notes, ElementsAre(HasSubstr("of 3001 routes only the default ones")));
}

TEST(CaptureConfig, DeadEndsAndSeveralHops) {
  Machine machine;
  machine.card("eth0");
  machine.add("wg0", "wireguard");
  machine.address("eth0", "10.0.0.5/24");
  Route& several = machine.route("eth0", "10.8.0.0/16", "10.0.0.1", RTPROT_STATIC);
  several.hops.push_back({{}, 2});
  Route& hole = machine.route("eth0", "10.9.0.0/16", "", RTPROT_STATIC);
  hole.type = RouteType::Blackhole;
  hole.hops.clear();
  hole.scope = RT_SCOPE_UNIVERSE;
  EXPECT_THAT(
      machine.lines(),
      ElementsAre("link eth0 mac 02:00:00:00:00:01", "address 10.0.0.5/24 dev eth0",
                  "route 10.8.0.0/16 via 10.0.0.1 dev eth0", "route blackhole 10.9.0.0/16"));
}

TEST(CaptureConfig, IsDescribedForPeople) {
  Result<NetworkConfig> config = parse_network_config(
      "link eth0 mac 52:54:00:12:34:56\nlink v5 vlan 5 on eth0\naddress 10.0.0.5/24 dev v5\n"
      "address 2001:db8::5/64 dev v5 from ra\nroute default via 10.0.0.1 dev v5\n"
      "route 10.9.0.0/16 via 10.0.0.1 dev v5\nnameserver 9.9.9.9\n");
  ASSERT_TRUE(config.ok());
  EXPECT_EQ(describe_network(config.value()),
            "eth0, 52:54:00:12:34:56\n"
            "v5, VLAN 5 on eth0\n"
            "  10.0.0.5/24, 2001:db8::5/64 (router advertisement)\n"
            "  default route via 10.0.0.1\n"
            "name servers 9.9.9.9\n"
            "and 1 more route\n");
}

TEST(ResolverFilesTest, ResolversBehindTheStub) {
  TemporaryDirectory directory = TemporaryDirectory::create().value();
  auto write = [&](const std::string& path, std::string_view text) {
    std::string full = concat(directory.path(), "/", path);
    std::filesystem::create_directories(std::filesystem::path(full).parent_path());
    ASSERT_TRUE(write_file_atomically(full, as_bytes(text)).ok());
  };
  UniqueFd root = open_root(directory.path()).value();
  EXPECT_TRUE(read_resolver_files(root).resolv_conf.servers.empty());
  write("etc/resolv.conf", "# x\nnameserver 127.0.0.53\noptions edns0\n");
  write("run/systemd/resolve/resolv.conf", "nameserver 10.0.0.53\nnameserver fe80::1%eth0\n");
  write("run/systemd/netif/links/2",
        "ADMIN_STATE=configured\nDNS=10.0.0.53 [fe80::1]\nDOMAINS=example.org ~internal\n");
  write("run/systemd/resolve/netif/3", "SERVERS=10.1.0.53#dns.example\n");
  ResolverFiles files = read_resolver_files(root);
  EXPECT_EQ(files.resolv_conf.servers.size(), 1U);
  ASSERT_EQ(files.resolved.servers.size(), 2U);
  EXPECT_EQ(files.resolved.servers[1].zone, "eth0");
  ASSERT_TRUE(files.per_link.contains(2) && files.per_link.contains(3));
  EXPECT_EQ(format_ip(files.per_link[2].servers[0].address), "10.0.0.53");
  EXPECT_THAT(files.per_link[2].search, ElementsAre("example.org"));
  EXPECT_EQ(format_ip(files.per_link[3].servers[0].address), "10.1.0.53");
}

// A real kernel, in a namespace of its own.
TEST(LiveCapture, WhatIpSetIsTold) {
  if (!is_root()) GTEST_SKIP() << "network namespaces need root";
  UniqueFd home = open_path("/proc/thread-self/ns/net", O_RDONLY).value();
  if (::unshare(CLONE_NEWNET) != 0) GTEST_SKIP() << "no network namespaces here";
  int set = std::system(
      "{ ip link add eth0 type veth peer name s0 && ip link set eth0 address 02:00:00:00:00:10 &&"
      "ip link set s0 up && ip link set eth0 mtu 1400 up && ip link set lo up &&"
      "ip link add br0 type bridge && ip link set eth0 master br0 && ip link set br0 address "
      "02:00:00:00:00:10 up && ip addr add 10.0.0.5/24 brd + dev br0 &&"
      "ip addr add 10.0.0.6/24 dev br0 valid_lft 900 preferred_lft 900 &&"
      "ip -6 addr add 2001:db8::5/64 dev br0 nodad && ip addr add 10.99.0.1/32 dev lo &&"
      "ip route add default via 10.0.0.1 dev br0 proto static &&"
      "ip -4 route add default via inet6 fe80::1 dev br0 table 7 &&"
      "ip -6 route add default via fe80::1 dev br0 metric 1024 &&"
      "ip route add 10.7.0.0/16 via 10.0.0.7 mtu lock 1300 &&"
      "ip rule add priority 100 from 10.0.0.5 lookup 7 &&"
      "ip link add docker0 type bridge && ip link set docker0 up && ip addr add 172.17.0.1/16 dev "
      "docker0 && ip neigh add 10.0.0.1 lladdr 02:00:00:00:00:01 dev br0 nud permanent; } "
      "2>/dev/null");
  TemporaryDirectory directory = TemporaryDirectory::create().value();
  UniqueFd root = open_root(directory.path()).value();
  Result<CapturedNetwork> captured = capture_network(root, NicRule::AnyEthernet);
  ASSERT_EQ(::setns(home.get(), CLONE_NEWNET), 0);
  if (set != 0) GTEST_SKIP() << "no bridges or veth pairs here";
  ASSERT_TRUE(captured.ok()) << captured.error().message();
  std::string text = format_network_config(captured.value().config);
  for (const char* line :
       {"link eth0 mac 02:00:00:00:00:10 mtu 1400 ipv4 dhcp\n", "address 10.99.0.1/32 dev lo\n",
        "address 10.0.0.5/24 dev eth0 broadcast 10.0.0.255\n",
        "address 10.0.0.6/24 dev eth0 from dhcp4\n", "address 2001:db8::5/64 dev eth0\n",
        "route default via 10.0.0.1 dev eth0\n", "route 0.0.0.0/0 via fe80::1 dev eth0 table 7\n",
        "route default via fe80::1 dev eth0 metric 1024\n",
        "route 10.7.0.0/16 via 10.0.0.7 dev eth0 mtu lock 1300\n",
        "rule 100 from 10.0.0.5/32 lookup 7\n",
        "neighbour 10.0.0.1 mac 02:00:00:00:00:01 dev eth0 permanent\n", "captured\n"}) {
    EXPECT_THAT(text, HasSubstr(line));
  }
  for (const char* other : {"docker0", "br0", "127.0.0.1", "10.0.0.0/24", "::1/128", "172.17"}) {
    EXPECT_THAT(text, Not(HasSubstr(other)));
  }
  Result<NetworkConfig> again = parse_network_config(text);
  EXPECT_TRUE(again.ok() && again.value() == captured.value().config) << text;
  EXPECT_THAT(captured.value().notes,
              ElementsAre("br0: a bridge; what it has goes to eth0",
                          HasSubstr("docker0: a bridge that no network card carries")));
}

}  // namespace
}  // namespace curlingiron
