// A part of a disk or file as a block device of its own (loop(4)).
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "sys/fd.h"

namespace curlingiron {

class LoopDevice {
 public:
  // Errors: the kernel has no loop devices (the driver "loop"), or they may not be used.
  static Result<void> check_available();
  // `backing`: open for reading and writing, not O_DIRECT; it must outlive this. The range in
  // bytes, multiples of 512.
  static Result<LoopDevice> attach(const UniqueFd& backing, uint64_t offset, uint64_t size);
  LoopDevice(LoopDevice&&) noexcept = default;
  LoopDevice& operator=(LoopDevice&&) = delete;
  ~LoopDevice();

  const std::string& path() const { return path_; }  // "/dev/loop0"
  // Nothing of it is mounted any more. What was written to it is with `backing`, not yet on its
  // medium.
  Result<void> detach();

 private:
  LoopDevice(std::string path, UniqueFd device)
      : path_(std::move(path)), device_(std::move(device)) {}
  std::string path_;
  UniqueFd device_;
};

}  // namespace curlingiron
