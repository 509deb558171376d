// Which name servers lookups over an interface ask: configured ones first, then those learnt there.
#pragma once

#include <vector>

#include "base/time.h"
#include "formats/network_config.h"
#include "net/dns/resolver.h"
#include "net/join/interfaces.h"

namespace curlingiron {

std::vector<NameServer> name_servers_of(const Interface& interface, const NetworkConfig& config,
                                        Time time);
// Where there are none, those of all others are better than none.
ResolverConfig resolver_of(const Interface& interface, const Interfaces& all,
                           const NetworkConfig& config, Time time);

}  // namespace curlingiron
