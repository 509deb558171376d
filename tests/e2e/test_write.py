"""curlingiron write on this machine's loop devices and files: what it refuses, and what it leaves behind.

The program is the release preset's. No network but loopback's files and pipes: downloads are tests/engine's.
"""

import contextlib
import gzip
import hashlib
import json
import os
import pathlib
import random
import signal
import struct
import subprocess
import tempfile
import unittest

from tests.e2e import harness

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PROGRAM = ROOT / "build/release/bin/curlingiron"
MIB = 1024 * 1024

# Runs a command and prints its largest resident set in KiB.
MEASURE = """
import os, subprocess, sys
child = subprocess.Popen(sys.argv[1:])
_, status, usage = os.wait4(child.pid, 0)
print(usage.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status))
"""


def run(*command, **options):
    return subprocess.run([str(word) for word in command], stdin=options.pop("stdin", subprocess.DEVNULL),
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False, timeout=120, **options)


def shell(*command):
    done = run(*command)
    if done.returncode:
        raise AssertionError(f"{command}: {done.stderr.decode()}")
    return done.stdout.decode().strip()


def make_image(size=6 * MIB, seed=1):
    """Boot code, a table of one partition that fits, and bytes that tell places apart."""
    image = bytearray(random.Random(seed).randbytes(size))
    image[446:512] = struct.pack("<B3sB3sII", 0x80, b"\0\0\0", 0x83, b"\0\0\0", 2048, 2048) + bytes(48) + b"\x55\xaa"
    return bytes(image)


class Write(unittest.TestCase):
    def setUp(self):
        self.home = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.cleanup = contextlib.ExitStack()
        self.addCleanup(self.cleanup.close)
        self.image = make_image()
        self.file = self.home / "image.gz"
        self.file.write_bytes(gzip.compress(self.image, 1))

    def enterContext(self, context):  # unittest has it from Python 3.11 on
        value = context.__enter__()
        self.addCleanup(context.__exit__, None, None, None)
        return value

    def write(self, *words, **options):
        return run(PROGRAM, "write", *words, **options)

    def disk_file(self, size=16 * MIB, name="disk"):
        path = self.home / name
        path.write_bytes(random.Random(2).randbytes(size))
        return path

    def loop(self, *options, size=16 * MIB, name="backing"):
        device = shell("losetup", "--find", "--show", *options, self.disk_file(size, name))
        self.cleanup.callback(run, "losetup", "--detach", device)
        return device

    def content(self, disk, size=None):
        shell("blockdev", "--flushbufs", disk) if str(disk).startswith("/dev/") else None
        with open(disk, "rb") as file:
            return file.read(size or -1)

    def assert_refused(self, done, *words, disk, before):
        text = done.stderr.decode()
        self.assertEqual(done.returncode, 1, text)
        for word in words:
            self.assertIn(word, text)
        self.assertIn("nothing was written", text)
        self.assertEqual(hashlib.sha256(self.content(disk)).digest(), before)

    def digest(self, disk):
        return hashlib.sha256(self.content(disk)).digest()

    def test_a_loop_device_holds_the_image_and_no_old_superblock(self):
        disk = self.loop("--partscan")
        shell("mkfs.ext4", "-q", "-F", disk)
        done = self.write(self.file, disk, "--yes", "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        result = json.loads(done.stdout)
        self.assertEqual((result["status"], result["disk"], result["bytes"]), ("ok", disk, len(self.image)))
        self.assertEqual(result["proven_by"], ["readback"])
        content = self.content(disk)
        self.assertEqual(content[:len(self.image)], self.image)
        self.assertEqual(content[-MIB:], bytes(MIB))
        self.assertNotIn(b"ext4", shell("blkid", "-p", disk).encode())

    def test_files_pipes_and_standard_input(self):
        disk = self.disk_file()
        self.assertEqual(self.write(self.file, disk).returncode, 0)
        self.assertEqual(self.content(disk, len(self.image)), self.image)
        for command in (f"cat {self.file} | {PROGRAM} write - {disk}",
                        f"{PROGRAM} write - {disk} < {self.file}",
                        f"{PROGRAM} write <(cat {self.file}) {disk}",
                        f"{PROGRAM} write file://{self.file} {disk}"):
            disk.write_bytes(bytes(16 * MIB))
            shell("bash", "-c", command)
            self.assertEqual(self.content(disk, len(self.image)), self.image, command)

    def test_what_is_in_use_is_refused_and_the_user_named(self):
        disk = self.loop()
        shell("mkfs.ext4", "-q", "-F", disk)
        mount = self.home / "mount"
        mount.mkdir()
        shell("mount", disk, mount)
        self.cleanup.callback(run, "umount", mount)
        text = self.write(self.file, disk, "--yes").stderr.decode()
        self.assertIn(f"is mounted on {mount}", text)
        self.assertIn("nothing was written", text)
        # The file behind it, too.
        text = self.write(self.file, self.home / "backing").stderr.decode()
        self.assertIn(f"is behind {os.path.basename(disk)}", text)

        swap = self.loop(name="swap")
        shell("mkswap", swap)
        if run("swapon", swap).returncode == 0:  # a sandbox may forbid it
            self.cleanup.callback(run, "swapoff", swap)
            self.assertIn("is swap", self.write(self.file, swap, "--yes").stderr.decode())

    def test_what_cannot_be_a_target_is_refused(self):
        read_only = self.loop("--read-only")
        self.assert_refused(self.write(self.file, read_only, "--yes"), "write-protected", disk=read_only,
                            before=self.digest(read_only))
        for path, word in ((self.home / "nothing", "no such disk"), (self.home, "neither a disk"),
                           ("/dev/null", "neither a disk")):
            done = self.write(self.file, path, "--yes")
            self.assertEqual(done.returncode, 1)
            self.assertIn(word, done.stderr.decode())
        small = self.disk_file(4 * MIB, "small")
        raw = self.home / "raw"
        raw.write_bytes(self.image)
        self.assert_refused(self.write(raw, small), "smaller than the 6.0 MiB", disk=small, before=self.digest(small))

    def test_a_table_for_other_sectors_is_refused(self):
        raw = self.home / "gpt"
        raw.write_bytes(bytes(8 * MIB))
        subprocess.run(["sfdisk", "--quiet", raw], input=b"label: gpt\nstart=2048, size=4096\n", check=True)
        disk = self.loop("--sector-size", "4096")
        self.assert_refused(self.write(raw, disk, "--yes"), "sectors of 512", "4096", disk=disk,
                            before=self.digest(disk))

    def test_what_is_no_image_is_refused(self):
        disk = self.disk_file()
        before = self.digest(disk)
        cases = {"page.html": (b"<!DOCTYPE html><html><body>log in</body></html>", "html"),
                 "empty": (b"", "empty"),
                 "cut.gz": (self.file.read_bytes()[:5], ""),
                 "archive.7z": (b"7z\xbc\xaf\x27\x1c" + bytes(1000), "7z"),
                 "tape.tar": (bytes(257) + b"ustar\x0000" + bytes(10000), "tar"),
                 "nested.gz": (gzip.compress(gzip.compress(self.image)), "gzip"),
                 "zero": (bytes(2 * MIB), "zeros")}
        for name, (content, word) in cases.items():
            path = self.home / name
            path.write_bytes(content)
            done = self.write(path, disk)
            with self.subTest(name):
                self.assert_refused(done, word, disk=disk, before=before)

    def test_a_wrong_digest_is_found_first_and_what_is_not_leaves_nothing_that_boots(self):
        cut = self.home / "cut.gz"
        cut.write_bytes(self.file.read_bytes()[:-100])
        wrong = (("--sha256", "a" * 64), ("--image-sha256", "b" * 64))
        for words in wrong:
            disk = self.disk_file()
            self.assert_refused(self.write(self.file, disk, *words), "SHA-256", disk=disk, before=self.digest(disk))
        for words in (*((self.file, *digest, "--set", "prove=stream") for digest in wrong), (cut,)):
            disk = self.disk_file()
            done = self.write(words[0], disk, *words[1:], "--json")
            self.assertEqual(done.returncode, 1)
            self.assertIn("holds no system now", done.stderr.decode())
            self.assertTrue(json.loads(done.stdout)["disk_touched"])
            content = self.content(disk)
            self.assertEqual(content[:MIB], bytes(MIB))
            self.assertEqual(content[-MIB:], bytes(MIB))

    def test_a_dry_run_and_a_question_without_an_answer_change_nothing(self):
        disk = self.loop()
        before = self.digest(disk)
        self.assertEqual(self.write(self.file, disk, "--dry-run").returncode, 0)
        self.assertEqual(self.digest(disk), before)
        self.assert_refused(self.write(self.file, disk), "pass --yes", disk=disk, before=before)

    def test_usage_errors(self):
        self.assertEqual(self.write(self.file).returncode, 2)
        self.assertEqual(self.write(self.file, "disk", "--nonsense").returncode, 2)
        self.assertEqual(run(PROGRAM, "wriet").returncode, 2)
        disk = self.disk_file()
        before = self.digest(disk)
        for words in (("--sha256", "xyz"), ("--set", "nonsense=1"), ("--sums", "nowhere"), ("--pubkey", "nokey")):
            self.assert_refused(self.write(self.file, disk, *words), disk=disk, before=before)

    def test_interrupted_it_says_what_it_leaves(self):
        disk = self.disk_file()
        for already in (False, True):
            # A pipe that stays open: the program waits for more of the image.
            child = subprocess.Popen([PROGRAM, "write", "-", disk], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                     stderr=subprocess.PIPE)
            child.stdin.write(self.image[:3 * MIB if already else 1000])
            child.stdin.flush()
            wanted = bytes(MIB)
            if already:
                harness.wait_until(lambda: self.content(disk, MIB) == wanted, 60,
                                   lambda: AssertionError("the commit point is not reached"))
            if not already:  # It has caught the signal when it says so in /proc.
                status = pathlib.Path(f"/proc/{child.pid}/status")
                harness.wait_until(lambda: int(next(line.split()[1] for line in status.read_text().splitlines()
                                                    if line.startswith("SigBlk")), 16) & 1 << (signal.SIGINT - 1), 60,
                                   lambda: AssertionError("the signal is not watched for"))
            child.send_signal(signal.SIGINT)
            _, errors = child.communicate(timeout=60)
            self.assertEqual(child.returncode, -signal.SIGINT)
            self.assertIn("holds no system now" if already else "nothing was written", errors.decode())

    def test_memory_is_bounded(self):
        """48 MiB beyond the decoder's window, and the program itself."""
        raw = self.home / "large"
        with open(raw, "wb") as file:
            file.write(self.image)
            file.truncate(600 * MIB)
        disk = self.disk_file(1, "large-disk")
        os.truncate(disk, 640 * MIB)
        for form, command, window in (("gz", ["gzip", "-1"], 1), ("zst", ["zstd", "-q", "-3"], 2), ("raw", ["cat"], 0),
                                      ("lz4", ["lz4", "-q"], 4), ("bz2", ["lbzip2", "-n", "2"], 40)):
            path = self.home / f"large.{form}"
            with open(raw, "rb") as source, open(path, "wb") as target:
                subprocess.run(command, stdin=source, stdout=target, check=True)
            # A parent of its own: a child's peak begins with what its parent had when it forked.
            done = run("python3", "-c", MEASURE, PROGRAM, "write", path, disk)
            self.assertEqual(done.returncode, 0, form)
            program = os.stat(PROGRAM).st_size / MIB
            self.assertLess(int(done.stdout.splitlines()[-1]) / 1024, 48 + window + program, form)


if __name__ == "__main__":
    unittest.main()
