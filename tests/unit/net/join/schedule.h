// Simulated time for protocol machines: what happens when, out of one seed. A schedule is a chaotic
// time, in which links flap and messages are lost, doubled and delayed, and a calm one after it.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <map>
#include <optional>

#include "base/random.h"
#include "base/time.h"

namespace curlingiron {

class Schedule {
 public:
  explicit Schedule(uint64_t seed) : random_(seed) {}

  Time now() const { return now_; }
  bool chance(unsigned percent) { return random_.below(100) < percent; }
  uint64_t below(uint64_t limit) { return random_.below(limit); }
  Duration between(Duration least, Duration most) { return random_.between(least, most); }

  void after(Duration delay, std::function<void()> happens) {
    events_.emplace(now_ + delay, std::move(happens));
  }

  // Lets everything happen until `end`. `wake` is read before each step; when it has come, `timer`
  // is called. A machine that asks again and again for the same moment hangs.
  template <typename Timer>
  void run(Time end, const std::optional<Time>& wake, Timer timer) {
    int at_once = 0;
    for (;;) {
      Time next = end;
      if (!events_.empty()) next = std::min(next, events_.begin()->first);
      bool timer_is_next = wake && *wake < next;
      if (timer_is_next) next = std::max(*wake, now_);
      at_once = next > now_ ? 0 : at_once + 1;
      ASSERT_LT(at_once, 1000) << "nothing but timers at one moment";
      now_ = std::max(now_, next);
      if (timer_is_next) {
        timer();
      } else if (now_ >= end) {
        return;
      } else {
        std::function<void()> happens = std::move(events_.begin()->second);
        events_.erase(events_.begin());
        happens();
      }
    }
  }

  // What a network does to one message: nothing, or it comes once or twice, sooner or later.
  void carry(unsigned loss_percent, Duration slowest, const std::function<void()>& arrives) {
    if (chance(loss_percent)) return;
    after(between(1ms, slowest), arrives);
    if (chance(loss_percent / 2)) after(between(1ms, slowest), arrives);
  }

 private:
  Random random_;
  Time now_{1000s};
  std::multimap<Time, std::function<void()>> events_;
};

// Proves that no stretch of `window` has more than `most` messages.
class RateProof {
 public:
  RateProof(size_t most, Duration window) : most_(most), window_(window) {}

  void sent(Time now) {
    times_.push_back(now);
    while (times_.front() + window_ <= now) times_.pop_front();
    EXPECT_LE(times_.size(), most_);
  }

 private:
  size_t most_;
  Duration window_;
  std::deque<Time> times_;
};

}  // namespace curlingiron
