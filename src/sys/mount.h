// The kernel's own file systems, mounted (mount(2)).
#pragma once

#include <string>

#include "base/result.h"

namespace curlingiron {

// Mounts `type` on `target`, nosuid and noexec. Already mounted (EBUSY) is fine.
Result<void> mount_kernel_fs(const std::string& type, const std::string& target);

}  // namespace curlingiron
