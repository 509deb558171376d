// Raw IPv4 and ARP packets on one NIC (packet(7)): what DHCP talks by before there is an address.
#pragma once

#include <cstdint>
#include <optional>

#include "base/address.h"
#include "base/bytes.h"
#include "base/result.h"
#include "sys/fd.h"

namespace curlingiron {

struct RawPacket {
  ByteVector bytes;            // from the IPv4 header on
  bool checksum_ready = true;  // false: the sender is on this machine and left the sum to hardware
};

// Hears only UDP to `port` (a filter in the kernel).
class PacketSocket {
 public:
  // EAFNOSUPPORT in the error's code: the kernel has no packet sockets (yet); load af_packet.
  static Result<PacketSocket> open(int interface_index, uint16_t port);

  Result<void> broadcast(ConstBytes packet) const;
  // nullopt: none waits. ENETDOWN is no error: the link went down, and may come up again.
  Result<std::optional<RawPacket>> receive() const;
  int fd() const { return fd_.get(); }

 private:
  PacketSocket(UniqueFd fd, int index) : fd_(std::move(fd)), index_(index) {}
  UniqueFd fd_;
  int index_;
};

// ARP of IPv4 on Ethernet: what asks and answers who has an address.
class ArpSocket {
 public:
  // As PacketSocket::open().
  static Result<ArpSocket> open(int interface_index);

  // `packet` is what follows the Ethernet header (formats/arp.h).
  Result<void> broadcast(ConstBytes packet) const;
  // nullopt: none waits, or the link is down. Own packets are not heard.
  Result<std::optional<ByteVector>> receive() const;
  int fd() const { return fd_.get(); }

 private:
  ArpSocket(UniqueFd fd, int index) : fd_(std::move(fd)), index_(index) {}
  UniqueFd fd_;
  int index_;
};

// UDP by ordinary routing through one interface. While it is open the kernel takes the port for
// served and sends no ICMP errors; what it hears is left unread (PacketSocket hears it too).
class DatagramSocket {
 public:
  static Result<DatagramSocket> open(const std::string& interface, uint16_t port);

  Result<void> send(Ipv4 destination, uint16_t port, ConstBytes payload) const;

 private:
  explicit DatagramSocket(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

}  // namespace curlingiron
