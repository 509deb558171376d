#include "formats/arp.h"

#include <algorithm>

namespace curlingiron {
namespace {

constexpr uint16_t kEthernet = 1;
constexpr uint16_t kIpv4 = 0x0800;
constexpr uint8_t kIpv4Size = 4;

Result<MacAddress> read_mac(ByteReader& in) {
  MacAddress mac{};
  ConstBytes bytes = TRY(in.take(mac.size()));
  std::copy(bytes.begin(), bytes.end(), mac.begin());
  return mac;
}

}  // namespace

Result<ArpPacket> parse_arp(ConstBytes payload) {
  ByteReader in(payload);
  ArpPacket packet;
  uint16_t hardware = TRY(in.be16());
  uint16_t protocol = TRY(in.be16());
  uint8_t hardware_size = TRY(in.u8());
  uint8_t protocol_size = TRY(in.u8());
  if (hardware != kEthernet || hardware_size != packet.sender_mac.size()) {
    return Error("not Ethernet");
  }
  if (protocol != kIpv4 || protocol_size != kIpv4Size) return Error("not IPv4");
  uint16_t operation = TRY(in.be16());
  if (operation != 1 && operation != 2) return Error("neither a request nor a reply");
  packet.operation = static_cast<ArpOperation>(operation);
  packet.sender_mac = TRY(read_mac(in));
  packet.sender.value = TRY(in.be32());
  packet.target_mac = TRY(read_mac(in));
  packet.target.value = TRY(in.be32());
  return packet;
}

ByteVector format_arp(const ArpPacket& packet) {
  ByteWriter out;
  out.be16(kEthernet);
  out.be16(kIpv4);
  out.u8(static_cast<uint8_t>(packet.sender_mac.size()));
  out.u8(kIpv4Size);
  out.be16(static_cast<uint16_t>(packet.operation));
  out.append(ConstBytes(packet.sender_mac));
  out.be32(packet.sender.value);
  out.append(ConstBytes(packet.target_mac));
  out.be32(packet.target.value);
  return std::move(out).bytes();
}

ArpPacket arp_probe(const MacAddress& own, Ipv4 address) {
  ArpPacket packet;
  packet.sender_mac = own;
  packet.target = address;
  return packet;
}

std::optional<Ipv4> arp_claim(const ArpPacket& packet, const MacAddress& own) {
  if (packet.sender_mac == own || packet.sender.is_zero()) return std::nullopt;
  return packet.sender;
}

}  // namespace curlingiron
