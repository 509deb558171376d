"""What is proven to be wrong before anything is written leaves the old system as it was: /init, an image of 120 MiB."""

import pathlib
import subprocess

from tests.e2e import harness
from tests.e2e.harness import MIB
from tests.e2e.test_direct import DirectTest, phase

SIZE = 120 * MIB


class ProvenFirst(DirectTest):
    def setUp(self):
        super().setUp()
        self.disk = harness.write_noise(self.artifacts / "disk.raw", SIZE + 8 * MIB, seed=7)
        slow = self._testMethodName == "test_a_qcow2_file_may_take_longer_than_the_deadline"
        self.serve("raw", SIZE, rate="2m" if slow else None)
        self.digest = f"sha256={harness.sha256_of(self.served)}"
        self.source = [f"src=https://image.test/{self.name}", "dst=/dev/vda"]

    def changed(self, change):
        """Serves another file of the same length."""
        content = bytearray(self.served.read_bytes())
        change(content)
        self.served.unlink()
        self.served.write_bytes(content)

    def leaves_the_old_system(self, settings, says):
        before = harness.sha256_of(self.disk)
        machine = self.start(self.source + settings, memory=512)
        machine.expect(phase("proof", "failed", f'.*{says}'), 240, unless=phase("install", ".*") + "|Kernel panic.*")
        machine.expect(phase("leave", "ok", r" how=reboot"), 30)
        machine.wait_exit(30)
        self.assertEqual(harness.sha256_of(self.disk), before, "the disk was written to")

    def test_right(self):
        facts = self.installs([*self.source, self.digest], memory=512, timeout=240)
        self.assertEqual(facts["install"]["downloaded"], str(SIZE))

    def test_wrong_digest(self):
        self.leaves_the_old_system([f"sha256={'ab' * 32}"], "SHA-256.*abab")

    def test_flipped_byte(self):
        def flip(content):
            content[SIZE // 2] ^= 1
        self.changed(flip)
        self.leaves_the_old_system([self.digest], "SHA-256")

    def test_cut_with_the_right_length(self):
        def cut(content):
            content[SIZE // 3:] = bytes(SIZE - SIZE // 3)
        self.changed(cut)
        self.leaves_the_old_system([self.digest], "SHA-256")

    def test_wrong_signature(self):
        folder = pathlib.Path(self.artifacts)
        for number in (1, 2):
            subprocess.run(["minisign", "-G", "-W", "-p", folder / f"{number}.pub", "-s", folder / f"{number}.key"],
                           check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, timeout=60)
        other = folder / "other"
        other.write_bytes(b"another image")
        subprocess.run(["minisign", "-S", "-W", "-s", folder / "1.key", "-m", other, "-x",
                        f"{self.served}.minisig"], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                       timeout=60)
        key = (folder / "1.pub").read_text().splitlines()[1]
        self.leaves_the_old_system([f"pubkey={key}"], "signature")

    def test_a_qcow2_file_may_take_longer_than_the_deadline(self):
        """It is held in memory before its first sector is known: as long as bytes come, that is waited for."""
        qcow2 = self.web / "image.qcow2"
        self.served.unlink()
        subprocess.run(["qemu-img", "convert", "-O", "qcow2", self.image, qcow2], check=True, timeout=120)
        # About a minute, which is more than the deadline with the 15 s of its grace.
        self.installs([f"src=https://image.test/{qcow2.name}", "dst=/dev/vda", "deadline=10s",
                       f"sha256={harness.sha256_of(qcow2)}"], memory=512, timeout=240)

    def test_what_does_not_fit_is_proven_afterwards(self):
        machine = self.start([*self.source, f"sha256={'ab' * 32}"], memory=160)
        machine.expect(phase("verify", "failed", ".*SHA-256.*abab"), 240, unless=r"phase=finish.*|Kernel panic.*")
        machine.expect(r"curlingiron: .*stays up", 10)
        machine.kill()

    def test_what_does_not_fit_is_refused_where_it_must_be_first(self):
        before = harness.sha256_of(self.disk)
        machine = self.start([*self.source, self.digest, "prove=first"], memory=160)
        machine.expect(phase("source", "failed", ".*do not fit into.*prove=stream"), 120, unless=phase("install", ".*"))
        machine.wait_exit(30)
        self.assertEqual(harness.sha256_of(self.disk), before, "the disk was written to")
