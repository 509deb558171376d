#include "net/join/turns.h"

#include <algorithm>
#include <utility>

namespace curlingiron {

Turns::Turns(bool captured, Time time) : captured_(captured) {
  if (captured) everything_at_ = time + kCapturedPatience;
}

void Turns::on_carrier(Time time) {
  // Until then, no NIC that was captured has been found with its cable in.
  if (std::exchange(carrier_seen_, true) || !captured_ || everything_) return;
  everything_at_ = time + kCapturedPatience;
}

void Turns::on_found() {
  found_ = true;
  turn_at_.reset();
}

Turns::Actions Turns::on_time(Time time) {
  Actions actions;
  if (everything_at_ && time >= *everything_at_) {
    everything_at_.reset();
    everything_ = true;
    if (found_) return actions;
    // What was just begun has as long as what it takes the place of, and then as long again.
    turn_at_ = time + 2 * kCapturedPatience;
    actions.try_everything = true;
  }
  if (turn_at_ && time >= *turn_at_) {
    turn_at_ = time + kCapturedPatience;
    side_ = side_ == Side::Captured ? Side::Learnt : Side::Captured;
    actions.preferred = side_;
  }
  return actions;
}

std::optional<Time> Turns::wake() const {
  if (!everything_at_ || !turn_at_) return everything_at_ ? everything_at_ : turn_at_;
  return std::min(*everything_at_, *turn_at_);
}

}  // namespace curlingiron
