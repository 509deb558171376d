"""Settings that were left open when the installer was built: from the hypervisor, a DHCP server, somebody at a console;
and a system to log in to where nobody says anything."""

import re
import subprocess

import pyte

from tests.e2e import harness, payload
from tests.e2e.test_direct import SERIAL, DirectTest, phase

FIRMWARE = ["qemu_fw_cfg"]
FAILED = r"status=failed.*|Kernel panic.*|Oops.*"


class OpenTest(DirectTest):
    """Nothing but the authority of the server is in the initramfs."""

    def setUp(self):
        super().setUp()
        self.initramfs = payload.build(self.artifacts / "initramfs", self.net.certificates.ca,
                                       modules=[*payload.MODULES, *FIRMWARE])

    def finds(self, source, **options):
        machine = self.start(options.pop("settings", []), **options)
        machine.expect(phase("settings", "ok", rf" from={source}\n"), 120, unless=FAILED)
        self.ends_installed(machine)

    def ends_installed(self, machine, timeout=120):
        for name in ("network", "source", "disk", "install", "verify", "finish", "leave"):
            machine.expect(phase(name, "ok"), timeout, unless=FAILED)
        machine.wait_exit(30)
        self.assert_installed(self.disk, self.image)


class Given(OpenTest):

    def test_smbios(self):
        self.serve()
        self.finds("firmware", extra=[
            "-smbios", f"type=11,value=somebody.else=1,value=curlingiron.src=https://image.test/{self.name}",
            "-smbios", f"type=11,value=io.systemd.credential:curlingiron.dst=serial:{SERIAL}"])

    def test_fw_cfg(self):
        self.serve()
        self.finds("firmware", extra=[
            "-fw_cfg", f"name=opt/curlingiron/src,string=https://image.test/{self.name}",
            "-fw_cfg", "name=opt/io.systemd.credentials/curlingiron.dst,string=only"])

    def test_dhcp(self):
        """The address and the rest come from the same server; the image alone was left open."""
        self.put("raw")
        self.net.serve_names(options=[f"--dhcp-option-force=224,curlingiron.src=https://image.test/{self.name}"])
        self.net.serve_web(self.web)
        self.finds("DHCP", settings=["dst=only"])

    def test_a_second_archive(self):
        """As a boot loader puts it after the first one; docs/starting.md makes it so."""
        self.serve()
        folder = self.artifacts / "second"
        (folder / "curlingiron").mkdir(parents=True)
        (folder / "curlingiron/config").write_text(f"src=https://image.test/{self.name}\ndst=only\n")
        archive = harness.run(["sh", "-c", f"cd {folder} && echo curlingiron/config | cpio --quiet -o -H newc > ../second.cpio"])
        self.assertEqual(archive, "")
        first = self.initramfs.read_bytes()
        self.initramfs = self.artifacts / "both"
        self.initramfs.write_bytes(first + bytes(-len(first) % 4) + (self.artifacts / "second.cpio").read_bytes())
        self.ends_installed(self.start([]))

    def test_what_was_built_in_stays(self):
        """A server that names another image and another disk changes nothing."""
        self.serve()
        machine = self.start([f"src=https://image.test/{self.name}", f"dst=serial:{SERIAL}"], extra=[
            "-smbios", "type=11,value=curlingiron.src=https://image.test/none,value=curlingiron.dst=only"])
        self.ends_installed(machine)
        self.assertNotIn("phase=settings", machine.text)

    def test_a_digest_of_what_was_built_in(self):
        """The disk was left open, and with it comes a digest that the built-in image has not: nothing is written."""
        before = harness.sha256_of(self.disk)
        self.serve()
        machine = self.start([f"src=https://image.test/{self.name}"], extra=[
            "-smbios", f"type=11,value=curlingiron.dst=only,value=curlingiron.sha256={'a' * 64},"
                       "value=curlingiron.header=A: b"])
        machine.expect(r"SMBIOS: header is passed over, as what is there already stays\n", 120)
        machine.expect(phase("settings", "ok", r" from=firmware\n"), 120)
        machine.expect(rf"status=failed.* {'a' * 64} was expected.*", 120, unless=phase("install", "ok"))
        machine.wait_exit(60)
        self.assertEqual(harness.sha256_of(self.disk), before)

    def test_a_word_that_is_no_setting(self):
        before = harness.sha256_of(self.disk)
        self.net.serve_names()
        machine = self.start([], extra=["-smbios", "type=11,value=curlingiron.scr=https://image.test/x"])
        match = machine.expect(phase("settings", "failed", r' reason="(.*)"\n'), 120)
        self.assertRegex(match[1], r"SMBIOS: .*scr.*")
        machine.wait_exit(60)
        self.assertEqual(harness.sha256_of(self.disk), before)

    def test_nobody_says_anything(self):
        """An unattended machine is not asked for ever."""
        before = harness.sha256_of(self.disk)
        self.net.serve_names()
        machine = self.start(["deadline=20s"])
        machine.expect(r"press Enter on this console within", 120)
        match = machine.expect(phase("settings", "failed", r' reason="(.*)"\n'), 60)
        self.assertIn("src", match[1])
        machine.expect(phase("leave", "ok", " how=reboot"), 30)
        machine.wait_exit(30)
        self.assertEqual(harness.sha256_of(self.disk), before)


class Dialogue(OpenTest):
    """Somebody at a serial line, with a terminal of 80 columns and 24 lines."""

    def setUp(self):
        super().setUp()
        self.screen = pyte.Screen(80, 24)
        self.stream = pyte.Stream(self.screen)
        self.shown = 0  # of the console's text

    def looks(self, machine):
        """What the terminal shows now."""
        text = machine.text
        self.stream.feed(text[self.shown:].replace("\n", "\r\n"))
        self.shown = len(text)
        return "\n".join(line.rstrip() for line in self.screen.display).rstrip("\n")

    def answers(self, machine, question, answer, timeout=30):
        machine.expect(question, timeout, unless=FAILED)
        shown = self.looks(machine)
        self.assertRegex(shown.rpartition("\n")[2], question.replace(": $", ":$"),
                         "the question is not the last line of the screen")
        machine.send(answer + "\n")

    def begins(self, settings=(), **options):
        machine = self.start(["loglevel=info", *settings], **options)
        machine.expect(r"press Enter on this console within", 180, unless=FAILED)
        machine.send("\n")
        return machine

    def test_from_the_first_question_to_the_new_system(self):
        self.serve()
        machine = self.begins()
        self.answers(machine, r"^Image: $", "ftp://image.test/x")
        self.answers(machine, r"^Image: $", "/tmp/image.raw")
        machine.expect(r"is no URL; it begins with https:// or http://", 10)
        self.answers(machine, r"^Image: $", f"https://image.test/{self.name}")
        self.answers(machine, r"^SHA-256: $", "abc")
        self.answers(machine, r"^SHA-256: $", harness.sha256_of(self.served))
        # The terminal is made larger meanwhile.
        self.screen.resize(40, 132)
        self.answers(machine, r"^Disk: $", "7")
        machine.expect(r"there is no disk of that number", 10)
        self.answers(machine, r"^Disk: $", "1")
        self.answers(machine, r"Type vda to go on: $", "yes")
        machine.expect(r"Not confirmed; nothing was written", 10)
        self.screen.resize(24, 80)
        self.answers(machine, r"^Disk: $", "vda")
        self.answers(machine, r"Type vda to go on: $", "vda")
        machine.expect(phase("settings", "ok", r" from=ttyS0\n"), 30, unless=FAILED)
        self.ends_installed(machine)
        for line in re.findall(r"(?m)^(?!curlingiron: |\[).*$", machine.text):
            self.assertLessEqual(len(line), 80, line)

    def test_on_a_screen(self):
        """A keyboard and a screen; what it shows then is the picture in docs/starting.md."""
        self.serve()
        machine = self.start(["loglevel=info"], consoles=["ttyS0", "tty0"], vga="std")
        machine.expect(r"press Enter on this console within", 180, unless=FAILED)
        machine.press("\n")
        for question, answer in [("Image:", f"https://image.test/{self.name}"), ("SHA-256:", ""), ("Disk:", "1")]:
            self.waits_for(machine, question)
            machine.press(answer + "\n")
        self.waits_for(machine, "Type vda to go on:")
        machine.qmp("screendump", filename=str(self.artifacts / "dialogue.png"), format="png")
        machine.press("vda\n")
        machine.expect(phase("settings", "ok", r" from=tty1\n"), 30, unless=FAILED)
        self.ends_installed(machine)

    def waits_for(self, machine, question):
        harness.wait_until(lambda: question in machine.screen(), 60,
                           lambda: machine.failure(f"the screen does not show {question!r}"))

    def test_quit(self):
        before = harness.sha256_of(self.disk)
        self.net.serve_names()
        machine = self.begins()
        self.answers(machine, r"^Image: $", "quit")
        machine.expect(phase("settings", "failed", r' reason="nobody said what to install"\n'), 30)
        machine.expect(phase("leave", "ok", " how=reboot"), 30)
        machine.wait_exit(30)
        self.assertEqual(harness.sha256_of(self.disk), before)

    def test_no_disk(self):
        """It can be plugged in while the question stands."""
        self.serve()
        self.initramfs = payload.build(self.artifacts / "without_disk", self.net.certificates.ca,
                                       modules=["virtio_pci", "virtio_net"])
        machine = self.begins()
        self.answers(machine, r"^Image: $", f"https://image.test/{self.name}")
        self.answers(machine, r"^SHA-256: $", "")
        self.answers(machine, r"^Disk: $", "")
        machine.expect(r"There is no disk yet; Enter looks again", 10)
        self.answers(machine, r"^Disk: $", "sda")
        self.answers(machine, r"^Disk: $", "quit")
        machine.expect(phase("leave", "ok", " how=reboot"), 30)
        machine.wait_exit(30)

    def test_no_network(self):
        """Nobody at the other end of the cable: what was answered is lost, the old system is not."""
        before = harness.sha256_of(self.disk)
        machine = self.begins(["deadline=90s"],
                              nic={"tap": self.net.tap(bridge=None)})
        self.answers(machine, r"^Image: $", "https://image.test/image.raw")
        self.answers(machine, r"^SHA-256: $", "")
        self.answers(machine, r"^Disk: $", "1")
        self.answers(machine, r"Type vda to go on: $", "vda")
        machine.expect(phase("network", "failed"), 180)
        machine.expect(phase("leave", "ok", " how=reboot"), 30)
        machine.wait_exit(30)
        self.assertEqual(harness.sha256_of(self.disk), before)


class RescueSystem(DirectTest):

    def build_rescue(self, *options):
        return payload.build(self.artifacts / "rescue", self.net.certificates.ca,
                             options=["--rescue", "--ssh-key", harness.CACHE / "ssh_key.pub", *options])

    def test_log_in(self):
        before = harness.sha256_of(self.disk)
        self.initramfs = self.build_rescue()
        self.net.serve_names()
        machine = self.start([])
        machine.expect(phase("settings", "ok", r" from=nobody\n"), 120, unless=FAILED)
        match = machine.expect(phase("rescue", "ok", r" addr=(\S+)/24 hostkey=(\S+)\n"), 120, unless=FAILED)
        address = match[1]
        machine.expect(rf"to log in: ssh root@{re.escape(address)}\n", 10)
        _, said = self.ssh(self.net, address, "id -u; hostname; ls /sys/block; cat /etc/motd")
        self.assertTrue(said.startswith("0\n"), said)
        self.assertIn("vda", said)
        # A terminal of its own.
        status, said = self.ssh_with(harness.CACHE / "ssh_key", address, "tty", "-tt")
        self.assertEqual(status, 0, said)
        self.assertRegex(said, r"(?m)^/dev/pts/\d+")
        _, keys = self.ssh(self.net, address, "dropbearkey -y -f /etc/dropbear/host_key")
        self.assertIn(match[2], keys)
        # Whoever has no key stays out, and nobody has a password.
        harness.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.artifacts / "other"])
        status, said = self.ssh_with(self.artifacts / "other", address, "true")
        self.assertEqual(status, 255, said)
        self.assertRegex(said, r"Permission denied \(publickey\)")
        self.ssh(self.net, address, "reboot", check=False)
        machine.wait_exit(60)
        self.assertEqual(harness.sha256_of(self.disk), before)

    def ssh_with(self, key, address, command, *options):
        done = subprocess.run(
            [str(word) for word in [*self.net.namespace.enter(), "ssh", "-i", key, "-o", "StrictHostKeyChecking=no",
                                    "-o", "UserKnownHostsFile=/dev/null", "-o", "BatchMode=yes", "-F", "/dev/null",
                                    "-o", "IdentitiesOnly=yes", *options, f"root@{address}", command]],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            timeout=60 * harness.SLOW, check=False)
        return done.returncode, done.stdout

    def test_installs_where_it_is_told_to(self):
        self.initramfs = self.build_rescue()
        self.serve()
        self.installs([f"src=https://image.test/{self.name}", "dst=/dev/vda"])

    def test_the_cable_comes_late(self):
        self.initramfs = self.build_rescue()
        self.net.serve_names()
        machine = self.start([])
        machine.plug(0, False)
        machine.expect(phase("settings", "ok", r" from=nobody\n"), 180, unless=FAILED)
        machine.expect(r"press Enter for a shell on this console", 60)
        machine.plug(0)
        machine.expect(phase("rescue", "ok"), 180, unless=FAILED)
