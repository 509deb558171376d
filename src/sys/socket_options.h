// What is set on and asked of sockets (setsockopt(2)), those of sys/ and those that a library made.
#pragma once

#include <sys/socket.h>

#include <cstdint>
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

// SO_BINDTODEVICE (socket(7)): packets leave and arrive by this interface alone. Empty: any.
Result<void> bind_to_interface(int fd, const std::string& interface);

// TCP_MAXSEG (tcp(7)), before the connection is made: no segment, in either direction, carries more
// bytes than this. 0: what the link gives.
Result<void> limit_segment(int fd, uint16_t bytes);

// TCP_INFO of one socket.
struct TcpState {
  bool connected = false;
  uint32_t segment = 0;   // bytes; what the peer was asked to send at most at once
  uint64_t received = 0;  // bytes, in order
};
TcpState tcp_state(int fd);

}  // namespace curlingiron
