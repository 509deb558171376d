#include "disk/choose.h"

#include <fcntl.h>

#include <algorithm>
#include <optional>

#include "base/bytes.h"
#include "base/percent.h"
#include "base/text.h"
#include "base/units.h"
#include "disk/disk_names.h"
#include "disk/sysfs_path.h"
#include "formats/gpt.h"
#include "sys/file.h"

namespace curlingiron {
namespace {

constexpr uint64_t kSysfsSector = 512;  // of /sys/block/NAME/size, whatever the disk's sectors are

// Block devices that are not disks, or not ones that firmware boots from: name and number.
constexpr std::string_view kNotDisks[] = {"loop", "ram", "zram", "dm-",    "md",   "md_d",    "sr",
                                          "fd",   "nbd", "zd",   "bcache", "drbd", "mtdblock"};

bool is_no_disk(std::string_view name) {
  for (std::string_view prefix : kNotDisks) {
    if (name.starts_with(prefix) && name.size() > prefix.size() && is_digit(name[prefix.size()])) {
      return true;
    }
  }
  // The boot and replay-protected areas of an eMMC.
  return name.starts_with("mmcblk") && (name.find("boot") != std::string_view::npos ||
                                        name.find("rpmb") != std::string_view::npos);
}

// An attribute's first line; empty where there is none.
std::string attribute(const UniqueFd& root, const std::string& path) {
  Result<std::string> line = read_line(root, path);
  return line.ok() ? std::move(line).value() : std::string();
}

uint64_t number_attribute(const UniqueFd& root, const std::string& path, uint64_t otherwise) {
  Result<uint64_t> number = parse_u64(attribute(root, path));
  return number.ok() ? number.value() : otherwise;
}

// "../devices/pci0000:00/0000:00:04.0/virtio1/block/vda" ->
// "devices/pci0000:00/0000:00:04.0/virtio1"
std::string device_path_of(const UniqueFd& root, const std::string& name) {
  Result<std::string> link = read_link(root, concat("sys/block/", name));
  if (!link.ok()) return {};
  std::string_view path = link.value();
  while (path.starts_with("../")) path.remove_prefix(3);
  size_t slash = path.rfind('/');
  if (slash == std::string_view::npos) return {};
  path = path.substr(0, slash);
  if (path.ends_with("/block")) path.remove_suffix(6);
  return std::string(path);
}

// An NVMe namespace with native multipath hangs on a virtual subsystem; the controllers that lead
// to it are links there. The first of them is its place.
std::string multipath_device_path(const UniqueFd& root, const std::string& name) {
  std::string folder = concat("sys/block/", name, "/device");
  Result<std::vector<std::string>> entries = list_directory(root, folder);
  if (!entries.ok()) return {};
  for (const std::string& entry : entries.value()) {
    if (!entry.starts_with("nvme") || entry.size() == 4 || !is_digit(entry[4])) continue;
    Result<std::string> link = read_link(root, concat(folder, "/", entry));
    if (!link.ok()) continue;
    size_t start = link.value().find("devices/");
    std::string_view path = link.value();
    if (start == std::string::npos) {  // "../../../pci0000:00/0000:00:05.0/nvme/nvme0"
      while (path.starts_with("../")) path.remove_prefix(3);
      return concat("devices/", path);
    }
    return std::string(path.substr(start));
  }
  return {};
}

std::string partition_table_of(const UniqueFd& root, const Disk& disk) {
  Result<UniqueFd> device = open_at(root, disk.path().substr(1), O_RDONLY | O_NONBLOCK);
  if (!device.ok() || disk.logical_sector > kSmallFile) return {};
  ByteVector head(size_t{disk.logical_sector} * 2);
  if (!pread_exact(device.value(), head, 0).ok()) return {};
  return partition_table_id(head, disk.logical_sector);
}

Disk read_disk(const UniqueFd& root, const std::string& name, uint64_t size) {
  std::string folder = concat("sys/block/", name);
  Disk disk;
  disk.name = name;
  disk.size = size;
  disk.logical_sector = static_cast<uint32_t>(
      number_attribute(root, concat(folder, "/queue/logical_block_size"), 512));
  disk.physical_sector = static_cast<uint32_t>(
      number_attribute(root, concat(folder, "/queue/physical_block_size"), disk.logical_sector));
  disk.removable = attribute(root, concat(folder, "/removable")) == "1";
  disk.read_only = attribute(root, concat(folder, "/ro")) == "1";
  disk.device_path = device_path_of(root, name);
  if (disk.device_path.find("/virtual/nvme-subsystem/") != std::string::npos) {
    disk.device_path = multipath_device_path(root, name);
  }
  disk.by_path = stable_path(root, disk.device_path, attribute(root, concat(folder, "/nsid")));
  DiskNames names = read_disk_names(root, name, disk.device_path);
  disk.model = std::move(names.model);
  disk.serial = std::move(names.serial);
  disk.wwn = std::move(names.wwid);
  disk.by_ids = std::move(names.by_ids);
  disk.ptuuid = partition_table_of(root, disk);
  return disk;
}

// What /init gets on its command line: no blanks, no quotes, nothing the kernel or a boot loader
// gives a meaning.
std::string percent_encode(std::string_view text) {
  static constexpr std::string_view kPlain = "-._~:@+";
  std::string result;
  for (char c : text) {
    bool plain = is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                 kPlain.find(c) != std::string_view::npos;
    if (plain) {
      result += c;
    } else {
      result += '%';
      result += to_hex(as_bytes(std::string_view(&c, 1)));
    }
  }
  return result;
}

// "naa.5000c500a1b2c3d4" (sysfs) and "0x5000c500a1b2c3d4" (udev, lsblk) are the same name.
std::string normal_wwn(std::string_view wwn) {
  std::string text = to_lower(trim(wwn));
  for (std::string_view prefix : {"naa.", "0x"}) {
    if (text.starts_with(prefix)) return text.substr(prefix.size());
  }
  return text;
}

// udev has more than one name for some places.
std::string normal_path(std::string_view path) {
  if (path.starts_with("virtio-")) path.remove_prefix(7);
  size_t ata = path.find("-ata-");
  if (ata != std::string_view::npos && path.ends_with(".0")) path.remove_suffix(2);
  return std::string(path);
}

std::string descriptions(const std::vector<Disk>& disks) {
  std::string text;
  for (const Disk& disk : disks) {
    if (&disk != disks.data()) text += "; ";
    text += disk.describe();
  }
  return text;
}

std::string list_of(const std::vector<Disk>& disks) {
  if (disks.empty()) return "there is no disk at all; is the driver of its controller included?";
  return concat(disks.size() == 1 ? "the only disk is " : "the disks are ", descriptions(disks));
}

using Matches = bool (*)(const Disk& disk, const std::string& value);

struct Identity {
  std::string_view prefix;
  Matches matches;
};

constexpr Identity kIdentities[] = {
    {"serial", [](const Disk& disk, const std::string& value) { return disk.serial == value; }},
    {"wwn",
     [](const Disk& disk, const std::string& value) {
       return !disk.wwn.empty() && normal_wwn(disk.wwn) == normal_wwn(value);
     }},
    {"by-path",
     [](const Disk& disk, const std::string& value) {
       return !disk.by_path.empty() && disk.by_path == normal_path(value);
     }},
    {"by-id",
     [](const Disk& disk, const std::string& value) {
       std::string wanted = normal_id(value);
       return std::any_of(disk.by_ids.begin(), disk.by_ids.end(),
                          [&](const std::string& id) { return normal_id(id) == wanted; });
     }},
    {"ptuuid",
     [](const Disk& disk, const std::string& value) {
       return !disk.ptuuid.empty() && equal_ignoring_case(disk.ptuuid, value);
     }},
    {"size",
     [](const Disk& disk, const std::string& value) {
       Result<uint64_t> size = parse_size(value);
       return size.ok() && disk.size == size.value();
     }},
};

Result<Disk> the_one(const std::vector<Disk>& disks, std::string_view wanted, Matches matches,
                     const std::string& value) {
  std::vector<Disk> found;
  for (const Disk& disk : disks) {
    if (matches(disk, value)) found.push_back(disk);
  }
  if (found.size() == 1) return found.front();
  std::string shown = printable(wanted);
  if (found.empty()) return Error(concat("no disk is ", shown, ": ", list_of(disks)));
  return Error(concat(shown, " fits more than one disk: ", descriptions(found),
                      "; name the disk by serial:, wwn: or by-path:"));
}

Result<Disk> choose_by_name(const std::vector<Disk>& disks, std::string_view wanted) {
  std::string_view name = wanted;
  if (name.starts_with("/dev/")) name.remove_prefix(5);
  for (const Disk& disk : disks) {
    if (disk.name == name || disk.path().substr(5) == name) return disk;
    // "sda1", "nvme0n1p1"
    if (name.starts_with(disk.name)) {
      std::string_view rest = name.substr(disk.name.size());
      if (is_digit(disk.name.back()) && rest.starts_with('p')) rest.remove_prefix(1);
      if (parse_u64(rest).ok()) {
        return Error(
            concat(printable(wanted), " is a partition; name the whole disk, ", disk.path()));
      }
    }
  }
  return Error(concat("there is no disk ", printable(wanted), ": ", list_of(disks)));
}

}  // namespace

std::string Disk::path() const {
  std::string text = "/dev/" + name;
  std::replace(text.begin() + 5, text.end(), '!',
               '/');  // sysfs writes "cciss/c0d0" as "cciss!c0d0"
  return text;
}

std::string Disk::describe() const {
  std::string text = concat(name, ":");
  if (!model.empty()) text += concat(" ", printable(model), ",");
  if (!serial.empty()) text += concat(" serial ", printable(serial), ",");
  return concat(text, " ", format_size(size));
}

Result<std::vector<Disk>> list_disks(const UniqueFd& root) {
  std::vector<std::string> names = TRY(list_directory(root, "sys/block"));
  std::vector<Disk> disks;
  for (const std::string& name : names) {
    if (is_no_disk(name)) continue;
    std::string folder = concat("sys/block/", name);
    // A path of an NVMe namespace that has several: the namespace itself is another node.
    if (attribute(root, concat(folder, "/hidden")) == "1") continue;
    uint64_t sectors = number_attribute(root, concat(folder, "/size"), 0);
    if (sectors == 0 || sectors > UINT64_MAX / kSysfsSector) continue;
    disks.push_back(read_disk(root, name, sectors * kSysfsSector));
  }
  return disks;
}

Result<Disk> choose_disk(const std::vector<Disk>& disks, std::string_view wanted) {
  if (wanted.empty()) return Error(concat("no disk is named; ", list_of(disks)));
  if (wanted == "only") {
    if (disks.size() == 1) return disks.front();
    std::string error = concat("\"only\" needs a machine with one disk: ", list_of(disks));
    return Error(disks.empty() ? error : error + "; name one, as in serial:NUMBER or /dev/NAME");
  }
  for (const Identity& identity : kIdentities) {
    std::string folder = concat("/dev/disk/", identity.prefix, "/");
    std::string prefix = concat(identity.prefix, ":");
    if (wanted.starts_with(folder)) {
      return the_one(disks, wanted, identity.matches, std::string(wanted.substr(folder.size())));
    }
    if (!wanted.starts_with(prefix)) continue;
    std::string value = percent_decode(wanted.substr(prefix.size()));
    if (value.empty()) return Error(concat(prefix, " needs a value after it; ", list_of(disks)));
    if (identity.prefix == "size") TRY_CONTEXT("size", parse_size(value));
    return the_one(disks, wanted, identity.matches, value);
  }
  size_t colon = wanted.find(':');
  if (colon != std::string_view::npos && !wanted.starts_with('/')) {
    return Error(concat("\"", printable(wanted.substr(0, colon)),
                        ":\" does not name a disk; use serial:, wwn:, by-path:, by-id:, "
                        "ptuuid:, size: or /dev/NAME"));
  }
  return choose_by_name(disks, wanted);
}

Result<std::string> identity_of(const Disk& disk, const std::vector<Disk>& disks) {
  std::vector<std::string> candidates;
  auto add = [&](std::string_view prefix, std::string_view value) {
    if (!value.empty()) candidates.push_back(concat(prefix, ":", percent_encode(value)));
  };
  add("serial", disk.serial);
  add("wwn", disk.wwn);
  add("by-path", disk.by_path);
  add("ptuuid", disk.ptuuid);
  add("size", concat(disk.size));
  candidates.emplace_back("only");
  for (std::string& candidate : candidates) {
    Result<Disk> chosen = choose_disk(disks, candidate);
    if (chosen.ok() && chosen.value().name == disk.name) return std::move(candidate);
  }
  return Error(concat(disk.describe(),
                      " has no serial, wwn, path, partition table or size that no other disk has; ",
                      list_of(disks)));
}

}  // namespace curlingiron
