#include "sys/block_device.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include <cerrno>

namespace curlingiron {

Result<BlockGeometry> block_geometry(const UniqueFd& device) {
  BlockGeometry geometry;
  int logical = 0;
  unsigned physical = 0;
  if (::ioctl(device.get(), BLKGETSIZE64, &geometry.size) != 0)
    return last_system_error("BLKGETSIZE64");
  if (::ioctl(device.get(), BLKSSZGET, &logical) != 0) return last_system_error("BLKSSZGET");
  if (::ioctl(device.get(), BLKPBSZGET, &physical) != 0) return last_system_error("BLKPBSZGET");
  geometry.logical_sector = static_cast<uint32_t>(logical);
  geometry.physical_sector = physical;
  return geometry;
}

namespace {

// 0, or the errno.
int allocate_range(const UniqueFd& fd, int mode, uint64_t offset, uint64_t length) {
  while (::fallocate(fd.get(), mode | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(offset),
                     static_cast<off_t>(length)) != 0) {
    if (errno != EINTR) return errno;
  }
  return 0;
}

}  // namespace

Result<void> zero_out(const UniqueFd& device, uint64_t offset, uint64_t length) {
  // Where the kernel is too old for it, or the device makes no promise, BLKZEROOUT writes the
  // zeros; where the device fails, it says how.
  if (allocate_range(device, FALLOC_FL_PUNCH_HOLE, offset, length) == 0) return {};
  uint64_t range[2] = {offset, length};
  while (::ioctl(device.get(), BLKZEROOUT, range) != 0) {
    if (errno != EINTR) return last_system_error("BLKZEROOUT");
  }
  return {};
}

Result<void> zero_file_range(const UniqueFd& file, uint64_t offset, uint64_t length) {
  int code = allocate_range(file, FALLOC_FL_ZERO_RANGE, offset, length);
  if (code == EOPNOTSUPP) code = allocate_range(file, FALLOC_FL_PUNCH_HOLE, offset, length);
  if (code != 0) return system_error("fallocate", code);
  return {};
}

Result<void> reread_partition_table(const UniqueFd& device) {
  if (::ioctl(device.get(), BLKRRPART, 0) != 0) return last_system_error("BLKRRPART");
  return {};
}

Result<void> drop_cache(const UniqueFd& device) {
  if (::ioctl(device.get(), BLKFLSBUF, 0) != 0 && errno != ENOTTY) {
    return last_system_error("BLKFLSBUF");
  }
  return {};
}

Result<bool> is_read_only(const UniqueFd& device) {
  int read_only = 0;
  if (::ioctl(device.get(), BLKROGET, &read_only) != 0) return last_system_error("BLKROGET");
  return read_only != 0;
}

}  // namespace curlingiron
