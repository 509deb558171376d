// Numbers that look random (splitmix64), for jitter and transaction ids; never for keys. The seed
// is an argument, so that a test can repeat what happened.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/time.h"

namespace curlingiron {

class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}

  uint64_t next() {
    uint64_t z = state_ += 0x9E3779B97F4A7C15;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
    return z ^ (z >> 31);
  }

  // Less than `limit`, which is not 0.
  uint64_t below(uint64_t limit) { return next() % limit; }

  // From `least` up to, but without, `most`; `least` where that is nothing.
  Duration between(Duration least, Duration most) {
    int64_t span = std::max<int64_t>((most - least).count(), 1);
    return least + Duration(static_cast<int64_t>(below(static_cast<uint64_t>(span))));
  }

 private:
  uint64_t state_;
};

}  // namespace curlingiron
