// Routes: RTM_NEWROUTE, RTM_DELROUTE (struct rtmsg).
#pragma once

#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "formats/netlink/message.h"
#include "formats/netlink/types.h"

namespace curlingiron {

// One message of its kind: appended, or passed over.
Result<void> parse_route(const NetlinkMessage& message, std::vector<Route>& routes);
ByteVector format_route(const Route& route);  // body of a request

}  // namespace curlingiron
