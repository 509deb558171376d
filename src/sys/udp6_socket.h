// UDP over IPv6 by one interface (ipv6(7)): what DHCPv6 talks by from a link-local address.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/address.h"
#include "base/bytes.h"
#include "base/result.h"
#include "sys/fd.h"

namespace curlingiron {

struct Udp6Datagram {
  Ipv6 source;
  uint16_t source_port = 0;
  ByteVector payload;
};

class Udp6Socket {
 public:
  // Hears what comes to `port` by the interface. EAFNOSUPPORT in the error's code: the kernel has
  // no IPv6.
  static Result<Udp6Socket> open(const std::string& interface, int interface_index, uint16_t port);

  // From the address that the kernel chooses: a link-local one for a link-local destination,
  // multicast included. EADDRNOTAVAIL or ENETUNREACH in the error's code: the interface has no
  // address (yet).
  Result<void> send(const Ipv6& destination, uint16_t port, ConstBytes payload) const;
  // nullopt: none waits.
  Result<std::optional<Udp6Datagram>> receive() const;
  int fd() const { return fd_.get(); }

 private:
  Udp6Socket(UniqueFd fd, int index) : fd_(std::move(fd)), index_(index) {}
  UniqueFd fd_;
  int index_;
};

}  // namespace curlingiron
