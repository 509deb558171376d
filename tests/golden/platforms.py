#!/usr/bin/env python3
"""Hypervisors and clouds, and what each has a disk and a network card on: `--profile vm` must hold the drivers of all
of them, for both kernels; and docs/building.md names what `--profile server` leaves out.

usage: platforms.py
For each, the modules that are named here must be in the profile (or in the kernel); and whatever `build --hardware`
chooses for the devices, as such a machine's sysfs names them, must be in the profile, too. The ids are those of the PCI
ID Repository and of the kernel's own tables (include/linux/hyperv.h, pci_ids.h, the drivers).
"""
import json
import pathlib
import re
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))

from tests.e2e import harness  # noqa: E402

KERNELS = ("kernel", "kernel13")
# Drivers that came with a later kernel than Debian 12's.
LATER = {"idpf"}
# Asked for by every IDE controller, for those that have no driver of their own.
BESIDES = {"ata_generic"}


def pci(vendor, device, kind, interface="00", subsystem=(0, 0)):
    """`kind`: class and subclass."""
    return (f"pci:v{vendor:08X}d{device:08X}sv{subsystem[0]:08X}sd{subsystem[1]:08X}"
            f"bc{kind >> 8:02X}sc{kind & 0xff:02X}i{interface}")


NIC, SCSI, IDE, RAID, SATA, NVME, SAS = 0x0200, 0x0100, 0x0101, 0x0104, 0x0106, 0x0108, 0x0107
VIRTIO_PCI = [pci(0x1af4, 0x1041, NIC), pci(0x1af4, 0x1042, SCSI), pci(0x1af4, 0x1048, SCSI)]
VIRTIO = [*VIRTIO_PCI, "virtio:d00000001v00001AF4", "virtio:d00000002v00001AF4", "virtio:d00000008v00001AF4"]
VIRTIO_MODULES = ["virtio_pci", "virtio_net", "virtio_blk", "virtio_scsi", "sd_mod"]
XEN = [pci(0x5853, 0x0001, 0xff80), "xen:vbd", "xen:vif"]
XEN_MODULES = ["xen_blkfront", "xen_netfront"]
HYPER_V_NIC = "vmbus:635161f83edfc546913ff2d2f965ed0e"
HYPER_V_SCSI = "vmbus:d96361baa104294db60572e2ffb1dc7f"
HYPER_V_IDE = "vmbus:32264132cb86a2449b5c50d1417354f5"
HYPER_V_MODULES = ["hv_vmbus", "hv_storvsc", "hv_netvsc", "sd_mod"]

# Name: (devices, modules).
PLATFORMS = {
    "KVM, Proxmox, oVirt, OpenStack: virtio": (VIRTIO, VIRTIO_MODULES),
    "QEMU microvm, Firecracker, Cloud Hypervisor: virtio without PCI": (
        ["acpi:LNRO0005:", "virtio:d00000001v00001AF4", "virtio:d00000002v00001AF4"],
        ["virtio_mmio", "virtio_net", "virtio_blk"]),
    "QEMU: emulated IDE, AHCI, NVMe": (
        [pci(0x8086, 0x7010, IDE, "80"), pci(0x8086, 0x2922, SATA, "01"), pci(0x1b36, 0x0010, NVME, "02")],
        ["ata_piix", "ahci", "nvme", "sd_mod"]),
    "QEMU: emulated SCSI and RAID": (
        [pci(0x1000, 0x0012, SCSI), pci(0x1022, 0x2020, SCSI), pci(0x1000, 0x0060, RAID), pci(0x15ad, 0x07c0, SCSI)],
        ["sym53c8xx", "am53c974", "megaraid_sas", "vmw_pvscsi", "sd_mod"]),
    "QEMU: emulated cards": (
        [pci(0x8086, 0x100e, NIC), pci(0x8086, 0x10d3, NIC), pci(0x10ec, 0x8139, NIC, subsystem=(0x1af4, 0x1100)),
         pci(0x10ec, 0x8029, NIC), pci(0x1022, 0x2000, NIC), pci(0x8086, 0x10c9, NIC), pci(0x15ad, 0x07b0, NIC)],
        ["e1000", "e1000e", "8139cp", "8139too", "ne2k_pci", "pcnet32", "igb", "vmxnet3"]),
    "USB storage, on any controller": (
        [pci(0x1b36, 0x000d, 0x0c03, "30"), pci(0x8086, 0x24cd, 0x0c03, "20"), pci(0x8086, 0x24c2, 0x0c03, "00"),
         "usb:v46F4p0001d0000dc00dsc00dp00ic08isc06ip50in00", "usb:v46F4p0003d0000dc00dsc00dp00ic08isc06ip62in00"],
        ["xhci_pci", "ehci_pci", "uhci_hcd", "usb_storage", "uas", "sd_mod"]),
    "Xen HVM, without its own drivers": (
        [pci(0x8086, 0x7010, IDE, "80"), pci(0x10ec, 0x8139, NIC, subsystem=(0x5853, 0x0001)),
         pci(0x8086, 0x100e, NIC)],
        ["ata_piix", "8139cp", "8139too", "e1000"]),
    "Xen PV and PVHVM, XCP-ng": (XEN, XEN_MODULES),
    "Hyper-V, first generation": (
        [pci(0x8086, 0x7111, IDE, "80"), pci(0x1011, 0x0009, NIC), HYPER_V_IDE, HYPER_V_SCSI, HYPER_V_NIC],
        ["ata_piix", "tulip", *HYPER_V_MODULES]),
    "Hyper-V, second generation": ([HYPER_V_SCSI, HYPER_V_NIC, "acpi:VMBUS:"], HYPER_V_MODULES),
    "VMware": (
        [pci(0x15ad, 0x07c0, SCSI), pci(0x15ad, 0x07b0, NIC), pci(0x1000, 0x0030, SCSI), pci(0x1000, 0x0054, SAS),
         pci(0x104b, 0x1040, SCSI), pci(0x15ad, 0x07e0, SATA, "01"), pci(0x15ad, 0x07f0, NVME, "02"),
         pci(0x8086, 0x100f, NIC), pci(0x8086, 0x10d3, NIC), pci(0x1022, 0x2000, NIC)],
        ["vmw_pvscsi", "vmxnet3", "mptspi", "mptsas", "BusLogic", "ahci", "nvme", "e1000", "e1000e", "pcnet32",
         "sd_mod"]),
    "VirtualBox": (
        [pci(0x8086, 0x2829, SATA, "01"), pci(0x8086, 0x7111, IDE, "8A"), pci(0x1000, 0x0030, SCSI),
         pci(0x1000, 0x0054, SAS), pci(0x104b, 0x1040, SCSI), pci(0x80ee, 0x4e56, NVME, "02"),
         pci(0x8086, 0x1004, NIC), pci(0x8086, 0x100f, NIC), pci(0x1022, 0x2000, NIC), *VIRTIO],
        ["ahci", "ata_piix", "mptspi", "mptsas", "BusLogic", "nvme", "e1000", "pcnet32", *VIRTIO_MODULES]),
    "Parallels, bhyve, Apple's Virtualization: AHCI and virtio": (
        [pci(0x8086, 0x2821, SATA, "01"), pci(0x8086, 0x100f, NIC), *VIRTIO], ["ahci", "e1000", *VIRTIO_MODULES]),
    "Amazon, Nitro": ([pci(0x1d0f, 0x8061, NVME, "02"), pci(0x1d0f, 0xec20, NIC)], ["nvme", "ena"]),
    "Amazon, of before Nitro": ([*XEN, pci(0x8086, 0x10ed, NIC)], [*XEN_MODULES, "ixgbevf"]),
    "Google": (
        [*VIRTIO, pci(0x1ae0, 0x001f, NVME, "02"), pci(0x1ae0, 0x0042, NIC), pci(0x8086, 0x145c, NIC)],
        [*VIRTIO_MODULES, "nvme", "gve", "idpf"]),
    "Azure": ([HYPER_V_SCSI, HYPER_V_NIC, pci(0x1414, 0x00ba, NIC), pci(0x1414, 0xb111, NVME, "02")],
              [*HYPER_V_MODULES, "mana", "nvme"]),
    "Oracle, paravirtualized": (VIRTIO, VIRTIO_MODULES),
    "Hetzner, DigitalOcean, Linode, Vultr, Scaleway, OVH, UpCloud, Exoscale, Alibaba, Tencent, IBM": (
        VIRTIO, VIRTIO_MODULES),
}


def build(kernel, output, *options):
    """The names of the modules in it."""
    harness.run([harness.BINARY, "build", "-o", output, "--fast", "--kernel", harness.CACHE / kernel / "vmlinuz",
                 "--modules-dir", harness.CACHE / kernel, *options], timeout=300)
    listing = json.loads(harness.run([harness.BINARY, "inspect", "--json", output], timeout=60))
    paths = [entry["path"] for archive in listing["archives"] for entry in archive["entries"]]
    return {normal(pathlib.Path(path).stem) for path in paths if path.endswith(".ko")}


def normal(name):
    return name.replace("-", "_")


def built_in(kernel):
    release = (harness.CACHE / kernel / "release").read_text().strip()
    lines = (harness.CACHE / kernel / "lib/modules" / release / "modules.builtin").read_text().split()
    return {normal(pathlib.Path(line).stem) for line in lines}


def undocumented():
    """What `--profile server` leaves out, and docs/building.md does not name."""
    rules = (ROOT / "src/payload/driver_rules.cc").read_text()
    table = re.search(r"kServerWithout\[\] = \{(.*?)\};", rules, re.DOTALL).group(1)
    names = re.findall(r'"([^"]+)"', table)
    assert len(names) > 20, "the table is written in another form"
    text = (ROOT / "docs/building.md").read_text()
    return [name for name in names if not re.search(rf"\b{name}\b", text)]


def main():
    harness.machines(*KERNELS)
    missing = [f"docs/building.md does not say that server leaves out {name}" for name in undocumented()]
    with tempfile.TemporaryDirectory() as folder:
        image, devices = pathlib.Path(folder) / "image", pathlib.Path(folder) / "modaliases"
        for kernel in KERNELS:
            there = build(kernel, image, "--profile", "vm") | built_in(kernel)
            for platform, (modaliases, modules) in PLATFORMS.items():
                devices.write_text("".join(f"{line}\n" for line in modaliases))
                chosen = build(kernel, image, "--hardware", devices)
                named = {normal(name) for name in modules if kernel != "kernel" or name not in LATER}
                missing += [f"{kernel}: {platform}: {name} is not in the profile" for name in sorted(named - there)]
                missing += [f"{kernel}: {platform}: {name}, which its devices ask for, is not in the profile"
                            for name in sorted(chosen - there - BESIDES)]
                # A typing error above would else pass as a device that asks for nothing.
                missing += [f"{kernel}: {platform}: no device of the table asks for {name}"
                            for name in sorted(named - chosen - built_in(kernel))]
    print("\n".join(missing) or f"{len(PLATFORMS)} platforms, {len(KERNELS)} kernels")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
