// Datagrams from rtnetlink: what is read can be written, and is then read as it was.
#include <cstdlib>

#include "formats/netlink/address.h"
#include "formats/netlink/batch.h"
#include "formats/netlink/link.h"
#include "formats/netlink/route.h"
#include "formats/netlink/rule.h"

using namespace curlingiron;

namespace {

template <typename T>
void round_trip(const Result<Batch<T>>& batch, uint16_t type, ByteVector (*format)(const T&),
                Result<Batch<T>> (*parse)(ConstBytes)) {
  if (!batch.ok()) return;
  for (const T& item : batch.value().items) {
    Result<Batch<T>> first = parse(format_message(type, 0, 1, format(item)));
    if (!first.ok() || first.value().items.size() != 1) std::abort();
    Result<Batch<T>> second = parse(format_message(type, 0, 1, format(first.value().items[0])));
    if (!second.ok() || second.value().items != first.value().items) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  ConstBytes datagram(data, size);
  round_trip(parse_addresses(datagram), 20, format_address, parse_addresses);
  round_trip(parse_routes(datagram), 24, format_route, parse_routes);
  round_trip(parse_rules(datagram), 32, format_rule, parse_rules);
  round_trip(parse_neighbours(datagram), 28, format_neighbour, parse_neighbours);
  Result<LinkBatch> links = parse_links(datagram);
  if (!links.ok()) return 0;
  for (const Link& link : links.value().items) {
    if (link.name.size() > 15) std::abort();
    ByteVector body;
    if (link.vlan) body = format_vlan("x", 1, *link.vlan);
    if (link.bond) body = format_bond("x", *link.bond, link.bond_primary);
    if (body.empty()) continue;
    Result<LinkBatch> again = parse_links(format_message(16, 0, 1, body));
    if (!again.ok() || again.value().items.size() != 1) std::abort();
    const Link& same = again.value().items[0];
    if (same.vlan != link.vlan || same.bond != link.bond) std::abort();
  }
  return 0;
}
