// setsockopt(2) with errors as values; for sys/ alone.
#pragma once

#include <sys/socket.h>

#include <string>

#include "base/result.h"
#include "sys/fd.h"

namespace curlingiron {

template <typename Value>
Result<void> set_option(const UniqueFd& fd, int level, int name, const Value& value) {
  if (::setsockopt(fd.get(), level, name, &value, sizeof value) != 0) {
    return last_system_error("cannot set a socket option");
  }
  return {};
}

// Sends and hears by this interface alone.
inline Result<void> bind_to_interface(const UniqueFd& fd, const std::string& name) {
  if (::setsockopt(fd.get(), SOL_SOCKET, SO_BINDTODEVICE, name.c_str(),
                   static_cast<socklen_t>(name.size())) != 0) {
    return last_system_error("cannot bind to the interface");
  }
  return {};
}

}  // namespace curlingiron
