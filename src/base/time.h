// Points in time since the kernel started (CLOCK_BOOTTIME), passed as arguments so that tests own
// time.
#pragma once

#include <chrono>

namespace curlingiron {

using Duration = std::chrono::nanoseconds;

// A tag for the type system: the reading itself is sys/clock.h's now().
struct BootClock {
  using duration = Duration;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<BootClock>;
};

using Time = BootClock::time_point;

using namespace std::chrono_literals;

}  // namespace curlingiron
