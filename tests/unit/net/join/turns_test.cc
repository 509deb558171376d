#include "net/join/turns.h"

#include <gtest/gtest.h>

namespace curlingiron {
namespace {

constexpr Time kStart{100s};

// All that happens until `end`, each when wake() says so.
class Watched {
 public:
  explicit Watched(bool captured) : turns(captured, kStart) {}

  void run_until(Time end) {
    while (turns.wake() && *turns.wake() <= end) {
      time = *turns.wake();
      Turns::Actions actions = turns.on_time(time);
      if (actions.try_everything) everything.push_back(time);
      if (actions.preferred) preferred.emplace_back(time, *actions.preferred);
      ASSERT_TRUE(!turns.wake() || *turns.wake() > time) << "it asks again for the same moment";
    }
    time = end;
  }

  Turns turns;
  Time time = kStart;
  std::vector<Time> everything;
  std::vector<std::pair<Time, Turns::Side>> preferred;
};

TEST(Turns, NothingHappensToWhatWasConfigured) {
  Watched watched(false);
  watched.turns.on_carrier(kStart);
  EXPECT_FALSE(watched.turns.wake());
  watched.run_until(kStart + 1h);
  EXPECT_TRUE(watched.everything.empty());
  EXPECT_FALSE(watched.turns.prefers_learnt());
}

TEST(Turns, ACapturedNetworkHasTwelveSeconds) {
  Watched watched(true);
  watched.run_until(kStart + 11s);
  EXPECT_FALSE(watched.turns.tries_everything());
  watched.run_until(kStart + 12s);
  ASSERT_EQ(watched.everything, std::vector<Time>{kStart + 12s});
  EXPECT_TRUE(watched.turns.tries_everything());
  EXPECT_TRUE(watched.turns.prefers_learnt());
}

TEST(Turns, TheTwelveSecondsBeginWithTheFirstCarrier) {
  Watched watched(true);
  watched.run_until(kStart + 10s);
  watched.turns.on_carrier(watched.time);
  watched.run_until(kStart + 15s);
  watched.turns.on_carrier(watched.time);  // of another NIC
  watched.run_until(kStart + 60s);
  EXPECT_EQ(watched.everything, std::vector<Time>{kStart + 22s});
}

TEST(Turns, ALateCarrierChangesNothing) {
  Watched watched(true);
  watched.run_until(kStart + 20s);
  watched.turns.on_carrier(watched.time);
  watched.run_until(kStart + 60s);
  EXPECT_EQ(watched.everything, std::vector<Time>{kStart + 12s});
}

TEST(Turns, CapturedAndLearntTakeTurns) {
  Watched watched(true);
  watched.run_until(kStart + 61s);
  using Side = Turns::Side;
  std::vector<std::pair<Time, Side>> expected = {
      {kStart + 36s, Side::Captured}, {kStart + 48s, Side::Learnt}, {kStart + 60s, Side::Captured}};
  EXPECT_EQ(watched.preferred, expected);
  EXPECT_TRUE(watched.turns.prefers_captured());
  EXPECT_FALSE(watched.turns.prefers_learnt());
}

TEST(Turns, TheyEndWhenTheSourceAnswers) {
  Watched watched(true);
  watched.run_until(kStart + 37s);
  watched.turns.on_found();
  EXPECT_FALSE(watched.turns.wake());
  watched.run_until(kStart + 1h);
  EXPECT_EQ(watched.preferred.size(), 1U);
  EXPECT_TRUE(watched.turns.prefers_captured()) << "what led to the source is not taken away";
}

TEST(Turns, AfterASourceThatAnswersANewNicIsAskedEverythingButNobodyElse) {
  Watched watched(true);
  watched.turns.on_found();
  watched.run_until(kStart + 1h);
  EXPECT_TRUE(watched.everything.empty());
  EXPECT_TRUE(watched.preferred.empty());
  EXPECT_TRUE(watched.turns.tries_everything());
  EXPECT_FALSE(watched.turns.prefers_learnt());
}

}  // namespace
}  // namespace curlingiron
