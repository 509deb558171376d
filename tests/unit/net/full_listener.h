// A server that a connection is never made to.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdint>

namespace curlingiron::testing {

// A port on loopback that answers no more connections: its queue is full.
class FullListener {
 public:
  FullListener() {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    for (int& fd : fds_) fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    ::bind(fds_[0], reinterpret_cast<sockaddr*>(&address), size);
    ::listen(fds_[0], 0);
    ::getsockname(fds_[0], reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    for (size_t i = 1; i < fds_.size(); ++i) {
      ::connect(fds_[i], reinterpret_cast<sockaddr*>(&address), size);
    }
  }
  ~FullListener() {
    for (int fd : fds_) ::close(fd);
  }
  uint16_t port() const { return port_; }

 private:
  std::array<int, 4> fds_{};
  uint16_t port_ = 0;
};

}  // namespace curlingiron::testing
