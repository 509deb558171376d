// Router advertisements as they come, and solicitations (RFC 4861), by a raw ICMPv6 socket (RFC
// 3542) beside the kernel's own: the kernel makes addresses and routes of them, but keeps to itself
// what they say of DHCPv6 and name servers.
#pragma once

#include <optional>
#include <string>

#include "base/address.h"
#include "base/bytes.h"
#include "base/result.h"
#include "sys/fd.h"

namespace curlingiron {

struct Icmp6Message {
  Ipv6 source;       // link-local
  ByteVector bytes;  // from the ICMPv6 type on; the checksum is proven
};

class Icmp6Socket {
 public:
  // EAFNOSUPPORT in the error's code: the kernel has no IPv6.
  static Result<Icmp6Socket> open(const std::string& interface, int interface_index);

  // To all routers of the link. EADDRNOTAVAIL or ENETUNREACH in the error's code: the interface has
  // no address (yet).
  Result<void> send_solicitation(ConstBytes message) const;
  // The next router advertisement that was sent on this very link: hop limit 255, from a link-local
  // address (RFC 4861 section 6.1.2). nullopt: none waits.
  Result<std::optional<Icmp6Message>> receive() const;
  int fd() const { return fd_.get(); }

 private:
  Icmp6Socket(UniqueFd fd, int index) : fd_(std::move(fd)), index_(index) {}
  UniqueFd fd_;
  int index_;
};

}  // namespace curlingiron
