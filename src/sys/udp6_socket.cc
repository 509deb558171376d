#include "sys/udp6_socket.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "base/units.h"
#include "sys/socket_options.h"

namespace curlingiron {
namespace {

constexpr size_t kLargestDatagram = 64_KiB;

}  // namespace

Result<Udp6Socket> Udp6Socket::open(const std::string& interface, int interface_index,
                                    uint16_t port) {
  UniqueFd fd(::socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return last_system_error("cannot open a UDP socket of IPv6");
  TRY(set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, int{1}));
  TRY(set_option(fd, SOL_SOCKET, SO_REUSEADDR, int{1}));
  TRY(set_option(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, interface_index));
  TRY(set_option(fd, IPPROTO_IPV6, IPV6_MULTICAST_LOOP, int{0}));
  TRY(bind_to_interface(fd.get(), interface));
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_port = htons(port);
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return last_system_error("cannot bind a UDP socket of IPv6");
  }
  return Udp6Socket(std::move(fd), interface_index);
}

Result<void> Udp6Socket::send(const Ipv6& destination, uint16_t port, ConstBytes payload) const {
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_port = htons(port);
  std::copy(destination.bytes.begin(), destination.bytes.end(), address.sin6_addr.s6_addr);
  address.sin6_scope_id = static_cast<uint32_t>(index_);
  ssize_t n = ::sendto(fd_.get(), payload.data(), payload.size(), MSG_NOSIGNAL | MSG_DONTWAIT,
                       reinterpret_cast<const sockaddr*>(&address), sizeof address);
  if (n < 0) return last_system_error("cannot send");
  return {};
}

Result<std::optional<Udp6Datagram>> Udp6Socket::receive() const {
  Udp6Datagram datagram;
  datagram.payload.resize(kLargestDatagram);
  sockaddr_in6 address{};
  socklen_t size = sizeof address;
  ssize_t n = ::recvfrom(fd_.get(), datagram.payload.data(), datagram.payload.size(), MSG_DONTWAIT,
                         reinterpret_cast<sockaddr*>(&address), &size);
  if (n < 0) {
    bool nothing = errno == EAGAIN || errno == EINTR || errno == ENETDOWN;
    if (!nothing) return last_system_error("cannot receive");
    return std::optional<Udp6Datagram>();
  }
  datagram.payload.resize(static_cast<size_t>(n));
  std::copy_n(address.sin6_addr.s6_addr, datagram.source.bytes.size(),
              datagram.source.bytes.begin());
  datagram.source_port = ntohs(address.sin6_port);
  return std::optional<Udp6Datagram>(std::move(datagram));
}

}  // namespace curlingiron
