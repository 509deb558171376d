#include "unit/net/dns_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>

#include "base/text.h"
#include "unit/net/dns_answers.h"

namespace curlingiron::testing {
namespace {

sockaddr_in loopback(uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

}  // namespace

DnsServer::DnsServer(Script script) : script_(std::move(script)) {
  // A port that both have free.
  for (int attempt = 0; attempt < 50; ++attempt) {
    udp_ = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    tcp_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    bool bound = ::bind(udp_, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
                 ::getsockname(udp_, reinterpret_cast<sockaddr*>(&address), &size) == 0 &&
                 ::bind(tcp_, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
                 ::listen(tcp_, 4) == 0;
    port_ = ntohs(address.sin_port);
    if (bound) {
      thread_ = std::thread([this] { serve(); });
      return;
    }
    ::close(udp_);
    ::close(tcp_);
  }
  std::abort();
}

DnsServer::~DnsServer() {
  stopping_ = true;
  thread_.join();
  ::close(udp_);
  ::close(tcp_);
}

NameServer DnsServer::as_name_server() const { return {ip("127.0.0.1"), "", port_}; }

std::vector<std::string> DnsServer::queries() const {
  std::lock_guard lock(mutex_);
  return queries_;
}

std::vector<uint16_t> DnsServer::ports() const {
  std::lock_guard lock(mutex_);
  return ports_;
}

std::vector<ByteVector> DnsServer::answer(ConstBytes query, Transport transport) {
  {
    std::lock_guard lock(mutex_);
    queries_.push_back(concat(transport == Transport::Udp ? "UDP " : "TCP ", asked_name(query),
                              asked_family(query) == Family::V4 ? " A" : " AAAA"));
  }
  return script_(query, transport);
}

void DnsServer::serve() {
  uint8_t buffer[1024];
  while (!stopping_) {
    pollfd items[2] = {{udp_, POLLIN, 0}, {tcp_, POLLIN, 0}};
    ::poll(items, 2, 20);
    if (items[0].revents != 0) {
      sockaddr_in from{};
      socklen_t size = sizeof from;
      ssize_t n =
          ::recvfrom(udp_, buffer, sizeof buffer, 0, reinterpret_cast<sockaddr*>(&from), &size);
      if (n < 12) continue;
      {
        std::lock_guard lock(mutex_);
        ports_.push_back(ntohs(from.sin_port));
      }
      for (const ByteVector& bytes :
           answer(ConstBytes(buffer, static_cast<size_t>(n)), Transport::Udp)) {
        ::sendto(udp_, bytes.data(), bytes.size(), 0, reinterpret_cast<sockaddr*>(&from), size);
      }
    }
    if (items[1].revents != 0) {
      int fd = ::accept4(tcp_, nullptr, nullptr, SOCK_CLOEXEC);
      ssize_t n = ::recv(fd, buffer, sizeof buffer, 0);
      if (n > 14) {
        for (const ByteVector& bytes :
             answer(ConstBytes(buffer + 2, static_cast<size_t>(n - 2)), Transport::Tcp)) {
          ByteWriter framed;
          framed.be16(static_cast<uint16_t>(bytes.size()));
          framed.append(ConstBytes(bytes));
          // In pieces, as a stream may bring it.
          ConstBytes all = framed.bytes();
          ::send(fd, all.data(), 1, MSG_NOSIGNAL);
          ::usleep(5000);  // else the reader may find both in one read
          ::send(fd, all.data() + 1, all.size() - 1, MSG_NOSIGNAL);
        }
      }
      ::close(fd);
    }
  }
}

}  // namespace curlingiron::testing
