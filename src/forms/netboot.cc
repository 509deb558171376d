#include "forms/netboot.h"

#include <string>
#include <utility>

#include "base/text.h"
#include "forms/grub_words.h"

namespace curlingiron {
namespace {

// The card that it was started from goes first: BOOTIF is read by /init, too.
std::string ipxe_script(const Bootable& payload) {
  return concat(
      "#!ipxe\n"
      "# Files are taken from where this one lies. Settings can be added to the kernel line, such\n"
      "# as curlingiron.src=URL curlingiron.dst=DISK.\n"
      "kernel vmlinuz initrd=initrd ",
      payload.command_line,
      " BOOTIF=01-${netX/mac:hexhyp} || goto failed\n"
      "initrd --name initrd initrd || goto failed\n"
      "boot || goto failed\n"
      ":failed\n"
      "echo The installer cannot be loaded; the next device in the boot order starts in 10 s\n"
      "sleep 10\n"
      "exit 1\n");
}

std::string pxelinux_config(const Bootable& payload) {
  return concat(
      "# PXELINUX. Settings can be added to APPEND, such as curlingiron.src=URL\n"
      "# curlingiron.dst=DISK; IPAPPEND 2 adds BOOTIF.\n"
      "DEFAULT curlingiron\n"
      "PROMPT 0\n"
      "LABEL curlingiron\n"
      "  KERNEL vmlinuz\n"
      "  INITRD initrd\n"
      "  APPEND ",
      payload.command_line, "\n  IPAPPEND 2\n");
}

std::string grub_config(const Bootable& payload) {
  return concat(
      "# GRUB, started from the network. Settings can be added to the linux line, such as\n"
      "# curlingiron.src=URL curlingiron.dst=DISK.\n"
      "set timeout=0\n"
      "menuentry \"curlingiron\" {\n"
      "  linux /vmlinuz ",
      quoted_for_grub(payload.command_line), "\n  initrd /initrd\n}\n");
}

std::string dnsmasq_config(bool has_uki) {
  std::string text =
      "# For dnsmasq: this directory as tftp-root, and below SERVER as http://SERVER/. Put in the\n"
      "# address range (or \"proxy\" beside another DHCP server), SERVER, and the loaders of your\n"
      "# distribution (Debian: packages ipxe, pxelinux, grub-efi-amd64-signed).\n"
      "#dhcp-range=192.0.2.100,192.0.2.200\n"
      "#enable-tftp\n"
      "#tftp-root=DIRECTORY\n"
      "\n"
      "# iPXE, once it runs, gets its script.\n"
      "dhcp-userclass=set:ipxe,iPXE\n"
      "dhcp-boot=tag:ipxe,http://SERVER/boot.ipxe\n"
      "\n"
      "# Others get a loader: of BIOS machines (option 93 is 0), and of UEFI on x86-64 (7 and 9).\n"
      "dhcp-match=set:bios,option:client-arch,0\n"
      "dhcp-match=set:efi,option:client-arch,7\n"
      "dhcp-match=set:efi,option:client-arch,9\n"
      "dhcp-boot=tag:bios,tag:!ipxe,undionly.kpxe\n"
      "dhcp-boot=tag:efi,tag:!ipxe,ipxe.efi\n"
      "#dhcp-boot=tag:bios,tag:!ipxe,pxelinux.0\n"
      "#dhcp-boot=tag:efi,tag:!ipxe,grubnetx64.efi.signed\n";
  if (has_uki) {
    text +=
        "\n"
        "# UEFI's own HTTP boot (16) needs no loader.\n"
        "dhcp-match=set:efi-http,option:client-arch,16\n"
        "dhcp-option-force=tag:efi-http,60,HTTPClient\n"
        "dhcp-boot=tag:efi-http,http://SERVER/curlingiron.efi\n";
  }
  return text;
}

}  // namespace

std::vector<BootFile> make_netboot(Bootable payload, ByteVector uki) {
  std::vector<BootFile> files;
  files.push_back(text_file("boot.ipxe", ipxe_script(payload)));
  files.push_back(text_file("pxelinux.cfg/default", pxelinux_config(payload)));
  files.push_back(text_file("grub/grub.cfg", grub_config(payload)));
  files.push_back(text_file("dnsmasq.conf", dnsmasq_config(!uki.empty())));
  if (!uki.empty()) files.push_back({"curlingiron.efi", std::move(uki)});
  files.push_back({"vmlinuz", std::move(payload.kernel)});
  files.push_back({"initrd", std::move(payload.initramfs)});
  return files;
}

}  // namespace curlingiron
