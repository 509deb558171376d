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

Result<void> zero_out(const UniqueFd& device, uint64_t offset, uint64_t length) {
  uint64_t range[2] = {offset, length};
  while (::ioctl(device.get(), BLKZEROOUT, range) != 0) {
    if (errno != EINTR) return last_system_error("BLKZEROOUT");
  }
  return {};
}

Result<void> zero_file_range(const UniqueFd& file, uint64_t offset, uint64_t length) {
  while (::fallocate(file.get(), FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE,
                     static_cast<off_t>(offset), static_cast<off_t>(length)) != 0) {
    if (errno != EINTR) return last_system_error("fallocate");
  }
  return {};
}

Result<void> flush_buffers(const UniqueFd& device) {
  if (::ioctl(device.get(), BLKFLSBUF, 0) != 0) return last_system_error("BLKFLSBUF");
  return {};
}

Result<void> reread_partition_table(const UniqueFd& device) {
  if (::ioctl(device.get(), BLKRRPART, 0) != 0) return last_system_error("BLKRRPART");
  return {};
}

Result<bool> is_block_device(const UniqueFd& fd) {
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) return last_system_error("fstat");
  return S_ISBLK(status.st_mode);
}

Result<bool> is_read_only(const UniqueFd& device) {
  int read_only = 0;
  if (::ioctl(device.get(), BLKROGET, &read_only) != 0) return last_system_error("BLKROGET");
  return read_only != 0;
}

}  // namespace curlingiron
