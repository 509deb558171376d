// curlingiron start: start a payload in place of the running system, for what it finds to do.
#pragma once

#include "host/options.h"

namespace curlingiron {

// One that knows what to install where is started by flash().
int start(const StartOptions& options);

}  // namespace curlingiron
