"""`curlingiron build` makes the same bytes whoever runs it, when, and where.

The same inputs are built here; by another user with other limits, from a copy whose files were made in another order on
another file system; and on a machine with another system, kernel, clock and memory.

What a build takes from the machine that runs it is named in its options, so that nothing here depends on the machine:
--kernel, --modules-dir, --hardware, --ca. One thing remains: where the running kernel enforces module signatures (its
lockdown, as with Secure Boot, or sig_enforce), they are kept, else stripped. --secure-boot makes that the same, too.
"""

import contextlib
import os
import pathlib
import random
import re
import shutil
import subprocess
import tarfile

from tests.bench import images
from tests.e2e import harness, payload
from tests.e2e.harness import MIB

HARDWARE = harness.ROOT / "tests/bench/virtio.modaliases"

# A part of a real kernel's modules that profile vm and the hardware find most of theirs in, with what these depend on.
FOLDERS = ("drivers/ata", "drivers/block", "drivers/message", "drivers/net/ethernet/amazon", "drivers/net/ethernet/google",
           "drivers/net/ethernet/intel/e1000", "drivers/net/ethernet/intel/e1000e", "drivers/net/virtio_net.ko",
           "drivers/nvme", "drivers/scsi", "drivers/usb/host", "drivers/usb/storage", "drivers/virtio", "lib")
COMMON = ["--profile", "vm", "--firmware", "test/*.bin", "--set", "src=https://image.test/image.raw.zst", "--set", "dst=serial:x",
          "--set", "deadline=90s"]

# Each is built everywhere. Without an index the builder does depmod's work, over files in the order of a directory.
BUILDS = {
    "xz": [],
    "zstd": ["--compress", "zstd"],
    "gzip": ["--compress", "gzip"],
    "none": ["--compress", "none"],
    "fast": ["--fast"],
    "fast zstd": ["--fast", "--compress", "zstd"],
    "signatures": ["--fast", "--secure-boot"],
    "no index": ["--fast", "--modules-dir", "{inputs}/bare"],
}


def enforces_signatures(read):
    """Whether a kernel does, by the files that the builder asks."""
    return "Y" in read("/sys/module/module/parameters/sig_enforce") or \
        "[none]" not in (read("/sys/kernel/security/lockdown") or "[none]")


def read_here(path):
    with contextlib.suppress(OSError):
        return pathlib.Path(path).read_text()
    return ""


def command(inputs, output, options):
    """Words of a build; `inputs` is a folder that write_inputs() made, or a copy: /mnt on all sides, so that
    the command is the same to the letter."""
    words = [f"{inputs}/curlingiron", "build", "-o", output, "--kernel", f"{inputs}/vmlinuz", "--hardware", f"{inputs}/hardware",
             "--ca", f"{inputs}/ca.pem", "--add", f"{inputs}/tree:/opt/tree", "--add", f"{inputs}/busybox:/opt/busybox", *COMMON]
    if "--modules-dir" not in options:
        words += ["--modules-dir", f"{inputs}/modules"]
    return [str(word) for word in words] + [option.format(inputs=inputs) for option in options]


def copy_some_modules(target):
    """FOLDERS of Debian 12's modules, and all that they depend on."""
    (source,) = (payload.KERNEL / "lib/modules").iterdir()
    depends = {}
    for line in (source / "modules.dep").read_text().splitlines():
        file, _, others = line.partition(":")
        depends[file] = others.split()
    wanted = set()
    for file, others in depends.items():
        if any(file.startswith(f"kernel/{folder}") for folder in FOLDERS):
            wanted |= {file, *others}
    for file in sorted(wanted):
        (target / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / file, target / file)
    for file in ("modules.order", "modules.builtin", "modules.builtin.modinfo"):
        shutil.copyfile(source / file, target / file)
    return len(wanted)


def write_inputs(inputs):
    """Everything that a build reads."""
    inputs.mkdir()
    shutil.copy(harness.BINARY, inputs / "curlingiron")
    shutil.copyfile(payload.KERNEL / "vmlinuz", inputs / "vmlinuz")
    shutil.copyfile(HARDWARE, inputs / "hardware")
    shutil.copyfile("/etc/ssl/certs/ca-certificates.crt", inputs / "ca.pem")
    # Linked statically: what a dynamic one brings is this machine's.
    shutil.copy(shutil.which("busybox"), inputs / "busybox")
    release = (payload.KERNEL / "release").read_text().strip()
    bare = inputs / "bare/lib/modules" / release
    bare.mkdir(parents=True)
    if copy_some_modules(bare) < 200:
        raise harness.Failure(f"{payload.KERNEL}: too few modules in {', '.join(FOLDERS)}")
    generator = random.Random(4)
    firmware = inputs / "bare/lib/firmware/test"
    firmware.mkdir(parents=True)
    for name in ("b", "a", "c"):
        (firmware / f"{name}.bin").write_bytes(generator.randbytes(3000))
    shutil.copytree(inputs / "bare", inputs / "modules")
    harness.run(["depmod", "-b", inputs / "modules", release])

    tree = inputs / "tree"
    (tree / "folder/empty").mkdir(parents=True)
    for name in ("z", "a", "m", "folder/two", "folder/one", "\u00e4"):
        (tree / name).write_bytes(generator.randbytes(500))
    (tree / "a").chmod(0o444)
    (tree / "m").chmod(0o755)
    (tree / "folder/empty").chmod(0o555)
    (tree / "link").symlink_to("folder/one")
    os.link(tree / "z", tree / "same as z")


def copy_reversed(source, target):
    """A copy whose names were made in the opposite order, at other times, with no hard links."""
    generator = random.Random(31)
    paths = sorted(source.rglob("*"), reverse=True)
    for path in reversed(paths):
        if path.is_dir() and not path.is_symlink():
            (target / path.relative_to(source)).mkdir()
    for path in paths:
        copy = target / path.relative_to(source)
        if path.is_symlink():
            copy.symlink_to(os.readlink(path))
        elif path.is_file():
            shutil.copy(path, copy)
    for path in paths:
        copy = target / path.relative_to(source)
        if not path.is_symlink():
            copy.chmod(path.stat().st_mode & 0o7777)
            moment = generator.randrange(10**8, 2 * 10**9)
            os.utime(copy, (moment, moment))


class PrivateMount:
    """What `mount` with these words mounts on /mnt, for commands started with `enter` alone; gone with this process."""

    def __init__(self, *words):
        script = "mount \"$@\" /mnt && echo ready && exec cat"
        self.holder = subprocess.Popen(["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh",
                                        *map(str, words)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        if self.holder.stdout.readline() != b"ready\n":
            raise harness.Failure(f"mount {' '.join(map(str, words))}: fails in a mount namespace; it needs root")
        self.enter = ["nsenter", f"--mount=/proc/{self.holder.pid}/ns/mnt"]
        self.path = pathlib.Path(f"/proc/{self.holder.pid}/root/mnt")

    def close(self):
        self.holder.stdin.close()
        self.holder.stdout.close()
        self.holder.wait(10)


class Reproducible(harness.E2ETest):

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        if not harness.BINARY.exists():
            raise harness.Failure(f"{harness.BINARY} is missing; build it: cmake --preset release && cmake --build --preset release")
        cls.cache = harness.machines("kernel", "new")
        home = harness.ARTIFACTS / "Reproducible"
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
        cls.inputs = home / "inputs"
        write_inputs(cls.inputs)
        cls.addClassCleanup(shutil.rmtree, cls.inputs)
        here = PrivateMount("--bind", cls.inputs)
        cls.addClassCleanup(here.close)
        cls.here = here.enter
        cls.reference = {name: home / f"{name}.img" for name in BUILDS}
        for name, options in BUILDS.items():
            harness.run([*cls.here, *command("/mnt", cls.reference[name], options)], timeout=300)
        # A comparison of nearly empty files would say nothing.
        paths = images.files_of(cls.reference["xz"]).keys()
        missing = {"init", "opt/tree/folder/one", "opt/tree/same as z", "opt/busybox", "lib/firmware/test/a.bin"} - paths
        if missing or sum(path.endswith(".ko") for path in paths) < 30:
            raise harness.Failure(f"{cls.reference['xz']}: holds {', '.join(paths)} only")

    def assert_same_bytes(self, name, image, where):
        reference = self.reference[name]
        if harness.sha256_of(reference) == harness.sha256_of(image):
            image.unlink()
            return
        done = subprocess.run([str(self.inputs / "curlingiron"), "inspect", str(reference), "diff", str(image)],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        self.fail(f"{name}: {where} made another file, from byte {harness.first_difference(reference, image)} on\n"
                  f"{done.stdout[-3000:]}\n{reference}\n{image}")

    def test_again(self):
        """The same, once more; what is there already is replaced."""
        image = self.artifacts / "again.img"
        for name, options in BUILDS.items():
            with self.subTest(name):
                harness.run([*self.here, *command("/mnt", image, options)], timeout=300)
                self.assert_same_bytes(name, image, "a second run")

    def test_another_folder(self):
        """Nothing of where the inputs lie, such as a home's name, is in the file."""
        image = self.artifacts / "folder.img"
        harness.run(command(self.inputs, image, BUILDS["none"]), timeout=300)
        self.assert_same_bytes("none", image, "another folder")

    def test_another_user(self):
        """One that may only read; one processor, another umask, locale, time zone, file system, file order, other time
        stamps."""
        other = PrivateMount("-t", "tmpfs", "-o", "size=2g,mode=755", "tmpfs")
        self.addCleanup(other.close)
        copy_reversed(self.inputs, other.path)
        (other.path / "out").mkdir()
        os.chown(other.path / "out", 65534, 65534)
        script = "umask 077; exec \"$@\""
        before = [*other.enter, "setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--no-new-privs",
                  "env", "-i", "LC_ALL=tr_TR.UTF-8", "LANG=tr_TR.UTF-8", "TZ=Pacific/Kiritimati", "HOME=/nonexistent",
                  "taskset", "-c", str(min(os.sched_getaffinity(0))), "sh", "-c", script, "sh"]
        for name, options in BUILDS.items():
            with self.subTest(name):
                harness.run([*before, *command("/mnt", "/mnt/out/image", options)], timeout=600)
                image = other.path / "out/image"
                self.assertEqual(image.stat().st_uid, 65534)
                # Out of the mount, which ends with the test.
                self.assert_same_bytes(name, shutil.copyfile(image, self.artifacts / "user.img"), "another user")

    def test_another_machine(self):
        """Debian 13 in QEMU, in 2031."""
        web = self.artifacts / "web"
        web.mkdir()
        with tarfile.open(web / "inputs.tar", "w") as tape:
            # In another order than that of the names.
            paths = sorted(self.inputs.rglob("*"), key=lambda path: (not path.is_dir(), path.name[::-1]))
            for path in sorted(paths, key=lambda path: len(path.parts) if path.is_dir() and not path.is_symlink() else 99):
                tape.add(path, arcname=str(path.relative_to(self.inputs)), recursive=False)
        self.addCleanup((web / "inputs.tar").unlink)
        network = self.network()
        network.serve_names()
        network.serve_web(web)
        disk = harness.overlay(self.cache / "new.raw", self.artifacts / "machine.qcow2")
        scratch = self.artifacts / "scratch.raw"
        with open(scratch, "wb") as out:
            out.truncate(128 * MIB)
        machine = self.machine(network=network, memory=1536, disks=[{"file": disk}, {"file": scratch, "serial": "scratch"}],
                               nics=[{}], extra=["-rtc", "base=2031-05-17T03:04:05"])
        machine.log_in()

        def say(text, timeout=120):
            status, output = machine.shell(text, timeout)
            if status:
                raise machine.failure(f"{text}: exit {status}: {output}")
            return output

        self.assertEqual(say("date +%Y"), "2031")
        release = say("uname -r")
        self.assertNotEqual(release, (payload.KERNEL / "release").read_text().strip())
        self.assertNotEqual(release, os.uname().release)
        if enforces_signatures(read_here) != enforces_signatures(lambda path: say(f"cat {path} 2>/dev/null || true")):
            self.skipTest("one of the two kernels enforces module signatures, which changes what is built")
        say("until getent hosts image.test; do sleep 0.3; done")
        say("mkdir -p /var/tmp/out && cd /var/tmp && chown daemon out && "
            "curl -fsS http://image.test/inputs.tar | tar -xp --no-same-owner -C /mnt", 300)
        built = []
        for index, (name, options) in enumerate(BUILDS.items()):
            built.append(f"{index}.img")
            words = command("/mnt", f"out/{index}.img", options)
            text = re.sub(r"(\S*\*\S*)", r"'\1'", " ".join(words))
            # Its messages would hide the shell's word on the console.
            say(f"(umask 027; exec setpriv --reuid daemon --regid daemon --clear-groups {text}) > log 2>&1 || (cat log; false)", 900)
        say(f"tar -C out -cf /dev/disk/by-id/*scratch {' '.join(built)} && sync", 300)
        machine.kill()
        with tarfile.open(scratch) as tape:
            for index, name in enumerate(BUILDS):
                with self.subTest(name):
                    image = self.artifacts / f"machine.{index}.img"
                    image.write_bytes(tape.extractfile(f"{index}.img").read())
                    self.assert_same_bytes(name, image, "another machine")


if __name__ == "__main__":
    harness.unittest.main()
