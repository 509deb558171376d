// Whether the firmware of this machine can boot what is in the image, as far as the image's first
// bytes show, before anything is written.
#pragma once

#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/result.h"
#include "disk/choose.h"
#include "sys/fd.h"

namespace curlingiron {

enum class BootMode { Bios, Uefi };

// How the running system was booted, which is how the firmware will boot the next one. Nullopt: a
// kernel that was asked not to talk to its UEFI (noefi, or a kexec out of such a one) looks like
// one booted by a BIOS; a boot logo in the ACPI tables (BGRT) gives it away. `root` holds sys/.
std::optional<BootMode> machine_boot_mode(const UniqueFd& root);

// `head`: the first bytes of the raw image, up to 1 MiB. An error where it is certain that `mode`
// cannot boot it: UEFI, and no partition that is or might be an EFI system partition; BIOS, and no
// boot code. A text where it is doubtful, for a warning; nullopt where nothing speaks against it,
// which is no promise. The setting boot=any goes without this check.
Result<std::optional<std::string>> check_boot_mode(ConstBytes head, const Disk& disk,
                                                   BootMode mode);

// The same for the machine that this runs on: a doubt is a warning in the log.
Result<void> check_boots_here(const UniqueFd& root, ConstBytes head, const Disk& disk);

}  // namespace curlingiron
