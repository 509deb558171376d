#include "disk/boot_loader.h"

#include <algorithm>

#include "base/text.h"
#include "sys/file.h"

namespace curlingiron {
namespace {

constexpr std::string_view kRemovable = "BOOT";  // its folder and its name
// Then the first that starts the others: of shim and GRUB side by side, Secure Boot takes only
// shim.
constexpr std::string_view kLoaders[] = {kRemovable, "shim", "systemd-boot", "grub"};

}  // namespace

std::string_view firmware_architecture(const UniqueFd& root) {
  Result<std::string> bits = read_line(root, "sys/firmware/efi/fw_platform_size");
  return bits.ok() && bits.value() == "32" ? "ia32" : "x64";
}

Result<std::string> find_boot_loader(const FatReader& system_partition,
                                     std::string_view architecture) {
  std::vector<FatEntry> folders = TRY(system_partition.list("EFI"));
  // Not itself and the one above it; and a name that is not ASCII is not known as it is written.
  std::erase_if(folders, [](const FatEntry& folder) {
    return folder.name.starts_with('.') || folder.name.find('?') != std::string::npos;
  });
  for (std::string_view loader : kLoaders) {
    std::string name = concat(loader, architecture, ".efi");
    for (const FatEntry& folder : folders) {
      if (equal_ignoring_case(folder.name, kRemovable) != (loader == kRemovable)) continue;
      // What is a file, or damaged, holds none.
      Result<std::vector<FatEntry>> files = system_partition.list(concat("EFI/", folder.name));
      if (!files.ok()) continue;
      for (const FatEntry& file : files.value()) {
        if (file.size == 0 || !equal_ignoring_case(file.name, name)) continue;
        return concat("\\EFI\\", folder.name, "\\", file.name);
      }
    }
  }
  return Error("no boot loader for this firmware is in it");
}

}  // namespace curlingiron
