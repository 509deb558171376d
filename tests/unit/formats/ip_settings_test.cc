#include "formats/ip_settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.h"

namespace curlingiron {
namespace {

using ::testing::HasSubstr;

// The config that these settings make, as text. Each is KEY=VALUE.
std::string network_of_settings(std::initializer_list<std::string_view> settings) {
  NetworkConfig config;
  std::string hostname;
  for (std::string_view setting : settings) {
    size_t equals = setting.find('=');
    std::string_view key = setting.substr(0, equals);
    std::string_view value = setting.substr(equals + 1);
    Result<void> applied = key == "ip"         ? apply_ip(value, config, hostname)
                           : key == "vlan"     ? apply_vlan(value, config)
                           : key == "bond"     ? apply_bond(value, config)
                           : key == "rd.route" ? apply_route(value, config)
                           : key == "ifname"   ? apply_ifname(value, config)
                                               : apply_nameserver(value, config);
    if (!applied.ok()) return concat("error: ", applied.error().message());
  }
  std::string text = format_network_config(config);
  Result<NetworkConfig> again = parse_network_config(text);
  EXPECT_TRUE(again.ok() && again.value() == config) << text;
  if (!hostname.empty()) text += concat("hostname ", hostname, "\n");
  return text;
}

TEST(IpSettings, Methods) {
  EXPECT_EQ(network_of_settings({"ip=dhcp"}), "link * ipv4 dhcp\n");
  EXPECT_EQ(network_of_settings({"ip=on"}), "link * ipv4 dhcp\n");
  EXPECT_EQ(network_of_settings({"ip=auto"}), "link * ipv4 dhcp ipv6 auto\n");
  EXPECT_EQ(network_of_settings({"ip=dhcp6"}), "link * ipv4 off ipv6 dhcp6\n");
  EXPECT_EQ(network_of_settings({"ip=either6"}), "link * ipv4 off ipv6 dhcp6\n");
  EXPECT_EQ(network_of_settings({"ip=auto6"}), "link * ipv4 off ipv6 auto\n");
  EXPECT_EQ(network_of_settings({"ip=off"}), "link * ipv4 off ipv6 off\n");
  EXPECT_EQ(network_of_settings({"ip=dhcp6", "ip=dhcp"}), "link * ipv4 dhcp ipv6 dhcp6\n");
  EXPECT_EQ(network_of_settings({"ip=dhcp", "ip=dhcp6"}), "link * ipv4 dhcp ipv6 dhcp6\n");
}

TEST(IpSettings, MethodsOfADevice) {
  EXPECT_EQ(network_of_settings({"ip=eth0:dhcp", "ip=eth1:off"}),
            "link eth0 ipv4 dhcp\nlink eth1 ipv4 off ipv6 off\n");
  EXPECT_EQ(network_of_settings({"ip=eth0:dhcp:1400:02:00:00:00:00:01"}),
            "link eth0 address 02:00:00:00:00:01 mtu 1400 ipv4 dhcp\n");
  EXPECT_EQ(network_of_settings({"ip=eth0:dhcp::02-00-00-00-00-01"}),
            "link eth0 address 02:00:00:00:00:01 ipv4 dhcp\n");
  EXPECT_EQ(network_of_settings({"ip=52-54-00-12-34-56:auto6"}),
            "link nic525400123456 mac 52:54:00:12:34:56 ipv4 off ipv6 auto\n");
  EXPECT_EQ(network_of_settings({"ip=::::web:eth1:dhcp"}), "link eth1 ipv4 dhcp\nhostname web\n");
}

TEST(IpSettings, StaticAddresses) {
  EXPECT_EQ(network_of_settings({"ip=10.0.0.5::10.0.0.1:255.255.255.0:web:eth0:none:9.9.9.9:[2001:"
                                 "db8::53]:10.0.0.3"}),
            "link eth0\naddress 10.0.0.5/24 dev eth0 broadcast 10.0.0.255\n"
            "route default via 10.0.0.1 dev eth0\n"
            "nameserver 9.9.9.9 dev eth0\nnameserver 2001:db8::53 dev eth0\nhostname web\n");
  EXPECT_EQ(network_of_settings({"ip=10.0.0.5::10.0.0.1:24"}),
            "address 10.0.0.5/24 broadcast 10.0.0.255\nroute default via 10.0.0.1\n");
  EXPECT_EQ(network_of_settings({"ip=10.0.0.5::10.0.0.1:24::eth0:off:9000:02:00:00:00:00:01"}),
            "link eth0 address 02:00:00:00:00:01 mtu 9000\n"
            "address 10.0.0.5/24 dev eth0 broadcast 10.0.0.255\n"
            "route default via 10.0.0.1 dev eth0\n");
  EXPECT_EQ(network_of_settings({"ip=10.0.0.5::10.0.0.1:24::eth0:none::10.0.0.2"}),
            "link eth0\naddress 10.0.0.5/24 dev eth0 broadcast 10.0.0.255\n"
            "route default via 10.0.0.1 dev eth0\nnameserver 10.0.0.2 dev eth0\n");
  EXPECT_EQ(network_of_settings({"ip=10.0.0.5/16::10.0.0.1:::eth0:none:::"}),
            "link eth0\naddress 10.0.0.5/16 dev eth0 broadcast 10.0.255.255\n"
            "route default via 10.0.0.1 dev eth0\n");
}

TEST(IpSettings, GatewaysOutsideTheSubnetAreOnTheLink) {
  EXPECT_EQ(network_of_settings({"ip=192.0.2.10::172.31.1.1:32::eth0:none"}),
            "link eth0\naddress 192.0.2.10/32 dev eth0\n"
            "route default via 172.31.1.1 dev eth0 onlink\n");
  EXPECT_EQ(network_of_settings({"ip=[2001:db8::5]::[2001:db8:1::1]:64::eth0:none"}),
            "link eth0\naddress 2001:db8::5/64 dev eth0\n"
            "route default via 2001:db8:1::1 dev eth0 onlink\n");
  EXPECT_EQ(network_of_settings({"ip=[2001:db8::5]::[fe80::1]:128::eth0:none"}),
            "link eth0\naddress 2001:db8::5/128 dev eth0\nroute default via fe80::1 dev eth0\n");
}

TEST(IpSettings, SeveralAddUp) {
  EXPECT_EQ(network_of_settings({"ip=10.0.0.5::10.0.0.1:24::eth0:none",
                                 "ip=[2001:db8::5]::[fe80::1]:64::eth0:none", "ip=eth1:dhcp",
                                 "ip=10.0.0.5::10.0.0.1:24::eth0:none"}),
            "link eth0\nlink eth1 ipv4 dhcp\n"
            "address 10.0.0.5/24 dev eth0 broadcast 10.0.0.255\n"
            "address 2001:db8::5/64 dev eth0\n"
            "route default via 10.0.0.1 dev eth0\nroute default via fe80::1 dev eth0\n");
}

TEST(IpSettings, APeerCountsBesideAHostMask) {
  EXPECT_THAT(network_of_settings({"ip=10.0.0.5:10.0.0.9:10.0.0.9:32::eth0:none"}),
              HasSubstr("address 10.0.0.5/32 peer 10.0.0.9 dev eth0\n"
                        "route default via 10.0.0.9 dev eth0\n"));
  // The kernel's: a server.
  EXPECT_THAT(network_of_settings({"ip=10.0.0.5:10.9.0.9:10.0.0.1:24::eth0:none"}),
              HasSubstr("address 10.0.0.5/24 dev eth0 broadcast"));
}

TEST(IpSettings, Vlans) {
  EXPECT_EQ(network_of_settings({"vlan=eth0.5:eth0", "ip=eth0.5:dhcp"}),
            "link eth0.5 vlan 5 on eth0 ipv4 dhcp\nlink eth0\n");
  EXPECT_THAT(network_of_settings({"vlan=vlan0005:eth0"}), HasSubstr("link vlan0005 vlan 5 on"));
  EXPECT_THAT(network_of_settings({"vlan=vlan5:eth0"}), HasSubstr("link vlan5 vlan 5 on"));
  EXPECT_THAT(network_of_settings({"vlan=eth0.0005:eth0"}), HasSubstr("link eth0.0005 vlan 5 on"));
  EXPECT_THAT(network_of_settings({"vlan=mgmt:eth0"}), HasSubstr("does not end in the VLAN's"));
  EXPECT_THAT(network_of_settings({"vlan=v4095:eth0"}), HasSubstr("1 to 4094"));
  EXPECT_THAT(network_of_settings({"vlan=eth0.5:eth0.5"}), HasSubstr("lies on itself"));
  EXPECT_THAT(network_of_settings({"vlan=eth0.5"}), HasSubstr("NAME:DEVICE"));
}

TEST(IpSettings, Bonds) {
  EXPECT_EQ(network_of_settings({"bond=bond0:eth0,52-54-00-12-34-56:mode=802.3ad,miimon=100,"
                                 "lacp_rate=fast,xmit_hash_policy=layer3+4:9000"}),
            "link bond0 mtu 9000 bond eth0,nic525400123456 mode 802.3ad miimon 100 "
            "xmit_hash_policy layer3+4 lacp_rate fast\n"
            "link eth0\nlink nic525400123456 mac 52:54:00:12:34:56\n");
  EXPECT_THAT(network_of_settings({"bond=bond0"}), HasSubstr("bond eth0,eth1 mode balance-rr"));
  EXPECT_THAT(network_of_settings({"bond=b:e0,e1:mode=1,primary=e1,arp_ip_target=10.0.0.1;10.0.0.2,"
                                   "arp_interval=100,num_unsol_na=3"}),
              HasSubstr("mode active-backup primary e1 arp_interval 100 num_grat_arp 3 "
                        "arp_ip_target 10.0.0.1,10.0.0.2"));
  EXPECT_THAT(network_of_settings({"bond=b:e0:miimom=1"}), HasSubstr("did you mean \"miimon\""));
  EXPECT_THAT(network_of_settings({"bond=b:e0:mode=9"}), HasSubstr("no mode of a bond"));
  EXPECT_THAT(network_of_settings({"bond=b:e0", "bond=c:e0"}), HasSubstr("member of both"));
}

TEST(IpSettings, Routes) {
  EXPECT_EQ(network_of_settings({"rd.route=10.9.0.0/16:10.0.0.3:eth0"}),
            "link eth0\nroute 10.9.0.0/16 via 10.0.0.3 dev eth0 onlink\n");
  EXPECT_EQ(network_of_settings({"rd.route=10.9.1.1/255.255.0.0:10.0.0.3"}),
            "route 10.9.0.0/16 via 10.0.0.3\n");
  EXPECT_EQ(network_of_settings({"rd.route=[2001:db8:3::/48]:[2001:db8:2::1]:ens10"}),
            "link ens10\nroute 2001:db8:3::/48 via 2001:db8:2::1 dev ens10 onlink\n");
  EXPECT_EQ(network_of_settings({"rd.route=10.9.0.0/16::eth0"}),
            "link eth0\nroute 10.9.0.0/16 dev eth0\n");
  EXPECT_THAT(network_of_settings({"rd.route=10.9.0.0/16"}), HasSubstr("NET/MASK:GATEWAY"));
  EXPECT_THAT(network_of_settings({"rd.route=10.9.0.0/16:"}), HasSubstr("neither via nor dev"));
}

TEST(IpSettings, NamesAndServers) {
  EXPECT_EQ(network_of_settings({"ifname=lan:52:54:00:12:34:56", "ip=lan:dhcp"}),
            "link lan mac 52:54:00:12:34:56 ipv4 dhcp\n");
  EXPECT_EQ(network_of_settings(
                {"nameserver=10.0.0.2", "nameserver=[2001:db8::1]", "nameserver=10.0.0.2"}),
            "nameserver 10.0.0.2\nnameserver 2001:db8::1\n");
  EXPECT_EQ(network_of_settings({"nameserver=fe80::1%eth0"}),
            "link eth0\nnameserver fe80::1 dev eth0\n");
  EXPECT_EQ(format_mac(parse_bootif("01-52-54-00-12-34-56").value()), "52:54:00:12:34:56");
  EXPECT_EQ(format_mac(parse_bootif("52:54:00:12:34:56").value()), "52:54:00:12:34:56");
  EXPECT_FALSE(parse_bootif("eth0").ok());
}

TEST(IpSettings, WrongOnesLeaveNothingBehind) {
  NetworkConfig config;
  std::string hostname;
  for (std::string_view value :
       {"", "frob", "192.0.2.300::192.0.2.1:24", "192.0.2.1::x:24:::none",
        "192.0.2.1:::255.0.255.0", "192.0.2.1:::33", "192.0.2.1:::24:::ibft", "eth/0:dhcp",
        "eth0:dhcp:5", "eth0:dhcp:1400:02:00", "192.0.2.1::[fe80::1]:24::eth0:none:x",
        ":::::eth0:", "[2001:db8::1]::10.0.0.1:64::eth0:none", "[2001:db8::1]:::129::eth0:none",
        "192.0.2.1:::24::a b:none"}) {
    EXPECT_FALSE(apply_ip(value, config, hostname).ok()) << value;
    EXPECT_TRUE(config.empty()) << value << ": " << format_network_config(config);
  }
}

}  // namespace
}  // namespace curlingiron
