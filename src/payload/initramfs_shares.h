// Who takes how much of an initramfs image: each byte of the file belongs to one entry, or to what
// is between them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "io/source.h"
#include "payload/initramfs_image.h"

namespace curlingiron {

struct PackedShare {
  std::string path;       // plain_path(); foreign bytes
  size_t archive = 0;     // index into archives
  uint64_t packed = 0;    // bytes of the file
  uint64_t unpacked = 0;  // bytes of data
};

struct ImageShares {
  std::vector<ImageArchive> archives;
  // Entries that hold data, in archive order. A plain archive's takes its own bytes. Those that are
  // packed together share the packed bytes in the proportion that each takes when it is compressed
  // alone, by a quick compressor of the same family.
  std::vector<PackedShare> entries;
  uint64_t names = 0;        // packed: all headers of entries, with paths and alignment
  uint64_t padding = 0;      // zeros around the archives
  uint64_t boot_config = 0;  // at the file's end
  uint64_t total = 0;        // the file's size: the sum of all the others
};

Result<ImageShares> measure_shares(RandomSource& file);

}  // namespace curlingiron
