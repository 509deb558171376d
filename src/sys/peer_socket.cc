#include "sys/peer_socket.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "base/text.h"
#include "sys/socket_options.h"

namespace curlingiron {
namespace {

bool not_now(int code) { return code == EAGAIN || code == EINTR || code == ENOBUFS; }

Result<void> connect_to(const UniqueFd& fd, const sockaddr* address, socklen_t size) {
  if (::connect(fd.get(), address, size) == 0 || errno == EINPROGRESS) return {};
  return last_system_error("cannot connect");
}

}  // namespace

Result<PeerSocket> PeerSocket::connect(PeerProtocol protocol, const IpAddress& peer, uint16_t port,
                                       const std::string& interface) {
  int type =
      (protocol == PeerProtocol::Udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC | SOCK_NONBLOCK;
  UniqueFd fd(::socket(peer.is_v4() ? AF_INET : AF_INET6, type, 0));
  if (!fd.valid()) return last_system_error("cannot open a socket");
  TRY(bind_to_interface(fd.get(), interface));
  if (peer.is_v4()) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(peer.v4().value);
    TRY(connect_to(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address));
  } else {
    sockaddr_in6 address{};
    address.sin6_family = AF_INET6;
    address.sin6_port = htons(port);
    std::ranges::copy(peer.v6().bytes, address.sin6_addr.s6_addr);
    if (peer.is_link_local()) {
      address.sin6_scope_id = ::if_nametoindex(interface.c_str());
      if (address.sin6_scope_id == 0) return Error("no interface to reach a link-local address by");
    }
    TRY(connect_to(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address));
  }
  return PeerSocket(std::move(fd));
}

Result<size_t> PeerSocket::send(ConstBytes bytes) const {
  ssize_t n = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
  if (n >= 0) return static_cast<size_t>(n);
  if (not_now(errno)) return size_t{0};
  return last_system_error("cannot send");
}

Result<std::optional<size_t>> PeerSocket::receive(MutableBytes buffer) const {
  ssize_t n = ::recv(fd_.get(), buffer.data(), buffer.size(), 0);
  if (n >= 0) return std::optional<size_t>(static_cast<size_t>(n));
  if (not_now(errno)) return std::optional<size_t>();
  return last_system_error("cannot receive");
}

}  // namespace curlingiron
