// Block device ioctls (linux/fs.h, blkdev.h). Offsets and lengths in bytes.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "sys/fd.h"

namespace curlingiron {

struct BlockGeometry {
  uint64_t size = 0;               // BLKGETSIZE64
  uint32_t logical_sector = 512;   // BLKSSZGET
  uint32_t physical_sector = 512;  // BLKPBSZGET
};

Result<BlockGeometry> block_geometry(const UniqueFd& device);
// The range reads back as zeros on every device; aligned to the logical sector. fallocate(2)
// PUNCH_HOLE, by which a device may free the range where it promises zeros for it; else BLKZEROOUT.
Result<void> zero_out(const UniqueFd& device, uint64_t offset, uint64_t length);
// fallocate(2) ZERO_RANGE or PUNCH_HOLE: the same for a regular file, whose size stays. EOPNOTSUPP
// where the file system cannot.
Result<void> zero_file_range(const UniqueFd& file, uint64_t offset, uint64_t length);
// BLKRRPART. EBUSY while a partition is in use.
Result<void> reread_partition_table(const UniqueFd& device);
// BLKFLSBUF: what was written through the page cache goes to the device, and nothing of it stays in
// the cache. Nothing to do for a regular file.
Result<void> drop_cache(const UniqueFd& device);
Result<bool> is_read_only(const UniqueFd& device);

}  // namespace curlingiron
