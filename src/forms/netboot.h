// What a server hands to machines that start from the network: kernel, initramfs, and a
// configuration for each loader that asks for one.
#pragma once

#include <vector>

#include "forms/bootable.h"

namespace curlingiron {

//   vmlinuz, initrd        what all of them load
//   boot.ipxe              iPXE, by http or TFTP
//   pxelinux.cfg/default   PXELINUX (BIOS)
//   grub/grub.cfg          GRUB from the network, also signed ones (UEFI)
//   curlingiron.efi        UEFI's own HTTP boot: `uki`; left out where that is empty
//   dnsmasq.conf           what makes dnsmasq point each machine to its file
std::vector<BootFile> make_netboot(Bootable payload, ByteVector uki);

}  // namespace curlingiron
