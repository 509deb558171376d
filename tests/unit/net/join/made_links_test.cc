#include "net/join/made_links.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>

#include "base/text.h"
#include "unit/net/http_fixture.h"
#include "unit/net/join/fake_devices.h"

namespace curlingiron {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr Time kStart{100s};

class FakeKernel final : public LinkTarget {
 public:
  std::vector<Link> all;
  bool has_modules = true;
  bool takes_members = true;
  std::vector<int> set_down_;

  Link& nic(int index, std::string name) {
    Link link;
    link.index = index;
    link.name = std::move(name);
    all.push_back(link);
    return all.back();
  }

  Result<std::vector<Link>> links() override { return all; }
  Result<int> create_vlan(const std::string& name, int lower, const VlanOptions&) override {
    return create(name, "vlan", lower);
  }
  Result<int> create_bond(const std::string& name, const BondOptions&, int) override {
    return create(name, "bond", 0);
  }
  Result<void> remove_link(int index) override {
    removed.push_back(index);
    std::erase_if(all, [&](const Link& link) { return link.index == index; });
    return {};
  }
  Result<void> set_down(int index) override {
    set_down_.push_back(index);
    return {};
  }
  Result<void> set_master(int index, int master) override {
    if (!takes_members) return Error("Invalid argument", EINVAL);
    for (Link& link : all) {
      if (link.index == index) link.master = master;
    }
    return {};
  }

  std::vector<int> removed;

 private:
  Result<int> create(const std::string& name, std::string kind, int lower) {
    if (!has_modules) return Error("Operation not supported", EOPNOTSUPP);
    bool known =
        std::any_of(all.begin(), all.end(), [&](const Link& link) { return link.name == name; });
    if (known) return Error("File exists", EEXIST);
    Link& made = nic(next_++, name);
    made.kind = std::move(kind);
    made.lower = lower;
    return made.index;
  }
  int next_ = 50;
};

class MadeLinksTest : public ::testing::Test {
 protected:
  void configure(std::string_view text) {
    config_ = parse_network_config(text).value();
    made_.emplace(config_, kernel_, devices_, [this](const Link& link) {
      devices_.there[link.name] = link.index;
      appeared_.push_back(link.name);
    });
  }
  void plug(int index, const std::string& name) {
    kernel_.nic(index, name);
    devices_.there[name] = index;
  }
  int master_of(int index) const {
    for (const Link& link : kernel_.all) {
      if (link.index == index) return link.master;
    }
    return -1;
  }

  NetworkConfig config_;
  FakeKernel kernel_;
  FakeDevices devices_;
  std::optional<MadeLinks> made_;
  std::vector<std::string> appeared_;
};

TEST_F(MadeLinksTest, AVlanWaitsForWhatItLiesOn) {
  configure("link eth0\nlink eth0.5 vlan 5 on eth0\n");
  made_->make(kStart);
  EXPECT_THAT(appeared_, IsEmpty());
  EXPECT_FALSE(made_->wake()) << "nothing has failed";
  plug(4, "eth0");
  made_->make(kStart + 1s);
  EXPECT_THAT(appeared_, ElementsAre("eth0.5"));
  EXPECT_TRUE(made_->holds(50));
  EXPECT_FALSE(made_->holds(4));
  made_->make(kStart + 2s);
  EXPECT_THAT(appeared_, ElementsAre("eth0.5")) << "once is enough";
}

TEST_F(MadeLinksTest, AVlanOnABondOfTwo) {
  configure(
      "link bond0.7 vlan 7 on bond0\nlink eth0\nlink eth1\nlink bond0 bond eth0,eth1 mode "
      "802.3ad\n");
  plug(4, "eth0");
  made_->make(kStart);
  EXPECT_THAT(appeared_, ElementsAre("bond0", "bond0.7"));
  EXPECT_EQ(master_of(4), 50);
  EXPECT_THAT(kernel_.set_down_, ElementsAre(4)) << "a bond takes only what is down";
  plug(5, "eth1");
  made_->make(kStart + 1s);
  EXPECT_EQ(master_of(5), 50);
  EXPECT_THAT(kernel_.set_down_, ElementsAre(4, 5)) << "a member that is in stays up";
  made_->remove_all();
  EXPECT_THAT(kernel_.removed, ElementsAre(51, 50)) << "what lies on others first";
}

TEST_F(MadeLinksTest, AModuleThatIsLoadingIsWaitedForLongerAndLonger) {
  configure("link eth0\nlink eth0.5 vlan 5 on eth0\n");
  plug(4, "eth0");
  kernel_.has_modules = false;
  Time time = kStart;
  std::vector<Duration> pauses;
  for (int i = 0; i < 8; ++i) {
    made_->make(time);
    ASSERT_TRUE(made_->wake());
    pauses.push_back(*made_->wake() - time);
    time = *made_->wake();
  }
  EXPECT_THAT(pauses, ElementsAre(250ms, 500ms, 1s, 2s, 4s, 8s, 8s, 8s));
  ASSERT_NE(made_->trouble("eth0.5"), nullptr);
  EXPECT_EQ(*made_->trouble("eth0.5"), "Operation not supported");
  kernel_.has_modules = true;
  made_->make(time);
  EXPECT_FALSE(made_->wake());
  EXPECT_EQ(made_->trouble("eth0.5"), nullptr);
}

TEST_F(MadeLinksTest, ABondThatADriverMadeIsReplaced) {
  configure("link eth0\nlink bond0 bond eth0\n");
  kernel_.nic(9, "bond0").kind = "bond";
  plug(4, "eth0");
  made_->make(kStart);
  EXPECT_THAT(kernel_.removed, ElementsAre(9));
  EXPECT_THAT(appeared_, ElementsAre("bond0"));
}

TEST_F(MadeLinksTest, AMemberThatIsRefusedIsTriedAgain) {
  configure("link eth0\nlink eth1\nlink bond0 bond eth0,eth1\n");
  plug(4, "eth0");
  plug(5, "eth1");
  kernel_.takes_members = false;
  testing::RecordingLog log;
  made_->make(kStart);
  EXPECT_TRUE(made_->wake());
  ASSERT_NE(made_->trouble("bond0"), nullptr);
  EXPECT_THAT(
      *made_->trouble("bond0"),
      ::testing::MatchesRegex("eth0: not taken into bond0 .*; eth1: not taken into bond0 .*"));
  for (int retry = 0; retry < 3; ++retry) made_->make(*made_->wake());
  EXPECT_EQ(log.warnings(), 1u);
  kernel_.takes_members = true;
  made_->make(*made_->wake());
  EXPECT_EQ(master_of(4), 50);
  EXPECT_EQ(master_of(5), 50);
  EXPECT_EQ(made_->trouble("bond0"), nullptr);
}

TEST_F(MadeLinksTest, OneThatHasGoneIsMadeAgain) {
  configure("link eth0\nlink eth0.5 vlan 5 on eth0\n");
  plug(4, "eth0");
  made_->make(kStart);
  kernel_.all.pop_back();
  devices_.there.erase("eth0.5");
  made_->forget(50);
  made_->make(kStart + 1s);
  EXPECT_TRUE(made_->holds(51));
  EXPECT_FALSE(made_->holds(50));
}

}  // namespace
}  // namespace curlingiron
