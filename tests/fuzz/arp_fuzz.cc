// ARP packets. Whatever is read must survive a round trip.
#include <algorithm>
#include <cstdlib>

#include "formats/arp.h"

using namespace curlingiron;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  ConstBytes bytes(data, size);
  Result<ArpPacket> packet = parse_arp(bytes);
  if (!packet.ok()) return 0;
  ByteVector again = format_arp(packet.value());
  if (again.size() > size || !std::equal(again.begin(), again.end(), bytes.begin())) std::abort();
  std::optional<Ipv4> claim = arp_claim(packet.value(), packet.value().target_mac);
  if (claim && claim->is_zero()) std::abort();
  return 0;
}
