// Which drivers an installer's initramfs is made of: what reads a network and writes a disk, and
// what those stand on. The whole of the rule is in the tables of driver_rules.cc.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "payload/closure.h"

namespace curlingiron {

// True for a module that a device's modalias may bring into the initramfs. `path` is relative to
// lib/modules/RELEASE. Dependencies follow whatever their path. A module that was not built with
// the kernel (updates/dkms/r8168.ko) is judged by the device's class, where the modalias tells it.
bool belongs_in_installer(std::string_view path, std::string_view modalias);

// Modules that no modalias in sysfs leads to: always, or because of one that is there (a SCSI host
// needs sd_mod, a MAC its PHY). Names that are in the tree as loadable modules.
std::vector<std::string> always_needed(const ModuleTree& tree);
std::vector<std::string> companions_of(const ModuleTree& tree,
                                       std::span<const std::string> modules);

}  // namespace curlingiron
