#include "sys/loop.h"

#include <fcntl.h>
#include <linux/loop.h>
#include <sys/ioctl.h>

#include <cerrno>

#include "base/text.h"

namespace curlingiron {
namespace {

constexpr const char* kControl = "/dev/loop-control";
// Another program may take the free device first; it is asked for another as often as that.
constexpr int kTries = 16;

Result<UniqueFd> open_control() {
  Result<UniqueFd> control = open_path(kControl, O_RDWR);
  if (!control.ok() && (control.error().code() == ENOENT || control.error().code() == ENODEV)) {
    return Error("the kernel has no loop devices (its driver is called loop)",
                 control.error().code());
  }
  return std::move(control).with_context(kControl);
}

// As udev names it, and the kernel by itself (devtmpfs).
Result<UniqueFd> open_free(std::string& path) {
  UniqueFd control = TRY(open_control());
  int number = ::ioctl(control.get(), LOOP_CTL_GET_FREE);
  if (number < 0) return last_system_error("LOOP_CTL_GET_FREE");
  path = concat("/dev/loop", number);
  return open_path(path, O_RDWR).with_context(path);
}

Result<void> set_range(const UniqueFd& device, const loop_info64& info) {
  for (int tries = 0;; ++tries) {
    if (::ioctl(device.get(), LOOP_SET_STATUS64, &info) == 0) return {};
    // EAGAIN: what somebody has read of it meanwhile is on its way out of memory.
    if (errno == EAGAIN && tries < kTries) continue;
    Error error = last_system_error("LOOP_SET_STATUS64");
    (void)::ioctl(device.get(), LOOP_CLR_FD, 0);
    return error;
  }
}

// False: another program has the device meanwhile.
Result<bool> configure(const UniqueFd& device, const UniqueFd& backing, const loop_info64& info) {
  loop_config config{};
  config.fd = static_cast<uint32_t>(backing.get());
  config.info = info;
  if (::ioctl(device.get(), LOOP_CONFIGURE, &config) == 0) return true;
  if (errno == EBUSY) return false;
  // Before Linux 5.8 it is done in two steps.
  if (errno != EINVAL && errno != ENOTTY) return last_system_error("LOOP_CONFIGURE");
  if (::ioctl(device.get(), LOOP_SET_FD, backing.get()) != 0) {
    if (errno == EBUSY) return false;
    return last_system_error("LOOP_SET_FD");
  }
  TRY(set_range(device, info));
  return true;
}

}  // namespace

Result<void> LoopDevice::check_available() {
  TRY(open_control());
  return {};
}

Result<LoopDevice> LoopDevice::attach(const UniqueFd& backing, uint64_t offset, uint64_t size) {
  loop_info64 info{};
  info.lo_offset = offset;
  info.lo_sizelimit = size;
  // The kernel detaches it when nobody has it open any more, whatever becomes of this process.
  info.lo_flags = LO_FLAGS_AUTOCLEAR;
  for (int tries = 0; tries < kTries; ++tries) {
    std::string path;
    UniqueFd device = TRY(open_free(path));
    if (TRY_CONTEXT(path, configure(device, backing, info))) {
      return LoopDevice(std::move(path), std::move(device));
    }
  }
  return Error("other programs take each free loop device first; try again");
}

Result<void> LoopDevice::detach() {
  if (!device_.valid()) return {};
  UniqueFd device = std::move(device_);
  if (::ioctl(device.get(), LOOP_CLR_FD, 0) != 0) {
    return last_system_error("LOOP_CLR_FD").with_context(path_);
  }
  return {};
}

LoopDevice::~LoopDevice() { (void)detach(); }

}  // namespace curlingiron
