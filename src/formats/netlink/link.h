// Links, VLANs and bonds: RTM_NEWLINK, RTM_DELLINK (struct ifinfomsg).
#pragma once

#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "formats/netlink/message.h"
#include "formats/netlink/types.h"

namespace curlingiron {

// One message of its kind: appended, or passed over.
Result<void> parse_link(const NetlinkMessage& message, std::vector<Link>& links);

// Bodies of requests. The link's: struct ifinfomsg, attributes follow.
ByteWriter format_link(int index, uint32_t flags, uint32_t change);
ByteVector format_vlan(const std::string& name, int lower, const VlanOptions& options);
ByteVector format_bond(const std::string& name, const BondOptions& options, int primary);

}  // namespace curlingiron
