#include "sys/packet_socket.h"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <span>

#include "base/units.h"
#include "sys/socket_options.h"

namespace curlingiron {
namespace {

constexpr size_t kLargestPacket = 64_KiB;
constexpr size_t kArpSize = 28;  // of IPv4 on Ethernet; the rest of a frame is padding

sockaddr_ll link_address(int index, uint16_t protocol) {
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(protocol);
  address.sll_ifindex = index;
  return address;
}

sockaddr_in ip_address(Ipv4 host, uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(host.value);
  return address;
}

// Of these errors none says that the socket is of no use: nothing waits, or the link is down.
bool means_nothing() { return errno == EAGAIN || errno == EINTR || errno == ENETDOWN; }

Result<void> send_to_all(const UniqueFd& fd, int index, uint16_t protocol, ConstBytes packet) {
  sockaddr_ll address = link_address(index, protocol);
  address.sll_halen = ETH_ALEN;
  std::fill_n(address.sll_addr, ETH_ALEN, uint8_t{0xff});
  for (;;) {
    ssize_t n = ::sendto(fd.get(), packet.data(), packet.size(), MSG_NOSIGNAL,
                         reinterpret_cast<const sockaddr*>(&address), sizeof address);
    if (n >= 0) return {};
    if (errno != EINTR) return last_system_error("cannot send");
  }
}

// Hears what `filter` lets through. Protocol 0 hears nothing: no packet slips in before the filter
// and the interface are set.
Result<UniqueFd> open_packets(int index, uint16_t protocol, std::span<sock_filter> filter) {
  UniqueFd fd(::socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return last_system_error("cannot open a packet socket");
  sock_fprog program{static_cast<unsigned short>(filter.size()), filter.data()};
  TRY(set_option(fd, SOL_SOCKET, SO_ATTACH_FILTER, program));
  TRY(set_option(fd, SOL_PACKET, PACKET_AUXDATA, int{1}));
  sockaddr_ll address = link_address(index, protocol);
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return last_system_error("cannot bind a packet socket");
  }
  return fd;
}

}  // namespace

Result<PacketSocket> PacketSocket::open(int interface_index, uint16_t port) {
  // Unfragmented UDP to `port`; offsets count from the IPv4 header.
  sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 9),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_UDP, 0, 6),
      BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 6),
      BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 0x1fff, 4, 0),
      BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0),
      BPF_STMT(BPF_LD | BPF_H | BPF_IND, 2),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, port, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, kLargestPacket),
      BPF_STMT(BPF_RET | BPF_K, 0),
  };
  UniqueFd fd = TRY(open_packets(interface_index, ETH_P_IP, code));
  return PacketSocket(std::move(fd), interface_index);
}

Result<void> PacketSocket::broadcast(ConstBytes packet) const {
  return send_to_all(fd_, index_, ETH_P_IP, packet);
}

Result<std::optional<RawPacket>> PacketSocket::receive() const {
  RawPacket packet;
  packet.bytes.resize(kLargestPacket);
  alignas(cmsghdr) uint8_t control[CMSG_SPACE(sizeof(tpacket_auxdata))];
  iovec part{packet.bytes.data(), packet.bytes.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  ssize_t n = ::recvmsg(fd_.get(), &message, MSG_DONTWAIT);
  if (n < 0) {
    if (means_nothing()) return std::optional<RawPacket>();
    return last_system_error("cannot receive");
  }
  packet.bytes.resize(static_cast<size_t>(n));
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr;
       header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_PACKET || header->cmsg_type != PACKET_AUXDATA) continue;
    tpacket_auxdata data{};
    std::memcpy(&data, CMSG_DATA(header), sizeof data);
    packet.checksum_ready = (data.tp_status & TP_STATUS_CSUMNOTREADY) == 0;
  }
  return std::optional<RawPacket>(std::move(packet));
}

Result<ArpSocket> ArpSocket::open(int interface_index) {
  // Ethernet and IPv4 in the first six bytes: hardware 1, protocol 0x0800, addresses of 6 and 4.
  sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x0001'0800, 0, 3),
      BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 4), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x0604, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, kArpSize),   BPF_STMT(BPF_RET | BPF_K, 0),
  };
  UniqueFd fd = TRY(open_packets(interface_index, ETH_P_ARP, code));
  return ArpSocket(std::move(fd), interface_index);
}

Result<void> ArpSocket::broadcast(ConstBytes packet) const {
  return send_to_all(fd_, index_, ETH_P_ARP, packet);
}

Result<std::optional<ByteVector>> ArpSocket::receive() const {
  ByteVector packet(kArpSize);
  ssize_t n = ::recv(fd_.get(), packet.data(), packet.size(), MSG_DONTWAIT);
  if (n < 0) {
    if (means_nothing()) return std::optional<ByteVector>();
    return last_system_error("cannot receive");
  }
  packet.resize(static_cast<size_t>(n));
  return std::optional<ByteVector>(std::move(packet));
}

Result<DatagramSocket> DatagramSocket::open(const std::string& interface, uint16_t port) {
  UniqueFd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return last_system_error("cannot open a UDP socket");
  TRY(set_option(fd, SOL_SOCKET, SO_REUSEADDR, int{1}));
  TRY(set_option(fd, SOL_SOCKET, SO_RCVBUF, int{0}));  // the kernel's least
  TRY(bind_to_interface(fd.get(), interface));
  sockaddr_in address = ip_address(Ipv4{}, port);
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return last_system_error("cannot bind a UDP socket");
  }
  return DatagramSocket(std::move(fd));
}

Result<void> DatagramSocket::send(Ipv4 destination, uint16_t port, ConstBytes payload) const {
  sockaddr_in address = ip_address(destination, port);
  ssize_t n = ::sendto(fd_.get(), payload.data(), payload.size(), MSG_NOSIGNAL | MSG_DONTWAIT,
                       reinterpret_cast<const sockaddr*>(&address), sizeof address);
  if (n < 0) return last_system_error("cannot send");
  return {};
}

}  // namespace curlingiron
