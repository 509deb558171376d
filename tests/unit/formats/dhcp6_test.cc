#include "formats/dhcp6.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "formats/dns_name.h"

namespace curlingiron {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

Ipv6 ip6(std::string_view text) { return parse_ipv6(text).value(); }

Dhcp6Packet reply() {
  Dhcp6Packet packet;
  packet.type = Dhcp6Type::Reply;
  packet.xid = 0x123456;
  packet.client_id = duid_of({2, 0, 0, 0, 0, 1});
  packet.server_id = {0, 2, 0, 0, 1, 2, 3};
  return packet;
}

void add_option(ByteVector& message, uint16_t code, const ByteVector& value) {
  ByteWriter out;
  out.be16(code);
  out.be16(static_cast<uint16_t>(value.size()));
  out.append(ConstBytes(value));
  message.insert(message.end(), out.bytes().begin(), out.bytes().end());
}

TEST(Dhcp6, RoundTrip) {
  Dhcp6Packet packet = reply();
  Dhcp6Association association;
  association.id = 7;
  association.renewal = 50s;
  association.rebinding = std::nullopt;
  association.addresses = {{ip6("2001:db8::5"), 100s, 200s, {}},
                           {ip6("2001:db8::6"), 0s, {}, {Dhcp6StatusCode::NotOnLink, "no"}}};
  association.status = {Dhcp6StatusCode::NoBinding, "who?"};
  packet.associations = {association};
  packet.requested = {23, 24};
  packet.preference = uint8_t{255};
  packet.elapsed = uint16_t{100};
  packet.status = {Dhcp6StatusCode::UseMulticast, ""};
  packet.rapid_commit = true;
  packet.nameservers = {ip6("2001:db8::53"), ip6("fe80::1")};
  packet.search = {"a.example", "b.example"};
  packet.solicit_max_time = 60s;
  packet.information_max_time = 86400s;
  packet.information_refresh = 600s;
  ByteVector bytes = format_dhcp6(packet);
  Result<Dhcp6Packet> parsed = parse_dhcp6(bytes);
  ASSERT_TRUE(parsed.ok()) << parsed.error().message();
  const Dhcp6Packet& again = parsed.value();
  EXPECT_EQ(again.type, packet.type);
  EXPECT_EQ(again.xid, packet.xid);
  EXPECT_EQ(again.client_id, packet.client_id);
  EXPECT_EQ(again.server_id, packet.server_id);
  EXPECT_EQ(again.associations, packet.associations);
  EXPECT_EQ(again.requested, packet.requested);
  EXPECT_EQ(again.preference, packet.preference);
  EXPECT_EQ(again.elapsed, packet.elapsed);
  EXPECT_EQ(again.status, packet.status);
  EXPECT_TRUE(again.rapid_commit);
  EXPECT_EQ(again.nameservers, packet.nameservers);
  EXPECT_EQ(again.search, packet.search);
  EXPECT_EQ(again.solicit_max_time, packet.solicit_max_time);
  EXPECT_EQ(again.information_max_time, packet.information_max_time);
  EXPECT_EQ(again.information_refresh, packet.information_refresh);
  EXPECT_THAT(again.ignored, IsEmpty());
  EXPECT_EQ(format_dhcp6(again), bytes);
}

// RFC 8415 sections 8, 21.2, 21.4, 21.6: the fields where they belong.
TEST(Dhcp6, OnTheWire) {
  Dhcp6Packet packet;
  packet.xid = 0xabcdef;
  packet.client_id = duid_of({2, 0, 0, 0, 0, 1});
  packet.elapsed = uint16_t{1};
  Dhcp6Association association;
  association.id = association_id_of({2, 0, 1, 2, 3, 4});
  association.renewal = association.rebinding = Duration(0);
  association.addresses = {{ip6("2001:db8::5"), 0s, {}, {}}};
  packet.associations = {association};
  EXPECT_EQ(to_hex(format_dhcp6(packet)),
            "01abcdef"
            "0001000a00030001020000000001"
            "0003002801020304"
            "00000000"
            "00000000"
            "00050018"
            "20010db8000000000000000000000005"
            "00000000"
            "ffffffff"
            "000800020001");
}

TEST(Dhcp6, TruncationIsAnErrorOrLosesOptions) {
  Dhcp6Packet packet = reply();
  packet.nameservers = {ip6("2001:db8::53")};
  ByteVector bytes = format_dhcp6(packet);
  for (size_t size = 0; size < bytes.size(); ++size) {
    bool between_options = size == 4 || size == 18 || size == 29;
    EXPECT_EQ(parse_dhcp6(ConstBytes(bytes).first(size)).ok(), between_options) << size;
  }
}

TEST(Dhcp6, UnknownTypesAndIds) {
  ByteVector bytes = format_dhcp6(reply());
  for (int type : {0, 12, 13, 255}) {
    bytes[0] = static_cast<uint8_t>(type);
    EXPECT_FALSE(parse_dhcp6(bytes).ok()) << type;
  }
  for (size_t size : {0, 2, 131, 1000}) {
    ByteVector message = {7, 0, 0, 1};
    add_option(message, 1, ByteVector(size, 1));
    EXPECT_FALSE(parse_dhcp6(message).ok()) << size;
  }
  ByteVector message = {7, 0, 0, 1};
  add_option(message, 1, ByteVector(130, 1));
  add_option(message, 1, {1, 2, 3});  // the first counts
  add_option(message, 9999, {1, 2, 3});
  EXPECT_EQ(parse_dhcp6(message).value().client_id.size(), 130U);
}

TEST(Dhcp6, MalformedOptionsAreLeftOut) {
  ByteVector message = {7, 0, 0, 1};
  add_option(message, 3, {1, 2, 3});
  add_option(message, 3, {0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0, 99});  // cut within
  add_option(message, 7, {});
  add_option(message, 8, {1});
  add_option(message, 13, {1});
  add_option(message, 23, ByteVector(15, 1));
  add_option(message, 24, {0xc0, 0});
  add_option(message, 82, {0, 0, 0, 59});
  add_option(message, 83, {0, 1, 0x51, 0x81});
  Dhcp6Packet packet = parse_dhcp6(message).value();
  EXPECT_THAT(packet.associations, IsEmpty());
  EXPECT_THAT(packet.nameservers, IsEmpty());
  EXPECT_THAT(packet.search, IsEmpty());
  EXPECT_FALSE(packet.solicit_max_time);
  EXPECT_EQ(packet.ignored.size(), 9U);
  EXPECT_THAT(packet.ignored, ::testing::Contains(HasSubstr("option 82 is 59")));
}

TEST(Dhcp6, AddressesThatNoHostCanBeGiven) {
  Dhcp6Packet packet = reply();
  Dhcp6Association association;
  for (std::string_view text : {"::", "::1", "ff02::1", "fe80::1", "2001:db8::1", "2001:db8::1"}) {
    association.addresses.push_back({ip6(text), 1s, 1s, {}});
  }
  packet.associations = {association};
  packet.nameservers = {ip6("::"), ip6("ff02::1"), ip6("2001:db8::53"), ip6("2001:db8::53")};
  Dhcp6Packet again = parse_dhcp6(format_dhcp6(packet)).value();
  ASSERT_EQ(again.associations.size(), 1U);
  ASSERT_EQ(again.associations[0].addresses.size(), 1U);
  EXPECT_EQ(again.associations[0].addresses[0].address, ip6("2001:db8::1"));
  EXPECT_THAT(again.nameservers, ElementsAre(ip6("2001:db8::53")));
}

TEST(Dhcp6, Floods) {
  Dhcp6Packet packet = reply();
  for (uint16_t i = 0; i < 500; ++i) {
    Ipv6 address = ip6("2001:db8::");
    address.bytes[14] = static_cast<uint8_t>(i >> 8);
    address.bytes[15] = static_cast<uint8_t>(i + 1);
    if (packet.associations.size() < 50) packet.associations.push_back({i, {}, {}, {}, {}});
    packet.associations[0].addresses.push_back({address, 1s, 1s, {}});
    packet.nameservers.push_back(address);
    packet.requested.push_back(i);
  }
  packet.status = {Dhcp6StatusCode::NoBinding, std::string(40000, 'x')};
  Dhcp6Packet again = parse_dhcp6(format_dhcp6(packet)).value();
  EXPECT_EQ(again.associations.size(), 4U);
  EXPECT_EQ(again.associations[0].addresses.size(), 8U);
  EXPECT_EQ(again.nameservers.size(), 8U);
  EXPECT_EQ(again.requested.size(), 64U);
  EXPECT_EQ(again.status.message.size(), 512U);
}

}  // namespace
}  // namespace curlingiron
