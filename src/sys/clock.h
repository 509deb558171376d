// The clocks: the only place that reads or sets them.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "base/time.h"

namespace curlingiron {

// CLOCK_BOOTTIME: since the kernel started, suspend included.
Time now();
// CLOCK_REALTIME in whole seconds since 1970-01-01T00:00:00Z.
int64_t wall_clock_seconds();
Result<void> set_wall_clock(int64_t seconds);
// Uniform random bits: getrandom(2) without waiting for entropy; jitter and transaction ids only,
// never for keys.
uint64_t random_u64();

}  // namespace curlingiron
