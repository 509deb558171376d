#include "formats/netlink/batch.h"

#include <linux/rtnetlink.h>

#include "formats/netlink/address.h"
#include "formats/netlink/link.h"
#include "formats/netlink/route.h"
#include "formats/netlink/rule.h"

namespace curlingiron {
namespace {

template <typename T>
Result<Batch<T>> parse_batch(ConstBytes datagram, uint16_t present, uint16_t removed,
                             Result<void> (*parse)(const NetlinkMessage&, std::vector<T>&)) {
  Batch<T> batch;
  auto take = [&](const NetlinkMessage& message) -> Result<void> {
    if (message.type != present && message.type != removed) return {};
    return parse(message, batch.items);
  };
  TRY(each_message(datagram, batch.done, batch.interrupted, take));
  return batch;
}

}  // namespace

Result<LinkBatch> parse_links(ConstBytes datagram) {
  return parse_batch(datagram, RTM_NEWLINK, RTM_DELLINK, parse_link);
}

Result<AddressBatch> parse_addresses(ConstBytes datagram) {
  return parse_batch(datagram, RTM_NEWADDR, RTM_DELADDR, parse_address);
}

Result<RouteBatch> parse_routes(ConstBytes datagram) {
  return parse_batch(datagram, RTM_NEWROUTE, RTM_NEWROUTE, parse_route);
}

Result<RuleBatch> parse_rules(ConstBytes datagram) {
  return parse_batch(datagram, RTM_NEWRULE, RTM_NEWRULE, parse_rule);
}

Result<NeighbourBatch> parse_neighbours(ConstBytes datagram) {
  return parse_batch(datagram, RTM_NEWNEIGH, RTM_DELNEIGH, parse_neighbour);
}

}  // namespace curlingiron
