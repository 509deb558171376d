// What a finished initramfs of ours holds, as far as whoever starts it has to know.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "base/result.h"
#include "formats/module_index.h"
#include "payload/initramfs.h"

namespace curlingiron {

struct InitramfsContents {
  ModuleIndex index;
  InitramfsSettings settings;
  uint64_t unpacked_size = 0;
};

// As the kernel unpacks it: of files that are there twice, the last one. Errors: none of ours (no
// /init or no index of modules), and those of InitramfsReader.
Result<InitramfsContents> read_initramfs_contents(ConstBytes initramfs);

}  // namespace curlingiron
