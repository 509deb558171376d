#include "formats/dhcp.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace curlingiron {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

uint8_t code(DhcpOption option) { return static_cast<uint8_t>(option); }
Ipv4 ip(std::string_view text) { return parse_ipv4(text).value(); }

DhcpPacket ack() {
  DhcpPacket packet;
  packet.operation = DhcpOperation::Reply;
  packet.type = DhcpType::Ack;
  packet.xid = 0x12345678;
  packet.mac = {2, 0, 0, 0, 0, 1};
  packet.yours = ip("10.0.2.15");
  return packet;
}

TEST(Dhcp, RoundTrip) {
  DhcpPacket packet = ack();
  packet.seconds = 77;
  packet.broadcast = true;
  packet.client = ip("1.2.3.4");
  packet.next_server = ip("5.6.7.8");
  packet.relay = ip("9.10.11.12");
  packet.options[code(DhcpOption::DomainName)] = ByteVector(600, 'x');  // in three parts
  packet.options[80] = {};
  ByteVector bytes = format_dhcp(packet);
  Result<DhcpPacket> again = parse_dhcp(bytes);
  ASSERT_TRUE(again.ok()) << again.error().message();
  EXPECT_EQ(format_dhcp(again.value()), bytes);
  EXPECT_EQ(again.value().options, packet.options);
  EXPECT_EQ(again.value().yours, packet.yours);
  EXPECT_EQ(again.value().relay, packet.relay);
  EXPECT_TRUE(again.value().broadcast);
}

TEST(Dhcp, EveryTruncationIsAnErrorOrLosesOnlyTheEnd) {
  DhcpPacket packet = ack();
  packet.options[code(DhcpOption::Router)] = {10, 0, 2, 2};
  ByteVector bytes = format_dhcp(packet);
  size_t end_of_options = 240 + 3 + 6;
  for (size_t size = 0; size < end_of_options; ++size) {
    Result<DhcpPacket> cut = parse_dhcp(ConstBytes(bytes).first(size));
    EXPECT_EQ(cut.ok(), size == 243) << size;  // after a whole option
  }
}

TEST(Dhcp, OverloadedFields) {
  ByteVector bytes = format_dhcp(ack());
  // Options: type, overload 3, end. In file: router. In sname: the rest of the router.
  ByteVector options = {53, 1, 5, 52, 1, 3, 255};
  std::copy(options.begin(), options.end(), bytes.begin() + 240);
  ByteVector file = {3, 2, 10, 0, 255};
  std::copy(file.begin(), file.end(), bytes.begin() + 108);
  ByteVector name = {0, 3, 2, 2, 2, 255};
  std::copy(name.begin(), name.end(), bytes.begin() + 44);
  Result<DhcpPacket> packet = parse_dhcp(bytes);
  ASSERT_TRUE(packet.ok()) << packet.error().message();
  EXPECT_THAT(lease_of(packet.value()).value().routers, ElementsAre(ip("10.0.2.2")));
}

TEST(Dhcp, Lease) {
  DhcpPacket packet = ack();
  auto& options = packet.options;
  options[1] = {255, 255, 255, 128};
  options[3] = {10, 0, 2, 2, 10, 0, 2, 3};
  options[6] = {10, 0, 2, 4, 0, 0, 0, 0, 10, 0, 2, 5};
  options[12] = {'h', 'o', 's', 't', 0};
  options[15] = {'e', 'x', '.', 'o', 'r', 'g'};
  options[26] = {5, 180};
  options[28] = {10, 0, 2, 127};
  options[42] = {10, 0, 2, 6};
  options[51] = {0, 0, 14, 16};
  options[54] = {10, 0, 2, 2};
  options[58] = {0, 0, 0, 60};
  options[59] = {0, 0, 0, 120};
  DhcpLease lease = lease_of(packet).value();
  EXPECT_EQ(lease.prefix_length, 25);
  EXPECT_THAT(lease.routers, ElementsAre(ip("10.0.2.2"), ip("10.0.2.3")));
  EXPECT_THAT(lease.nameservers, ElementsAre(ip("10.0.2.4"), ip("10.0.2.5")));
  EXPECT_EQ(lease.host_name, "host");
  EXPECT_EQ(lease.domain, "ex.org");
  EXPECT_EQ(lease.mtu, 1460);
  EXPECT_EQ(lease.broadcast, ip("10.0.2.127"));
  EXPECT_THAT(lease.time_servers, ElementsAre(ip("10.0.2.6")));
  EXPECT_EQ(lease.duration, Duration(3600s));
  EXPECT_EQ(lease.server, ip("10.0.2.2"));
  EXPECT_EQ(lease.renewal, Duration(60s));
  EXPECT_EQ(lease.rebinding, Duration(120s));
  EXPECT_THAT(lease.ignored, ElementsAre());
  EXPECT_THAT(lease.routes(), ElementsAre(DhcpRoute{{}, 0, ip("10.0.2.2")}));
}

TEST(Dhcp, SettingsForTheInstaller) {
  DhcpPacket packet = ack();
  packet.options[224] = {'a', '=', 'b', ' ', 'c', 0, 0};
  EXPECT_EQ(lease_of(packet).value().settings, "a=b c");
  packet.options[224] = ByteVector(4096, 'x');
  EXPECT_EQ(lease_of(packet).value().settings.size(), 4096U);
  packet.options[224].push_back('x');
  DhcpLease lease = lease_of(packet).value();
  EXPECT_EQ(lease.settings, "");
  EXPECT_THAT(lease.ignored, ElementsAre(HasSubstr("224")));
}

TEST(Dhcp, MalformedOptionsAreLeftOut) {
  DhcpPacket packet = ack();
  auto& options = packet.options;
  options[1] = {255, 0, 255, 0};
  options[3] = {1, 2, 3};
  options[15] = {'a', '\n', 'n'};
  options[26] = {0, 68};
  options[51] = {255, 255, 255, 255};
  options[121] = {33, 1, 2, 3, 4, 5, 6, 7, 8, 9};
  DhcpLease lease = lease_of(packet).value();
  EXPECT_EQ(lease.prefix_length, 8);  // by class
  EXPECT_TRUE(lease.routers.empty());
  EXPECT_EQ(lease.domain, "");
  EXPECT_FALSE(lease.mtu);
  EXPECT_FALSE(lease.duration);
  EXPECT_TRUE(lease.classless_routes.empty());
  EXPECT_EQ(lease.ignored.size(), 5U);
  EXPECT_THAT(lease.ignored, ::testing::Contains(HasSubstr("option 26 is 68, less than 576")));
}

TEST(Dhcp, AddressesThatNoHostCanHave) {
  for (std::string_view text : {"0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255"}) {
    DhcpPacket packet = ack();
    packet.yours = ip(text);
    EXPECT_FALSE(lease_of(packet).ok()) << text;
  }
}

TEST(Dhcp, ClasslessRoutes) {
  DhcpPacket packet = ack();
  packet.options[3] = {10, 0, 2, 9};
  packet.options[249] = {8, 1, 10, 0, 2, 7};
  packet.options[121] = {24, 198, 51, 100, 172, 31, 1, 1,  //
                         0,  172, 31, 1,   1,              //
                         32, 172, 31, 1,   1,   0,  0, 0, 0};
  DhcpLease lease = lease_of(packet).value();
  // On-link first, whatever the server's order; 3 and 249 do not count.
  EXPECT_THAT(lease.routes(), ElementsAre(DhcpRoute{ip("172.31.1.1"), 32, {}},
                                          DhcpRoute{ip("198.51.100.0"), 24, ip("172.31.1.1")},
                                          DhcpRoute{{}, 0, ip("172.31.1.1")}));
  packet.options[121] = {24, 198, 51, 100, 10, 0, 2, 8};
  EXPECT_THAT(lease_of(packet).value().routes(),
              ElementsAre(DhcpRoute{ip("198.51.100.0"), 24, ip("10.0.2.8")},
                          DhcpRoute{{}, 0, ip("10.0.2.9")}));
}

ByteVector bytes_of(std::string_view text) { return {text.begin(), text.end()}; }

TEST(Dhcp, SearchDomains) {
  DhcpPacket packet = ack();
  packet.options[119] = bytes_of(std::string_view("\3eng\5apple\3com\0?marketing\xc0\4", 27));
  packet.options[119][15] = 9;
  packet.options[15] = bytes_of("x.org");
  DhcpLease lease = lease_of(parse_dhcp(format_dhcp(packet)).value()).value();
  EXPECT_THAT(lease.search, ElementsAre("eng.apple.com", "marketing.apple.com"));
  EXPECT_EQ(lease.domain, "x.org");
  // In two parts that are cut within a name (RFC 3397 section 2).
  ByteVector whole;
  for (int i = 0; i < 30; ++i) {
    for (uint8_t byte : bytes_of(std::string_view("\6domain\3org\0", 12))) whole.push_back(byte);
    whole[whole.size() - 6] = static_cast<uint8_t>('a' + i % 26);
  }
  packet.options[119] = whole;
  EXPECT_EQ(lease_of(parse_dhcp(format_dhcp(packet)).value()).value().search.size(), 16U);
  // Loops and what is cut off are left out.
  for (std::string_view wrong : {std::string_view("\xc0\0", 2), std::string_view("\5exa")}) {
    packet.options[119] = bytes_of(wrong);
    lease = lease_of(packet).value();
    EXPECT_THAT(lease.search, ElementsAre());
    EXPECT_EQ(lease.ignored.size(), 1U);
  }
  // Several names in the option of one.
  packet.options.erase(119);
  packet.options[15] = bytes_of("a.org. b.org");
  lease = lease_of(packet).value();
  EXPECT_EQ(lease.domain, "a.org");
  EXPECT_THAT(lease.search, ElementsAre("a.org", "b.org"));
}

TEST(Dhcp, NamesThatAreTooLong) {
  DhcpPacket packet = ack();
  packet.options[12] = ByteVector(64, 'x');
  packet.options[15] = ByteVector(1000, 'x');
  DhcpLease lease = lease_of(packet).value();
  EXPECT_EQ(lease.host_name, "");
  EXPECT_EQ(lease.domain, "");
  EXPECT_EQ(lease.ignored.size(), 2U);
}

TEST(Dhcp, OptionsThatAreThereTwice) {
  DhcpPacket packet = ack();
  packet.options[1] = {255, 255, 255, 0, 255, 255, 0, 0};
  packet.options[51] = {0, 0, 0, 60, 0, 0, 0, 60};
  packet.options[26] = {5, 180, 5, 180};
  packet.options[3] = {10, 0, 2, 2, 10, 0, 2, 2};
  ByteVector bytes = format_dhcp(packet);
  ByteVector types = {53, 1, 5, 53, 1, 5};  // and the type as well
  bytes.insert(bytes.begin() + 240, types.begin(), types.end());
  DhcpLease lease = lease_of(parse_dhcp(bytes).value()).value();
  EXPECT_EQ(lease.prefix_length, 24);
  EXPECT_EQ(lease.duration, Duration(60s));
  EXPECT_EQ(lease.mtu, 1460);
  EXPECT_THAT(lease.routers, ElementsAre(ip("10.0.2.2")));
  EXPECT_TRUE(lease.ignored.empty());
}

TEST(Dhcp, AllOptions) {
  DhcpPacket packet = ack();
  for (int option = 1; option < 255; ++option) {
    if (option == 52 || option == 53) continue;
    packet.options[static_cast<uint8_t>(option)] = ByteVector(255, static_cast<uint8_t>(option));
  }
  Result<DhcpPacket> again = parse_dhcp(format_dhcp(packet));
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again.value().options, packet.options);
  EXPECT_TRUE(lease_of(again.value()).ok());
  // Lists are cut.
  packet.options[3] = ByteVector(40000, 9);
  for (size_t i = 0; i < packet.options[3].size(); ++i) {
    packet.options[3][i] = static_cast<uint8_t>(i % 4 == 2 ? i / 1024 : i % 4 == 3 ? i / 4 : 9);
  }
  packet.options[121] = ByteVector(40000, 0);
  DhcpLease lease = lease_of(packet).value();
  EXPECT_EQ(lease.routers.size(), 8U);
  EXPECT_EQ(lease.classless_routes.size(), 128U);
}

TEST(Dhcp, MasksOfPairsAndHosts) {
  for (int last : {254, 255}) {
    DhcpPacket packet = ack();
    packet.yours = ip("10.0.2.1");
    packet.options[1] = {255, 255, 255, static_cast<uint8_t>(last)};
    EXPECT_EQ(lease_of(packet).value().prefix_length, last == 254 ? 31 : 32);
  }
}

TEST(Dhcp, TheNetworksOwnAddresses) {
  DhcpPacket packet = ack();
  packet.options[1] = {255, 255, 255, 0};
  for (std::string_view text : {"10.0.2.0", "10.0.2.255"}) {
    packet.yours = ip(text);
    EXPECT_FALSE(lease_of(packet).ok()) << text;
  }
  packet.options[1] = {255, 255, 0, 0};
  EXPECT_TRUE(lease_of(packet).ok());
}

TEST(Dhcp, TheLeasedAddressIsNoGateway) {
  DhcpPacket packet = ack();
  packet.options[3] = {10, 0, 2, 15};
  EXPECT_THAT(lease_of(packet).value().routes(), ElementsAre(DhcpRoute{{}, 0, {}}));
  packet.options[3] = {10, 0, 2, 15, 10, 0, 2, 2};
  EXPECT_THAT(lease_of(packet).value().routes(), ElementsAre(DhcpRoute{{}, 0, ip("10.0.2.2")}));
  packet.options[121] = {24, 198, 51, 100, 10, 0, 2, 15, 0, 10, 0, 2, 2};
  EXPECT_THAT(lease_of(packet).value().routes(),
              ElementsAre(DhcpRoute{ip("198.51.100.0"), 24, {}}, DhcpRoute{{}, 0, ip("10.0.2.2")}));
}

TEST(Dhcp, ServersThatNoHostCanBe) {
  DhcpPacket packet = ack();
  packet.options[3] = {0, 0, 0, 0, 255, 255, 255, 255, 127, 0, 0, 1};
  packet.options[6] = {224, 0, 0, 1};
  packet.options[54] = {255, 255, 255, 255};
  packet.options[28] = {0, 0, 0, 0};
  DhcpLease lease = lease_of(packet).value();
  EXPECT_THAT(lease.routes(), ElementsAre());
  EXPECT_THAT(lease.nameservers, ElementsAre());
  EXPECT_FALSE(lease.server);
  EXPECT_FALSE(lease.broadcast);
}

TEST(Dhcp, OverloadOfWhatIsNoOptions) {
  ByteVector bytes = format_dhcp(ack());
  ByteVector options = {53, 1, 5, 52, 1, 3, 255};
  std::copy(options.begin(), options.end(), bytes.begin() + 240);
  std::fill_n(bytes.begin() + 108, 128, uint8_t{0xaa});  // a length that runs past the field
  EXPECT_FALSE(parse_dhcp(bytes).ok());
  // An overload within an overloaded field does not count.
  ByteVector file = {52, 1, 3, 255};
  std::fill_n(bytes.begin() + 108, 128, uint8_t{0});
  std::copy(file.begin(), file.end(), bytes.begin() + 108);
  EXPECT_TRUE(parse_dhcp(bytes).ok());
}

TEST(UdpPacket, RoundTripAndChecks) {
  ByteVector payload(301, 'p');
  ByteVector packet = format_udp_packet({ip("10.0.2.2"), 67, ip("255.255.255.255"), 68}, payload);
  Result<UdpDatagram> datagram = parse_udp_packet(packet, 68, true);
  ASSERT_TRUE(datagram.ok()) << datagram.error().message();
  EXPECT_EQ(datagram.value().source, ip("10.0.2.2"));
  EXPECT_EQ(ByteVector(datagram.value().payload.begin(), datagram.value().payload.end()), payload);
  EXPECT_FALSE(parse_udp_packet(packet, 69, true).ok());
  // Every bit counts: header by its checksum, the rest by UDP's. (Fields that the port of origin
  // may hold are in the sums, too.)
  for (size_t bit = 0; bit < packet.size() * 8; ++bit) {
    ByteVector flipped = packet;
    flipped[bit / 8] = static_cast<uint8_t>(flipped[bit / 8] ^ (1U << (bit % 8)));
    EXPECT_FALSE(parse_udp_packet(flipped, 68, true).ok()) << bit;
  }
  for (size_t size = 0; size < packet.size(); ++size) {
    EXPECT_FALSE(parse_udp_packet(ConstBytes(packet).first(size), 68, true).ok()) << size;
  }
  // Padding of a short frame, and a sum that hardware was to fill in.
  packet.resize(packet.size() + 20);
  packet[26] = static_cast<uint8_t>(packet[26] ^ 1);
  EXPECT_FALSE(parse_udp_packet(packet, 68, true).ok());
  EXPECT_TRUE(parse_udp_packet(packet, 68, false).ok());
}

}  // namespace
}  // namespace curlingiron
