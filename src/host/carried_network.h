// The network that the next system is to set up, and whether it can drive this machine's cards.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "formats/netlink/types.h"
#include "formats/network_config.h"
#include "formats/settings.h"
#include "host/coverage.h"
#include "sys/fd.h"

namespace curlingiron {

struct CarriedNetwork {
  NetworkConfig config;     // as captured or of a file; empty: the settings describe one
  std::string of;           // for people: where it comes from
  std::vector<Link> cards;  // of this machine
};
// That of `file` (--network) where it is not empty, of `settings` where they give one, the text
// that was `built_in`, else this machine's own. Errors: two of them are given, or one that /init
// could not read.
Result<CarriedNetwork> choose_network(const UniqueFd& root, const std::string& file,
                                      const Settings& settings, const std::string& built_in);

struct ProvenCards {
  std::vector<std::string> shown;  // "eth0 (e1000), 52:54:00:12:34:56, no carrier"
  bool usable = false;             // one of them has a carrier
};
// An error where the initramfs lacks the driver of one with a carrier.
Result<ProvenCards> prove_cards(const UniqueFd& root, const std::vector<Link>& cards,
                                const ModuleIndex& index, MadeWhere made);

}  // namespace curlingiron
