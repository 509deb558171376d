"""curlingiron inspect on initramfs images: our own, those made by cpio(1) and each compressor, a distribution's.

The program is the release preset's. Nothing is booted.
"""

import gzip
import json
import os
import pathlib
import shutil
import stat
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PROGRAM = ROOT / "build/release/bin/curlingiron"
KERNEL = ROOT / "build/machines/kernel"  # of scripts/machines
COMPRESSORS = {
    "gzip": ["gzip", "-9nc"], "bzip2": ["bzip2", "-c"], "xz": ["xz", "--check=crc32", "-c"],
    "xz-x86": ["xz", "--check=crc32", "--x86", "--lzma2=dict=1MiB", "-c"], "lzma": ["xz", "--format=lzma", "-c"],
    "lzop": ["lzop", "-9", "-c"], "lz4": ["lz4", "-l", "-9", "-c"], "zstd": ["zstd", "-q", "-19", "-c"],
}


def run(*command, **options):
    return subprocess.run([str(word) for word in command], stdin=options.pop("stdin", subprocess.DEVNULL),
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False, timeout=300, **options)


def piped(command, data):
    return subprocess.run(command, input=data, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True,
                          timeout=300).stdout


def cpio(directory):
    names = sorted(str(path.relative_to(directory)) for path in directory.rglob("*"))
    return piped(["cpio", "--create", "--format=newc", "--quiet", "--directory", str(directory)],
                 os.fsencode("\n".join([".", *names])))


class Inspect(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.home = pathlib.Path(temporary.name)

    def inspect(self, *words, status=0, **options):
        done = run(PROGRAM, "inspect", *words, **options)
        self.assertEqual(done.returncode, status, done.stderr.decode())
        return done.stdout.decode() if status == 0 else done.stderr.decode()

    def file(self, name, content):
        path = self.home / name
        path.write_bytes(content)
        return path

    def tree(self, name="tree"):
        """A root as a distribution would pack it: links, a device, odd names, set-user-ID, foreign bytes."""
        root = self.home / name
        for folder in ("usr/bin", "dev", "etc", "tmp"):
            (root / folder).mkdir(parents=True)
        (root / "tmp").chmod(0o1777)
        (root / "init").write_text("#!/bin/sh\n" * 500)
        (root / "init").chmod(0o755)
        shutil.copy("/bin/true", root / "usr/bin/true")
        (root / "usr/bin/true").chmod(0o4755)
        (root / "bin").symlink_to("usr/bin")
        os.link(root / "init", root / "linuxrc")
        os.mkfifo(root / "dev/fifo")
        if os.getuid() == 0:
            os.mknod(root / "dev/console", 0o600 | stat.S_IFCHR, os.makedev(5, 1))
        with open(os.fsencode(root) + b"/etc/n\xe4me\x1b[31m red", "wb") as file:
            file.write(b"x")
        return root

    def microcode(self):
        root = self.home / "early"
        (root / "kernel/x86/microcode").mkdir(parents=True)
        (root / "kernel/x86/microcode/AuthenticAMD.bin").write_bytes(os.urandom(3000))
        return cpio(root)

    def our_image(self, *words, name="ours.img"):
        path = self.home / name
        done = run(PROGRAM, "build", "-o", path, "--fast", "--kernel", KERNEL / "vmlinuz", "--modules-dir", KERNEL, *words)
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        return path

    def need_kernel(self):
        if not (KERNEL / "vmlinuz").exists():
            self.fail(f"{KERNEL} is missing; run scripts/machines")

    # -- images of others

    def test_every_compressor_behind_microcode_lists_as_cpio_does(self):
        plain = cpio(self.tree())
        early = self.microcode()
        listed = piped(["cpio", "--list", "--verbose", "--numeric-uid-gid", "--quiet"], plain).decode("latin-1")
        expected = []
        for line in listed.splitlines():
            words = line.split(None, 8 if line[0] not in "cb" else 9)
            expected.append((words[0], words[-1].split(" -> ")[0]))
        for name, command in {"plain": None, **COMPRESSORS}.items():
            packed = plain if command is None else piped(command, plain)
            # At a multiple of 4; after lz4, which has no end of its own, the kernel wants 4 zeros or more.
            image = early + packed + bytes(512 - len(packed) % 4) + packed + bytes(512)
            path = self.file(f"{name}.img", image)
            with self.subTest(name):
                result = json.loads(self.inspect(path, "--json"))
                archives = result["archives"]
                self.assertEqual(len(archives), 3)
                self.assertEqual(archives[0]["compression"], "none")
                self.assertEqual(archives[1]["compression"], "none" if command is None else name.split("-")[0])
                self.assertEqual(sum(a["bytes"] + a["zeros_before"] for a in archives) + result["zeros_after"],
                                 len(image))
                self.assertEqual([e["path"] for e in archives[1]["entries"]],
                                 [e["path"] for e in archives[2]["entries"]])
                text = self.inspect(path)
                self.assertNotIn("\x1b", text)
                lines = [line.split(None, 4) for line in text.split("archive 2 ")[1].split("\n\n")[0].splitlines()[1:]]
                modes = [words[0] for words in lines]
                self.assertEqual(modes, [mode for mode, _ in expected])
                paths = [e["path"].replace("\ufffd", "?") for e in archives[1]["entries"]]
                self.assertEqual([p for p in paths if p.isprintable() and "?" not in p],
                                 [p for _, p in expected if p.isprintable() and p.isascii() and "\\" not in p])
                self.assertIn("bin -> usr/bin", text)
                # The shares are the file, to the byte.
                shares = json.loads(self.inspect(path, "--size", "--json"))
                self.assertEqual(sum(e["bytes"] for e in shares["entries"]) + shares["names"] + shares["zeros"] +
                                 shares["boot_config"], len(image))

    def test_every_truncation_of_a_small_image_is_told(self):
        small = self.home / "small"
        small.mkdir()
        (small / "init").write_text("hello\n")
        plain = cpio(small).rstrip(b"\0")
        for name, command in {"plain": None, "gzip": COMPRESSORS["gzip"], "xz": COMPRESSORS["xz"]}.items():
            packed = plain if command is None else piped(command, plain)
            for size in range(0, len(packed), 1 if len(packed) < 200 else 7):
                path = self.file("cut", packed[:size])
                with self.subTest(compressor=name, size=size):
                    self.assertIn("cut: ", self.inspect(path, status=1))

    def test_a_bomb_ends_soon_and_takes_little_memory(self):
        bomb = subprocess.run("head -c 3G /dev/zero | zstd -q -c", shell=True, check=True, stdout=subprocess.PIPE).stdout
        header = (b"070701" + b"%08X" * 13) % (1, 0o100644, 0, 0, 1, 0, 0xf0000000, 0, 0, 0, 0, 5, 0) + b"bomb\0\0"
        first = piped(["zstd", "-q", "-c"], header)
        for name, image in {"promised": first + bomb, "zeros": piped(["zstd", "-q", "-c"], cpio(self.microcode_tree())) + bomb,
                            }.items():
            path = self.file(name, image)
            measure = ("import resource, subprocess, sys; resource.setrlimit(resource.RLIMIT_AS, (400 << 20,) * 2);"
                       "sys.exit(subprocess.call(sys.argv[1:]))")
            done = run("python3", "-c", measure, PROGRAM, "inspect", path)
            self.assertEqual(done.returncode, 1, done.stderr)
            self.assertRegex(done.stderr.decode(), r"more than 2\.0 GiB|no cpio archive", name)

    def microcode_tree(self):
        root = self.home / "some"
        root.mkdir(exist_ok=True)
        (root / "file").write_text("x")
        return root

    def test_what_is_no_initramfs_is_named(self):
        disk = bytearray(1 << 20)
        disk[446:462] = b"\x80\0\0\0\x83\0\0\0\0\x08\0\0\0\x08\0\0"
        disk[510:512] = b"\x55\xaa"
        cases = {"an ELF program": pathlib.Path("/bin/true").read_bytes(), "a disk image": bytes(disk), "empty": b"",
                 "no cpio archive (newc) but a disk image": gzip.compress(bytes(disk)), "a script": b"#!/bin/sh\nexit\n",
                 "a 7z archive": b"7z\xbc\xaf\x27\x1c" + bytes(1000)}
        if (KERNEL / "vmlinuz").exists():
            cases["a Linux kernel (6"] = (KERNEL / "vmlinuz").read_bytes()
        for words, content in cases.items():
            path = self.file("other", content)
            with self.subTest(words):
                self.assertIn(words, self.inspect(path, status=1))
        self.assertIn("a directory", self.inspect(self.home, status=1))
        self.assertIn("nothing-here", self.inspect("/nothing-here", status=1))
        self.assertIn("junk", self.inspect(self.file("junk", self.microcode() + b"#!/bin/sh\n"), status=1))

    def test_a_distributions_image_as_its_own_tool_lists_it(self):
        self.need_kernel()
        if not shutil.which("mkinitramfs") or not shutil.which("lsinitramfs") or os.getuid() != 0:
            self.skipTest("needs initramfs-tools-core and root")
        release = (KERNEL / "release").read_text().strip()
        path = self.home / "debian.img"
        # Not MODULES=most: half the kernel, a minute and a half of copying.
        config = self.home / "config"
        for folder in ("conf.d", "hooks", "scripts"):
            (config / folder).mkdir(parents=True)
        (config / "initramfs.conf").write_text("MODULES=list\nBUSYBOX=no\nCOMPRESS=zstd\n")
        (config / "modules").write_text("virtio_net\nahci\nnvme\nxhci_pci\n")
        hook = config / "hooks/unasked"
        hook.write_text('#!/bin/sh\n[ "$1" = prereqs ] || { . /usr/share/initramfs-tools/hook-functions\n'
                        'manual_add_modules e1000; }\n')
        hook.chmod(0o755)
        script = ('mkdir -p /lib/modules && mount --bind "$1/lib/modules" /lib/modules && '
                  'mount --bind "$1/boot" /boot && mkinitramfs -d "$4" -o "$2" "$3"')
        made = run("unshare", "--mount", "bash", "-c", script, "bash", KERNEL, path, release, config)
        self.assertEqual(made.returncode, 0, made.stderr.decode())
        expected = run("lsinitramfs", path).stdout.decode().splitlines()
        result = json.loads(self.inspect(path, "--json"))
        self.assertEqual([e["path"] for a in result["archives"] for e in a["entries"]], expected)
        self.assertIn("failover: needed by net_failover, needed by virtio_net", self.inspect(path, "why", "failover"))
        self.assertIn("needed by usr/bin/kmod", self.inspect(path, "why", "libcrypto.so.3"))
        self.assertIn("the image does not say", self.inspect(path, "why", "e1000"))

    # -- our own

    def test_ours_tells_sizes_and_reasons(self):
        self.need_kernel()
        path = self.our_image("--module", "virtio_net", "--module", "ahci")
        shares = json.loads(self.inspect(path, "--size", "--json"))
        self.assertEqual(shares["bytes"], path.stat().st_size)
        self.assertEqual(sum(e["bytes"] for e in shares["entries"]) + shares["names"] + shares["zeros"], shares["bytes"])
        paths = [e["path"] for e in shares["entries"]]
        self.assertEqual(paths[0], "init")
        for part in ("curlingiron/ca.pem", "curlingiron/modules", "lib/modules/virtio_net.ko"):
            self.assertIn(part, paths)
        sizes = [e["bytes"] for e in shares["entries"]]
        self.assertEqual(sizes, sorted(sizes, reverse=True))
        tree = self.inspect(path, "--size")
        for words in ("init", "ca.pem", "lib/modules/", "libata.ko"):
            self.assertIn(words, tree)
        chain = "failover: needed by net_failover, needed by virtio_net, which was asked for by --module virtio_net\n"
        for name in ("failover", "lib/modules/failover.ko", "/lib/modules/failover.ko", "failover.ko"):
            self.assertEqual(self.inspect(path, "why", name), chain)
        self.assertIn("did you mean virtio_net?", self.inspect(path, "why", "virtio-nte", status=1))
        answer = json.loads(self.inspect(path, "why", "virtio-net", "--json"))["subjects"][0]
        self.assertEqual((answer["name"], answer["path"]), ("virtio_net", "lib/modules/virtio_net.ko"))

    def test_diff_shows_what_changed_but_no_secret(self):
        self.need_kernel()
        secret = "https://user:hunter2@example.org/image.zst?token=hunter2"
        first = self.our_image("--module", "virtio_net", "--set", f"src={secret}", "--set", "header=X-Key: hunter2",
                               "--set", "mtu=1400", name="a.img")
        same = self.our_image("--module", "virtio_net", "--set", f"src={secret}", "--set", "header=X-Key: hunter2",
                              "--set", "mtu=1400", "--compress", "zstd", name="b.img")
        other = self.our_image("--module", "e1000", "--set", f"src={secret}2", "--set", "header=X-Key: hunter22",
                               "--set", "mtu=1500", name="c.img")
        self.assertIn("the same", self.inspect(first, "diff", same))
        done = run(PROGRAM, "inspect", first, "diff", other)
        text = done.stdout.decode()
        self.assertEqual(done.returncode, 1)
        for words in ("- lib/modules/virtio_net.ko", "+ lib/modules/e1000.ko", "! curlingiron/config", "- mtu=1400",
                      "+ mtu=1500", "header=(not shown)", "! curlingiron/modules"):
            self.assertIn(words, text)
        for words in (("diff", other), (), ("--size",), ("why", "curlingiron/config")):
            for form in ((), ("--json",)):
                done = run(PROGRAM, "inspect", first, *words, *form)
                self.assertNotIn(b"hunter2", done.stdout + done.stderr)
        result = json.loads(run(PROGRAM, "inspect", first, "diff", other, "--json").stdout)
        self.assertFalse(result["equal"])
        self.assertIn("lib/modules/e1000.ko", [e["path"] for e in result["only_second"]])
        # As diff(1), trouble is neither "the same" nor "different".
        self.assertIn("nothing-here", self.inspect(first, "diff", "/nothing-here", status=2))

    def test_usage_errors(self):
        for words in ((), ("x", "why"), ("x", "because", "y"), ("x", "--size", "why", "y"), ("x", "--nonsense")):
            self.assertEqual(run(PROGRAM, "inspect", *words).returncode, 2, words)
        self.assertIn("diff(1)", run(PROGRAM, "inspect", "--help").stdout.decode())


if __name__ == "__main__":
    unittest.main()
