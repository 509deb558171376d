// A file system that is mounted for one thread alone, which sees nothing else: links in it lead
// nowhere but into it.
#pragma once

#include <functional>
#include <string>

#include "base/result.h"
#include "sys/fd.h"

namespace curlingiron {

// Whether the kernel has a file system of that name ("xfs"), which it loads where it is a module.
// Errors: not root, or no kernel that can do what follows.
Result<bool> has_file_system(const std::string& type);

struct VolumeSource {
  std::string device;   // "/dev/loop0"
  std::string type;     // "ext4"
  std::string options;  // as mount(2) takes them; empty: none
};

// Mounts it (nosuid, nodev, noexec), runs `use` on a thread whose root directory it is, which is
// handed over open as well, writes what is left to the device, and takes it away again. It has no
// place among the mounts of any process: fsmount(2), Linux 5.2. Needs root. The error is that of
// `use`, if it has one.
Result<void> with_volume(const VolumeSource& source,
                         const std::function<Result<void>(const UniqueFd& root)>& use);

}  // namespace curlingiron
