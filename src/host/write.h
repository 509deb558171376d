// curlingiron write: write an image to a disk that is not in use.
#pragma once

#include "host/options.h"

namespace curlingiron {

int write(const WriteOptions& options);

}  // namespace curlingiron
