"""curlingiron run: what build made, in a machine of its own, by the command that it prints."""

import os
import subprocess

from tests.e2e import harness, payload
from tests.e2e.harness import MIB


class Run(harness.E2ETest):

    def setUp(self):
        super().setUp()
        self.need_binary()
        harness.machines("kernel")
        served, self.image = payload.image("direct", 64 * MIB, 1, "zstd")
        self.web = self.artifacts / "web"
        self.web.mkdir()
        os.link(served, self.web / "image.raw.zst")
        self.disk = harness.write_noise(self.artifacts / "disk.img", 80 * MIB, seed=7)

    def build(self, form, *options):
        output = self.artifacts / form
        harness.run([harness.BINARY, "build", "--format", form, "-o", output, "--kernel", payload.KERNEL / "vmlinuz",
                     "--modules-dir", payload.KERNEL, "--profile", "vm", "--fast", "--set", "after=poweroff",
                     "--set", "insecure", "--set", "boot=any", "--set", "src=http://10.0.2.100/image.raw.zst",
                     "--set", "dst=serial:disk0",
                     *(["--append", "console=ttyS0"] if form != "initramfs" else []), *options], timeout=120)
        return output

    def run_payload(self, output, *options, timeout=400):
        """What it said. No KVM, which may hang."""
        with open(self.artifacts / f"{output.name}.log", "wb+") as log:
            done = subprocess.run([str(word) for word in [harness.BINARY, "run", output, "--serve", self.web, "--disk",
                                                          self.disk, *options, "--", "-accel", "tcg,thread=single"]],
                                  stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                                  timeout=timeout * harness.SLOW, check=False)
            log.seek(0)
            text = log.read().decode(errors="replace")
        return done.returncode, text

    def installs(self, output, *options):
        status, text = self.run_payload(output, "--keep", *options)
        self.assertEqual(status, 0, text[-3000:])
        self.assertNotIn("status=failed", text)
        self.assertRegex(text, r"phase=leave status=ok")
        self.assertRegex(text, r"(?m)^curlingiron: qemu-system-x86_64 ")
        self.assert_installed(self.disk, self.image)

    def test_initramfs(self):
        self.installs(self.build("initramfs"), "--kernel", payload.KERNEL / "vmlinuz")

    def test_uki(self):
        self.installs(self.build("uki"))

    def test_iso(self):
        self.installs(self.build("iso"))

    def test_netboot(self):
        self.installs(self.build("netboot"))

    def test_what_is_written_is_gone(self):
        """Unless --keep is given."""
        before = harness.sha256_of(self.disk)
        status, text = self.run_payload(self.build("tree"))
        self.assertEqual(status, 0, text[-3000:])
        self.assertNotIn("status=failed", text)
        self.assertRegex(text, r"phase=leave status=ok")
        self.assertEqual(harness.sha256_of(self.disk), before)

    def test_mistakes(self):
        for words, says in [(["nosuch"], r"nosuch: no such file; make one with curlingiron build"),
                            ([payload.KERNEL / "vmlinuz"], r"none of build's"),
                            ([self.web], r"holds neither vmlinuz nor boot.ipxe")]:
            done = subprocess.run([str(word) for word in [harness.BINARY, "run", *words]], stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, check=False)
            self.assertEqual(done.returncode, 1)
            self.assertRegex(done.stdout, says)
