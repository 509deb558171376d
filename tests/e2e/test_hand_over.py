"""curlingiron write with --grow and a seed onto plain files, judged by the tools that others use.

sgdisk, sfdisk, parted, blkid, mtools and fsck of each file system look at what was written, through a loop device with
the image's size of sectors that is read-only, so that nothing can mend what it complains of. The program is the release
preset's. Nothing is booted. What cloud-init makes of a seed is tests/golden/cloud_init.py's.
"""

import base64
import contextlib
import hashlib
import itertools
import json
import os
import pathlib
import re
import struct
import tempfile
import unittest
import zlib

from tests.e2e.test_write import MIB, PROGRAM, run, shell

KEY = "ssh-ed25519 " + base64.b64encode(b"\0\0\0\x0bssh-ed25519\0\0\0 " + bytes(range(32))).decode()
# By a partition's name: (size in MiB, what makes it). The last one has the rest.
CONTENTS = {
    "esp": (40, lambda file, sector: ["mkfs.fat", "-F", "16", "-s", str(4096 // sector), "-S", str(sector), file]),
    "data": (320, lambda file, sector: ["mkfs.xfs", "-q", "-s", f"size={sector}", file]),
    "files": (128, lambda file, sector: ["mkfs.btrfs", "-q", file]),
    "root": (64, lambda file, sector: ["mkfs.ext4", "-q", "-b", "4096", file]),
}
FSCK = {
    "esp": ["fsck.fat", "-vn"],
    "data": ["xfs_repair", "-n"],
    "files": ["btrfs", "check"],
    "root": ["e2fsck", "-fn"],
}
SEED = "curlingiron seed"
BASIC_DATA = "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7"


def digest(path):
    found = hashlib.sha256()
    with open(path, "rb") as file:
        while piece := file.read(MIB):
            found.update(piece)
    return found.hexdigest()


class HandOver(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.home = pathlib.Path(temporary.name)
        self.key = self.home / "key.pub"
        self.key.write_text(f"{KEY} me@laptop\n")
        self.names = itertools.count()

    @contextlib.contextmanager
    def loop(self, file, *options):
        device = shell("losetup", "--find", "--show", *options, file)
        try:
            yield device
        finally:
            shell("losetup", "--detach", device)

    def table(self, script, size, sector=512, name=None):
        """An image with a partition table as sfdisk makes it of these words."""
        image = self.home / (name or f"image{next(self.names)}")
        image.touch()
        os.truncate(image, size)
        with self.loop(image, "--sector-size", str(sector)) as device:
            done = run("sfdisk", "--quiet", "--no-reread", "--no-tell-kernel", device, stdin=self.words(script))
            self.assertEqual(done.returncode, 0, done.stderr.decode())
        return image

    def words(self, text):
        path = self.home / f"words{next(self.names)}"
        path.write_text(text)
        return open(path, "rb")

    def full_image(self, label, sector, names):
        """With a file system in each partition, and its root as the last one on the disk, which ends with the image."""
        script, offset, places = f"label: {label}\n", 1, {}
        number = {"esp": 15, "root": 1, "files": 2, "data": 3} if label == "gpt" else dict(zip(names, range(1, 5)))
        kinds = ({"esp": "U", "root": "L", "files": "L", "data": "L"} if label == "gpt" else
                 {"esp": "c", "root": "83", "files": "83", "data": "83"})
        for name in names:
            size = CONTENTS[name][0]
            places[name] = (number[name], offset * MIB, size * MIB)
            script += f"{number[name]}: start={offset * MIB // sector}, size={size * MIB // sector}, type={kinds[name]}"
            script += f', name="{name}"\n' if label == "gpt" else "\n"
            offset += size
        # Room for a backup of the table, and no more than that.
        image = self.table(script, offset * MIB + (33 * 512 if sector == 512 else 5 * 4096) * (label == "gpt"), sector)
        for name, (_, begin, size) in places.items():
            part = self.home / "part"
            part.touch()
            os.truncate(part, size)
            shell(*CONTENTS[name][1](part, sector))
            shell("dd", f"if={part}", f"of={image}", "bs=1M", f"seek={begin // MIB}", "conv=notrunc,sparse")
            part.unlink()
        return image, places

    def disk(self, size, noise=True):
        """A file of what an old system has left at both ends."""
        path = self.home / f"disk{next(self.names)}"
        path.touch()
        os.truncate(path, size)
        if noise:
            with open(path, "r+b") as file:
                file.write(os.urandom(3 * MIB))
                file.seek(max(size - 3 * MIB, 0))
                file.write(os.urandom(min(size, 3 * MIB)))
        return path

    def write(self, image, disk, *words, **options):
        return run(PROGRAM, "write", image, disk, *words, **options)

    def written(self, image, disk, *words):
        done = self.write(image, disk, *words)
        text = done.stderr.decode()
        self.assertEqual(done.returncode, 0, text)
        return " ".join(text.split())  # its lines are broken where a terminal's would end

    def refused(self, image, disk, *words):
        before = digest(disk)
        done = self.write(image, disk, *words)
        text = done.stderr.decode()
        self.assertEqual(done.returncode, 1, text)
        self.assertIn("nothing was written", text)
        self.assertEqual(digest(disk), before)
        return text

    # -- what others say

    def parts(self, device):
        """{number: (first byte, bytes, name, type)}, by sfdisk."""
        done = run("sfdisk", "--json", device)
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        told = json.loads(done.stdout)["partitiontable"]
        sector = told.get("sectorsize", 512)
        return {int(part["node"].removeprefix(str(device)).lstrip("p")):
                (part["start"] * sector, part["size"] * sector, part.get("name"), part["type"])
                for part in told.get("partitions", [])}

    def check_table(self, device, label):
        if label == "gpt":
            text = shell("sgdisk", "-v", device)
            self.assertIn("No problems found", text)
            # That is how sfdisk makes them.
            text = re.sub(r"Warning: There is a gap between the main partition table .*?adjust this gap\.", "", text,
                          flags=re.DOTALL)
            self.assertNotRegex(text, r"(?i)warning|caution|problem:|not aligned|damaged")
        self.assertIn("No errors detected", shell("sfdisk", "-V", device))
        done = run("parted", "--script", "--machine", device, "unit", "B", "print")
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        self.assertNotRegex(done.stdout.decode(), r"Warning|Error|fix")
        return self.parts(device)

    def check_contents(self, disk, places, sector):
        for name, (_, begin, size) in places.items():
            with self.loop(disk, "--read-only", "--offset", str(begin), "--sizelimit", str(size), "--sector-size",
                           str(sector)) as device:
                done = run(*FSCK[name], device)
                self.assertEqual(done.returncode, 0, f"{name}: {done.stdout.decode()}{done.stderr.decode()}")

    def check_seed(self, disk, begin, size, sector):
        """What is in it, by name."""
        found = shell("blkid", "-p", "-O", str(begin), "-S", str(size), "-o", "export", disk)
        self.assertRegex(found, r"(?m)^LABEL=CIDATA$")
        self.assertRegex(found, r"(?m)^TYPE=vfat$")
        with self.loop(disk, "--read-only", "--offset", str(begin), "--sizelimit", str(size), "--sector-size",
                       str(sector)) as device:
            done = run("fsck.fat", "-vn", device)
            self.assertEqual(done.returncode, 0, done.stdout.decode())
            self.assertNotRegex(done.stdout.decode(), r"(?i)differ|wrong|invalid|orphan|free cluster")
        files = {}
        out = self.home / f"seed{next(self.names)}"
        out.mkdir()
        shell("mcopy", "-s", "-n", "-i", f"{disk}@@{begin}", "::", out)
        for path in out.rglob("*"):
            if path.is_file():
                files[str(path.relative_to(out))] = path.read_text()
        return files

    def full_round(self, label, sector, names):
        image, places = self.full_image(label, sector, names)
        size = image.stat().st_size
        for grow, seed, disk_size in ((False, False, size), (True, True, 4 * size), (False, True, 4 * size),
                                      (True, False, size + 64 * MIB)):
            # A whole number of sectors, and not.
            disk = self.disk(disk_size // sector * sector + (512 if sector != 512 and disk_size > size else 0))
            words = [*(["--grow"] if grow else []), *(["--ssh-key", self.key, "--hostname", "web1"] if seed else [])]
            with self.subTest(grow=grow, seed=seed, size=disk_size):
                self.written(image, disk, *words)
                with self.loop(disk, "--read-only", "--sector-size", str(sector), "--sizelimit",
                               str(disk.stat().st_size // sector * sector)) as device:
                    parts = self.check_table(device, label)
                    device_size = int(shell("blockdev", "--getsize64", device))
                for name, (number, begin, length) in places.items():
                    self.assertEqual(parts[number][0], begin, name)
                    if name != "root" or not grow:
                        self.assertEqual(parts[number][1], length, name)
                root = sum(parts[places["root"][0]][:2])
                self.check_contents(disk, places, sector)
                seeds = [part for number, part in parts.items() if number not in {p[0] for p in places.values()}]
                self.assertEqual(len(seeds), int(seed))
                if grow:
                    self.assertLess((seeds[0][0] if seed else device_size) - root, 2 * MIB)
                    self.assertEqual(root % MIB, 0)
                if seed:
                    begin, length, name, kind = seeds[0]
                    self.assertEqual((name, kind), (SEED, BASIC_DATA) if label == "gpt" else (None, "e"))
                    self.assertLess(device_size - begin - length, 2 * MIB)
                    files = self.check_seed(disk, begin, length, sector)
                    self.assertEqual(set(files), {"meta-data", "user-data", "vendor-data"})
                    self.assertIn(f'"{KEY} me@laptop"', files["meta-data"])
                    self.assertIn('local-hostname: "web1"', files["meta-data"])
            disk.unlink()

    def test_gpt(self):
        self.full_round("gpt", 512, ["esp", "data", "files", "root"])

    def test_gpt_of_4096_byte_sectors(self):
        self.full_round("gpt", 4096, ["esp", "data", "files", "root"])

    def test_mbr(self):
        self.full_round("dos", 512, ["esp", "root"])

    def test_an_mbr_on_a_disk_of_4096_byte_sectors(self):
        """A file has sectors of 512 bytes where no GPT says otherwise; a loop device has its own."""
        image = self.table("label: dos\nstart=256, size=4096, type=83\n", 32 * MIB, 4096)
        disk = self.disk(128 * MIB)
        with self.loop(disk, "--sector-size", "4096") as device:
            self.written(image, device, "--yes", "--grow", "--seed")
            parts = self.check_table(device, "dos")
        self.assertEqual(parts[1][:2], (MIB, 126 * MIB))
        self.assertEqual(parts[2][:2], (127 * MIB, MIB))
        self.check_seed(disk, 127 * MIB, MIB, 4096)

    # -- what stays as the image has it

    def assert_left_alone(self, image, *words):
        """Written byte for byte, and said why; refused where a seed is asked for."""
        disk = self.disk(64 * MIB)
        said = self.written(image, disk, "--grow")
        for word in words:
            self.assertIn(word, said)
        size = image.stat().st_size
        with open(disk, "rb") as file:
            self.assertEqual(file.read(size), image.read_bytes())
        refusal = self.refused(image, self.disk(64 * MIB), "--grow", "--ssh-key", self.key)
        self.assertIn("the seed has no place", refusal)
        for word in words:
            self.assertIn(word, refusal)

    def gpt(self):
        return self.table("label: gpt\nstart=2048, size=4096, name=esp, type=U\nstart=6144, name=root\n", 16 * MIB)

    def change(self, image, offset, content):
        with open(image, "r+b") as file:
            file.seek(offset)
            file.write(content)
        return image

    def test_damaged_tables_stay(self):
        self.assert_left_alone(self.change(self.gpt(), 512 + 60, b"\x55"), "damaged", "header's checksum")
        self.assert_left_alone(self.change(self.gpt(), 1024 + 40, b"\x55"), "damaged", "entries' checksum")
        # The backup alone is valid.
        self.assert_left_alone(self.change(self.gpt(), 512, bytes(33 * 512)), "stands for a GPT that is missing")

    def test_tables_that_overlap_stay(self):
        image = self.gpt()
        with open(image, "r+b") as file:  # The second begins within the first; the checksums are right.
            table = bytearray(file.read(34 * 512))
            struct.pack_into("<Q", table, 1024 + 128 + 32, 6000)
            struct.pack_into("<I", table, 512 + 88, zlib.crc32(table[1024:]))
            struct.pack_into("<I", table, 512 + 16, 0)
            struct.pack_into("<I", table, 512 + 16, zlib.crc32(table[512:512 + 92]))
            file.seek(0)
            file.write(table)
        self.assert_left_alone(image, "partitions 1 and 2 overlap")
        image = self.table("label: dos\nstart=2048, size=4096\nstart=6144, size=4096\n", 16 * MIB)
        self.assert_left_alone(self.change(image, 446 + 16 + 8, struct.pack("<I", 6000)), "partitions 1 and 2 overlap")

    def test_hybrid_tables_stay(self):
        image = self.gpt()
        shell("sgdisk", "--hybrid=2", image)
        self.assert_left_alone(image, "hybrid")

    def test_an_image_without_a_table_stays(self):
        image = self.home / "bare"
        image.touch()
        os.truncate(image, 16 * MIB)
        shell("mkfs.ext4", "-q", "-F", image)
        self.assert_left_alone(image, "no partition table")

    def test_extended_partitions_stay(self):
        image = self.table("label: dos\nstart=2048, size=4096, type=83\nstart=6144, type=5\nstart=8192, type=83\n",
                           16 * MIB)
        disk = self.disk(64 * MIB)
        self.assertIn("extended", self.written(image, disk, "--grow", "--seed"))
        parts = self.check_table(disk, "dos")
        self.assertEqual({number: part[:2] for number, part in parts.items()},
                         {1: (MIB, 2 * MIB), 2: (3 * MIB, 13 * MIB), 3: (63 * MIB, MIB), 5: (4 * MIB, 12 * MIB)})

    # -- sizes

    def test_sizes(self):
        image = self.gpt()  # Its root ends one table before 16 MiB.
        size = 16 * MIB
        fits = self.disk(size)
        self.written(image, fits, "--grow")
        self.assertEqual(fits.read_bytes(), image.read_bytes())
        self.check_table(fits, "gpt")
        self.assertIn("smaller than the 16.0 MiB", self.refused(image, self.disk(size - 512), "--grow"))
        for disk_size, missing in ((size, 16896), (size + 16384, 512)):
            self.assertIn(f"{missing} bytes are missing", self.refused(image, self.disk(disk_size), "--seed", "--grow"))
        for words in ((), ("--seed", "--grow")):
            self.assertIn("no whole number of sectors", self.refused(image, self.disk(2 * size + 511), *words))
        for disk_size in (size + 16896, size + MIB, 4 * size):
            disk = self.disk(disk_size)
            self.written(image, disk, "--seed", "--grow")
            parts = self.check_table(disk, "gpt")
            self.check_seed(disk, *parts[3][:2], 512)
            self.assertLessEqual(sum(parts[2][:2]), parts[3][0])

    def test_a_seed_within_the_images_own_bytes(self):
        """An image that is as large as the disk, with room after its last partition that is not empty."""
        image = self.table("label: gpt\nstart=2048, size=4096, name=root\n", 32 * MIB)
        self.change(image, 10 * MIB, os.urandom(21 * MIB))
        disk = self.disk(32 * MIB)
        self.written(image, disk, "--seed")
        parts = self.check_table(disk, "gpt")
        self.check_seed(disk, *parts[2][:2], 512)
        with open(disk, "rb") as file, open(image, "rb") as source:
            file.seek(MIB)
            source.seek(MIB)
            self.assertEqual(file.read(parts[2][0] - MIB), source.read(parts[2][0] - MIB))

    # -- a second time

    def test_an_image_that_brings_a_seed(self):
        first = self.disk(32 * MIB)
        self.written(self.gpt(), first, "--hostname", "first")
        second = self.disk(64 * MIB)
        said = self.written(first, second, "--hostname", "second", "--grow")
        self.assertIn("is replaced", said)
        parts = self.check_table(second, "gpt")
        self.assertEqual(set(parts), {1, 2, 3})
        self.assertIn('"second"', self.check_seed(second, *parts[3][:2], 512)["meta-data"])
        # Without another one it stays what it is, and where.
        for words in (["--grow"], ["--no-seed", "--grow"]):
            third = self.disk(64 * MIB)
            said = self.written(first, third, *words)
            self.assertIn("partition 3, a seed that the image brings, stays", said)
            parts = self.check_table(third, "gpt")
            self.assertEqual(parts[3][:2], (30 * MIB, MIB))
            self.assertEqual(sum(parts[2][:2]), 30 * MIB)
            self.assertIn('"first"', self.check_seed(third, *parts[3][:2], 512)["meta-data"])

    def test_no_seed(self):
        self.assertIn("leave out either", self.refused(self.gpt(), self.disk(32 * MIB), "--no-seed", "--hostname", "a"))
        disk = self.disk(32 * MIB)
        self.written(self.gpt(), disk, "--no-seed")
        self.assertEqual(set(self.check_table(disk, "gpt")), {1, 2})

    # -- words

    def test_all_that_is_handed_over_and_no_secret_shown(self):
        ssh = self.home / "ssh"
        ssh.mkdir()
        secret = "b3BlbnNzaC1rZXktdjEASECRET"
        (ssh / "ssh_host_ed25519_key").write_text(f"-----BEGIN OPENSSH PRIVATE KEY-----\n{secret}\n-----END\n")
        (ssh / "ssh_host_ed25519_key.pub").write_text(f"{KEY} root@old\n")
        user_data = self.home / "user-data"
        user_data.write_text("#cloud-config\npassword: hush-hush\n")
        folder = self.home / "folder"
        (folder / "deep").mkdir(parents=True)
        (folder / "deep/token").write_text("tell-nobody")
        words = ["--ssh-key", self.key, "--hostname", "web1.example.org", "--keep-host-keys", "--user-data", user_data,
                 "--seed-dir", folder, "--grow"]
        image, disk = self.gpt(), self.disk(64 * MIB)

        def here(*more):
            """With these host keys in the place of this machine's, and every argument and word on record."""
            trace = self.home / "trace"
            done = run("unshare", "--mount", "sh", "-c",
                       'mkdir -p /etc/ssh && mount --bind "$0" /etc/ssh && exec "$@"', ssh, "strace", "-f", "-qq", "-o",
                       trace, "-s", "100000", "-e", "trace=execve,write,writev", PROGRAM, "write", image, disk, *words,
                       *more)
            self.assertEqual(done.returncode, 0, done.stderr.decode())
            shown = done.stdout.decode() + done.stderr.decode()
            for hidden in (secret, "hush-hush", "tell-nobody"):
                self.assertNotIn(hidden, shown)
                self.assertNotIn(hidden, trace.read_text())
            return shown

        shown = here("--dry-run")
        for line in ("the partition table's backup moves to the disk's end", "partition 2: 12.0 MiB, grows to 59.0 MiB",
                     "partition 3: 1.0 MiB, added", "web1.example.org", "SHA256:",
                     "me@laptop (ssh-ed25519)", "host key of SSH, ed25519",
                     f"user-data of {user_data}", f"files of {folder}: 1 file"):
            self.assertIn(line, re.sub(r"\s+", " ", shown))
        told = json.loads(here("--json").partition("\n}")[0] + "\n}")
        self.assertEqual(told["status"], "ok")
        self.assertEqual(told["layout"]["grown"]["partition"], 2)
        self.assertEqual((told["seed"]["partition"], told["seed"]["bytes"]), (3, MIB))
        self.assertIn("name web1.example.org", told["seed"]["holds"])
        parts = self.check_table(disk, "gpt")
        files = self.check_seed(disk, *parts[3][:2], 512)
        self.assertEqual(set(files), {"meta-data", "user-data", "vendor-data", "deep/token"})
        self.assertEqual(files["user-data"], user_data.read_text())
        self.assertIn(secret, files["vendor-data"])


if __name__ == "__main__":
    unittest.main()
