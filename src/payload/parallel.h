// The same work on many things, on every processor.
#pragma once

#include <cstddef>
#include <functional>

#include "base/result.h"

namespace curlingiron {

// Calls work(0) to work(count - 1), each once, several at a time and in no order; returns when all
// have ended. Of several errors that of the smallest index is returned, so that the same input
// always gives the same message. `work` must not throw.
Result<void> for_each_in_parallel(size_t count, const std::function<Result<void>(size_t)>& work);

}  // namespace curlingiron
