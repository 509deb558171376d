// Which drivers an installer's initramfs is made of: what reads a network and writes a disk, and
// what those stand on. The whole of the rules is in the tables of driver_rules.cc.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "payload/closure.h"
#include "sys/fd.h"

namespace curlingiron {

// What a module is, known by the functions that it calls: so a driver that is new is known, too.
struct Roles {
  bool nic = false;
  bool disk = false;     // a disk, or what disks are attached to
  bool bus = false;      // what NICs and disks are found behind: USB hosts, virtio, PCI bridges
  bool opt_in = false;   // Fibre Channel and iSCSI adapters: only where the hardware or a user asks
  bool foreign = false;  // a radio, a modem, an RDMA device: nothing that an installer can use

  bool wanted() const { return (nic || disk || bus) && !foreign; }
};
Roles roles_of(std::span<const std::string_view> imported_symbols);

// True for a module that a device of the machine at hand may bring into the initramfs. `path` is
// relative to lib/modules/RELEASE: its place in the kernel's tree decides; a module from elsewhere
// (updates/dkms/r8168.ko) and one of a place that no rule names is judged by its roles.
// Dependencies follow whatever they are.
Result<bool> belongs_in_installer(const UniqueFd& modules_directory, std::string_view path);

// Sets of drivers for machines other than this one.
enum class Profile : uint8_t { Vm, Server, All };
// "vm"; another word is an error that lists them.
Result<Profile> parse_profile(std::string_view name);
std::string_view profile_name(Profile profile);

// The drivers of the tree that the profile's rule chooses, in the tree's order. Reads the modules
// that may be meant (hundreds) from `root`, which is the one the tree was loaded from.
Result<std::vector<std::string>> profile_modules(const UniqueFd& root, const ModuleTree& tree,
                                                 Profile profile);

// Modules that no modalias in sysfs leads to: always, or because of one that is there (a SCSI host
// needs sd_mod, a MAC its PHY). Names that are in the tree as loadable modules.
std::vector<std::string> always_needed(const ModuleTree& tree);
// What mounts a part of a disk.
inline constexpr std::string_view kLoopModule = "loop";
// What the kernel asks for only while it mounts such a file system ("vfat").
std::vector<std::string_view> needed_to_mount(std::string_view file_system);

struct Companion {
  std::string module;
  std::string of;
};
std::vector<Companion> companions_of(const ModuleTree& tree, std::span<const std::string> modules);

}  // namespace curlingiron
