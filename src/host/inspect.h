// curlingiron inspect: what is in an initramfs, what it costs, and why it is there. Results on
// standard output, file names made printable, no file's content but the lines of short texts that
// differ; secrets never.
#pragma once

#include "host/options.h"

namespace curlingiron {

// diff(1)'s status for trouble, as 1 means that the images differ.
inline constexpr int kExitTrouble = 2;

// The exit status. Of diff: 0 the same, 1 different, kExitTrouble.
int inspect(const InspectOptions& options);

}  // namespace curlingiron
