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
// BLKZEROOUT: reads back as zeros on every device; aligned to the logical sector.
Result<void> zero_out(const UniqueFd& device, uint64_t offset, uint64_t length);
// fallocate(2) ZERO_RANGE: the same for a regular file, whose size stays. EOPNOTSUPP where the file
// system cannot.
Result<void> zero_file_range(const UniqueFd& file, uint64_t offset, uint64_t length);
// BLKFLSBUF: drops the kernel's cached pages of the device, so that the next read asks the disk.
Result<void> flush_buffers(const UniqueFd& device);
// BLKRRPART. EBUSY while a partition is in use.
Result<void> reread_partition_table(const UniqueFd& device);
// True when the device node is of a block device.
Result<bool> is_block_device(const UniqueFd& fd);
Result<bool> is_read_only(const UniqueFd& device);

}  // namespace curlingiron
