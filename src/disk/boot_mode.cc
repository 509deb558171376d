#include "disk/boot_mode.h"

#include <algorithm>

#include "base/advice.h"
#include "base/log.h"
#include "base/text.h"
#include "base/units.h"
#include "formats/gpt.h"
#include "formats/partition_type.h"
#include "formats/superblock.h"
#include "sys/file.h"

namespace curlingiron {
namespace {

using Doubt = std::optional<std::string>;

constexpr size_t kBootCodeBytes = 440;  // before the disk signature of an MBR
constexpr size_t kIsoMagicOffset = 32_KiB + 1;
// UEFI specification 2.10, table 5.8: "legacy BIOS bootable".
constexpr uint64_t kLegacyBootable = 4;

// FAT12, FAT16, NTFS/exFAT, FAT32, the hidden ones, and extended partitions, which may hold them.
constexpr uint8_t kMbrMaybeFat[] = {0x01, 0x04, 0x05, 0x06, 0x07, 0x0b, 0x0c, 0x0e, 0x0f,
                                    0x11, 0x14, 0x16, 0x17, 0x1b, 0x1c, 0x1e, 0x85};

template <typename Range, typename Value>
bool holds(const Range& range, const Value& value) {
  return std::find(std::begin(range), std::end(range), value) != std::end(range);
}

bool has_type(const std::vector<GptPartition>& partitions, const Guid& type) {
  return std::any_of(partitions.begin(), partitions.end(),
                     [&](const GptPartition& partition) { return partition.type == type; });
}

bool is_iso(ConstBytes head) {
  constexpr std::string_view kMagic = "CD001";
  return head.size() >= kIsoMagicOffset + kMagic.size() &&
         as_text(head.subspan(kIsoMagicOffset, kMagic.size())) == kMagic;
}

Error not_for_uefi(std::string_view what) {
  return Error(concat("this machine boots by UEFI, but ", what,
                      ": the image is for a BIOS; use an image for UEFI, or pass ",
                      as_typed("boot=any"),
                      " if the firmware is set to boot as a BIOS does (CSM)"));
}

Doubt doubt_about_uefi(std::string_view what) {
  return concat("this machine boots by UEFI, and ", what,
                ": whether the firmware finds a boot loader is not certain");
}

Result<Doubt> check_gpt_for_uefi(const std::vector<GptPartition>& partitions) {
  if (has_type(partitions, kEfiSystemType)) return Doubt();
  // Those that hold FAT as a rule: many a firmware looks for \EFI\BOOT in any FAT there is.
  if (has_type(partitions, kBasicDataType) || has_type(partitions, kBootLoaderType)) {
    return doubt_about_uefi("the image has no EFI system partition, only others that may be FAT");
  }
  return not_for_uefi("the image's partition table (GPT) has no EFI system partition");
}

Result<Doubt> check_mbr_for_uefi(const Mbr& mbr) {
  bool efi = false;
  bool maybe = false;
  for (const MbrPartition& partition : mbr.partitions) {
    efi = efi || partition.type == kMbrEfiSystemType;
    maybe = maybe || holds(kMbrMaybeFat, partition.type);
  }
  if (efi) return Doubt();
  if (maybe) {
    return doubt_about_uefi("the image has no EFI system partition, only others that may be FAT");
  }
  return not_for_uefi("the image's partition table (MBR) has no EFI system partition");
}

bool is_empty(const Mbr& mbr) {
  return std::all_of(mbr.partitions.begin(), mbr.partitions.end(),
                     [](const MbrPartition& partition) { return partition.type == 0; });
}

Result<Doubt> check_for_uefi(ConstBytes head, const Disk& disk) {
  Result<std::vector<GptPartition>> gpt = find_gpt_partitions(head, disk.logical_sector);
  if (gpt.ok()) return check_gpt_for_uefi(gpt.value());
  if (find_gpt_sector_size(head)) {
    return doubt_about_uefi("the image's partition table (GPT) cannot be read");
  }
  // El Torito: meant for optical drives, honoured on disks by some.
  if (is_iso(head)) return doubt_about_uefi("the image is an ISO 9660 file system");
  Result<Mbr> mbr = parse_mbr(head.first(kMbrBytes));
  if (mbr.ok() && mbr.value().is_protective()) {
    return doubt_about_uefi("the GPT that the image's first sector announces is not there");
  }
  if (mbr.ok() && !is_empty(mbr.value())) return check_mbr_for_uefi(mbr.value());
  std::optional<FileSystem> file_system = find_file_system(head);
  if (!file_system) return not_for_uefi("the image has no partition table and no FAT file system");
  if (file_system->name == "FAT") {
    return doubt_about_uefi("the image is a FAT file system without a partition table");
  }
  return not_for_uefi(concat("the image is a bare file system (", file_system->name, ")"));
}

Result<Doubt> check_for_bios(ConstBytes head, const Disk& disk) {
  if (all_zero(head.first(kBootCodeBytes))) {
    return Error(concat(
        "this machine boots by BIOS, but the image has no boot code in its first sector: it is "
        "for UEFI, or a bare file system; use an image that boots by BIOS, or pass ",
        as_typed("boot=any"), " if the firmware can be set to UEFI"));
  }
  if (head[510] != 0x55 || head[511] != 0xaa) {
    return Doubt(
        "this machine boots by BIOS, and the image's first sector lacks the mark 55 AA: "
        "most firmware will not boot it");
  }
  Result<std::vector<GptPartition>> gpt = find_gpt_partitions(head, disk.logical_sector);
  if (!gpt.ok() || has_type(gpt.value(), kBiosBootType)) return Doubt();
  for (const GptPartition& partition : gpt.value()) {
    if ((partition.attributes & kLegacyBootable) != 0) return Doubt();
  }
  return Doubt(
      "this machine boots by BIOS, and the image's partition table (GPT) has no partition "
      "for a BIOS boot loader: whether the boot code finds one is not certain");
}

}  // namespace

std::optional<BootMode> machine_boot_mode(const UniqueFd& root) {
  if (exists(root, "sys/firmware/efi")) return BootMode::Uefi;
  if (exists(root, "sys/firmware/acpi/tables/BGRT")) return std::nullopt;
  return BootMode::Bios;
}

Result<Doubt> check_boot_mode(ConstBytes head, const Disk& disk, BootMode mode) {
  if (head.size() < kMbrBytes)
    return Error("the image is shorter than a boot sector; check where it comes from");
  switch (mode) {
    case BootMode::Bios: return check_for_bios(head, disk);
    case BootMode::Uefi: return check_for_uefi(head, disk);
  }
  __builtin_unreachable();
}

Result<void> check_boots_here(const UniqueFd& root, ConstBytes head, const Disk& disk) {
  std::optional<BootMode> mode = machine_boot_mode(root);
  if (!mode) return {};
  std::optional<std::string> doubt = TRY(check_boot_mode(head, disk, *mode));
  if (doubt) log_warning(*doubt);
  return {};
}

}  // namespace curlingiron
