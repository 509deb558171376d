// curlingiron inspect: what is in an initramfs, what it costs, and why it is there.
#pragma once

#include "host/options.h"

namespace curlingiron {

// The exit status.
int inspect(const InspectOptions& options);

}  // namespace curlingiron
