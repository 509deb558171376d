// Where a disk is plugged in, in words that stay the same from boot to boot and kernel to kernel.
#pragma once

#include <string>
#include <string_view>

#include "sys/fd.h"

namespace curlingiron {

// The stable form of the sysfs path of a disk's device ("devices/pci0000:00/0000:00:1f.2/ata3/
// host2/target2:0:0/2:0:0:0" gives "pci-0000:00:1f.2-ata-3"). The forms are those of udev's path_id
// for PCI, virtio, ATA, SCSI, SAS, Fibre Channel, USB, NVMe and MMC; numbers that the kernel hands
// out in the order of discovery (hostN, targetN, virtioN, usbN, nvmeN, ataN) do not occur in it. Of
// another bus, the device's names are kept. `nsid`: the NVMe namespace. `root` holds sys/.
std::string stable_path(const UniqueFd& root, const std::string& device_path,
                        std::string_view nsid);

}  // namespace curlingiron
