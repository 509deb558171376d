#include "base/system_error.h"

#include <cerrno>
#include <cstring>

#include "base/text.h"

namespace curlingiron {

Error system_error(std::string_view operation, int code) {
  return Error(
      concat(operation, ": ",
             ::strerrordesc_np(code) != nullptr ? ::strerrordesc_np(code) : "unknown error"),
      code);
}

Error last_system_error(std::string_view operation) { return system_error(operation, errno); }

}  // namespace curlingiron
