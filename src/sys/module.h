// Kernel modules into the kernel (finit_module(2)).
#pragma once

#include <string>

#include "base/result.h"
#include "sys/fd.h"

namespace curlingiron {

// Loaded: it is in the kernel now, or was before (EEXIST). NoHardware: its init found none
// (ENODEV).
enum class ModuleOutcome { Loaded, NoHardware };

// `path` relative to `root`. The error names signature enforcement and wrong releases as such.
Result<ModuleOutcome> load_module(const UniqueFd& root, const std::string& path);

}  // namespace curlingiron
