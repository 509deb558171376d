#include "sys/icmp6_socket.h"

#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "sys/socket_options.h"

namespace curlingiron {
namespace {

constexpr int kHopLimit = 255;  // proves that no router has forwarded the packet
constexpr size_t kLargestMessage = 65536;
constexpr unsigned kMostForeign = 64;  // dropped in a row, before the caller has its turn
constexpr uint8_t kAllRouters[16] = {0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2};

std::optional<int> hop_limit_of(msghdr& message) {
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr;
       header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != IPPROTO_IPV6 || header->cmsg_type != IPV6_HOPLIMIT) continue;
    int limit = 0;
    std::memcpy(&limit, CMSG_DATA(header), sizeof limit);
    return limit;
  }
  return std::nullopt;
}

}  // namespace

Result<Icmp6Socket> Icmp6Socket::open(const std::string& interface, int interface_index) {
  UniqueFd fd(::socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_ICMPV6));
  if (!fd.valid()) return last_system_error("cannot open an ICMPv6 socket");
  icmp6_filter filter;
  ICMP6_FILTER_SETBLOCKALL(&filter);
  ICMP6_FILTER_SETPASS(ND_ROUTER_ADVERT, &filter);
  TRY(set_option(fd, IPPROTO_ICMPV6, ICMP6_FILTER, filter));
  TRY(bind_to_interface(fd.get(), interface));
  TRY(set_option(fd, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, int{1}));
  TRY(set_option(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, kHopLimit));
  TRY(set_option(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, interface_index));
  TRY(set_option(fd, IPPROTO_IPV6, IPV6_MULTICAST_LOOP, int{0}));
  return Icmp6Socket(std::move(fd), interface_index);
}

Result<void> Icmp6Socket::send_solicitation(ConstBytes message) const {
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  std::copy(std::begin(kAllRouters), std::end(kAllRouters), address.sin6_addr.s6_addr);
  address.sin6_scope_id = static_cast<uint32_t>(index_);
  ssize_t n = ::sendto(fd_.get(), message.data(), message.size(), MSG_NOSIGNAL | MSG_DONTWAIT,
                       reinterpret_cast<const sockaddr*>(&address), sizeof address);
  if (n < 0) return last_system_error("cannot send a router solicitation");
  return {};
}

Result<std::optional<Icmp6Message>> Icmp6Socket::receive() const {
  Icmp6Message received;
  for (unsigned i = 0; i < kMostForeign; ++i) {
    received.bytes.resize(kLargestMessage);
    sockaddr_in6 address{};
    alignas(cmsghdr) uint8_t control[CMSG_SPACE(sizeof(int))];
    iovec part{received.bytes.data(), received.bytes.size()};
    msghdr message{};
    message.msg_name = &address;
    message.msg_namelen = sizeof address;
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    ssize_t n = ::recvmsg(fd_.get(), &message, MSG_DONTWAIT);
    if (n < 0) {
      bool nothing = errno == EAGAIN || errno == EINTR || errno == ENETDOWN;
      if (nothing) return std::optional<Icmp6Message>();
      return last_system_error("cannot receive");
    }
    received.bytes.resize(static_cast<size_t>(n));
    std::copy_n(address.sin6_addr.s6_addr, received.source.bytes.size(),
                received.source.bytes.begin());
    bool of_this_link = hop_limit_of(message) == kHopLimit && received.source.is_link_local();
    if (of_this_link) return std::optional<Icmp6Message>(std::move(received));
  }
  return std::optional<Icmp6Message>();
}

}  // namespace curlingiron
