#include "disk/preflight.h"

#include "base/text.h"
#include "base/units.h"
#include "formats/gpt.h"
#include "io/decode.h"

namespace curlingiron {
namespace {

constexpr uint32_t kMbrSector = 512;
// Tools that round partitions up to a cylinder let the last one reach a little past the end.
constexpr uint64_t kCylinder = 8_MiB;

// Virtual disks that are not raw, and archives: written as they are, none of them boots.
struct Foreign {
  size_t offset;
  std::string_view magic;
  std::string_view message;
};
constexpr Foreign kForeign[] = {
    {0, "KDMV", "a VMware disk (vmdk); convert it with \"qemu-img convert -O raw\""},
    {0, "# Disk DescriptorFile", "a VMware disk's description (vmdk) without the disk itself"},
    {0, "vhdxfile", "a Hyper-V disk (vhdx); convert it with \"qemu-img convert -O raw\""},
    {0, "conectix", "a Hyper-V disk (vhd); convert it with \"qemu-img convert -O raw\""},
    {0, "<<< ", "a VirtualBox disk (vdi); convert it with \"qemu-img convert -O raw\""},
    {0, "7z\xbc\xaf\x27\x1c", "a 7z archive; unpack it and serve the disk image in it"},
    {0, "Rar!\x1a\x07", "a rar archive; unpack it and serve the disk image in it"},
    {257, "ustar", "a tar archive; unpack it and serve the disk image in it"},
};

Error too_large(std::string_view what, uint64_t bytes, const Disk& disk) {
  return Error(concat(disk.name, ": ", format_size(disk.size), " (", disk.size,
                      " bytes) is smaller than the ", format_size(bytes), " (", bytes, " bytes) ",
                      what, "; choose a larger disk"));
}

Result<void> check_format(ConstBytes head) {
  if (Format format = sniff(head); format != Format::Raw) {
    if (format == Format::Html) {
      return Error(
          "the server sent a web page (html), not a disk image; check the URL for a log-in or "
          "error page");
    }
    return Error(concat("what is inside the image is ", format_name(format),
                        " again; serve the disk image as raw, gzip or zstd, once"));
  }
  for (const Foreign& foreign : kForeign) {
    if (head.size() >= foreign.offset + foreign.magic.size() &&
        as_text(head.subspan(foreign.offset, foreign.magic.size())) == foreign.magic) {
      return Error(concat("the image is ", foreign.message));
    }
  }
  if (all_zero(head)) {
    return Error(concat("the image begins with ", format_size(head.size()),
                        " of zeros: it holds no boot sector and no partition table"));
  }
  return {};
}

Result<void> check_gpt(ConstBytes head, const Disk& disk) {
  uint64_t sector = disk.logical_sector;
  std::optional<uint32_t> made_for = find_gpt_sector_size(head);
  if (!made_for) return {};
  bool fits = head.size() >= 2 * sector && as_text(head.subspan(sector, 8)) == "EFI PART";
  if (!fits) {  // Some images carry a table for each size.
    return Error(concat("the image's partition table (GPT) is for disks with sectors of ",
                        *made_for, " bytes, but ", disk.name, " has sectors of ", sector,
                        " bytes; use an image made for ", sector, "-byte sectors"));
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

Result<void> check_mbr(ConstBytes head, const Disk& disk) {
  if (head.size() < kMbrSector) return {};
  Result<Mbr> mbr = parse_mbr(head.first(kMbrSector));
  if (!mbr.ok() || mbr.value().is_protective()) return {};
  for (const MbrPartition& partition : mbr.value().partitions) {
    if (partition.type == 0) continue;
    uint64_t end =
        (uint64_t{partition.first_sector} + partition.sector_count) * disk.logical_sector;
    if (end > disk.size + kCylinder) {
      return too_large("that the image's partition table (MBR) spans", end, disk);
    }
  }
  return {};
}

}  // namespace

Result<void> check_image_fits(ConstBytes head, std::optional<uint64_t> image_size,
                              const Disk& disk) {
  if (head.empty()) return Error("the image is empty; check the URL");
  TRY(check_format(head));
  if (disk.read_only) {
    return Error(concat(disk.name, " is write-protected; choose another disk"));
  }
  if (image_size && *image_size > disk.size) return too_large("image", *image_size, disk);
  TRY(check_gpt(head, disk));
  return check_mbr(head, disk);
}

}  // namespace curlingiron
