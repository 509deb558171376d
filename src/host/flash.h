// curlingiron flash: reimage this machine in place.
#pragma once

#include "host/options.h"

namespace curlingiron {

int flash(const FlashOptions& options);

}  // namespace curlingiron
