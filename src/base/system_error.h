// Errors of system calls, in words.
#pragma once

#include <string_view>

#include "base/result.h"

namespace curlingiron {

// Error("OPERATION: strerror", errno).
Error system_error(std::string_view operation, int code);
Error last_system_error(std::string_view operation);

}  // namespace curlingiron
