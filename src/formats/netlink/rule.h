// Rules of the policy routing: RTM_NEWRULE, RTM_DELRULE (struct fib_rule_hdr).
#pragma once

#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "formats/netlink/message.h"
#include "formats/netlink/types.h"

namespace curlingiron {

// One message of its kind: appended, or passed over.
Result<void> parse_rule(const NetlinkMessage& message, std::vector<Rule>& rules);
ByteVector format_rule(const Rule& rule);  // body of a request

}  // namespace curlingiron
