// curlingiron run: boot a payload in QEMU.
#pragma once

#include "host/options.h"

namespace curlingiron {

int run(const RunOptions& options);

}  // namespace curlingiron
