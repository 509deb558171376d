// The verb capture: this machine's network as a text that flash and build take.
#pragma once

#include "host/options.h"

namespace curlingiron {

int capture(const CaptureOptions& options);

}  // namespace curlingiron
