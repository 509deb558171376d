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
  std::string serial;  // as sysfs tells (virtio serial, NVMe serial, SCSI VPD 0x80), trimmed
  std::string wwn;     // wwid as sysfs tells ("naa.5000…", "eui.…", "nvme.…")
  std::string ptuuid;  // GPT disk GUID (lower case) or MBR signature (8 hex digits); empty: none
  std::string device_path;  // the real path below /sys of the device the disk hangs on (by-path)
  uint64_t size = 0;        // bytes
  uint32_t logical_sector = 512;
  uint32_t physical_sector = 512;
  bool removable = false;
  bool read_only = false;

  std::string path() const { return "/dev/" + name; }
  std::string describe() const;  // "vda: QEMU HARDDISK, serial X, 6.0 GiB"
};

// Whole disks that can hold a system, by name; no loop, ram, zram, dm, md, optical or floppy
// drives, none of size 0. `root` holds sys/ and dev/ (the partition table is read from dev/NAME;
// unreadable: no ptuuid).
Result<std::vector<Disk>> list_disks(const UniqueFd& root);

// WANTED: "/dev/sda" or "sda", "by-path:…", "by-id:…", "serial:…", "wwn:…", "ptuuid:…",
// "size:BYTES", "only". No disk or more than one: an error that lists what is there.
Result<Disk> choose_disk(const std::vector<Disk>& disks, std::string_view wanted);

// The most lasting identity that names exactly this disk among `disks`: serial, wwn, by-path,
// ptuuid, size, only; an error when none does.
Result<std::string> identity_of(const Disk& disk, const std::vector<Disk>& disks);

}  // namespace curlingiron
