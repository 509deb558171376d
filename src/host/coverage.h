// Proof, before the point of no return, that the initramfs can drive the disk and the NICs that
// matter.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "payload/initramfs.h"
#include "sys/fd.h"

namespace curlingiron {

// A device that a loadable module drives. Drivers built into the kernel need no proof: the same
// kernel is started.
struct DrivenDevice {
  std::string path;  // "sys/devices/pci0000:00/…"
  std::string module;
  std::vector<std::string> modaliases;  // of modalias and uevent files; empty: it has none
};

// `device` (a path below sys/devices) and every device above it that a module drives, as their
// driver links say, the topmost last.
Result<std::vector<DrivenDevice>> driven_devices(const UniqueFd& root, const std::string& device);

// The same, and where `device` is one that stands for several (an NVMe subsystem with its paths:
// sys/devices/virtual/nvme-subsystem/…), the chains of those that it links to. On the running
// machine only: links are followed in /sys.
Result<std::vector<DrivenDevice>> devices_behind(const UniqueFd& root, const std::string& device);

// Where an initramfs is from, for advice.
enum class MadeWhere { Here, Elsewhere };

// Nothing when each device's module is in the initramfs and /init will load it: by one of the
// device's modaliases, at start, or as what another of the chain needs. Else an error that names
// `what`, the module, and where modules were looked for.
Result<void> check_covered(const std::string& what, const std::vector<DrivenDevice>& chain,
                           const ModuleIndex& index, MadeWhere made);

}  // namespace curlingiron
