// The firmware's own list of what it starts, after the disk's system was replaced (UEFI; a BIOS has
// none). The system is there and boots by itself on most machines: nothing in here is a failure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "disk/choose.h"
#include "formats/efi_load_option.h"
#include "sys/fd.h"

namespace curlingiron {

struct FirmwareChange {
  bool is_known = false;          // UEFI, and its list could be read and written
  std::optional<uint16_t> entry;  // Boot####, which comes first now
  size_t removed = 0;             // entries of the old system
};

// On a machine that was started by UEFI: mounts efivarfs, makes an entry for the loader on the EFI
// system partition that `disk` has now, puts it first, and removes those of partitions that the
// disk had `before` and has no more. What does not go is a warning that says what to do. Bounded in
// time, also where the firmware never answers.
FirmwareChange tell_firmware(const UniqueFd& root, const Disk& disk,
                             std::vector<EfiPartition> before);

}  // namespace curlingiron
