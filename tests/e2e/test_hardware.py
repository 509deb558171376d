"""/init on the hardware that QEMU has: every disk controller and every NIC at least once.

Each machine boots twice and installs each time: from a profile, made for machines nobody knows; then from an
initramfs made for the hardware that the first boot named on its console (`curlingiron build --hardware`).
"""

import collections
import json
import os
import re
import subprocess

from tests.e2e import harness, payload
from tests.e2e.harness import MIB
from tests.e2e.test_direct import phase

DISK_SIZE = 64 * MIB  # an SD card's size is a power of two
IMAGE_SIZE = 16 * MIB
SERIAL = "ci-hardware-1"

# name; the disk's bus as harness.DISKS has it, and its controller's driver; the NIC's model and driver; what else is
# particular to the machine.
Row = collections.namedtuple("Row", "name bus disk_driver nic nic_driver profile options", defaults=["server", {}])

# The NE2000 holds eight frames. QEMU's drops what comes when it is full, as it should, but without the interrupt that
# tells the driver so; a driver that has just missed the one before is deaf from then on. So the server may have no
# more on their way than fit.
SLOW_NICS = {"ne2k_pci"}

ROWS = [
    Row("virtio_blk", "virtio", "virtio_blk", "virtio-net-pci", "virtio_net", "vm"),
    Row("virtio_scsi", "scsi", "virtio_scsi", "e1000", "e1000", "vm"),
    Row("nvme", "nvme", "nvme", "e1000e", "e1000e", "vm"),
    Row("ahci", "sata", "ahci", "rtl8139", "8139cp", "vm"),
    Row("piix_ide", "ide", "ata_piix", "ne2k_pci", "ne2k-pci", options={"machine": "pc"}),
    Row("usb_xhci", "usb-xhci", "usb-storage", "usb-net", "cdc_(ether|subset)", options={"usb": "qemu-xhci"}),
    Row("usb_ehci", "usb-ehci", "usb-storage", "tulip", "tulip"),
    Row("uas", "uas", "uas", "usb-net", "cdc_(ether|subset)", options={"usb": "piix3-usb-uhci"}),
    Row("sdhci", "sdhci", "sdhci-pci", "pcnet", "pcnet32"),
    Row("pvscsi", "pvscsi", "vmw_pvscsi", "vmxnet3", "vmxnet3", "vm"),
    Row("megasas", "megasas", "megaraid_sas", "e1000e", "e1000e"),
    Row("megasas_gen2", "megasas-gen2", "megaraid_sas", "igb", "igb"),
    Row("mptsas1068", "mptsas1068", "mptsas", "virtio-net-pci", "virtio_net"),
    Row("lsi53c895a", "lsi53c895a", "sym53c8xx", "tulip", "tulip", options={"machine": "pc"}),
    Row("lsi53c810", "lsi53c810", "sym53c8xx", "ne2k_pci", "ne2k-pci", options={"machine": "pc"}),
    Row("am53c974", "am53c974", "am53c974", "pcnet", "pcnet32", options={"machine": "pc"}),
]

PHASES = ("mounts", "config", "drivers", "network", "source", "disk", "install", "verify", "finish", "leave")


def qemu_devices():
    text = subprocess.run(["qemu-system-x86_64", "-device", "help"], stdout=subprocess.PIPE, text=True, check=True).stdout
    return set(re.findall(r'^name "([^"]+)"', text, re.MULTILINE))


def available(row):
    """With a card that this QEMU has: igb came with 8.0."""
    return row if row.nic != "igb" or "igb" in qemu_devices() else row._replace(nic="e1000e", nic_driver="e1000e")


class HardwareTest(harness.E2ETest):

    def setUp(self):
        super().setUp()
        self.need_binary()
        self.net = self.network()
        self.web = self.artifacts / "web"
        self.web.mkdir()
        self.served, self.image = payload.image("hardware", IMAGE_SIZE, 4, "raw")
        os.link(self.served, self.web / "image.raw")
        self.source = ["src=http://image.test/image.raw", f"sha256={harness.sha256_of(self.served)}"]
        self.net.serve_names()
        self.net.serve_web(self.web)

    def build(self, name, *options):
        """The initramfs and what the command says of it."""
        harness.machines("kernel")
        output = self.artifacts / name
        said = harness.run([harness.BINARY, "build", "-o", output, "--kernel", payload.KERNEL / "vmlinuz",
                            "--modules-dir", payload.KERNEL, "--ca", self.net.certificates.ca, "--json", *options])
        return output, json.loads(said[said.index("{"):said.rindex("}") + 1])

    def start(self, name, row, initramfs, settings, words=()):
        disk = harness.write_noise(self.artifacts / f"{name}.raw", DISK_SIZE, seed=7)
        if row.nic in SLOW_NICS:
            self.net.namespace.run(["sysctl", "-q", "-w", "net.ipv4.tcp_wmem=4096 8192 8192"])
            self.net.namespace.run(["ip", "link", "set", "br0", "gso_max_segs", "1"])
        options = dict(row.options)
        nic = {"model": row.nic, **({"usb": options.pop("usb")} if "usb" in options else {})}
        words = ["console=ttyS0", "panic=1", "loglevel=4", *words, *(f"curlingiron.{s}" for s in settings)]
        machine = self.machine(name=name, network=self.net, kernel=payload.KERNEL / "vmlinuz", initrd=initramfs,
                               append=" ".join(words), memory=384, disks=[{"file": disk, "bus": row.bus, "serial": SERIAL}],
                               nics=[nic], **options)
        return machine, disk

    def assert_driven(self, text, row):
        """By the drivers that the row is about."""
        self.assertRegex(text, rf"(?m)^curlingiron: disks: \w+ .*\({row.disk_driver}\); "
                               rf"nics: \w+ [0-9a-f:]{{17}} \({row.nic_driver}\) up$")

    def installs(self, name, row, initramfs, settings, words=()):
        """From power-on to the restart. What the console said, and the seconds it took."""
        machine, disk = self.start(name, row, initramfs, [*self.source, "deadline=60s", *settings], words)
        for each in PHASES:
            machine.expect(phase(each, "ok"), 100, unless=r"status=failed.*\n|Kernel panic.*|Oops.*|BUG: .*")
        machine.wait_exit(30)
        self.assert_installed(disk, self.image)
        size = disk.stat().st_size
        table = harness.GPT_SECTORS * harness.SECTOR if harness.has_gpt(disk) else 0
        self.assertTrue(harness.is_zero(disk, size - MIB, MIB - table), "the old disk's last MiB is still there")
        self.assert_driven(machine.text, row)
        if row.bus not in harness.WITHOUT_SERIAL:
            self.assertIn(f" serial={SERIAL} ", machine.text)
        return machine.text, machine.uptime()


class Hardware(HardwareTest):

    def both_ways(self, row):
        if row.nic not in qemu_devices():
            row = row._replace(nic="e1000", nic_driver="e1000")
        initramfs, profile = self.build("profile.img", "--profile", row.profile, "--compress", "zstd", "--fast")
        text, first = self.installs("profile", row, initramfs, ["dst=only", "loglevel=debug"])

        hardware = self.artifacts / "hardware.txt"
        aliases = re.findall(r"^curlingiron: modalias (\S+)$", text, re.MULTILINE)
        hardware.write_text("# as the machine itself told\n\n" + "".join(f"{alias}\n" for alias in aliases))
        initramfs, host = self.build("host.img", "--hardware", hardware)
        wanted = "only" if row.bus in harness.WITHOUT_SERIAL else f"serial:{SERIAL}"
        _, second = self.installs("host", row, initramfs, [f"dst={wanted}"])

        self.assertLess(len(host["modules"]), len(profile["modules"]))
        result = {"machine": row.name, "profile": row.profile, "profile_modules": len(profile["modules"]),
                  "profile_bytes": profile["bytes"], "profile_seconds": round(first, 1),
                  "host_modules": host["modules"], "host_bytes": host["bytes"], "host_seconds": round(second, 1)}
        (self.artifacts / "result.json").write_text(json.dumps(result) + "\n")


for row in ROWS:
    setattr(Hardware, f"test_{row.name}", lambda self, row=row: self.both_ways(available(row)))


class Missing(HardwareTest):
    """A driver that is not there, or not taken: nothing is written, and the reason says which and what to do."""

    def fails(self, initramfs, words=(), row=ROWS[0], deadline=8):
        machine, disk = self.start("machine", row, initramfs, [*self.source, "dst=only", f"deadline={deadline}s"], words)
        before = harness.sha256_of(disk)
        match = machine.expect(r'^curlingiron: phase=(\w+) status=failed t=\S+ reason="([^"\n]*)"\n', 90,
                               unless=phase("install", "ok") + "|Kernel panic.*|Oops.*|BUG: .*")
        machine.expect(phase("leave", "ok", r" how=reboot"), 30)
        machine.wait_exit(30)
        self.assertEqual(harness.sha256_of(disk), before, "the disk was written to")
        self.assertLess(len(match[2]), 700)
        return match[1], match[2], machine.text

    def modules(self, *names):
        return [word for name in names for word in ("--module", name)]

    def test_nic_driver(self):
        initramfs, _ = self.build("initramfs.img", *self.modules("virtio_pci", "virtio_blk"))
        where, reason, said = self.fails(initramfs)
        self.assertEqual(where, "network")
        self.assertRegex(reason, r"no driver in this initramfs for virtio:d00000001v00001AF4 at virtio\d; .*--profile server")
        self.assertRegex(said, rf"(?m)^curlingiron: disks: vda serial={SERIAL} 64\.0 MiB \(virtio_blk\); nics: none$")

    def test_disk_driver(self):
        initramfs, _ = self.build("initramfs.img", *self.modules("virtio_pci", "virtio_net"))
        where, reason, said = self.fails(initramfs)
        self.assertEqual(where, "disk")
        self.assertRegex(reason, r"no driver in this initramfs for virtio:d00000002v00001AF4 at virtio\d")
        self.assertRegex(said, r"(?m)^curlingiron: disks: none; nics: eth0 \S+ \(virtio_net\) up$")

    def test_bus_driver(self):
        """Behind a USB host that nobody drives, nothing is seen."""
        row = Row("usb", "usb-xhci", "", "e1000", "")
        initramfs, _ = self.build("initramfs.img", *self.modules("e1000", "usb_storage", "sd_mod"), "--omit", "xhci_pci")
        where, reason, _ = self.fails(initramfs, row=row)
        self.assertEqual(where, "disk")
        self.assertRegex(reason, r"no driver in this initramfs for pci:\S*bc0Csc03i30 at 0000:00:\S+")

    def test_signatures(self):
        """A kernel that takes signed modules only, and modules without signatures; then with them."""
        modules = self.modules("virtio_pci", "virtio_blk", "virtio_net")
        enforce = ["module.sig_enforce=1"]
        initramfs, _ = self.build("initramfs.img", *modules)
        where, reason, _ = self.fails(initramfs, enforce)
        self.assertEqual(where, "network")
        self.assertRegex(reason, r"has no driver: .*signed modules.*--secure-boot")
        initramfs, _ = self.build("signed.img", "--secure-boot", *modules)
        self.installs("signed", ROWS[0], initramfs, ["dst=only"], enforce)


if __name__ == "__main__":
    harness.unittest.main()
