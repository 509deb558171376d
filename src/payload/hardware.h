// The devices of the running machine, as their drivers are looked up.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "sys/fd.h"

namespace curlingiron {

// All modaliases of the devices present, below sys/devices of `root`: sorted, unique. Those of
// uevents (mmc:block) and of network PHYs (mdio:...), which no modalias file shows, are among them.
// Bounds: 32 levels, 200,000 directories; links are not followed. No sys/devices: an error.
Result<std::vector<std::string>> hardware_modaliases(const UniqueFd& root);

}  // namespace curlingiron
