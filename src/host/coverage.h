// Proof, before the point of no return, that the initramfs can drive the disk and the NICs that
// matter.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "sys/fd.h"

namespace curlingiron {

// The kernel modules bound to `device` (a path below sys/, "sys/devices/pci0000:00/…") and to every
// device above it, as their driver links tell. Drivers built into the kernel have none.
Result<std::vector<std::string>> bound_modules(const UniqueFd& root, const std::string& device);

// Error that names what of `needed` is not among `included`.
Result<void> check_covered(const std::string& what, const std::vector<std::string>& needed,
                           const std::vector<std::string>& included);

}  // namespace curlingiron
