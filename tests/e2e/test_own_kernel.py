"""The kernels of scripts/kernel: what they hold, on the hardware that they are for, and what protects them."""

import os
import re
import unittest

from tests.e2e import harness, test_hardware
from tests.e2e.test_direct import DirectTest, phase
from tests.e2e.test_forms import SERIAL, FormTest
from tests.e2e.test_hardware import PHASES, HardwareTest

HOME = harness.ROOT / "build/kernel"
FAILED = r"status=failed.*\n|Kernel panic.*|Oops.*|BUG: .*"

# Those of test_hardware whose disks are in kernel/NAME.config, each with a card that is.
HELD = {"vm": ["virtio_blk", "virtio_scsi", "nvme", "ahci", "piix_ide", "pvscsi", "mptsas1068", "lsi53c895a", "lsi53c810"],
        "metal": ["usb_xhci", "usb_ehci", "uas", "sdhci", "megasas", "megasas_gen2"]}
CARDS = {"vm": {"ne2k_pci": "e1000", "tulip": "e1000"},
         "metal": {"usb-net": "e1000e", "tulip": "e1000e", "pcnet": "e1000e"}}


def rows_of(name):
    for row in test_hardware.ROWS:
        if row.name in HELD[name]:
            card = CARDS[name].get(row.nic)
            yield row._replace(nic=card, nic_driver=card) if card else row


def own_kernel(name):
    """(kernel, release) of build/kernel/NAME. Made only where everything is tried: it takes a quarter of an hour."""
    if os.environ.get("CURLINGIRON_THOROUGH"):
        harness.run([harness.ROOT / "scripts/kernel", name], timeout=3600)
    if not (HOME / name / "release").exists():
        raise unittest.SkipTest(f"build/kernel/{name} is not made; scripts/kernel {name} makes it")
    release = (HOME / name / "release").read_text().strip()
    return HOME / name / f"boot/vmlinuz-{release}", release


class OwnKernelHardware(HardwareTest):

    def installs_with(self, name, row):
        kernel, _ = own_kernel(name)
        tree = self.artifacts / "tree"
        harness.run([harness.BINARY, "build", "--format", "tree", "-o", tree, "--kernel", f"ours:{name}",
                     "--ca", self.net.certificates.ca, "--fast", "--append", "console=ttyS0 panic=1"], timeout=120)
        disk = harness.write_noise(self.artifacts / "disk.raw", test_hardware.DISK_SIZE, seed=7)
        options = {key: value for key, value in row.options.items() if key != "usb"}  # of cards on USB
        words = [(tree / "cmdline").read_text().strip(), *(f"curlingiron.{word}" for word in [*self.source, "dst=only"])]
        machine = self.machine(network=self.net, kernel=kernel, initrd=tree / "initrd", append=" ".join(words), memory=128,
                               disks=[{"file": disk, "bus": row.bus, "serial": test_hardware.SERIAL}],
                               nics=[{"model": row.nic}], **options)
        for each in PHASES:
            machine.expect(phase(each, "ok"), 100, unless=FAILED)
        machine.wait_exit(30)
        self.assert_installed(disk, self.image)
        self.assert_driven(machine.text, row)


for kind in HELD:
    for row in rows_of(kind):
        setattr(OwnKernelHardware, f"test_{kind}_{row.name}",
                lambda self, kind=kind, row=row: self.installs_with(kind, test_hardware.available(row)))


class Protected(DirectTest):
    """What protects the kernel, as the kernel that runs says it."""

    def look(self, name, words=()):
        """What a shell in the machine finds: {file: text}, and where the kernel's code lies."""
        kernel, _ = own_kernel(name)
        initramfs = self.artifacts / "shell"
        harness.run([harness.BINARY, "build", "-o", initramfs, "--kernel", f"ours:{name}", "--fast", "--add",
                     "/bin/busybox:/bin/sh", "--set", "src=http://10.0.2.9/x", "--set", "dst=only",
                     "--set", "onfail=shell", "--set", "deadline=1s", "--set", "insecure"], timeout=120)
        machine = self.machine(name=f"machine{len(words)}-{self.count}", kernel=kernel, initrd=initramfs, memory=256,
                               append=" ".join(["console=ttyS0 panic=1 loglevel=4", *words]))
        self.count += 1
        machine.expect(r"press Enter within", 120, unless=r"Kernel panic.*|Oops.*")
        machine.send("\n")
        machine.expect(r"# $", 30)
        machine.send("stty -echo; PS1='ready''> '\n")
        machine.expect(r"ready> $", 30)
        _, text = machine.shell("zcat /proc/config.gz | grep -E '^CONFIG_(STACKPROTECTOR|RANDOMIZE|VMAP_STACK|"
                                "HARDENED|FORTIFY|SLAB_FREELIST)'")
        _, places = machine.shell("grep 'Kernel code' /proc/iomem")
        _, faults = machine.shell("grep . /sys/devices/system/cpu/vulnerabilities/*")
        machine.kill()
        return set(text.split()), places, faults

    count = 0

    def check(self, name, words=()):
        """[what is missing]"""
        config, first, faults = self.look(name, words)
        missing = [f"CONFIG_{option}=y" for option in (
            "STACKPROTECTOR_STRONG", "RANDOMIZE_BASE", "RANDOMIZE_MEMORY", "RANDOMIZE_KSTACK_OFFSET_DEFAULT", "VMAP_STACK",
            "HARDENED_USERCOPY", "FORTIFY_SOURCE", "SLAB_FREELIST_RANDOM", "SLAB_FREELIST_HARDENED")
            if f"CONFIG_{option}=y" not in config]
        # One of 512 places and more: three alike are one in 260,000.
        places = {first, self.look(name, words)[1], self.look(name, words)[1]}
        if len(places) == 1:
            missing.append("KASLR: the kernel lies at the same place each time")
        # What only new microcode mends, QEMU's processor has not.
        missing += [line for line in faults.splitlines()
                    if re.search(r":\s*Vulnerable", line) and "microcode" not in line.lower()
                    and "spec_store_bypass" not in line]
        return missing

    def test_vm(self):
        self.assertEqual(self.check("vm"), [])

    def test_metal(self):
        self.assertEqual(self.check("metal"), [])

    def test_it_can_fail(self):
        """Without them it is noticed."""
        missing = self.check("vm", ["nokaslr", "mitigations=off"])
        self.assertTrue(any("KASLR" in line for line in missing), missing)
        self.assertTrue(any("vulnerabilities" in line for line in missing), missing)


class OwnKernelForms(FormTest):
    """A whole installer, TLS and all, in one UEFI program."""

    def test_bounds(self):
        for name, most in (("vm", 4_400_000), ("metal", 5_400_000)):
            with self.subTest(name):
                own_kernel(name)
                uki = self.artifacts / f"{name}.efi"
                harness.run([harness.BINARY, "build", "--format", "uki", "--kernel", f"ours:{name}", "-o", uki], timeout=300)
                self.assertLessEqual(uki.stat().st_size, most)

    def installs_in_128(self, name):
        own_kernel(name)
        uki = self.artifacts / f"{name}.efi"
        harness.run([harness.BINARY, "build", "--format", "uki", "--kernel", f"ours:{name}", "-o", uki,
                     "--ca", self.net.certificates.ca, "--append", "console=ttyS0", "--set", "after=poweroff",
                     "--set", "boot=any", "--set", "src=https://image.test/image.raw.zst",
                     "--set", f"dst=serial:{SERIAL}"], timeout=300)
        self.serve()
        self.installs(self.start(firmware="uefi", kernel=uki, memory=128))

    def test_vm_in_128(self):
        self.installs_in_128("vm")

    def test_metal_in_128(self):
        self.installs_in_128("metal")
