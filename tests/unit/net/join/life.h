// A network that first loses, doubles, delays and reorders messages, whose links flap and whose
// servers do what servers should not; then it behaves. How long was a DHCP client without a lease?
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>

#include "unit/net/join/schedule.h"

namespace curlingiron {

// Of the protocol, a subclass knows: the client, its servers and their messages.
class Life {
 public:
  virtual ~Life() = default;

  // `trouble`: the longest time before it behaves. `soon`: within that there is a lease then.
  void live(Duration trouble, Duration soon) {
    set_link(true);
    if (flap_) plan_flap();
    run(schedule_.now() + schedule_.between(1s, trouble));
    calm();
    // Leases of servers that are no longer there may end meanwhile.
    longest_gap_ = 0s;
    if (!is_served()) without_since_ = schedule_.now();
    run(schedule_.now() + kCalm);
    if (!is_served()) note_gap();
    EXPECT_LE(longest_gap_, soon) << progress();
  }

 protected:
  Life(uint64_t seed, size_t most_messages, Duration window)
      : schedule_(seed), servers_(1 + schedule_.below(3)), rate_(most_messages, window) {
    loss_ = static_cast<unsigned>(schedule_.below(80));
    slowest_ = schedule_.chance(30) ? Duration(14s) : Duration(50ms);
    flap_ = schedule_.chance(50);
  }

  virtual bool is_served() const = 0;
  virtual std::string progress() const = 0;
  virtual void on_timer() = 0;
  virtual void on_link(bool up) = 0;
  // The first server does as it should from now on; the others are silent.
  virtual void behave() = 0;

  void sends() {
    EXPECT_TRUE(link_);
    rate_.sent(schedule_.now());
  }

  // `answer(SERVER)` is what a server answers to a question, if it does; `take` what the client
  // does with it.
  template <typename Answer, typename Take>
  void ask_servers(Answer answer, Take take) {
    for (size_t i = 0; i < (calm_ ? 1 : servers_); ++i) {
      schedule_.carry(loss_, slowest_, [this, i, answer, take] {
        if (calm_ && i != 0) return;
        auto packet = answer(i);
        if (!packet) return;
        schedule_.carry(loss_, slowest_, [this, take, packet = *packet] {
          if (link_) take(packet);
        });
      });
    }
  }

  void lease_is_lost() { without_since_ = schedule_.now(); }
  void lease_is_there() {
    note_gap();
    without_since_.reset();
  }

  Schedule schedule_;
  size_t servers_;
  unsigned loss_;
  std::optional<Time> wake_;

 private:
  static constexpr Duration kCalm = 400s;  // how long a network that behaves is watched

  void run(Time end) {
    schedule_.run(end, wake_, [this] { on_timer(); });
  }

  void calm() {
    calm_ = true;
    loss_ = 0;
    slowest_ = 20ms;
    behave();
    set_link(true);
  }

  void set_link(bool up) {
    link_ = up;
    on_link(up);
  }

  void plan_flap() {
    Duration longest = schedule_.chance(50) ? Duration(300ms) : Duration(30s);
    schedule_.after(schedule_.between(1ms, longest), [this] {
      if (calm_) return;
      set_link(!link_);
      plan_flap();
    });
  }

  void note_gap() {
    if (without_since_) longest_gap_ = std::max(longest_gap_, schedule_.now() - *without_since_);
  }

  RateProof rate_;
  Duration slowest_;
  bool flap_;
  bool link_ = false;
  bool calm_ = false;
  std::optional<Time> without_since_;
  Duration longest_gap_{};
};

}  // namespace curlingiron
