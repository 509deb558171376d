#include "formats/router_advertisement.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "formats/dns_name.h"

namespace curlingiron {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

Ipv6 ip6(std::string_view text) { return parse_ipv6(text).value(); }
IpPrefix prefix(std::string_view text) { return parse_prefix(text).value(); }

// A router advertisement with M and O, and what is added to it.
class Advertisement {
 public:
  Advertisement() {
    out_.append(ConstBytes(ByteVector{134, 0, 0, 0, 64, 0xc8, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0}));
  }
  Advertisement& option(uint8_t type, ByteVector body) {
    while ((body.size() + 2) % 8 != 0) body.push_back(0);
    out_.u8(type);
    out_.u8(static_cast<uint8_t>((body.size() + 2) / 8));
    out_.append(ConstBytes(body));
    return *this;
  }
  Advertisement& prefix(uint8_t length, uint8_t flags, std::string_view address,
                        ByteVector valid = {0, 0, 14, 16}) {
    ByteVector body = {length, flags};
    append(body, valid);
    append(body, {0, 0, 0, 60, 0, 0, 0, 0});
    return option(3, with(body, address));
  }
  Advertisement& servers(ByteVector lifetime, std::vector<std::string_view> addresses) {
    ByteVector body = {0, 0};
    append(body, lifetime);
    for (std::string_view address : addresses) body = with(body, address);
    return option(25, body);
  }
  Advertisement& domains(ByteVector lifetime, std::vector<std::string_view> names) {
    ByteVector body = {0, 0};
    append(body, lifetime);
    for (std::string_view name : names) append(body, format_dns_name(name).value());
    return option(31, body);
  }
  static void append(ByteVector& body, const ByteVector& more) {
    body.insert(body.end(), more.begin(), more.end());
  }
  static ByteVector with(ByteVector body, std::string_view address) {
    Ipv6 ip = ip6(address);
    body.insert(body.end(), ip.bytes.begin(), ip.bytes.end());
    return body;
  }
  const ByteVector& bytes() const { return out_.bytes(); }
  RouterAdvertisement parsed() const { return parse_router_advertisement(bytes()).value(); }

 private:
  ByteWriter out_;
};

const ByteVector kHour = {0, 0, 14, 16};
const ByteVector kForEver = {255, 255, 255, 255};
const ByteVector kNoLonger = {0, 0, 0, 0};

TEST(RouterAdvertisement, Everything) {
  Advertisement advertisement;
  advertisement.option(1, {2, 0, 0, 0, 0, 9})
      .option(5, {0, 0, 0, 0, 5, 220})
      .prefix(64, 0xc0, "2001:db8:0:1::")
      .prefix(63, 0x80, "2001:db8:0:3::1", kForEver)
      .option(24, Advertisement::with({48, 0x08, 0, 0, 14, 16}, "2001:db8:5::"))
      .option(24, {0, 0x18, 255, 255, 255, 255})
      .servers(kHour, {"2001:db8::53", "fe80::1"})
      .domains(kForEver, {"a.example", "b.example"})
      .option(200, {1, 2, 3});
  RouterAdvertisement ra = advertisement.parsed();
  EXPECT_EQ(ra.hop_limit, 64);
  EXPECT_TRUE(ra.managed);
  EXPECT_TRUE(ra.other);
  EXPECT_EQ(ra.preference, RouterPreference::High);
  EXPECT_EQ(ra.router_lifetime, Duration(1800s));
  EXPECT_EQ(ra.mtu, 1500U);
  EXPECT_EQ(ra.router_mac, (MacAddress{2, 0, 0, 0, 0, 9}));
  EXPECT_THAT(ra.prefixes,
              ElementsAre(AdvertisedPrefix{prefix("2001:db8:0:1::/64"), true, true, 3600s, 60s},
                          AdvertisedPrefix{prefix("2001:db8:0:2::/63"), true, false, {}, 60s}));
  EXPECT_THAT(ra.routes,
              ElementsAre(AdvertisedRoute{prefix("2001:db8:5::/48"), RouterPreference::High, 3600s},
                          AdvertisedRoute{prefix("::/0"), RouterPreference::Low, {}}));
  EXPECT_THAT(ra.nameservers, ElementsAre(AdvertisedServer{ip6("2001:db8::53"), 3600s},
                                          AdvertisedServer{ip6("fe80::1"), 3600s}));
  EXPECT_THAT(ra.domains, ElementsAre(AdvertisedDomain{"a.example", std::nullopt},
                                      AdvertisedDomain{"b.example", std::nullopt}));
  EXPECT_THAT(ra.ignored, IsEmpty());
}

TEST(RouterAdvertisement, NothingAtAll) {
  RouterAdvertisement ra =
      parse_router_advertisement(ByteVector{134, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
          .value();
  EXPECT_FALSE(ra.managed);
  EXPECT_FALSE(ra.other);
  EXPECT_EQ(ra.preference, RouterPreference::Medium);  // reserved
  EXPECT_EQ(ra.router_lifetime, Duration(0));
  EXPECT_FALSE(ra.mtu);
}

TEST(RouterAdvertisement, TruncationIsAnErrorOrLosesOptions) {
  Advertisement advertisement;
  advertisement.prefix(64, 0xc0, "2001:db8::").servers(kHour, {"2001:db8::53"});
  const ByteVector& bytes = advertisement.bytes();
  for (size_t size = 0; size < bytes.size(); ++size) {
    bool between_options = size == 16 || size == 48;
    EXPECT_EQ(parse_router_advertisement(ConstBytes(bytes).first(size)).ok(), between_options)
        << size;
  }
}

TEST(RouterAdvertisement, NoAdvertisements) {
  ByteVector bytes = Advertisement().bytes();
  bytes[0] = 133;
  EXPECT_FALSE(parse_router_advertisement(bytes).ok());
  bytes[0] = 134;
  bytes[1] = 1;
  EXPECT_FALSE(parse_router_advertisement(bytes).ok());
  bytes[1] = 0;
  bytes.insert(bytes.end(), {5, 0, 0, 0, 0, 0, 0, 0});  // an empty option: an endless loop for some
  EXPECT_THAT(parse_router_advertisement(bytes).error().message(), HasSubstr("empty option"));
}

TEST(RouterAdvertisement, MalformedOptionsAreLeftOut) {
  Advertisement advertisement;
  advertisement
      .option(5, {0, 0, 0, 0, 4, 255})  // 1279
      .prefix(129, 0xc0, "2001:db8::")
      .prefix(64, 0xc0, "fe80::")
      .option(3, {64, 0xc0})
      .option(25, {0, 0, 0, 0, 14, 16})  // no server
      .option(25, {0, 0, 0, 0, 14, 16, 1, 2, 3, 4, 5, 6, 7, 8})
      .option(31, {0, 0, 0, 0, 14, 16, 0xc0, 0})  // compressed
      .option(24, {65, 0, 0, 0, 14, 16, 1, 2, 3, 4, 5, 6, 7, 8});
  RouterAdvertisement ra = advertisement.parsed();
  EXPECT_FALSE(ra.mtu);
  EXPECT_THAT(ra.prefixes, IsEmpty());
  EXPECT_THAT(ra.nameservers, IsEmpty());
  EXPECT_THAT(ra.domains, IsEmpty());
  EXPECT_THAT(ra.routes, IsEmpty());
  EXPECT_EQ(ra.ignored.size(), 8U);
  EXPECT_THAT(ra.ignored[0], HasSubstr("1279, less than 1280"));
}

TEST(RouterAdvertisement, ServersThatNoHostCanBeAndNamesOutOfPlace) {
  Advertisement advertisement;
  advertisement.servers(kHour, {"::", "::1", "ff02::1", "2001:db8::53"})
      .domains(kHour, {".", "a\\010b.example", "good.example"});
  RouterAdvertisement ra = advertisement.parsed();
  EXPECT_THAT(ra.nameservers, ElementsAre(AdvertisedServer{ip6("2001:db8::53"), 3600s}));
  EXPECT_THAT(ra.domains, ElementsAre(AdvertisedDomain{"good.example", 3600s}));
}

TEST(RouterAdvertisement, TheLastLifetimeCountsAndZeroEnds) {
  Advertisement advertisement;
  advertisement.servers(kHour, {"2001:db8::53"}).servers(kNoLonger, {"2001:db8::53"});
  advertisement.domains(kHour, {"x.example"}).domains(kNoLonger, {"X.example"});
  RouterAdvertisement ra = advertisement.parsed();
  EXPECT_THAT(ra.nameservers, ElementsAre(AdvertisedServer{ip6("2001:db8::53"), 0s}));
  EXPECT_THAT(ra.domains, ElementsAre(AdvertisedDomain{"x.example", 0s}));
}

TEST(RouterAdvertisement, Floods) {
  Advertisement advertisement;
  for (int i = 0; i < 1000; ++i) {
    advertisement.prefix(64, 0xc0, "2001:db8::").option(24, {0, 0, 0, 0, 0, 1}).option(5, {0});
    Ipv6 server = ip6("2001:db8::");
    server.bytes[14] = static_cast<uint8_t>(i >> 8);
    server.bytes[15] = static_cast<uint8_t>(i);
    advertisement.servers(kHour, {format_ipv6(server)});
  }
  RouterAdvertisement ra = advertisement.parsed();
  EXPECT_EQ(ra.prefixes.size(), 32U);
  EXPECT_EQ(ra.routes.size(), 64U);
  EXPECT_EQ(ra.nameservers.size(), 8U);
  EXPECT_EQ(ra.ignored.size(), 16U);
}

TEST(RouterSolicitation, WithAndWithoutAddress) {
  EXPECT_EQ(format_router_solicitation(std::nullopt), (ByteVector{133, 0, 0, 0, 0, 0, 0, 0}));
  EXPECT_EQ(format_router_solicitation(MacAddress{2, 0, 0, 0, 0, 1}),
            (ByteVector{133, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 0, 0, 0, 0, 1}));
}

}  // namespace
}  // namespace curlingiron
