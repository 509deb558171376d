"""The main job: a Debian 12 that runs from its own disk becomes Debian 13."""

import re
import shutil

from tests.e2e import harness, inplace
from tests.e2e.harness import MIB


class InPlace(harness.E2ETest):

    def setUp(self):
        super().setUp()
        self.need_binary()

    def scene(self, **options):
        scene = inplace.Scene(self.artifacts, **options)
        self.addCleanup(scene.close)
        return scene

    def old_machine(self, scene, **options):
        machine = scene.old_machine(**options)
        self.addCleanup(machine.kill)
        return machine

    def becomes_new(self, scene, machine):
        """From the jump on: the image's bytes, then the new system."""
        told = inplace.watch_install(machine)
        self.assert_installed(scene.disk, scene.image)
        machine.resume()
        machine.log_in()
        _, release = machine.shell("cat /etc/os-release; uname -r")
        self.assertIn('VERSION_ID="13"', release)
        self.assertIn("6.12.", release)
        return told

    def replaces(self, form, device, firmware, **hardware):
        scene = self.scene(form=form)
        machine = self.old_machine(scene, firmware=firmware, **hardware)
        machine.log_in()
        scene.fetch_command(machine)
        machine.send(scene.flash_command(device) + "\n")
        machine.expect(r"This replaces everything on", 180, unless=inplace.FAILED)
        told = self.becomes_new(scene, machine)
        self.assertEqual(told["disk"]["serial"], inplace.SERIAL)

    def test_bios_zstd(self):
        self.replaces("zstd", "/dev/vda", "bios")

    def test_uefi_gzip(self):
        self.replaces("gzip", "/dev/sda", "uefi", bus="sata", nic="e1000e")

    def test_ssh_raw_two_processors(self):
        """An administrator far away: the session ends cleanly, with status 0."""
        scene = self.scene(form="raw")
        machine = self.old_machine(scene, cpus=2, bus="scsi", nic="e1000")
        machine.log_in()
        scene.fetch_command(machine)
        _, address = machine.shell("ip -4 -br addr show scope global | grep -o '10[.]77[.]0[.][0-9]*'")
        # A Debian without dbus: what systemctl says of a bus that is not there is nobody's concern.
        machine.shell("systemctl stop dbus.socket dbus.service; rm -f /run/dbus/system_bus_socket")
        status, output = self.ssh(scene.network, address, scene.flash_command("/dev/sda"), timeout=300, check=False)
        self.assertEqual(status, 0, f"{output}\nlogs: {self.artifacts}")
        self.assertIn("This replaces everything on", output)
        self.assertNotIn("Failed to connect", output)
        # The last line: what to expect by when, and what each silence means.
        self.assertRegex(output.rstrip().splitlines()[-1], r"goes down now and comes back as .*, in about "
                         r".*answers again, nothing was written; .* after 5 min 0 s\. If nothing answers for much longer")
        self.becomes_new(scene, machine)

    def test_untouched_when_the_network_is_gone(self):
        """What worked for the old system fails for the installer: the old system comes back."""
        scene = self.scene()
        machine = self.old_machine(scene)
        machine.log_in()
        scene.fetch_command(machine)
        machine.send(scene.flash_command("/dev/vda", "--set deadline=20s --set after=poweroff") + "\n")
        machine.expect(r"goes down now and goes off with https://image", 180, unless=inplace.FAILED)
        scene.names.stop()
        machine.expect(r"^curlingiron: phase=mounts status=ok", 180)
        machine.qmp("stop")
        before = harness.copy_sparse(scene.disk, self.artifacts / "before.raw")
        self.addCleanup(before.unlink)
        machine.qmp("cont")
        match = machine.expect(r'^curlingiron: phase=network status=failed t=\S+ reason="(.*)"$', 120,
                               unless="phase=install.*|Kernel panic.*")
        self.assertRegex(match[1], "DHCP")
        machine.wait_pause(60)
        self.assert_same(scene.disk, before)
        machine.resume()
        machine.log_in()
        # Its journal knows what was tried.
        _, journal = machine.shell("journalctl --boot=-1 --identifier=curlingiron --no-pager --output=cat")
        self.assertRegex(journal, rf"flash: /dev/vda is to be replaced by {scene.url}")

    def test_too_little_memory(self):
        """A second kernel does not fit: said before the question, and no other program is ended for it."""
        rows = [(160, r"this machine has 1\d\d\.\d MiB of memory, and the installer .* needs 1\d\d\.\d MiB"),
                (184, r"of this machine's memory \d\d\.\d MiB are free, and .* needs \d\d\.\d MiB")]
        for memory, says in rows:
            with self.subTest(memory):
                scene = self.scene()
                machine = self.old_machine(scene, memory=memory)
                machine.log_in()
                scene.fetch_command(machine)
                status, output = machine.shell(scene.flash_command("/dev/vda"), 180)
                self.assertEqual(status, 1, output)
                self.assertRegex(output, says)
                self.assertTrue(output.rstrip().endswith("nothing was changed"), output)
                self.assertNotRegex(output, "goes down now|This replaces")
                loaded = machine.shell("cat /sys/kernel/kexec_loaded; dmesg | grep -c 'Out of memory'")
                self.assertEqual(loaded, (1, "0\n0"))
                machine.kill()
                scene.close()
                shutil.rmtree(scene.web)

    def test_refusals(self):
        """What the host can know it says at once, with a status; the machine goes on."""
        scene = self.scene()
        small = self.artifacts / "small.raw"
        harness.write_noise(small, 16 * MIB, seed=5)
        machine = self.old_machine(scene, extra_disks=[{"file": small, "serial": "small"}])
        machine.log_in()
        scene.fetch_command(machine)
        good, tail = scene.url, "--ca /root/ca.pem --yes"
        rows = [
            (f"https://nowhere.test/x /dev/vda {tail}", 1, r"nowhere\.test"),
            (f"https://image.test:444/x /dev/vda {tail}", 1, r"image\.test.*refused.*444"),
            (f"https://image.test/missing /dev/vda {tail}", 1, r"missing.*404"),
            (f"https://expired.test/new.raw /dev/vda {tail}", 1, r"expired\.test.*certificate.*expired"),
            (f"https://wrong.test/new.raw /dev/vda {tail}", 1, r"wrong\.test|certificate"),
            (f"https://unknown.test/new.raw /dev/vda {tail}", 1, r"unknown\.test.*unknown CA"),
            (f"{good} /dev/vda --yes", 1, r"image\.test.*unknown CA"),
            (f"{good} /dev/vda {tail} --sha256 0123", 1, r"64 hex"),
            (f"{good} /dev/vda {tail} --set sha265=1", 1, r"sha265.*sha256"),
            (f"{good} /dev/vdb {tail}", 1, r"vdb: .*smaller"),
            (f"{good} /dev/vdz {tail}", 1, r"vdz"),
            (f"{good} /dev/vda3 {tail}", 1, r"vda3 is a partition.*/dev/vda"),
            (f"{good} serial:none {tail}", 1, rf"serial:none.*{inplace.SERIAL}"),
            (f"{good} /dev/vda --ca /root/none.pem --yes", 1, r"/root/none\.pem"),
            (f"{good} /dev/vda --ca /root/ca.pem </dev/null", 1, r"--yes"),
            (f"{good}", 2, r"DISK"),
        ]
        for arguments, status, says in rows:
            with self.subTest(arguments):
                got, output = machine.shell(f"/root/curlingiron flash {arguments}", 120)
                self.assertEqual(got, status, output)
                self.assertRegex(output, says)
                said = [line for line in output.splitlines() if re.search(r"error", line)]
                self.assertLessEqual(len(said), 1, output)
        with self.subTest("dry run"):
            status, output = machine.shell(f"{scene.flash_command('/dev/vda')} --set onfail=reboot --dry-run", 180)
            self.assertEqual(status, 0, output)
            self.assertIn(inplace.SERIAL, output)
            self.assertLessEqual(max(len(line) for line in output.splitlines() if line.startswith("  ")), 80, output)
            said = " ".join(output.split())
            for fact in (r"this system runs from it", r"vda3: 1\.9 GiB, ext4, mounted on /",
                         r"stays /dev/vdb: ", r"1\.0 GiB.*, for a disk of 2\.0 GiB",
                         r"fits into this machine's memory: compared with its SHA-256 before the first byte",
                         r"settings onfail=reboot", r"the first byte is written \(at most 5 min 0 s without progress\)",
                         r"the disk holds no system, and this machine restarts \(onfail=reboot\)",
                         r"time about \d+", r"without --dry-run, this machine would now go down"):
                self.assertRegex(said, fact)
        with self.subTest("a digest that does not fit into memory"):
            _, output = machine.shell(f"{scene.flash_command('/dev/vda')} --set prove=stream --dry-run", 180)
            self.assertRegex(" ".join(output.split()), r"after it is written; if it does not match, this machine will "
                             r"not boot and stays up until somebody comes")
        self.assertEqual(machine.shell("cat /sys/kernel/kexec_loaded"), (0, "0"))
        self.assertEqual(harness.sha256_of(small),
                         harness.sha256_of(harness.write_noise(self.artifacts / "again.raw", 16 * MIB, seed=5)))


if __name__ == "__main__":
    harness.unittest.main()
