#include "sys/socket_options.h"

#include <linux/tcp.h>  // the C library's has fewer fields
#include <netinet/in.h>
#include <sys/socket.h>

#include "base/text.h"

namespace curlingiron {
namespace {

// tcpi_state (net/tcp_states.h in the kernel).
constexpr uint8_t kEstablished = 1;
constexpr uint8_t kCloseWait = 8;

}  // namespace

Result<void> bind_to_interface(int fd, const std::string& interface) {
  if (interface.empty()) return {};
  auto size = static_cast<socklen_t>(interface.size());
  if (::setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, interface.c_str(), size) != 0) {
    return last_system_error(concat("cannot bind to ", interface));
  }
  return {};
}

Result<void> limit_segment(int fd, uint16_t bytes) {
  if (bytes == 0) return {};
  int value = bytes;
  if (::setsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &value, sizeof value) != 0) {
    return last_system_error("cannot limit TCP segments");
  }
  return {};
}

TcpState tcp_state(int fd) {
  tcp_info info{};
  socklen_t size = sizeof info;
  if (::getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return {};
  bool connected = info.tcpi_state == kEstablished || info.tcpi_state == kCloseWait;
  return {connected, info.tcpi_advmss, info.tcpi_bytes_received};
}

}  // namespace curlingiron
