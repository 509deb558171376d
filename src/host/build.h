// curlingiron build: an initramfs that installs an image.
#pragma once

#include "host/options.h"

namespace curlingiron {

int build(const BuildOptions& options);

}  // namespace curlingiron
