// What UEFI is to start of a system, on its EFI system partition.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "formats/fat_reader.h"
#include "sys/fd.h"

namespace curlingiron {

// The end of loaders' names for this machine's firmware: "x64", or "ia32" where it is of 32 bits,
// whatever the processor. `root` holds sys/.
std::string_view firmware_architecture(const UniqueFd& root);

// "\EFI\BOOT\BOOTX64.EFI" where it is there; else a loader in a vendor's own directory below EFI;
// an error where there is neither. The former is what the image's maker has tried on machines that
// knew nothing of it, it stays where it is when the vendor's moves, and where it is shim with its
// fallback, that makes the vendor's own entries. An image of a system that was installed on another
// machine may have only the vendor's, and does not start without an entry.
Result<std::string> find_boot_loader(const FatReader& system_partition,
                                     std::string_view architecture);

}  // namespace curlingiron
