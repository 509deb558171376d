// A UDP or TCP socket that is connected to one peer and never waits.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "base/address.h"
#include "base/bytes.h"
#include "base/result.h"
#include "sys/fd.h"

namespace curlingiron {

enum class PeerProtocol { Udp, Tcp };

class PeerSocket {
 public:
  // From a port of the kernel's choice, which is random (connect(2)); only what this peer sends is
  // received. `interface`: packets leave by it alone, and it is the scope of a link-local address;
  // empty: as the routes say.
  static Result<PeerSocket> connect(PeerProtocol protocol, const IpAddress& peer, uint16_t port,
                                    const std::string& interface);

  // How much was taken: 0 where there is no room yet, or TCP is not connected yet. Errors have the
  // errno, ECONNREFUSED among them, also for what was sent before (ICMP).
  Result<size_t> send(ConstBytes bytes) const;
  // A datagram, cut to the buffer, or some bytes of a stream; 0: its end; nullopt: nothing there.
  Result<std::optional<size_t>> receive(MutableBytes buffer) const;

  int fd() const { return fd_.get(); }

 private:
  explicit PeerSocket(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

}  // namespace curlingiron
