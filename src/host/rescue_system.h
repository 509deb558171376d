// What `build --rescue` puts into an initramfs besides: a system in memory that one logs in to.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "payload/extras.h"
#include "sys/fd.h"

namespace curlingiron {

struct RescueSystem {
  std::vector<ExtraEntry> extras;  // with those of `specs`
  std::vector<std::string> keys;   // who may log in: "SHA256:... me@laptop (ssh-ed25519)"
};

// busybox and dropbear of `root`, the public keys of `key_files`, and what `specs` name (--add).
// Errors: one of the programs is not installed, there is no key, a file holds none.
Result<RescueSystem> collect_rescue_system(const UniqueFd& root,
                                           const std::vector<std::string>& key_files,
                                           const std::vector<std::string>& specs);

}  // namespace curlingiron
