// What keeps a disk from being replaced while this system runs.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "sys/fd.h"

namespace curlingiron {

// Who uses the disk or partition NAME, or partitions on it, for people: "sda1 is mounted on /",
// "sda2 is swap", "sda3 is held by dm-0". `root` holds sys/ and proc/; what cannot be read is left
// out.
std::vector<std::string> uses_of(const UniqueFd& root, const std::string& name);
// The same for a regular file by its real path: "/srv/a.img is behind loop3", "/swapfile is swap".
std::vector<std::string> uses_of_file(const UniqueFd& root, const std::string& path);

}  // namespace curlingiron
