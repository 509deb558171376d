// Addresses and neighbours: RTM_NEWADDR (struct ifaddrmsg), RTM_NEWNEIGH (struct ndmsg).
#pragma once

#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "formats/netlink/message.h"
#include "formats/netlink/types.h"

namespace curlingiron {

// One message of its kind: appended, or passed over.
Result<void> parse_address(const NetlinkMessage& message, std::vector<AssignedAddress>& addresses);
Result<void> parse_neighbour(const NetlinkMessage& message, std::vector<Neighbour>& neighbours);

// Bodies of requests.
ByteVector format_address(const AssignedAddress& address);
ByteVector format_neighbour(const Neighbour& neighbour);

}  // namespace curlingiron
