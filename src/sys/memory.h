// How much memory this machine has (/proc/meminfo, proc_meminfo(5)).
#pragma once

#include <cstdint>

namespace curlingiron {

// Blocks of a mebibyte and more go back to the kernel as soon as they are freed (mallopt(3)): the
// machine that is replaced may have just enough for the next system beside this one.
void give_large_blocks_back();

// Bytes; no limit (UINT64_MAX) where it is not known.

// All that the kernel has (MemTotal).
uint64_t total_memory();
// What can be used without swapping (MemAvailable), and what this process's control groups leave of
// it (cgroups(7)).
uint64_t available_memory();
// The same with what swap would still take (SwapFree).
uint64_t available_memory_with_swap();

}  // namespace curlingiron
