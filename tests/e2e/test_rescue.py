"""What --add brings runs on a machine, and onfail=shell gives a shell to whoever asks for one."""

import os

from tests.e2e import harness, payload
from tests.e2e.test_direct import DirectTest, WITHHELD, phase

BUSYBOX = "/bin/busybox:/bin/sh"
# Nobody listens there: known before the commit point, and tried again until the deadline.
SILENT = ["src=https://image.test:444/image.raw", "dst=/dev/vda", "deadline=8s", "onfail=shell"]


class Rescue(DirectTest):

    def build(self, *added):
        self.initramfs = payload.build(self.artifacts / "initramfs", self.net.certificates.ca,
                                       options=[word for spec in added for word in ("--add", spec)])

    def ask_for_shell(self, machine, offer):
        """From the offer to a prompt that nothing else says."""
        machine.expect(rf"curlingiron: press Enter {offer}\n", 60, unless=r"Kernel panic.*|Oops.*")
        machine.send("\n")
        machine.expect(phase("rescue", "ok", r" shell=/bin/sh console=ttyS0\n"), 10)
        # Without a controlling terminal the shell would complain, and Ctrl-C would do nothing.
        machine.expect(r"# $", 30, unless=r"job control turned off|can't access tty")
        machine.send("stty -echo; PS1='ready''> '\n")
        machine.expect(r"ready> $", 30)

    def test_before_the_commit_point(self):
        self.serve()
        self.build(BUSYBOX)
        before = harness.sha256_of(self.disk)
        machine = self.start(SILENT)
        machine.expect(phase("network", "failed"), 90)
        self.ask_for_shell(machine, r"within 60 s for a shell on this console; else the old system starts again")
        status, output = machine.shell("echo $((6 * 7)); tty; id -u; ls -1 /curlingiron")
        self.assertEqual((status, output), (0, "42\n/dev/ttyS0\n0\nca.pem\nconfig\nmodules"))
        # What was set up before the failure is there still.
        _, output = machine.shell("ip -4 addr; cat /proc/partitions")
        self.assertRegex(output, r"inet 10\.77\.0\.\d+/24")
        self.assertIn("vda", output)
        # Ctrl-C reaches the program in front, not /init.
        machine.send("sleep 1000\n")
        machine.send("\x03")
        machine.expect(r"ready> $", 20)
        # The deadline and its grace of 15 s do not end the session.
        _, uptime = machine.shell("sleep 25; cut -d. -f1 /proc/uptime", timeout=90)
        # A prompt that Ctrl-C brought may stand before it.
        self.assertGreater(int(uptime.rpartition(" ")[2]), 30)
        # PID 1 reaps what it inherits.
        status, output = machine.shell("(sleep 1 & ); sleep 3; ps -o stat,comm | grep -c '^Z'")
        self.assertEqual(output, "0")
        machine.send("exit\n")
        machine.expect(phase("leave", "ok", r" how=reboot"), 30)
        machine.wait_exit(30)
        self.assertEqual(harness.sha256_of(self.disk), before, "the disk was written to")

    def test_nobody_asks(self):
        """An unattended machine comes back by itself."""
        self.serve()
        self.build(BUSYBOX)
        machine = self.start(SILENT)
        machine.expect(r"press Enter within 60 s for a shell", 90)
        machine.expect(r"curlingiron: error: nothing was written; the old system starts again", 90,
                       unless=phase("rescue", "ok"))
        machine.expect(phase("leave", "ok", r" how=reboot"), 30)
        machine.wait_exit(30)

    def test_behind_the_commit_point(self):
        self.serve("raw")
        self.build(BUSYBOX)
        machine = self.start([f"src=https://image.test/{self.name}", "dst=/dev/vda", f"sha256={'ab' * 32}",
                              "prove=stream", "onfail=shell"])
        machine.expect(phase("(install|verify)", "failed"), 120, unless=r"phase=finish.*|Kernel panic.*")
        offer = r"for a shell on this console; else the machine stays up"
        self.ask_for_shell(machine, offer)
        # The disk is free for who wants to mend it.
        status, output = machine.shell("dd if=/dev/vda bs=1M count=1 2>/dev/null | tr -d '\\0' | wc -c")
        self.assertEqual((status, output), (0, "0"))
        machine.send("exit\n")
        self.ask_for_shell(machine, offer)
        self.assertTrue(machine.running())
        machine.kill()
        self.assertTrue(harness.is_zero(self.disk, 0, WITHHELD), "the first MiB is not zero")

    def test_without_a_shell(self):
        self.serve()
        machine = self.start(SILENT)
        machine.expect(r"^curlingiron: error: onfail=shell: .*--add /bin/busybox:/bin/sh", 90)
        machine.expect(phase("leave", "ok", r" how=reboot"), 60)
        machine.wait_exit(30)

    def test_programs_run(self):
        """A dynamic program with many libraries, and scripts with what runs them."""
        self.serve()
        script = self.artifacts / "hello"
        script.write_text("#!/usr/bin/env bash\necho \"hello from ${BASH_VERSION%%.*} as $1\"\n")
        other = self.artifacts / "other"
        other.write_text("#!/bin/sh\necho other\n")
        for path in (script, other):
            os.chmod(path, 0o755)
        self.build(BUSYBOX, "/usr/bin/curl", f"{script}:/opt/hello", f"{other}:/opt/other")
        machine = self.start(SILENT, memory=512)
        self.ask_for_shell(machine, r"within .*")
        status, output = machine.shell("curl --version")
        self.assertEqual(status, 0, output)
        self.assertRegex(output, r"^curl \d+\.\d+.*libcurl/")
        status, output = machine.shell("/opt/hello you")
        self.assertEqual(status, 0, output)
        self.assertRegex(output, r"^hello from \d+ as you$")
        self.assertEqual(machine.shell("/opt/other"), (0, "other"))
        # busybox is /bin/sh, and no other shell came for the script.
        status, output = machine.shell("readlink -f /bin/sh; ls -1 /bin")
        self.assertEqual((status, output), (0, "/usr/bin/sh\nbash\ncurl\nenv\nsh"))
        # The modules are where /init keeps them, beside the libraries.
        self.assertEqual(machine.shell("ls -d /lib/modules/virtio_net.ko"), (0, "/lib/modules/virtio_net.ko"))
        machine.send("exit\n")
        machine.wait_exit(60)


if __name__ == "__main__":
    harness.unittest.main()
