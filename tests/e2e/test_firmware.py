"""What UEFI's firmware knows of the new system: its boot entries, as they are in its memory (tests/e2e/nvram.py), and
what it starts by them. The new system is GRUB alone, which says where it was started from."""

import re
import shutil
import struct
import subprocess
import uuid

from tests.e2e import harness, inplace
from tests.e2e.harness import MIB
from tests.e2e.nvram import LoadOption, Nvram
from tests.e2e.test_direct import DirectTest, phase

ESP = uuid.UUID("0c0a1d02-0000-4000-8000-000000000e5b")
REMOVABLE = r"\EFI\BOOT\BOOTX64.EFI"
VENDORS = r"\EFI\A vendor\systemd-bootx64.efi"
# Of a disk that is not there.
STICK = LoadOption("A stick", uuid.UUID("0c0a1d02-0000-4000-8000-0000000571c4"), REMOVABLE)
# Linux leaves the last 5120 bytes to the firmware (arch/x86/platform/efi/quirks.c). OVMF shall find room in them: in
# QEMU it takes long to tidy up.
ALMOST = 5200
NO_ENTRY = r"^curlingiron: warning: the firmware's boot entries are not changed, or not all of them: "


def write_system(path, loaders, size=80 * MIB, fat=32):
    """A disk image with an EFI system partition that holds GRUB under each of these names."""
    folder = path.parent
    script = folder / "grub.cfg"
    script.write_text("serial --unit=0 --speed=115200\nterminal_output serial\n"
                      "echo \"new system from $cmdpath\"\nsleep 600\n")
    program = folder / "grub.efi"
    harness.run(["grub-mkimage", "-O", "x86_64-efi", "-p", "/", "-c", script, "-o", program,
                 "echo", "serial", "terminal", "sleep", "part_gpt", "fat"])
    esp = folder / "esp.img"
    sectors = size // 512 - 2 * 2048
    harness.run(["mkfs.fat", "-C", "-F", fat, esp, sectors // 2])
    made = set()
    for loader in loaders:
        parts = loader.strip("\\").split("\\")
        for end in range(1, len(parts)):
            below = "/".join(parts[:end])
            if below not in made:
                harness.run(["mmd", "-i", esp, f"::{below}"])
                made.add(below)
        harness.run(["mcopy", "-i", esp, program, f"::{'/'.join(parts)}"])
    with open(path, "wb") as out:
        out.truncate(size)
    subprocess.run(["sfdisk", "--quiet", "--no-reread", "--no-tell-kernel", str(path)], check=True, text=True,
                   input=f"label: gpt\nstart=2048, size={sectors}, type=U, uuid={ESP}\n", stdout=subprocess.PIPE,
                   stderr=subprocess.STDOUT)
    with open(path, "r+b") as out:
        out.seek(MIB)
        out.write(esp.read_bytes())
    for file in (script, program, esp):
        file.unlink()
    return path


def partition_ids(disk):
    """The GUIDs of a GPT's partitions, by number."""
    dump = harness.run(["sfdisk", "--dump", disk])
    return [uuid.UUID(found) for found in re.findall(r"uuid=([0-9A-F-]+)", dump)]


class FirmwareTest(DirectTest):

    def nvram(self, name="machine"):
        """Of a machine that was not started yet."""
        file = self.artifacts / f"{name}.vars.fd"
        shutil.copyfile("/usr/share/OVMF/OVMF_VARS_4M.fd", file)
        return Nvram(file)

    def assert_entry_first(self, nvram, fact, loader):
        number = int(fact.removeprefix("Boot"), 16)
        entry = nvram.entries()[number]
        self.assertEqual((entry.partition, entry.loader, entry.number, entry.first), (ESP, loader, 1, 2048), entry)
        self.assertEqual(nvram.order()[0], number)
        same = [n for n, other in nvram.entries().items() if (other.partition, other.loader) == (ESP, loader)]
        self.assertEqual(same, [number])
        return number

    def boots(self, loader, name="machine"):
        """The disk, in a machine with the firmware's memory of that name."""
        machine = self.machine(name=name, firmware="uefi", disks=[{"file": self.disk}], memory=256)
        folder = loader.rpartition("\\")[0].replace("\\", "/")
        machine.expect(rf"new system from \(hd0,gpt1\){re.escape(folder)}", 120)
        machine.kill()


class Firmware(FirmwareTest):

    def set_up_direct(self, loaders, **options):
        self.net.serve_names()
        self.net.serve_web(self.web)
        self.source = write_system(self.web / "image.raw", loaders, **options)
        self.disk.unlink()
        # The old system's.
        self.old = write_system(self.artifacts / "disk.raw", [REMOVABLE], size=100 * MIB)
        self.old_esp = uuid.UUID("0c0a1d02-0000-4000-8000-00000000001d")
        harness.run(["sfdisk", "--quiet", "--no-reread", "--part-uuid", self.old, 1, self.old_esp])

    def install(self, more="", says=()):
        """The facts of the phase finish. `says`: warnings that come before it."""
        machine = self.start([f"src=http://image.test/{self.source.name}", "dst=/dev/vda",
                              f"sha256={harness.sha256_of(self.source)}"],
                             firmware="uefi", memory=512, words=more.split())
        machine.expect(phase("verify", "ok"), 240, unless=r"status=failed.*|Kernel panic.*|Oops.*")
        for warning in says:
            machine.expect(warning, 120, unless=phase("finish", ".*"))
        match = machine.expect(phase("finish", "ok", r"(.*)\n"), 120, unless=r"status=failed.*|Kernel panic.*|Oops.*")
        machine.wait_exit(30)
        machine.kill()
        return dict(re.findall(r"(\S+?)=(\S*)", match[1])), machine.text

    def test_flash(self):
        """A machine that its firmware starts by an entry becomes one that it starts by another; the image has no loader
        that it would find by itself."""
        scene = inplace.Scene(self.artifacts)
        self.addCleanup(scene.close)
        image = write_system(scene.web / "system.raw", [VENDORS])
        scene.url, scene.sha256 = "https://image.test/system.raw", harness.sha256_of(image)
        esp = partition_ids(scene.disk)[1]
        nvram = self.nvram()
        nvram.add("Boot0007", LoadOption("Old system", esp, REMOVABLE, 2, 4096, 32768).bytes())
        nvram.add("Boot0008", LoadOption("Older system", esp, r"\EFI\gone\grubx64.efi", 2, 4096, 32768).bytes())
        nvram.add("Boot0009", STICK.bytes())
        nvram.add("BootOrder", bytes([8, 0, 9, 0, 7, 0]))
        machine = scene.old_machine(firmware="uefi")
        self.addCleanup(machine.kill)
        machine.log_in()
        self.assertIn("BootCurrent=7", machine.shell(
            "echo BootCurrent=$(od -An -tu2 -j4 /sys/firmware/efi/efivars/BootCurrent-*)")[1].replace(" ", ""))
        scene.fetch_command(machine)
        machine.send(scene.flash_command("/dev/vda") + "\n")
        machine.expect(r"firmware +gets an entry for the new system, first in its boot\s+order;\s+2\s+old\s+entries",
                       180, unless=inplace.FAILED)
        machine.expect(r"^curlingiron: phase=mounts status=ok", 240, unless=inplace.FAILED)
        before = nvram.order()
        told = inplace.watch_install(machine, first="config")
        self.assertEqual(told["finish"]["removed"], "2")
        number = self.assert_entry_first(nvram, told["finish"]["entry"], VENDORS)
        self.assertEqual(nvram.order(), [number, *(n for n in before if n not in (7, 8))])
        self.assertFalse({7, 8} & set(nvram.entries()))
        self.assertEqual(nvram.entries()[9].bytes(), STICK.bytes())
        machine.resume()
        machine.expect(r"new system from \(hd0,gpt1\)/EFI/A vendor", 120)

    def test_empty_again_and_moved(self):
        """A firmware that knows nothing; the same image once more; then the disk in another machine."""
        self.set_up_direct([REMOVABLE, VENDORS], size=40 * MIB, fat=16)
        nvram = self.nvram()
        facts, _ = self.install()
        self.assertEqual(facts["removed"], "0")
        first = self.assert_entry_first(nvram, facts["entry"], REMOVABLE)
        order = nvram.order()
        self.boots(REMOVABLE)
        facts, _ = self.install()
        self.assertEqual((facts["removed"], self.assert_entry_first(nvram, facts["entry"], REMOVABLE)), ("0", first))
        # OVMF adds its own when it has looked around.
        self.assertEqual([number for number in nvram.order() if number in order], order)
        self.boots(REMOVABLE, name="another")

    def test_full(self):
        """Dead entries go, but OVMF gives their room back at its next start: the next installation has an entry."""
        self.set_up_direct([REMOVABLE])
        nvram = self.nvram()
        # With its own variables: OVMF does not start without room for these.
        self.boots(REMOVABLE)
        nvram.add("Boot0017", LoadOption("Old system", self.old_esp, REMOVABLE).bytes() + b"x" * 6000)
        nvram.add("BootOrder", struct.pack(f"<{len(nvram.order()) + 1}H", 0x17, *nvram.order()))
        nvram.fill(leave=ALMOST)
        facts, _ = self.install(says=[NO_ENTRY + ".*No space left.*most machines start the new system without one"])
        self.assertNotIn("entry", facts)
        self.assertNotIn(0x17, nvram.entries())
        self.assertFalse([e for e in nvram.entries().values() if e.partition == ESP])
        self.boots(REMOVABLE)
        facts, _ = self.install()
        self.assert_entry_first(nvram, facts["entry"], REMOVABLE)
        self.boots(REMOVABLE)

    def test_garbage(self):
        self.set_up_direct([VENDORS])
        nvram = self.nvram()
        nvram.add("Boot0005", b"\1\2\3")
        nvram.add("Boot0006", LoadOption("Old system", self.old_esp, REMOVABLE).bytes()[:-9])
        nvram.add("Boot0007", LoadOption("Old system", self.old_esp, REMOVABLE).bytes())
        nvram.add("BootOrder", bytes([7, 0, 6, 0, 5]))
        facts, text = self.install()
        self.assertEqual(facts["removed"], "1")
        self.assert_entry_first(nvram, facts["entry"], VENDORS)
        self.assertRegex(text, r"warning: the firmware's Boot000[56] cannot be read and stays: .*"
                               r"efibootmgr -B -b 000[56]")
        self.boots(VENDORS)

    def test_absent(self):
        """A kernel that may not talk to its firmware."""
        self.set_up_direct([REMOVABLE])
        nvram = self.nvram()
        facts, _ = self.install(more="efi=noruntime", says=[NO_ENTRY])
        self.assertNotIn("entry", facts)
        self.assertFalse([e for e in nvram.entries().values() if e.partition == ESP])
        self.boots(REMOVABLE)


if __name__ == "__main__":
    harness.unittest.main()
