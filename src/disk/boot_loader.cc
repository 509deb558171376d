#include "disk/boot_loader.h"

#include <algorithm>

#include "base/text.h"
#include "sys/file.h"

namespace curlingiron {
namespace {

constexpr std::string_view kRemovable = "BOOT";  // its folder and its name
constexpr size_t kMostFolders = 64;
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
  // More than any image has, and few enough for one that wants to take long.
  folders.resize(std::min(folders.size(), kMostFolders));
  size_t best = std::size(kLoaders);
  std::string path;
  for (const FatEntry& folder : folders) {
    // What is a file, or damaged, holds none.
    Result<std::vector<FatEntry>> files = system_partition.list(concat("EFI/", folder.name));
    if (!files.ok()) continue;
    bool is_removable = equal_ignoring_case(folder.name, kRemovable);
    for (size_t rank = 0; rank < best; ++rank) {
      if ((kLoaders[rank] == kRemovable) != is_removable) continue;
      std::string name = concat(kLoaders[rank], architecture, ".efi");
      for (const FatEntry& file : files.value()) {
        if (file.size == 0 || !equal_ignoring_case(file.name, name)) continue;
        best = rank;
        path = concat("\\EFI\\", folder.name, "\\", file.name);
      }
    }
  }
  if (!path.empty()) return path;
  return Error("no boot loader for this firmware is in it");
}

}  // namespace curlingiron
