#include "net/join/router_state.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.h"

namespace curlingiron {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr Time kStart{100s};

Ipv6 ip(std::string_view text) { return parse_ip(text).value().v6(); }

RouterAdvertisement advertisement(Duration lifetime) {
  RouterAdvertisement said;
  said.router_lifetime = std::chrono::duration_cast<decltype(said.router_lifetime)>(lifetime);
  return said;
}

TEST(RouterState, ARouterWithoutALifetimeIsNoGateway) {
  RouterState state;
  EXPECT_FALSE(state.heard());
  state.hear(ip("fe80::1"), advertisement(0s), kStart);
  EXPECT_TRUE(state.heard());
  EXPECT_FALSE(state.gateway());
  state.hear(ip("fe80::2"), advertisement(1800s), kStart);
  EXPECT_EQ(state.gateway(), ip("fe80::2"));
  state.hear(ip("fe80::1"), advertisement(0s), kStart);
  EXPECT_EQ(state.gateway(), ip("fe80::2")) << "another one resigned";
  state.hear(ip("fe80::2"), advertisement(0s), kStart);
  EXPECT_FALSE(state.gateway());
}

TEST(RouterState, NamesHoldAsLongAsTheRouterSays) {
  RouterState state;
  RouterAdvertisement said = advertisement(1800s);
  said.nameservers = {{ip("2001:db8::53"), 60s}, {ip("2001:db8::54"), std::nullopt}};
  said.domains = {{"example.org", 30s}};
  state.hear(ip("fe80::1"), said, kStart);
  EXPECT_THAT(state.name_servers(kStart + 59s),
              ElementsAre(ip("2001:db8::53"), ip("2001:db8::54")));
  EXPECT_THAT(state.name_servers(kStart + 60s), ElementsAre(ip("2001:db8::54")));
  EXPECT_THAT(state.search_domains(kStart + 29s), ElementsAre("example.org"));
  EXPECT_THAT(state.search_domains(kStart + 30s), IsEmpty());
}

TEST(RouterState, SaidAgainOneKeepsItsPlace) {
  RouterState state;
  RouterAdvertisement said = advertisement(1800s);
  said.nameservers = {{ip("2001:db8::1"), 60s}, {ip("2001:db8::2"), 60s}};
  state.hear(ip("fe80::1"), said, kStart);
  said.nameservers = {{ip("2001:db8::2"), 60s}, {ip("2001:db8::1"), 60s}};
  state.hear(ip("fe80::1"), said, kStart + 50s);
  EXPECT_THAT(state.name_servers(kStart + 100s), ElementsAre(ip("2001:db8::1"), ip("2001:db8::2")));
  said.nameservers = {{ip("2001:db8::1"), 0s}};
  state.hear(ip("fe80::1"), said, kStart + 60s);
  EXPECT_THAT(state.name_servers(kStart + 61s), ElementsAre(ip("2001:db8::2")));
}

TEST(RouterState, AFloodOfNamesIsBounded) {
  RouterState state;
  for (int i = 0; i < 100; ++i) {
    RouterAdvertisement said = advertisement(1800s);
    said.domains = {{concat("d", i, ".example"), std::nullopt}};
    state.hear(ip("fe80::1"), said, kStart);
  }
  EXPECT_EQ(state.search_domains(kStart).size(), 16U);
}

TEST(RouterState, AfterANewCableNobodyHasSpoken) {
  RouterState state;
  state.hear(ip("fe80::1"), advertisement(1800s), kStart);
  state.forget_who_spoke();
  EXPECT_FALSE(state.heard());
}

}  // namespace
}  // namespace curlingiron
