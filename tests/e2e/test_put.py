"""--put: files of this machine in the file systems of an image, once it is on its disk.

Put: curlingiron write onto plain files, with file systems that the field's tools made, and judged by their fsck. A
file system that this machine's kernel does not have is left out; PutDirect has each of them, in /init.
"""

import contextlib
import hashlib
import json
import os
import pathlib
import shutil
import stat
import struct
import subprocess
import tempfile
import unittest

from tests.e2e import harness, inplace, payload, test_direct
from tests.e2e.test_write import PROGRAM, run

MIB = 1024 * 1024
# The kernel's name, and its least size in MiB.
MADE_BY = {"ext4": (["mkfs.ext4", "-q", "-F"], 32), "xfs": (["mkfs.xfs", "-q", "-f"], 300),
           "btrfs": (["mkfs.btrfs", "-q", "-f"], 120), "vfat": (["mkfs.vfat", "-F", "32"], 64)}
JUDGED_BY = {"ext4": ["e2fsck", "-fn"], "xfs": ["xfs_repair", "-n", "-f"], "btrfs": ["btrfs", "check", "--readonly"],
             "vfat": ["fsck.vfat", "-n"]}
ROOT_TYPE = "4f68bce3-e8cd-4db1-96e7-fbcaf984b709"
ESP_TYPE = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"


def kernel_has(file_system):
    listed = pathlib.Path("/proc/filesystems").read_text().split()
    return file_system in listed or subprocess.run(["modprobe", "--quiet", file_system], check=False).returncode == 0


def make_file_system(path, kind, tree=None, size=None):
    command, least = MADE_BY[kind]
    with open(path, "wb") as file:
        file.truncate((size or least) * MIB)
    options = {"ext4": "-d", "btrfs": "--rootdir"}
    subprocess.run([*command, *([options[kind], tree] if tree else []), path], check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)
    return path


class Image:
    """A disk image of partitions that are files: [(file, type, name)]."""

    def __init__(self, path, parts, label="gpt", first=MIB, after=MIB, sector=512):
        self.path = path
        begin, self.parts, lines = first, [], []
        for file, kind, name in parts:
            size = file.stat().st_size
            self.parts.append((begin, size))
            lines.append(f"start={begin // sector}, size={size // sector}, type={kind}"
                         + (f', name="{name}"' if label == "gpt" else ""))
            begin += size
        with open(path, "wb") as disk:
            disk.truncate(begin + after)
        header = [f"label: {label}", *([f"first-lba: {34 if sector == 512 else 6}"] if label == "gpt" else [])]
        device = subprocess.run(["losetup", "--find", "--show", f"--sector-size={sector}", path], check=True,
                                stdout=subprocess.PIPE).stdout.decode().strip()
        try:
            subprocess.run(["sfdisk", "--quiet", "--no-reread", "--no-tell-kernel", device],
                           input="\n".join([*header, *lines, ""]).encode(), check=True)
        finally:
            subprocess.run(["losetup", "--detach", device], check=True)
        for (offset, _), (file, _, _) in zip(self.parts, parts):
            subprocess.run(["dd", f"if={file}", f"of={path}", "bs=1M", f"seek={offset}", "oflag=seek_bytes",
                            "conv=notrunc,sparse", "status=none"], check=True)


class Put(unittest.TestCase):

    def setUp(self):
        if os.geteuid() != 0:
            self.skipTest("mounts file systems")
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.home = pathlib.Path(temporary.name)
        self.key = self.home / "key"
        self.key.write_text("ssh-ed25519 AAAA me\n")
        self.key.chmod(0o640)
        self.tree = self.home / "tree"
        (self.tree / "sub").mkdir(parents=True)
        (self.tree / "a").write_text("1")
        (self.tree / "sub/b").write_text("22")
        (self.tree / "sub").chmod(0o750)

    def disk(self, size=40 * MIB):
        path = self.home / "disk"
        with open(path, "wb") as file:
            file.write(b"old" * 1000)
            file.truncate(size)
        return path

    def write(self, image, disk, *words):
        return run(PROGRAM, "write", image.path, disk, "--set", "boot=any", *words)

    def puts(self, image, *words, disk=None):
        disk = disk or self.disk()
        done = self.write(image, disk, *words)
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        self.assertNothingLeft()
        return disk

    def assertNothingLeft(self):
        self.assertNotIn(str(self.home), run("losetup", "--all").stdout.decode())

    def assertUnbootable(self, done, disk, *words):
        self.assertEqual(done.returncode, 1)
        for word in (*words, "the disk holds no system now"):
            self.assertIn(word, done.stderr.decode())
        with open(disk, "rb") as file:
            self.assertTrue(harness.is_zero(disk, 0, MIB))
            file.seek(0, os.SEEK_END)
            self.assertTrue(harness.is_zero(disk, file.tell() - MIB, MIB))
        self.assertNothingLeft()

    def assertRefused(self, image, disk, *put, says):
        before = hashlib.sha256(disk.read_bytes()).digest()
        done = self.write(image, disk, *put)
        self.assertEqual(done.returncode, 1)
        self.assertIn(says, done.stderr.decode())
        self.assertIn("nothing was written", done.stderr.decode())
        self.assertEqual(hashlib.sha256(disk.read_bytes()).digest(), before)

    @contextlib.contextmanager
    def mounted(self, disk, part, kind):
        """Its files, after its fsck found nothing wrong."""
        offset, size = part
        alone = self.home / "alone"
        subprocess.run(["dd", f"if={disk}", f"of={alone}", "bs=1M", f"skip={offset}", f"count={size}",
                        "iflag=skip_bytes,count_bytes", "conv=sparse", "status=none"], check=True)
        os.truncate(alone, size)
        judged = run(*JUDGED_BY[kind], alone)
        self.assertEqual(judged.returncode, 0, judged.stdout.decode() + judged.stderr.decode())
        place = self.home / "mounted"
        place.mkdir(exist_ok=True)
        subprocess.run(["mount", "-t", kind, "-o", "loop,ro", alone, place], check=True)
        try:
            yield place
        finally:
            subprocess.run(["umount", place], check=True)
            alone.unlink()

    def ext4(self, tree=None, **options):
        return Image(self.home / "image", [(make_file_system(self.home / "ext4", "ext4", tree), ROOT_TYPE, "root")],
                     **options)

    def test_into_each_file_system(self):
        for kind in MADE_BY:
            for label in ("gpt", "dos"):
                with self.subTest(kind, label=label):
                    if not kernel_has(kind):
                        self.skipTest(f"this kernel has no {kind}")
                    first = make_file_system(self.home / "first", "ext4")
                    part = make_file_system(self.home / "part", kind)
                    types = {"gpt": (ROOT_TYPE, ESP_TYPE if kind == "vfat" else "linux"),
                             "dos": ("83", "c" if kind == "vfat" else "83")}[label]
                    image = Image(self.home / "image", [(first, types[0], "root"), (part, types[1], "other")], label)
                    link = self.tree / "link"
                    if kind == "vfat":
                        link.unlink(missing_ok=True)
                    elif not link.is_symlink():
                        link.symlink_to("a")
                    disk = self.puts(image, "--put", f"{self.key}:2:/etc/key:600:7:8", "--put", f"{self.tree}:2:/etc/",
                                     disk=self.disk(400 * MIB))
                    with self.mounted(disk, image.parts[1], kind) as files:
                        self.assertEqual((files / "etc/key").read_text(), self.key.read_text())
                        self.assertEqual((files / "etc/tree/sub/b").read_text(), "22")
                        if kind != "vfat":
                            status = (files / "etc/key").stat()
                            self.assertEqual((stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid),
                                             (0o600, 7, 8))
                            self.assertEqual(os.readlink(files / "etc/tree/link"), "a")
                    with self.mounted(disk, image.parts[0], "ext4") as files:
                        self.assertEqual(os.listdir(files), ["lost+found"])

    def test_places_modes_and_owners_are_as_cp_has_them(self):
        system = self.home / "system"
        for folder in ("etc", "root/.ssh", "usr/bin"):
            (system / folder).mkdir(parents=True)
        (system / "root/.ssh").chmod(0o700)
        (system / "bin").symlink_to("usr/bin")
        (system / "absolute").symlink_to("/usr")
        image = self.ext4(system)
        disk = self.puts(image, "--put", f"{self.key}:root:/root/.ssh/authorized_keys",  # its own name
                         "--put", f"{self.key}:1:/etc",  # an existing directory
                         "--put", f"{self.key}:1:/made/here/",  # one that is made
                         "--put", f"{self.key}:1:/bin/tool:4755:1000",  # through a link
                         "--put", f"{self.key}:1:/absolute/share/x",
                         "--put", f"{self.tree}:1:/srv/copy",
                         "--put", f"{self.tree}/:1:/etc/:640:5",
                         "--put", f"{self.tree}:1:/usr/bin")  # fills it
        with self.mounted(disk, image.parts[0], "ext4") as files:
            def shape(path):
                status = (files / path).lstat()
                return oct(status.st_mode)[-4:], status.st_uid, status.st_gid

            self.assertEqual(shape("root/.ssh"), ("0700", 0, 0))
            self.assertEqual(shape("root/.ssh/authorized_keys"), ("0640", 0, 0))
            self.assertEqual(shape("etc/key"), ("0640", 0, 0))
            self.assertEqual(shape("made/here"), ("0755", 0, 0))
            self.assertEqual(shape("made/here/key"), ("0640", 0, 0))
            self.assertEqual(shape("usr/bin/tool"), ("4755", 1000, 1000))
            self.assertEqual(shape("usr/share/x"), ("0640", 0, 0))
            self.assertEqual(shape("srv/copy/sub"), ("0750", 0, 0))
            self.assertEqual(shape("etc/tree"), ("0750", 5, 5))
            self.assertEqual(shape("etc/tree/sub/b"), ("0640", 5, 5))
            self.assertTrue((files / "usr/bin/sub/b").is_file())
            self.assertFalse((files / "usr/bin/tree").exists())

    def test_what_is_there_is_replaced_only_when_asked_for(self):
        system = self.home / "system"
        (system / "etc/tree").mkdir(parents=True)
        (system / "etc/key").write_text("old")
        (system / "etc/kept").write_text("kept")
        (system / "etc/tree/a").symlink_to("/etc/kept")
        image = self.ext4(system)
        disk = self.disk()
        self.assertUnbootable(self.write(image, disk, "--put", f"{self.key}:1:/etc/key"), disk, "partition 1 (root)",
                              "/etc/key: exists already", "--force-put")
        self.assertUnbootable(self.write(image, disk, "--put", f"{self.tree}:1:/etc/"), disk, "/etc/tree/a: exists")
        self.puts(image, "--put", f"{self.key}:1:/etc/key", "--put", f"{self.tree}:1:/etc/", "--force-put", disk=disk)
        with self.mounted(disk, image.parts[0], "ext4") as files:
            self.assertEqual((files / "etc/key").read_text(), self.key.read_text())
            self.assertEqual((files / "etc/kept").read_text(), "kept", "written through a link")
            self.assertFalse((files / "etc/tree/a").is_symlink())
        # A directory is never replaced by a file, nor a file by a directory.
        self.assertUnbootable(self.write(image, disk, "--force-put", "--put", f"{self.tree}:1:/etc/key"), disk,
                              "/etc/key: is there, and no directory")
        self.assertUnbootable(self.write(image, disk, "--force-put", "--put", f"{self.key}:1:/etc/key/x"), disk,
                              "/etc/key: is there, and no directory")

    def test_links_of_the_image_lead_nowhere_else(self):
        system = self.home / "system"
        outside = self.home / "outside"
        outside.mkdir()
        (system / "inside").mkdir(parents=True)
        (system / "up").symlink_to("../../../../../.." + str(outside))
        (system / "absolute").symlink_to(outside)
        (system / "etc").symlink_to("/../../inside")
        (system / "self").symlink_to("self")
        image = self.ext4(system)
        disk = self.puts(image, "--put", f"{self.key}:1:/etc/key")
        with self.mounted(disk, image.parts[0], "ext4") as files:
            self.assertTrue((files / "inside/key").is_file())
        for link in ("up", "absolute", "self"):
            self.assertUnbootable(self.write(image, disk, "--put", f"{self.key}:1:/{link}/key"), disk,
                                  f"/{link}: is a link that leads to nothing")
        self.assertEqual(os.listdir(outside), [])

    def test_no_room(self):
        big = self.home / "big"
        big.write_bytes(os.urandom(31 * MIB))
        disk = self.disk()
        image = self.ext4()
        self.assertUnbootable(self.write(image, disk, "--put", f"{big}:1:/big"), disk, "/big", "No space left")
        self.assertRefused(image, self.disk(), "--put", f"{big}:1:/big", "--put", f"{big}:1:/again",
                           says="has 32.0 MiB, and 62.0 MiB are to be put into it")

    def test_an_image_that_wants_to_be_in_the_way(self):
        """Pipes where a file is looked for, and a file system that asks for a panic."""
        system = self.home / "system"
        (system / "etc/selinux").mkdir(parents=True)
        os.mkfifo(system / "etc/selinux/config")
        os.mkfifo(system / "pipe")
        image = self.ext4(system)
        subprocess.run(["tune2fs", "-e", "panic", f"{image.path}?offset={image.parts[0][0]}"], check=True,
                       stdout=subprocess.DEVNULL)
        disk = self.puts(image, "--force-put", "--put", f"{self.key}:1:/x", "--put", f"{self.key}:1:/pipe")
        with self.mounted(disk, image.parts[0], "ext4") as files:
            self.assertTrue((files / "x").is_file())
            self.assertTrue((files / "pipe").is_file())
        # What it was left with by who made it.
        subprocess.run(["debugfs", "-w", "-R", "ssv state 2", f"{image.path}?offset={image.parts[0][0]}"], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        done = self.write(image, disk, "--put", f"{self.key}:1:/x")
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        self.assertIn("partition 1 (root): its ext4 says of itself that it has errors", done.stderr.decode())

    def test_within_a_chroot_nobody_else_sees_it(self):
        """One whose root is no mount, of a system whose mounts are shared."""
        root = self.home / "chroot"
        (root / "dev").mkdir(parents=True)
        (root / "tmp").mkdir()
        shutil.copy(PROGRAM, root)
        image = self.ext4()
        os.rename(image.path, root / "image")
        with open(root / "disk", "wb") as file:
            file.truncate(40 * MIB)
        (root / "big").write_bytes(bytes(20 * MIB))
        script = """
            mount --make-rshared / && mount --rbind /dev "$1/dev" || exit 9
            chroot "$1" /curlingiron write image disk --set boot=any --put big:1:/big > /dev/null & run=$!
            while kill -0 $run 2> /dev/null; do grep -F "$1" /proc/self/mountinfo; done | grep -v "$1/dev" | grep -m1 .
            wait $run
        """
        done = run("unshare", "--mount", "bash", "-c", script, "bash", root)
        self.assertEqual((done.returncode, done.stdout), (0, b""), done.stderr.decode())
        self.assertNothingLeft()
        image.path = root / "disk"
        with self.mounted(image.path, image.parts[0], "ext4") as files:
            self.assertEqual((files / "big").stat().st_size, 20 * MIB)

    def test_subvolumes_are_said(self):
        if not kernel_has("btrfs"):
            self.skipTest("this kernel has no btrfs")
        volume = make_file_system(self.home / "part", "btrfs")
        place = self.home / "mounted"
        place.mkdir()
        subprocess.run(["mount", "-o", "loop", volume, place], check=True)
        try:
            for name in ("root", "home"):
                subprocess.run(["btrfs", "subvolume", "create", place / name], check=True, stdout=subprocess.DEVNULL)
        finally:
            subprocess.run(["umount", place], check=True)
        image = Image(self.home / "image", [(volume, ROOT_TYPE, "fedora")])
        done = self.write(image, self.disk(200 * MIB), "--put", f"{self.key}:root:/root/etc/key")
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        self.assertRegex(done.stderr.decode(), r"Btrfs has subvolumes \((home, root|root, home)\)")

    def test_what_it_cannot_mount_is_named(self):
        swap = self.home / "swap"
        with open(swap, "wb") as file:
            file.truncate(8 * MIB)
        subprocess.run(["mkswap", "--quiet", swap], check=True)
        disk = self.disk()
        image = Image(self.home / "image", [(swap, "linux", "root")])
        self.assertUnbootable(self.write(image, disk, "--put", f"{self.key}:1:/x"), disk, "partition 1 (root)",
                              "holds swap", "ext4")
        # What lies in the first MiB of the image is known before.
        with open(swap, "r+b") as file:
            file.truncate(256 * 1024)
        image = Image(self.home / "image", [(swap, "linux", "root")])
        moved = Image(self.home / "other", [(swap, "linux", "root")], first=MIB // 4)
        self.assertRefused(moved, self.disk(), "--put", f"{self.key}:1:/x", says="holds swap")
        # Random bytes are none, and neither is a damaged one that its driver refuses.
        broken = make_file_system(self.home / "broken", "ext4")
        with open(broken, "r+b") as file:
            file.seek(1024 + 4)
            file.write(struct.pack("<I", 0xFFFFFF))  # blocks
        image = Image(self.home / "image", [(broken, "linux", "root")])
        self.assertUnbootable(self.write(image, disk, "--put", f"{self.key}:1:/x"), disk, "cannot mount it as ext4")

    def test_what_can_be_known_is_said_before_the_first_byte(self):
        image = self.ext4()
        disk = self.disk()
        for put, says in ((f"{self.key}:2:/x", 'no partition "2": it has 1 (root'),
                          (f"{self.key}:esp:/x", 'no partition "esp"'),
                          (f"{self.home}/none:1:/x", "none"),
                          (f"{self.key}:1:/../x", "without . and .."),
                          (f"{self.key}:1:/x:rw", "no octal mode"),
                          ("/dev/null:1:/x", "neither a file nor a directory")):
            with self.subTest(put):
                self.assertRefused(image, disk, "--put", put, says=says)
        key, tree = self.key, self.tree
        for puts, says in (((f"{key}:1:/x", f"{key}:1:/x"), "/x is put twice"),
                           ((f"{key}:1:/", f"{key}:root:/key"), "/key is put twice"),
                           ((f"{key}:1:/etc/key", f"{key}:1:/etc/"), "/etc/key is put twice"),
                           ((f"{tree}:1:/etc", f"{key}:1:/etc/a"), "/etc/a is put twice"),
                           ((f"{key}:1:/x/", f"{key}:1:/x/key/y"), "/x/key is put as a file, and is a directory"),
                           ((f"{tree}:1:/etc/a", f"{key}:1:/etc/"), "")):
            with self.subTest(puts):
                words = [word for put in puts for word in ("--put", put)]
                if says:
                    self.assertRefused(image, disk, *words, says=says)
                else:
                    self.puts(image, *words)
        link = self.home / "dangling"
        link.symlink_to("nowhere")
        pipe = self.home / "pipe"
        os.mkfifo(pipe)
        for source, says in ((link, "a link that leads to nothing"), (pipe, "neither a file nor a directory")):
            self.assertRefused(image, disk, "--put", f"{source}:1:/x", says=says)
        other = Image(self.home / "other", [(self.home / "ext4", "21686148-6449-6E6F-744E-656564454649", "boot code"),
                                            (self.home / "ext4", ESP_TYPE, "esp")])
        disk = self.disk(80 * MIB)
        self.assertRefused(other, disk, "--put", f"{self.key}:1:/x", says="by its type it has no file system")
        (self.tree / "a:b").write_text("")
        self.assertRefused(other, disk, "--put", f"{self.tree}:esp:/x", says="a name that a FAT cannot hold")
        self.assertRefused(image, disk, "--force-put", says="--force-put")
        with open(self.home / "plain", "wb") as file:
            file.write(make_file_system(self.home / "ext4", "ext4").read_bytes())
        image.path = self.home / "plain"
        self.assertRefused(image, disk, "--put", f"{self.key}:1:/x", says="no partition table")

    def test_at_the_image_s_ends_and_on_larger_sectors(self):
        """What is withheld until the end holds file systems, too."""
        for sector in (512, 4096):
            with self.subTest(sector):
                part = make_file_system(self.home / "part", "ext4")
                image = Image(self.home / "image", [(part, ROOT_TYPE, "root")], first=MIB // 8, after=MIB // 8,
                              sector=sector)
                big = self.home / "big"
                big.write_bytes(os.urandom(20 * MIB))
                disk = self.puts(image, "--put", f"{big}:root:/big", "--put", f"{self.key}:root:/",
                                 disk=self.disk(image.path.stat().st_size))
                with self.mounted(disk, image.parts[0], "ext4") as files:
                    self.assertEqual((files / "big").read_bytes(), big.read_bytes())
                    self.assertTrue((files / "key").is_file())

    def test_onto_a_block_device_with_a_seed_and_a_larger_partition(self):
        image = self.ext4()
        device = subprocess.run(["losetup", "--find", "--show", self.disk()], check=True,
                                stdout=subprocess.PIPE).stdout.decode().strip()
        try:
            done = self.write(image, device, "--yes", "--grow", "--hostname", "box", "--put", f"{self.key}:root:/x")
            self.assertEqual(done.returncode, 0, done.stderr.decode())
        finally:
            subprocess.run(["losetup", "--detach", device], check=True)
        disk = self.home / "disk"
        self.assertEqual(run("sgdisk", "-v", disk).returncode, 0)
        with self.mounted(disk, image.parts[0], "ext4") as files:
            self.assertTrue((files / "x").is_file())

    def test_nothing_shows_what_is_in_the_files(self):
        self.key.write_text("very-secret")
        image = self.ext4()
        for words in (("--json",), ("--dry-run",), ("--dry-run", "--json"), ()):
            done = self.write(image, self.disk(), "--put", f"{self.key}:1:/x", *words)
            self.assertEqual(done.returncode, 0, done.stderr.decode())
            self.assertNotIn(b"very-secret", done.stdout + done.stderr)
            if "--json" in words:
                self.assertEqual(json.loads(done.stdout)["put"],
                                 [{"source": str(self.key), "partition": 1, "path": "/x", "files": 1, "bytes": 11}])
            if "--json" not in words:
                self.assertRegex(" ".join(done.stderr.decode().split()), r"partition 1 \(root\): /x from \S+, 1 file")

    def test_selinux_is_said(self):
        system = self.home / "system"
        (system / "etc/selinux").mkdir(parents=True)
        (system / "etc/selinux/config").write_text("# x\nSELINUX=enforcing\n")
        done = self.write(self.ext4(system), self.disk(), "--put", f"{self.key}:1:/x")
        self.assertEqual(done.returncode, 0)
        self.assertIn("SELinux", done.stderr.decode())


def put_archive(*puts):
    """The file that flash gives /init (formats/put_order.h): [(partition, path, name, mode, content)]."""
    def text(word):
        return struct.pack("<H", len(word)) + word.encode()

    archive = b"CIPUT1\n\0" + bytes(1)
    for partition, path, name, mode, content in puts:
        archive += b"P" + text(partition) + text(path) + text(name) + struct.pack("<II", 0, 0)
        archive += b"F" + text("") + struct.pack("<HI", mode, len(content)) + content
    return archive


class PutDirect(test_direct.DirectTest):
    """/init by itself, and each file system with the kernel's own driver."""

    KINDS = ("vfat", "ext4", "xfs", "btrfs")

    def setUp(self):
        super().setUp()
        home = self.artifacts
        files = [make_file_system(home / kind, kind) for kind in self.KINDS]
        types = [ESP_TYPE, ROOT_TYPE, "linux", "linux"]
        self.made = Image(home / "image.raw", list(zip(files, types, ("efi", "system", "data", "pool"))))
        self.served = harness.compress(self.made.path, "zstd")
        os.truncate(self.disk, 0)
        os.truncate(self.disk, self.made.path.stat().st_size + 64 * MIB)
        with open(self.disk, "r+b") as file:
            file.write(b"old system" * 1000)
        self.net.serve_names()
        os.link(self.served, self.web / "image.raw.zst")
        self.net.serve_web(self.web)
        self.settings = ["src=https://image.test/image.raw.zst", "dst=/dev/vda",
                         f"sha256={harness.sha256_of(self.served)}", "boot=any"]

    def give(self, *puts):
        """Another archive after the initramfs, as flash makes it for a payload."""
        modules = ("loop", *self.KINDS, "nls_cp437", "nls_ascii")
        payload.build(self.initramfs, self.net.certificates.ca,
                      options=[word for module in modules for word in ("--module", module)])
        folder = self.artifacts / "more"
        (folder / "curlingiron").mkdir(parents=True)
        (folder / "curlingiron/put").write_bytes(put_archive(*puts))
        more = subprocess.run(["cpio", "--quiet", "-o", "-H", "newc"], input=b"curlingiron\ncurlingiron/put\n",
                              cwd=folder, stdout=subprocess.PIPE, check=True).stdout
        content = self.initramfs.read_bytes()
        self.initramfs.write_bytes(content + bytes(-len(content) % 4) + more)

    def part(self, index):
        offset, size = self.made.parts[index]
        alone = self.artifacts / f"part{index}"
        subprocess.run(["dd", f"if={self.disk}", f"of={alone}", "bs=1M", f"skip={offset}", f"count={size}",
                        "iflag=skip_bytes,count_bytes", "conv=sparse", "status=none"], check=True)
        os.truncate(alone, size)
        judged = run(*JUDGED_BY[self.KINDS[index]], alone)
        self.assertEqual(judged.returncode, 0, judged.stdout.decode() + judged.stderr.decode())
        return alone

    def test_into_each_file_system(self):
        secret = b"not-for-the-console"
        self.give(("esp", "/EFI/x.txt", "x.txt", 0o600, secret), ("root", "/root/.ssh/", "keys", 0o600, secret),
                  ("data", "/etc/a/b", "b", 0o640, secret), ("4", "/x", "x", 0o644, b"1" * 3 * MIB))
        machine = self.start(self.settings, memory=384)
        match = machine.expect(test_direct.phase("put", "ok", r"(.*)\n"), 240, unless=r"status=failed.*|Kernel panic.*")
        self.assertRegex(match[1], rf"files=4 bytes={3 * len(secret) + 3 * MIB}")
        machine.expect(test_direct.phase("finish", "ok"), 60, unless="status=failed.*")
        machine.wait_exit(60)
        self.assertNotIn(secret.decode(), machine.text)
        self.assertEqual(run("mtype", "-i", self.part(0), "::EFI/x.txt").stdout, secret)
        root = self.part(1)
        self.assertEqual(run("debugfs", "-R", "cat /root/.ssh/keys", root).stdout, secret)
        self.assertRegex(run("debugfs", "-R", "stat /root/.ssh/keys", root).stdout.decode(),
                         r"Mode: +0600[^$]*User: +0")
        self.assertIn(secret, self.part(2).read_bytes())
        self.assertIn(b"1" * 4096, self.part(3).read_bytes())

    def test_what_is_there_leaves_a_disk_that_does_not_boot(self):
        self.give(("root", "/a", "a", 0o600, b"1"), ("root", "/a", "a", 0o600, b"2"))
        machine = self.start([*self.settings, "onfail=poweroff"])
        machine.expect(test_direct.phase("verify", "ok"), 240, unless=r"status=failed.*|Kernel panic.*")
        machine.expect(test_direct.phase("put", "failed", r" reason=.*partition 2 \(system\).*/a: exists already"), 120)
        machine.wait_exit(60)
        self.assertTrue(harness.is_zero(self.disk, 0, MIB), "the disk boots")

    def test_no_such_partition_leaves_the_old_system(self):
        self.give(("boot", "/a", "a", 0o600, b"1"))
        before = harness.sha256_of(self.disk)
        machine = self.start(self.settings)
        machine.expect(test_direct.phase("disk", "failed", r" reason=.*boot.*it has 1 \(efi, 64.0 MiB\), 2 \(system"),
                       240)
        machine.wait_exit(60)
        self.assertEqual(harness.sha256_of(self.disk), before)


class PutInPlace(harness.E2ETest):
    """A machine without cloud-init's help: its key is in the new system, by flash alone."""

    def test_authorized_keys(self):
        self.need_binary()
        scene = inplace.Scene(self.artifacts)
        self.addCleanup(scene.close)
        machine = scene.old_machine()
        self.addCleanup(machine.kill)
        machine.log_in()
        scene.fetch_command(machine)
        machine.shell("echo ssh-ed25519 AAAAsecret me > /root/key; chmod 644 /root/key")
        command = scene.flash_command("/dev/vda", "--no-seed --put /root/key:root:/root/.ssh/authorized_keys:600",
                                      "--put /root/key:esp:/key.txt --force-put")
        status, output = machine.shell(f"{command} --dry-run", 300)
        self.assertEqual(status, 0, output)
        shown = " ".join(output.split())
        self.assertIn("partition 3 (root): /root/.ssh/authorized_keys from /root/key, 1 file", shown)
        self.assertNotIn("AAAAsecret", output)
        machine.send(command + "\n")
        facts = inplace.watch_install(machine)
        self.assertEqual(facts["put"]["files"], "2")
        self.assertNotIn("AAAAsecret", machine.text.partition("This replaces")[2])
        for number, kind in ((3, "ext4"), (2, "vfat")):
            listed = json.loads(run("sfdisk", "--json", scene.disk).stdout)["partitiontable"]["partitions"]
            begin, size = (listed[number - 1][what] * 512 for what in ("start", "size"))
            part = self.artifacts / f"part{number}"
            subprocess.run(["dd", f"if={scene.disk}", f"of={part}", "bs=1M", f"skip={begin}", f"count={size}",
                            "iflag=skip_bytes,count_bytes", "conv=sparse", "status=none"], check=True)
            self.addCleanup(part.unlink)
            read = (["debugfs", "-R", "cat /root/.ssh/authorized_keys", part] if kind == "ext4"
                    else ["mtype", "-i", part, "::key.txt"])
            self.assertEqual(run(*read).stdout, b"ssh-ed25519 AAAAsecret me\n")
        machine.resume()
        machine.log_in()
        _, there = machine.shell("stat -c '%a %u:%g' /root/.ssh/authorized_keys; cat /root/.ssh/authorized_keys")
        self.assertIn("600 0:0", there)
        self.assertIn("AAAAsecret", there)


if __name__ == "__main__":
    unittest.main()
