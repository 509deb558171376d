// What is handed to the new system, as cloud-init's NoCloud takes it: a FAT file system labelled
// CIDATA with meta-data, user-data, vendor-data and network-config
// (https://cloudinit.readthedocs.io/, NoCloud).
#pragma once

#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "formats/network_config.h"
#include "host/options.h"
#include "sys/fd.h"

namespace curlingiron {

struct Seed {
  ByteVector image;                // a file system of whole MiB; empty: none is wanted
  bool is_asked_for = false;       // by an option; else it may be left out where it has no room
  std::vector<std::string> shown;  // a line for each thing that is handed over; no secrets
  std::vector<std::string> notes;  // what cannot be, and why
};

// Whether what no option says is taken of this machine: keys that may log in, name, network.
enum class TakeFromHere { No, Yes };

// `network`: of this machine. `sector`: the disk's logical one, in bytes. Errors: a file that is
// none of what it should be, options that would replace each other.
Result<Seed> make_seed(const UniqueFd& root, const HandOverOptions& options, TakeFromHere take,
                       const NetworkConfig& network, uint32_t sector);

}  // namespace curlingiron
