// The kernel's announcements of devices (netlink(7), NETLINK_KOBJECT_UEVENT, group 1).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "sys/fd.h"

namespace curlingiron {

struct Uevent {
  std::string action;     // "add", "change", …
  std::string device;     // DEVPATH, "/devices/pci0000:00/…"
  std::string subsystem;  // "net", "block", "pci"
  std::string modalias;   // empty: none
  std::string driver;     // empty: none
};

// "ACTION@DEVPATH" NUL "KEY=VALUE" NUL … Bounded by the datagram.
Result<Uevent> parse_uevent(ConstBytes datagram);

// The modalias in the uevent file of a device in sysfs, which some (mmc:block) have without a
// modalias file beside it; empty: none, or the device has gone.
std::string read_uevent_modalias(const UniqueFd& root, const std::string& file);

class UeventSocket {
 public:
  // With an 8 MiB receive buffer: opened before the devices are triggered, it loses none.
  static Result<UeventSocket> open();
  int fd() const { return fd_.get(); }

  enum class Status { Event, Empty, Lost };
  // The next announcement without waiting. Lost: the kernel dropped some (ENOBUFS), rescan. What
  // does not come from the kernel or does not parse is skipped.
  Result<Status> receive(Uevent& event);

 private:
  explicit UeventSocket(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

}  // namespace curlingiron
