// A system in memory that one logs in to over the network: what the machine becomes where nobody
// said what to install, and the initramfs was built with --rescue.
#pragma once

#include "init/journal.h"
#include "init/phases.h"
#include "sys/fd.h"

namespace curlingiron {

// Whether the initramfs holds one.
bool has_rescue_system(const UniqueFd& root);

// An SSH server for root, with the keys of the initramfs, as soon as there is any network, and a
// shell on every console; says how to log in, and as whom the server shows itself. Disks are left
// alone. For as long as the machine runs.
[[noreturn]] void run_rescue_system(Journal& journal, const Mounts& mounts,
                                    Configuration& configuration);

}  // namespace curlingiron
