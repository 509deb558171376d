#include "sys/clock.h"

#include <sys/random.h>
#include <time.h>

#include "sys/fd.h"

#ifndef GRND_INSECURE
#define GRND_INSECURE 0x0004
#endif

namespace curlingiron {

Time now() {
  timespec t{};
  ::clock_gettime(CLOCK_BOOTTIME, &t);
  return Time(std::chrono::seconds(t.tv_sec) + std::chrono::nanoseconds(t.tv_nsec));
}

int64_t wall_clock_seconds() {
  timespec t{};
  ::clock_gettime(CLOCK_REALTIME, &t);
  return t.tv_sec;
}

Result<void> set_wall_clock(int64_t seconds) {
  timespec t{};
  t.tv_sec = seconds;
  if (::clock_settime(CLOCK_REALTIME, &t) != 0) return last_system_error("cannot set the clock");
  return {};
}

uint64_t random_u64() {
  uint64_t value = 0;
  // Before 5.6 the kernel lacks GRND_INSECURE and says EINVAL: the clock's low bits serve then.
  if (::getrandom(&value, sizeof value, GRND_INSECURE) != static_cast<ssize_t>(sizeof value)) {
    value = static_cast<uint64_t>(now().time_since_epoch().count()) * 0x9E3779B97F4A7C15;
  }
  return value;
}

}  // namespace curlingiron
