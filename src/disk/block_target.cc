// Block devices and virtual disks in files, as the BlockWriter sees them.
#include <fcntl.h>

#include <algorithm>
#include <cerrno>

#include "base/text.h"
#include "disk/block_writer.h"
#include "disk/request_queue.h"
#include "sys/file.h"

namespace curlingiron {
namespace {

// Direct requests bypass the page cache: reads ask the device, and a large image does not push the
// memory of a small machine out.
class DeviceTarget final : public BlockTarget {
 public:
  DeviceTarget(UniqueFd fd, BlockGeometry geometry) : fd_(std::move(fd)), geometry_(geometry) {}

  BlockGeometry geometry() const override { return geometry_; }
  Result<void> write(uint64_t offset, ConstBytes bytes) override {
    return pwrite_all(fd_, bytes, offset);
  }
  Result<void> zero(uint64_t offset, uint64_t length) override {
    return zero_out(fd_, offset, length);
  }
  Result<void> read(uint64_t offset, MutableBytes into) override {
    return pread_exact(fd_, into, offset);
  }
  Result<void> flush() override { return sync_file(fd_); }

 private:
  UniqueFd fd_;
  BlockGeometry geometry_;
};

// A virtual disk of 512-byte sectors. Its file system may want larger ones for direct requests, or
// none at all (tmpfs): these go through the page cache.
class FileTarget final : public BlockTarget {
 public:
  FileTarget(UniqueFd direct, UniqueFd cached, uint64_t size)
      : direct_(std::move(direct)), cached_(std::move(cached)) {
    geometry_.size = size;
  }

  BlockGeometry geometry() const override { return geometry_; }

  Result<void> write(uint64_t offset, ConstBytes bytes) override {
    return pwrite_all(fd_for(offset, bytes.size()), bytes, offset);
  }

  Result<void> zero(uint64_t offset, uint64_t length) override {
    Result<void> result = zero_file_range(cached_, offset, length);
    if (result.ok() || (result.error().code() != EOPNOTSUPP && result.error().code() != ENOSYS)) {
      return result;
    }
    AlignedBytes zeros = allocate_aligned(kZeroStep);
    if (zeros == nullptr) return Error("not enough memory", ENOMEM);
    std::fill_n(zeros.get(), kZeroStep, uint8_t{0});
    while (length != 0) {
      uint64_t n = std::min(length, kZeroStep);
      TRY(write(offset, {zeros.get(), n}));
      offset += n;
      length -= n;
    }
    return {};
  }

  Result<void> read(uint64_t offset, MutableBytes into) override {
    return pread_exact(fd_for(offset, into.size()), into, offset);
  }

  Result<void> flush() override { return sync_file(cached_); }

 private:
  const UniqueFd& fd_for(uint64_t offset, uint64_t length) const {
    constexpr uint64_t kLargestSector = 4096;
    bool aligned = offset % kLargestSector == 0 && length % kLargestSector == 0;
    return direct_.valid() && aligned ? direct_ : cached_;
  }

  UniqueFd direct_;  // may be invalid
  UniqueFd cached_;
  BlockGeometry geometry_;
};

Result<std::unique_ptr<BlockTarget>> open_device(const std::string& path) {
  Result<UniqueFd> fd = open_path(path, O_RDWR | O_DIRECT | O_EXCL);
  if (!fd.ok() && fd.error().code() == EBUSY) {
    return Error("the disk is in use by another program; stop it, or choose another disk", EBUSY);
  }
  if (!fd.ok()) return fd.error();
  if (TRY(is_read_only(fd.value()))) {
    return Error("the disk is write-protected; choose another disk", EROFS);
  }
  BlockGeometry geometry = TRY(block_geometry(fd.value()));
  return std::unique_ptr<BlockTarget>(
      std::make_unique<DeviceTarget>(std::move(fd).value(), geometry));
}

Result<std::unique_ptr<BlockTarget>> open_file(const std::string& path) {
  UniqueFd cached = TRY(open_path(path, O_RDWR));
  uint64_t size = TRY(seek_end(cached));
  if (size % BlockGeometry().logical_sector != 0) {
    return Error(concat("the file's size of ", size,
                        " bytes is not a multiple of 512; make it one with \"truncate -s %512\""));
  }
  Result<UniqueFd> direct = open_path(path, O_RDWR | O_DIRECT);
  if (!direct.ok() && direct.error().code() != EINVAL) return direct.error();
  return std::unique_ptr<BlockTarget>(std::make_unique<FileTarget>(
      direct.ok() ? std::move(direct).value() : UniqueFd(), std::move(cached), size));
}

}  // namespace

Result<std::unique_ptr<BlockTarget>> open_block_device(const std::string& path) {
  auto open = [&]() -> Result<std::unique_ptr<BlockTarget>> {
    UniqueFd root = TRY(open_root("."));
    FileStatus status = TRY(file_status(root, path));
    switch (status.type) {
      case FileType::BlockDevice: return open_device(path);
      case FileType::Regular: return open_file(path);
      case FileType::Directory:
      case FileType::SymbolicLink:
      case FileType::CharacterDevice:
      case FileType::Other: return Error("neither a block device nor a regular file");
    }
    __builtin_unreachable();
  };
  return open().with_context(path);
}

}  // namespace curlingiron
