// For the deadline: how far each NIC and family got towards the source, and what to do.
#pragma once

#include "base/result.h"
#include "formats/network_config.h"
#include "net/join/interfaces.h"
#include "net/join/made_links.h"
#include "net/join/path_table.h"

namespace curlingiron {

Error describe_unreached(const NetworkConfig& config, const Interfaces& interfaces,
                         const MadeLinks& made, const PathTable& paths);

}  // namespace curlingiron
