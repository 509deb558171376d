// DHCP messages, and the frames that carry them. Whatever is read must survive a round trip, and a
// client in any state must bear it.
#include <cstdlib>

#include "formats/dhcp.h"
#include "formats/dns_name.h"
#include "net/join/dhcp_client.h"

using namespace curlingiron;

namespace {

// The message as an answer to whatever the client asks, of each type that servers send.
void converse(DhcpPacket packet) {
  DhcpClient client({2, 0, 0, 0, 0, 1}, "iron", 42);
  Time now{1000s};
  packet.operation = DhcpOperation::Reply;
  packet.mac = {2, 0, 0, 0, 0, 1};
  DhcpActions actions = client.on(DhcpEvent::LinkUp, now);
  DhcpType own = packet.type;
  for (int step = 0; step < 10; ++step) {
    for (DhcpType type : {own, DhcpType::Offer, DhcpType::Ack}) {
      if (!actions.send.empty()) packet.xid = parse_dhcp(actions.send.back().payload).value().xid;
      packet.type = type;
      DhcpActions more = client.on_packet(packet, now);
      if (more.send.size() > 2) std::abort();
      if (!more.send.empty()) actions = more;
      actions.wake = more.wake;
    }
    if (step % 3 == 2) (void)client.on_conflict(packet.yours, now);
    if (!actions.wake) return;
    now = std::max(now, *actions.wake);
    actions = client.on(DhcpEvent::Timer, now);
  }
  (void)client.progress();
}

}  // namespace

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
    for (const std::string& domain : lease.value().search) {
      if (!is_host_name(domain)) std::abort();
    }
  }
  ByteVector once = format_dhcp(packet.value());
  Result<DhcpPacket> again = parse_dhcp(once);
  if (!again.ok() || format_dhcp(again.value()) != once) std::abort();
  if (again.value().options != packet.value().options) std::abort();
  converse(packet.value());
  return 0;
}
