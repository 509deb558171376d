// What hardware there is, for people: the disks and NICs that were found, and the devices that
// should have become one and did not. Read from sysfs alone, so a tree of files can be asked, too.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "disk/choose.h"
#include "sys/fd.h"

namespace curlingiron {

// "disks: sda QEMU_HARDDISK serial=QM00001 4.0 GiB (ahci); nics: eth0 52:54:00:12:34:56 (e1000) up"
// Blanks in models and serials are '_'; a disk's driver is that of what it is attached to. Of many,
// the first eight of a kind are named and the rest counted.
std::string describe_hardware(const UniqueFd& root, std::span<const Disk> disks);

enum class Kind { Disk, Nic };

// What this initramfs has for a modalias: nothing, or modules, of which one may have failed.
struct DriverAnswer {
  std::vector<std::string> modules;
  std::string failure;  // what the kernel said; empty: none failed
};
using AskDrivers = std::function<DriverAnswer(std::string_view modalias)>;

// The devices that, by what they call themselves, are of this kind or lead to one, but have none to
// show: why, and what to do about it. At most four are named; empty: there are none. `disks`: those
// that were found.
std::string explain_missing(const UniqueFd& root, Kind kind, std::span<const Disk> disks,
                            const AskDrivers& ask);

// True while a USB disk or card reader has its driver, but nothing below it yet: usb-storage waits
// a second before it looks for disks.
bool storage_on_its_way(const UniqueFd& root);

}  // namespace curlingiron
