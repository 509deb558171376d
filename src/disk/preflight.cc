#include "disk/preflight.h"

#include <algorithm>

#include "base/text.h"
#include "base/units.h"
#include "formats/gpt.h"
#include "formats/superblock.h"

namespace curlingiron {
namespace {

constexpr uint32_t kMbrSector = 512;
// Tools that round partitions up to a cylinder let the last one reach a little past the end.
constexpr uint64_t kCylinder = 8_MiB;

Error too_large(std::string_view what, uint64_t bytes, const Disk& disk) {
  return Error(concat(disk.name, ": ", format_size(disk.size), " (", disk.size,
                      " bytes) is smaller than the ", format_size(bytes), " (", bytes, " bytes) ",
                      what, "; choose a larger disk"));
}

Error wrong_sector(std::string_view what, const Disk& disk) {
  return Error(concat(what, ", but ", disk.name, " has sectors of ", disk.logical_sector,
                      " bytes; use an image made for ", disk.logical_sector, "-byte sectors"));
}

Result<void> check_gpt(ConstBytes head, const Disk& disk) {
  uint64_t sector = disk.logical_sector;
  std::optional<uint32_t> made_for = find_gpt_sector_size(head);
  if (!made_for) return {};
  bool fits = head.size() >= 2 * sector && as_text(head.subspan(sector, 8)) == "EFI PART";
  if (!fits) {  // Some images carry a table for each size.
    return wrong_sector(concat("the image's partition table (GPT) is for disks with sectors of ",
                               *made_for, " bytes"),
                        disk);
  }
  Result<GptHeader> gpt = parse_gpt_header(head.subspan(sector, sector));
  // A damaged primary table is for the new system to repair from the backup.
  if (!gpt.ok()) return {};
  uint64_t last = gpt.value().other_sector;
  if (last >= disk.size / sector) {
    uint64_t end = last >= UINT64_MAX / sector ? UINT64_MAX : (last + 1) * sector;
    return too_large("that the image's partition table (GPT) spans", end, disk);
  }
  return {};
}

bool has_file_system_at(ConstBytes head, uint64_t offset) {
  return offset < head.size() && find_file_system(head.subspan(offset)).has_value();
}

// An MBR does not say for which sectors it counts. What lies where one of its partitions would
// begin with sectors of another size, and is no other's beginning, decides.
bool counts_by(ConstBytes head, const Mbr& mbr, uint64_t wrong, uint64_t right) {
  auto begins_at = [&](uint64_t offset) {
    return std::any_of(mbr.partitions.begin(), mbr.partitions.end(), [&](const MbrPartition& p) {
      return p.type != 0 && p.first_sector * right == offset;
    });
  };
  return std::any_of(mbr.partitions.begin(), mbr.partitions.end(), [&](const MbrPartition& p) {
    if (p.type == 0 || p.first_sector == 0) return false;
    uint64_t offset = p.first_sector * wrong;
    return !begins_at(offset) && has_file_system_at(head, offset) &&
           !has_file_system_at(head, p.first_sector * right);
  });
}

Result<void> check_mbr_sectors(ConstBytes head, const Mbr& mbr, const Disk& disk) {
  uint64_t sector = disk.logical_sector;
  for (uint64_t other : {uint64_t{512}, uint64_t{4096}}) {
    if (other == sector || !counts_by(head, mbr, other, sector)) continue;
    return wrong_sector(
        concat("the image's partition table (MBR) is for disks with sectors of ", other, " bytes"),
        disk);
  }
  // After the first 512 bytes of a larger sector there is nothing: a boot loader there was put
  // into the next sectors of a disk with smaller ones.
  ConstBytes behind = head.first(std::min<size_t>(head.size(), sector)).subspan(kMbrSector);
  if (!all_zero(behind)) {
    return wrong_sector("the image has a boot loader for disks with sectors of 512 bytes", disk);
  }
  return {};
}

Result<void> check_mbr_size(const Mbr& mbr, const Disk& disk) {
  for (const MbrPartition& partition : mbr.partitions) {
    if (partition.type == 0) continue;
    uint64_t sectors = uint64_t{partition.first_sector} + partition.sector_count;
    uint64_t end = sectors * disk.logical_sector;
    if (end <= disk.size + kCylinder) continue;
    if (disk.logical_sector != kMbrSector && sectors * kMbrSector <= disk.size + kCylinder) {
      return wrong_sector(
          "the image's partition table (MBR) fits the disk only if it is for sectors of 512 bytes",
          disk);
    }
    return too_large("that the image's partition table (MBR) spans", end, disk);
  }
  return {};
}

// A file system without a partition table.
Result<void> check_bare(ConstBytes head, const Disk& disk) {
  std::optional<FileSystem> bare = find_file_system(head);
  if (!bare || bare->sector == 0 || bare->sector >= disk.logical_sector) return {};
  return wrong_sector(concat("the image is a bare file system (", bare->name, ") with blocks of ",
                             bare->sector, " bytes"),
                      disk);
}

Result<void> check_mbr(ConstBytes head, const Disk& disk) {
  if (head.size() < kMbrSector) return {};
  Result<Mbr> mbr = parse_mbr(head.first(kMbrSector));
  bool partitioned =
      mbr.ok() && std::any_of(mbr.value().partitions.begin(), mbr.value().partitions.end(),
                              [](const MbrPartition& p) { return p.type != 0; });
  if (!partitioned) return check_bare(head, disk);
  if (mbr.value().is_protective()) return {};
  TRY(check_mbr_sectors(head, mbr.value(), disk));
  return check_mbr_size(mbr.value(), disk);
}

}  // namespace

Result<void> check_image_fits(ConstBytes head, std::optional<uint64_t> image_size,
                              const Disk& disk) {
  if (head.empty()) return Error("the image is empty; check where it comes from");
  if (disk.read_only) {
    return Error(concat(disk.name, " is write-protected; choose another disk"));
  }
  if (image_size && *image_size > disk.size) return too_large("image", *image_size, disk);
  TRY(check_gpt(head, disk));
  return check_mbr(head, disk);
}

}  // namespace curlingiron
