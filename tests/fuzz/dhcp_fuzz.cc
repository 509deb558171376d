// DHCP messages, and the frames that carry them. Whatever is read must survive a round trip.
#include <cstdlib>

#include "formats/dhcp.h"

using namespace curlingiron;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  ConstBytes bytes(data, size);
  for (bool checksum_ready : {false, true}) {
    Result<UdpDatagram> datagram = parse_udp_packet(bytes, kDhcpClientPort, checksum_ready);
    if (datagram.ok()) (void)parse_dhcp(datagram.value().payload);
  }
  Result<DhcpPacket> packet = parse_dhcp(bytes);
  if (!packet.ok()) return 0;
  if (Result<DhcpLease> lease = lease_of(packet.value()); lease.ok()) {
    if (lease.value().prefix_length > 32) std::abort();
    (void)lease.value().routes();
  }
  ByteVector once = format_dhcp(packet.value());
  Result<DhcpPacket> again = parse_dhcp(once);
  if (!again.ok() || format_dhcp(again.value()) != once) std::abort();
  if (again.value().options != packet.value().options) std::abort();
  return 0;
}
