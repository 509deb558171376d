// What lies on a disk, and what of it this system uses.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "disk/choose.h"
#include "sys/fd.h"

namespace curlingiron {

// The disk itself, where something lies on it or uses it as a whole, or a partition.
struct DiskPart {
  std::string name;     // "sda1"
  uint64_t size = 0;    // bytes
  std::string content;  // "ext4", "LVM"; empty: nothing that is known
  // "mounted on / and /home", "swap", "LVM vg0-root, mounted on /", "RAID md0 (raid1), swap",
  // "Btrfs over vda2 and vdb, mounted on /srv"
  std::vector<std::string> uses;
  bool holds_root = false;          // of the running system
  std::vector<std::string> layers;  // of the uses, each once: "LVM vg0-root", "RAID md0 (raid1)"
};

// What cannot be read is left out. `root` holds sys/, proc/ and dev/.
std::vector<DiskPart> parts_of(const UniqueFd& root, const std::string& name);

// Who uses them, for people: "sda1 is mounted on /boot", "sda3: LVM vg0-root, mounted on /".
std::vector<std::string> uses_of(const std::vector<DiskPart>& parts);
// What is mounted or swap without a layer between, against what names the layer.
bool is_plain_use(std::string_view use);
// The layers that lie on both disks, in part on each: "LVM vg0-root".
std::vector<std::string> shared_layers(const std::vector<DiskPart>& parts,
                                       const std::vector<DiskPart>& others);
// The same as uses_of() for a regular file by its real path: "/srv/a.img is behind loop3",
// "/swapfile is swap".
std::vector<std::string> uses_of_file(const UniqueFd& root, const std::string& path);

// The disk that a volume (LVM, RAID, encryption) or a partition lies on, by its name in sys/block:
// "sda"; several where it spans them, none where that cannot be seen.
std::vector<std::string> disks_under(const UniqueFd& root, const std::string& name);
// What a volume is: "a logical volume"; empty for what is none.
std::string volume_kind(const UniqueFd& root, const std::string& name);

}  // namespace curlingiron
