#include "net/join/floating_address.h"

#include <gtest/gtest.h>

#include <vector>

namespace curlingiron {
namespace {

constexpr Time kStart{100s};

// NICs that take the address when they are given it.
class Floating : public ::testing::Test {
 protected:
  void nic(int index, bool carrier = true) { nics_.push_back({index, carrier, false}); }

  void set_carrier(int index, bool carrier) {
    for (FloatingAddress::Nic& nic : nics_) {
      if (nic.index != index) continue;
      nic.fit = carrier;
      nic.holds = nic.holds && carrier;
    }
  }

  // Who has it after this moment; 0: nobody.
  int place(Time time, bool searching = true) {
    std::optional<FloatingAddress::Move> move = floating_.place(nics_, searching, time);
    if (move) {
      for (FloatingAddress::Nic& nic : nics_) {
        if (move->from) {
          EXPECT_NE(*move->from, move->to);
        }
        nic.holds = nic.index == move->to;
      }
    }
    for (const FloatingAddress::Nic& nic : nics_) {
      if (nic.holds) return nic.index;
    }
    return 0;
  }

  FloatingAddress floating_;
  std::vector<FloatingAddress::Nic> nics_;
};

TEST_F(Floating, GoesFromOneToTheNextWhileTheSourceIsSilent) {
  nic(2);
  nic(3);
  nic(5);
  EXPECT_EQ(place(kStart), 2);
  EXPECT_EQ(floating_.wake(), kStart + 5s);
  EXPECT_EQ(place(kStart + 4s), 2);
  EXPECT_EQ(place(kStart + 5s), 3);
  EXPECT_EQ(place(kStart + 10s), 5);
  EXPECT_EQ(place(kStart + 15s), 2) << "after the last the first again";
}

TEST_F(Floating, StaysWhereTheSourceAnswers) {
  nic(2);
  nic(3);
  EXPECT_EQ(place(kStart), 2);
  EXPECT_EQ(place(kStart + 6s, false), 2);
  EXPECT_FALSE(floating_.wake());
  EXPECT_EQ(place(kStart + 60s), 2) << "it has its five seconds before it goes";
  EXPECT_EQ(place(kStart + 65s), 3);
}

TEST_F(Floating, LeavesANicWithoutCarrierAtOnce) {
  nic(2);
  nic(3);
  EXPECT_EQ(place(kStart), 2);
  set_carrier(2, false);
  EXPECT_EQ(place(kStart + 1s, false), 3);
}

TEST_F(Floating, WaitsForACarrier) {
  nic(2, false);
  EXPECT_EQ(place(kStart), 0);
  EXPECT_FALSE(floating_.wake());
  set_carrier(2, true);
  EXPECT_EQ(place(kStart + 1s), 2);
}

TEST_F(Floating, TheOnlyNicKeepsIt) {
  nic(2);
  EXPECT_EQ(place(kStart), 2);
  EXPECT_EQ(place(kStart + 5s), 2);
  EXPECT_EQ(floating_.holder(), 2);
}

TEST_F(Floating, OneThatIsGoneIsNotAskedToGiveItBack) {
  nic(2);
  nic(3);
  EXPECT_EQ(place(kStart), 2);
  nics_.erase(nics_.begin());
  std::optional<FloatingAddress::Move> move = floating_.place(nics_, true, kStart + 1s);
  ASSERT_TRUE(move);
  EXPECT_FALSE(move->from);
  EXPECT_EQ(move->to, 3);
}

}  // namespace
}  // namespace curlingiron
