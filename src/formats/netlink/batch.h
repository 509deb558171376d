// Datagrams from rtnetlink, as lists of what they describe.
#pragma once

#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "formats/netlink/message.h"
#include "formats/netlink/types.h"

namespace curlingiron {

// All messages of one datagram from the kernel, of a dump or of events; messages of other kinds,
// and of other families than IPv4 and IPv6, are passed over. A NLMSG_ERROR is an error with its
// errno. `done`: the dump has ended; `interrupted`: what it lists changed meanwhile. Pure.
template <typename T>
struct Batch {
  std::vector<T> items;
  bool done = false;
  bool interrupted = false;
};
using LinkBatch = Batch<Link>;
using AddressBatch = Batch<AssignedAddress>;
using RouteBatch = Batch<Route>;
using RuleBatch = Batch<Rule>;
using NeighbourBatch = Batch<Neighbour>;
Result<LinkBatch> parse_links(ConstBytes datagram);
Result<AddressBatch> parse_addresses(ConstBytes datagram);
Result<RouteBatch> parse_routes(ConstBytes datagram);
Result<RuleBatch> parse_rules(ConstBytes datagram);
Result<NeighbourBatch> parse_neighbours(ConstBytes datagram);

// Hands every message but the kernel's own to `take`; a NLMSG_ERROR is an error.
template <typename Take>
Result<void> each_message(ConstBytes datagram, bool& done, bool& interrupted, Take take) {
  ByteReader in(datagram);
  while (!in.at_end()) {
    NetlinkMessage message = TRY(next_message(in));
    interrupted = interrupted || is_interrupted(message);
    if (is_answer(message)) {
      TRY(parse_answer(message));
    } else if (is_done(message)) {
      TRY(parse_done(message));
      done = true;
    } else {
      TRY(take(message));
    }
  }
  return {};
}

}  // namespace curlingiron
