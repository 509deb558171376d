// The disks there are, and the one the user means.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "sys/fd.h"

namespace curlingiron {

struct Disk {
  std::string name;    // "sda": /sys/block/NAME, /dev/NAME
  std::string model;   // empty when unknown
  std::string serial;  // as sysfs has it (virtio serial, NVMe serial, SCSI VPD 0x80), trimmed
  std::string wwn;     // wwid as sysfs has it ("naa.5000…", "eui.…", "nvme.…")
  std::string ptuuid;  // GPT disk GUID (lower case) or MBR signature (8 hex digits); empty: none
  std::string device_path;  // the real path below /sys of the device the disk hangs on
  std::string by_path;      // the same without what changes between boots (disk/sysfs_path.h)
  std::vector<std::string> by_ids;  // the names udev makes in /dev/disk/by-id, best first
  uint64_t size = 0;                // bytes
  uint32_t logical_sector = 512;
  uint32_t physical_sector = 512;
  bool removable = false;
  bool read_only = false;

  std::string path() const;      // "/dev/sda"
  std::string describe() const;  // "vda: QEMU HARDDISK, serial X, 6.0 GiB"
};

// Whole disks that can hold a system, by name; no loop, ram, zram, dm, md, optical or floppy
// drives, none of size 0. `root` holds sys/ and dev/ (the partition table is read from dev/NAME;
// unreadable: no ptuuid).
Result<std::vector<Disk>> list_disks(const UniqueFd& root);

// WANTED: "/dev/sda" or "sda", "by-path:…", "by-id:…", "serial:…", "wwn:…", "ptuuid:…",
// "size:BYTES", "only". No disk or more than one: an error that lists what is there.
// Values are percent-encoded (RFC 3986) where they hold blanks or other characters that do not
// survive a command line; by-id and by-path take udev's names as well, also as
// "/dev/disk/by-id/…" and "/dev/disk/by-path/…".
Result<Disk> choose_disk(const std::vector<Disk>& disks, std::string_view wanted);

// The most lasting identity that names exactly this disk among `disks`: serial, wwn, by-path,
// ptuuid, size, only; an error when none does. It holds no blanks, quotes or control characters.
Result<std::string> identity_of(const Disk& disk, const std::vector<Disk>& disks);

}  // namespace curlingiron
