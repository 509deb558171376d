// Real block devices for tests, where this process may make them.
#pragma once

#include <fcntl.h>
#include <linux/loop.h>
#include <sys/ioctl.h>

#include <cerrno>
#include <string>

#include "base/text.h"
#include "sys/fd.h"

namespace curlingiron {

// A loop device on a file; the kernel takes it apart when the last user closes it.
class LoopDevice {
 public:
  static Result<LoopDevice> attach(const std::string& file, uint32_t sector) {
    UniqueFd control = TRY_CONTEXT("/dev/loop-control", open_path("/dev/loop-control", O_RDWR));
    UniqueFd backing = TRY(open_path(file, O_RDWR));
    for (int attempt = 0; attempt < 10; ++attempt) {  // another process may be quicker
      int number = ::ioctl(control.get(), LOOP_CTL_GET_FREE);
      if (number < 0) return last_system_error("LOOP_CTL_GET_FREE");
      std::string path = concat("/dev/loop", number);
      UniqueFd device = TRY_CONTEXT(path, open_path(path, O_RDWR));
      loop_config config{};
      config.fd = static_cast<uint32_t>(backing.get());
      config.block_size = sector;
      config.info.lo_flags = LO_FLAGS_AUTOCLEAR;
      if (::ioctl(device.get(), LOOP_CONFIGURE, &config) == 0)
        return LoopDevice(std::move(device), path);
      if (errno != EBUSY) return last_system_error("LOOP_CONFIGURE");
    }
    return Error("no free loop device", EBUSY);
  }

  const std::string& path() const { return path_; }

 private:
  LoopDevice(UniqueFd device, std::string path)
      : device_(std::move(device)), path_(std::move(path)) {}
  UniqueFd device_;
  std::string path_;
};

}  // namespace curlingiron
