// A network as cloud-init and netplan have it: "network-config", version 2
// (https://cloudinit.readthedocs.io/, Networking config version 2; netplan-yaml(5)).
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "formats/network_config.h"

namespace curlingiron {

struct CloudNetwork {
  std::string text;                // YAML; empty: there is no link that could be named
  std::vector<std::string> notes;  // for the user: what it cannot say
};

// Links by hardware address, so that they are found whatever the new system calls them. What was
// leased is leased again; what is static is written down.
CloudNetwork cloud_network_of(const NetworkConfig& network);

}  // namespace curlingiron
