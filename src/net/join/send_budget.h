// How much a protocol may send: no more than Most messages in any stretch of time as long as
// Window.
#pragma once

#include <array>
#include <cstddef>

#include "base/time.h"

namespace curlingiron {

template <size_t Most>
class SendBudget {
 public:
  explicit SendBudget(Duration window) : window_(window) {}

  // When the next message may go; a time in the past means now.
  Time free_at() const { return sent_ < Most ? Time::min() : times_[sent_ % Most] + window_; }

  // Counts a message, or says false where there were too many.
  bool take(Time now) {
    if (now < free_at()) return false;
    times_[sent_++ % Most] = now;
    return true;
  }

 private:
  Duration window_;
  std::array<Time, Most> times_{};  // a ring
  size_t sent_ = 0;                 // since the start
};

}  // namespace curlingiron
