#include "net/join/configured_routes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>

#include "base/text.h"
#include "unit/net/join/fake_devices.h"

namespace curlingiron {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

// A kernel that takes a gateway only where a route to it by that link is set, or it is on the link.
class FakeKernel final : public RouteTarget {
 public:
  std::vector<Route> routes;
  std::vector<Rule> rules;
  std::vector<Neighbour> neighbours;
  unsigned refused = 0;
  bool refuses_all = false;

  Result<void> add_route(const Route& route) override {
    for (const NextHop& hop : route.hops) {
      if (refuses_all || (hop.gateway && !hop.on_link && !reaches(hop))) {
        ++refused;
        return Error("Nexthop has invalid gateway", ENETUNREACH);
      }
    }
    routes.push_back(route);
    return {};
  }
  Result<void> remove_route(const Route& route) override {
    std::erase(routes, route);
    return {};
  }
  Result<void> add_rule(const Rule& rule) override {
    rules.push_back(rule);
    return {};
  }
  Result<void> add_neighbour(const Neighbour& neighbour) override {
    neighbours.push_back(neighbour);
    return {};
  }

  std::vector<std::string> text() const {
    std::vector<std::string> lines;
    for (const Route& route : routes) {
      std::string line = format_prefix(route.destination);
      for (const NextHop& hop : route.hops) {
        if (hop.gateway) line += concat(" via ", format_ip(*hop.gateway));
        line += concat(" dev ", hop.index, hop.on_link ? " onlink" : "");
      }
      lines.push_back(line);
    }
    return lines;
  }

 private:
  bool reaches(const NextHop& hop) const {
    return std::any_of(routes.begin(), routes.end(), [&](const Route& route) {
      return route.hops.size() == 1 && route.hops[0].index == hop.index && !route.hops[0].gateway &&
             contains(route.destination, *hop.gateway);
    });
  }
};

class ConfiguredRoutesTest : public ::testing::Test {
 protected:
  // As docs/network.md has it.
  void configure(std::string_view text) {
    config_ = parse_network_config(text).value();
    configured_.emplace(config_, kernel_, devices_);
  }

  NetworkConfig config_;
  FakeKernel kernel_;
  FakeDevices devices_;
  std::optional<ConfiguredRoutes> configured_;
};

TEST_F(ConfiguredRoutesTest, EachIsSetWhenItsDeviceIsThere) {
  configure(
      "link eth0\nlink eth1\n"
      "route 10.1.0.0/16 dev eth0\nroute 10.2.0.0/16 dev eth1\n");
  devices_.there = {{"eth1", 7}};
  configured_->set_missing();
  EXPECT_THAT(kernel_.text(), ElementsAre("10.2.0.0/16 dev 7"));
  devices_.there["eth0"] = 4;
  configured_->set_missing();
  EXPECT_THAT(kernel_.text(), UnorderedElementsAre("10.2.0.0/16 dev 7", "10.1.0.0/16 dev 4"));
  configured_->set_missing();
  EXPECT_EQ(kernel_.routes.size(), 2U) << "none is set twice";
}

TEST_F(ConfiguredRoutesTest, OneThatNeedsALaterOneIsTriedAgain) {
  configure(
      "link eth0\n"
      "route default via 10.9.0.1 dev eth0\nroute 10.9.0.0/24 via 10.8.0.1 dev eth0\n"
      "route 10.9.0.1/32 dev eth0\nroute 10.8.0.0/24 dev eth0\n");
  devices_.there = {{"eth0", 4}};
  configured_->set_missing();
  EXPECT_EQ(kernel_.routes.size(), 4U);
  for (const std::string& line : kernel_.text())
    EXPECT_THAT(line, Not(testing::HasSubstr("onlink")));
}

TEST_F(ConfiguredRoutesTest, AGatewayOutsideAllPrefixesIsOnTheLink) {
  configure("link eth0\nroute default via 172.31.1.1 dev eth0\n");
  devices_.there = {{"eth0", 4}};
  configured_->set_missing();
  EXPECT_THAT(kernel_.text(), ElementsAre("0.0.0.0/0 via 172.31.1.1 dev 4 onlink"));
}

TEST_F(ConfiguredRoutesTest, OneThatIsRefusedIsTriedWithEachChange) {
  configure("link eth0\nroute 10.1.0.0/16 dev eth0\n");
  devices_.there = {{"eth0", 4}};
  kernel_.refuses_all = true;
  configured_->set_missing();
  EXPECT_THAT(kernel_.routes, IsEmpty());
  kernel_.refuses_all = false;
  configured_->set_missing();
  EXPECT_EQ(kernel_.routes.size(), 1U);
}

TEST_F(ConfiguredRoutesTest, ADeviceThatComesBackGetsThemAgain) {
  configure(
      "link eth0\nroute 10.1.0.0/16 dev eth0\nneighbour 10.1.0.9 mac 02:00:00:00:00:09 dev eth0\n");
  devices_.there = {{"eth0", 4}};
  configured_->set_missing();
  EXPECT_EQ(kernel_.neighbours.size(), 1U);
  kernel_.routes.clear();
  configured_->set_missing();
  EXPECT_THAT(kernel_.routes, IsEmpty()) << "nobody said that they have gone";
  configured_->forget("eth0", false);
  configured_->set_missing();
  EXPECT_EQ(kernel_.routes.size(), 1U);
  EXPECT_EQ(kernel_.neighbours.size(), 2U);
}

TEST_F(ConfiguredRoutesTest, FloatingOnesLeaveWithTheAddress) {
  configure("address 10.0.0.5/24\nroute default via 10.0.0.1\n");
  devices_.there = {{"", 4}};
  configured_->set_missing();
  EXPECT_THAT(kernel_.text(), ElementsAre("0.0.0.0/0 via 10.0.0.1 dev 4 onlink"));
  configured_->remove_floating();
  EXPECT_THAT(kernel_.text(), IsEmpty());
  devices_.there = {{"", 5}};
  configured_->set_missing();
  EXPECT_THAT(kernel_.text(), ElementsAre("0.0.0.0/0 via 10.0.0.1 dev 5 onlink"));
}

TEST_F(ConfiguredRoutesTest, ADefaultRouteGivesWayAndComesBack) {
  configure("link eth0\nroute default via 10.0.0.1 dev eth0\nroute 10.5.0.0/16 dev eth0\n");
  devices_.there = {{"eth0", 4}};
  configured_->set_missing();
  configured_->withdraw_replaced([](const std::string& device, Family family) {
    return device == "eth0" && family == Family::V4;
  });
  EXPECT_THAT(kernel_.text(), ElementsAre("10.5.0.0/16 dev 4"));
  configured_->set_missing();
  EXPECT_EQ(kernel_.routes.size(), 1U) << "it stays away";
  configured_->restore_withdrawn();
  configured_->set_missing();
  EXPECT_EQ(kernel_.routes.size(), 2U);
}

TEST_F(ConfiguredRoutesTest, RulesAndNeighboursWaitForTheirDevices) {
  configure(
      "link eth0\nrule 100 from 10.0.0.0/8 lookup 7\nrule 200 iif eth0 lookup 7\n"
      "neighbour 10.1.0.9 mac 02:00:00:00:00:09 dev eth0 permanent\n");
  configured_->set_missing();
  ASSERT_EQ(kernel_.rules.size(), 1U);
  EXPECT_EQ(kernel_.rules[0].priority, 100U);
  devices_.there = {{"eth0", 4}};
  devices_.names = {{"eth0", "enp1s0"}};
  devices_.without_carrier = {"eth0"};
  configured_->set_missing();
  ASSERT_EQ(kernel_.rules.size(), 2U);
  EXPECT_EQ(kernel_.rules[1].iif, "enp1s0");
  EXPECT_THAT(kernel_.neighbours, IsEmpty());
  devices_.without_carrier.clear();
  configured_->set_missing();
  EXPECT_EQ(kernel_.neighbours.size(), 1U);
}

TEST_F(ConfiguredRoutesTest, NothingIsSetBeforeTheAddressesItBelongsTo) {
  configure("link eth0\nroute 10.1.0.0/16 dev eth0\n");
  devices_.there = {{"eth0", 4}};
  devices_.not_in_force = {"eth0"};
  configured_->set_missing();
  EXPECT_THAT(kernel_.routes, IsEmpty());
  devices_.not_in_force.clear();
  configured_->set_missing();
  EXPECT_EQ(kernel_.routes.size(), 1U);
}

TEST_F(ConfiguredRoutesTest, TheGatewayIsThatOfWhatIsInForce) {
  configure(
      "link eth0\nroute default via 10.0.0.1 dev eth0 from dhcp4\n"
      "route default via 10.0.0.2 dev eth0\n");
  auto only = [](Origin origin) { return [=](Origin asked) { return asked == origin; }; };
  EXPECT_EQ(configured_->gateway("eth0", false, Family::V4, only(Origin::Dhcp4)),
            parse_ip("10.0.0.1").value());
  EXPECT_EQ(configured_->gateway("eth0", false, Family::V4, only(Origin::Static)),
            parse_ip("10.0.0.2").value());
  EXPECT_FALSE(configured_->gateway("eth0", false, Family::V6, only(Origin::Static)));
  EXPECT_FALSE(configured_->gateway("eth1", true, Family::V4, only(Origin::Static)));
}

}  // namespace
}  // namespace curlingiron
