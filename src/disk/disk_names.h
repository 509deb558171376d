// What a disk calls itself, read from sysfs.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sys/fd.h"

namespace curlingiron {

struct DiskNames {
  std::string model;
  std::string serial;
  std::string wwid;
  std::vector<std::string> by_ids;  // as systemd's 60-persistent-storage.rules makes them
};

// `root` holds sys/; attributes that are not there leave their fields empty.
DiskNames read_disk_names(const UniqueFd& root, const std::string& name,
                          const std::string& device_path);

// A by-id name with every run of characters that udev replaces as one '_', so that names compare
// equal whichever of its rules made them.
std::string normal_id(std::string_view id);

}  // namespace curlingiron
