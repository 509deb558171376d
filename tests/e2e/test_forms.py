"""What build hands out, started as people start it: UEFI programs, sticks, CDs, the network, and from a shell."""

import os
import random
import re
import shutil
import subprocess

from tests.e2e import harness, inplace, payload
from tests.e2e.harness import MIB

DISK_SIZE = 80 * MIB
IMAGE_SIZE = 64 * MIB
SERIAL = "old-disk-1"
PHASES = ["mounts", "config", "drivers", "network", "source", "disk", "install", "verify", "finish", "leave"]
SNAKEOIL = "/usr/share/ovmf/PkKek-1-snakeoil"


class FormTest(harness.E2ETest):
    """A server with an image, and a machine whose disk holds something else."""

    def setUp(self):
        super().setUp()
        self.need_binary()
        harness.machines("kernel")
        self.net = self.network()
        self.web = self.artifacts / "web"
        self.web.mkdir()
        self.disk = harness.write_noise(self.artifacts / "disk.raw", DISK_SIZE, seed=7)
        served, self.image = payload.image("direct", IMAGE_SIZE, 1, "zstd")
        os.link(served, self.web / "image.raw.zst")

    def build(self, form, *options, name=None, what=("src=https://image.test/image.raw.zst", f"dst=serial:{SERIAL}")):
        """An installer with all that it needs to know in it, unless `what` to install where is left open."""
        output = self.artifacts / (name or form)
        command = [harness.BINARY, "build", "--format", form, "-o", output, "--kernel", payload.KERNEL / "vmlinuz",
                   "--modules-dir", payload.KERNEL, "--compress", "zstd", "--fast",
                   "--ca", self.net.certificates.ca, "--set", "after=poweroff", "--set", "boot=any"]
        if form != "initramfs":
            command += ["--append", "console=ttyS0"]
        for setting in what:
            command += ["--set", setting]
        for module in payload.MODULES:
            command += ["--module", module]
        harness.run([*command, *options], timeout=120)
        return output

    def serve(self, **options):
        self.net.serve_names(options=options.pop("names", ()))
        self.net.serve_web(self.web, **options)

    def start(self, **options):
        return self.machine(network=self.net, memory=options.pop("memory", 512),
                            disks=[*options.pop("media", []), {"file": self.disk, "serial": SERIAL}],
                            nics=[options.pop("nic", {})], **options)

    def installs(self, machine, timeout=240):
        for name in PHASES:
            machine.expect(rf"^curlingiron: phase={name} status=ok", timeout,
                           unless=r"status=failed.*|Kernel panic.*|Oops.*")
        machine.wait_exit(60)
        self.assert_installed(self.disk, self.image)
        if machine.firmware in ("secure", "snakeoil"):
            self.assertIn("UEFI Secure Boot is enabled", machine.text)


class Forms(FormTest):

    def test_uki(self):
        uki = self.build("uki")
        self.serve()
        self.installs(self.start(firmware="uefi", kernel=uki))

    def stick(self, firmware):
        stick = self.build("usb")
        self.serve()
        self.installs(self.start(firmware=firmware, media=[{"file": stick, "bus": "usb-xhci", "serial": "stick",
                                                            "properties": {"bootindex": 0}}]))

    def test_usb_bios(self):
        self.stick("bios")

    def test_usb_uefi(self):
        self.stick("uefi")

    def test_usb_secure_boot(self):
        """By Microsoft's keys: the distribution's shim, GRUB and kernel."""
        stick = self.build("usb", "--secure-boot")
        self.serve()
        self.installs(self.start(firmware="secure", cpu="qemu64", media=[
            {"file": stick, "bus": "usb-xhci", "serial": "stick", "properties": {"bootindex": 0}}]), timeout=400)

    def cd(self, firmware, **options):
        iso = self.build("iso", *(["--secure-boot"] if firmware == "secure" else []))
        self.serve()
        self.installs(self.start(firmware=firmware, extra=[
            "-drive", f"if=none,id=cd,file={iso},format=raw,media=cdrom,readonly=on",
            "-device", "ide-cd,drive=cd,bootindex=0"], **options), timeout=400)

    def test_iso_bios(self):
        self.cd("bios")

    def test_iso_uefi(self):
        self.cd("uefi")

    def test_iso_secure_boot(self):
        self.cd("secure", cpu="qemu64")

    def test_iso_as_a_stick(self):
        iso = self.build("iso")
        for firmware in ("bios", "uefi"):
            with self.subTest(firmware):
                if firmware == "bios":
                    self.serve()
                self.installs(self.start(name=firmware, firmware=firmware, media=[
                    {"file": iso, "format": "raw", "bus": "usb-xhci", "serial": "stick",
                     "properties": {"bootindex": 0}}]))
                harness.write_noise(self.disk, DISK_SIZE, seed=7)

    def test_netboot_ipxe(self):
        """The ROM of QEMU's card is iPXE; it gets its script by http, and the installer its settings by DHCP."""
        tree = self.build("netboot", what=())
        for name in os.listdir(tree):
            os.symlink(tree / name, self.web / name)
        self.serve(names=["--dhcp-userclass=set:ipxe,iPXE", "--dhcp-boot=tag:ipxe,http://10.77.0.1/boot.ipxe",
                          "--dhcp-option-force=224,curlingiron.src=https://image.test/image.raw.zst "
                          f"curlingiron.dst=serial:{SERIAL}"])
        self.installs(self.start(nic={"properties": {"romfile": None, "bootindex": 0}}))

    def tftp(self, loader, *files):
        """A TFTP server with the directory of netboot and a loader of the distribution."""
        tree = self.build("netboot")
        for file in files:
            shutil.copy(file, tree)
        self.serve(names=["--enable-tftp", f"--tftp-root={tree}", f"--dhcp-boot={loader}"])

    def test_netboot_pxelinux(self):
        self.tftp("pxelinux.0", "/usr/lib/PXELINUX/pxelinux.0", "/usr/lib/syslinux/modules/bios/ldlinux.c32")
        self.installs(self.start(nic={"properties": {"romfile": None, "bootindex": 0}}),
                      timeout=400)

    def test_netboot_grub(self):
        self.tftp("grubnetx64.efi.signed", "/usr/lib/grub/x86_64-efi-signed/grubnetx64.efi.signed")
        self.installs(self.start(firmware="uefi", memory=768, nic={"properties": {"bootindex": 0}}), timeout=400)

    def test_the_same_bytes(self):
        """The same description makes the same file, and its digests are right."""
        for form in ("initramfs", "tree", "script", "uki", "usb", "iso", "netboot"):
            with self.subTest(form):
                made = []
                for turn in ("1", "2"):
                    (self.artifacts / turn).mkdir(exist_ok=True)
                    made.append(self.listed(self.build(form, name=f"{turn}/{form}")))
                self.assertEqual(*made)

    def listed(self, output):
        """{name: SHA-256} of what was made, checked by what lies beside it."""
        if output.is_dir():
            harness.run(["sh", "-c", f"cd {output} && sha256sum --check --quiet SHA256SUMS"])
            return {file.relative_to(output): harness.sha256_of(file) for file in output.rglob("*") if file.is_file()}
        harness.run(["sh", "-c", f"cd {output.parent} && sha256sum --check --quiet {output.name}.sha256"])
        return {output.name: harness.sha256_of(output), "json": harness.sha256_of(f"{output}.json")}

    def test_netboot_uefi_http(self):
        tree = self.build("netboot")
        for name in os.listdir(tree):
            os.symlink(tree / name, self.web / name)
        self.serve(names=["--dhcp-vendorclass=set:http,HTTPClient", "--dhcp-option-force=tag:http,60,HTTPClient",
                          "--dhcp-boot=tag:http,http://10.77.0.1/curlingiron.efi"])
        self.installs(self.start(firmware="uefi", memory=768, nic={"properties": {"bootindex": 0}}), timeout=400)


class SignedUki(FormTest):
    """Under Secure Boot with a key for tests enrolled."""

    def test_signed_and_not(self):
        key = self.artifacts / "key.pem"
        harness.run(["openssl", "rsa", "-in", f"{SNAKEOIL}.key", "-passin", "pass:snakeoil", "-out", key])
        uki = self.build("uki", "--secure-boot", "--sign-key", key, "--sign-cert", f"{SNAKEOIL}.pem")
        plain = self.build("uki", "--secure-boot", name="plain")
        self.serve()
        refused = self.start(name="refused", firmware="snakeoil", cpu="qemu64", media=[self.partition(plain, "plain")])
        refused.expect(r"Access Denied|Security Violation", 120,
                       unless=r"curlingiron: phase=.*")
        refused.kill()
        self.installs(self.start(firmware="snakeoil", cpu="qemu64", media=[self.partition(uki, "signed")]), timeout=400)

    def partition(self, uki, name):
        """A stick that somebody made by hand: a FAT with the program in it."""
        stick = self.artifacts / f"{name}.img"
        with open(stick, "wb") as file:
            file.truncate(64 * MIB)
        harness.run(["mkfs.vfat", stick])
        harness.run(["mmd", "-i", stick, "::/EFI", "::/EFI/BOOT"])
        harness.run(["mcopy", "-i", stick, uki, "::/EFI/BOOT/BOOTX64.EFI"])
        return {"file": stick, "bus": "usb-xhci", "serial": "stick", "properties": {"bootindex": 0}}


class FromAShell(harness.E2ETest):
    """A running Debian that is replaced by what somebody else built."""

    def setUp(self):
        super().setUp()
        self.need_binary()

    def scene(self):
        scene = inplace.Scene(self.artifacts)
        self.addCleanup(scene.close)
        return scene

    def becomes_new(self, scene, machine):
        inplace.watch_install(machine)
        self.assert_installed(scene.disk, scene.image)
        machine.resume()
        machine.log_in()
        self.assertIn('VERSION_ID="13"', machine.shell("cat /etc/os-release")[1])

    def old(self, scene):
        machine = scene.old_machine()
        self.addCleanup(machine.kill)
        machine.log_in()
        scene.fetch_command(machine)  # for its CA, and until the network is there
        return machine

    def build_tree(self, scene, *arguments):
        harness.machines("kernel")
        tree = self.artifacts / "tree"
        harness.run([harness.BINARY, "build", "--format", "tree", "-o", tree, "--kernel", payload.KERNEL / "vmlinuz",
                     "--modules-dir", payload.KERNEL, "--fast", "--profile", "vm",
                     "--ca", scene.network.certificates.ca, *arguments], timeout=300)
        return tree

    def fetch_tree(self, scene, machine, tree):
        """Onto a machine that has nothing else of ours."""
        harness.run(["tar", "-C", tree, "-cf", scene.web / "tree.tar", "."])
        status, output = machine.shell("rm /root/curlingiron; mkdir tree; "
                                       "curl -fsS http://image.test/tree.tar | tar -C tree -x", 60)
        self.assertEqual(status, 0, output)

    def test_curl_into_sh(self):
        scene = self.scene()
        harness.run([harness.BINARY, "build", "--format", "script", "-o", scene.web / "installer.sh",
                     "--ca", scene.network.certificates.ca], timeout=300)
        machine = self.old(scene)
        machine.send(f"rm /root/curlingiron; curl -fsS http://image.test/installer.sh | sh -s -- {scene.url} /dev/vda "
                     f"--sha256 {scene.sha256}\n")
        # It asks on the terminal, as standard input is the script.
        machine.expect(r"Type vda to go on", 180, unless=inplace.FAILED)
        machine.send("vda\n")
        self.becomes_new(scene, machine)

    def test_with_a_kernel_in_it(self):
        """On a machine whose own kernel and modules are gone."""
        scene = self.scene()
        harness.machines("kernel")
        command = [harness.BINARY, "build", "--format", "script", "-o", self.artifacts / "installer.sh",
                   "--kernel", payload.KERNEL / "vmlinuz", "--modules-dir", payload.KERNEL, "--fast", "--profile", "vm",
                   "--ca", scene.network.certificates.ca, "--set", f"src={scene.url}", "--set", "dst=/dev/vda",
                   "--set", f"sha256={scene.sha256}"]
        harness.run(command, timeout=300)
        harness.run(["gzip", "-k", self.artifacts / "installer.sh"])
        os.rename(self.artifacts / "installer.sh.gz", scene.web / "installer.sh.gz")
        machine = self.old(scene)
        machine.shell("rm -rf /root/curlingiron /boot/vmlinuz* /lib/modules/*", 60)
        machine.send("curl -fsS http://image.test/installer.sh.gz | gunzip | sh -s -- --yes\n")
        machine.expect(r"This replaces everything on", 180, unless=inplace.FAILED)
        self.becomes_new(scene, machine)

    def test_tree_with_curlingiron_beside(self):
        """kexec-boot shows the plan of flash then, and asks."""
        scene = self.scene()
        tree = self.build_tree(scene)
        shutil.copy(harness.BINARY, tree / "curlingiron")
        machine = self.old(scene)
        self.fetch_tree(scene, machine, tree)
        machine.send(f"tree/kexec-boot {scene.url} /dev/vda sha256={scene.sha256}\n")
        machine.expect(r"This replaces everything on", 120, unless=inplace.FAILED)
        machine.expect(r"Type vda to go on", 60, unless=inplace.FAILED)
        machine.send("vda\n")
        self.becomes_new(scene, machine)

    def test_tree_by_kexec_tools(self):
        scene = self.scene()
        tree = self.build_tree(scene, "--set", f"sha256={scene.sha256}")
        # With the libraries that this machine does not have: Xen's.
        libraries = re.findall(r"(/\S+) \(0x", harness.run(["ldd", "/usr/sbin/kexec"]))
        harness.run(["tar", "-C", "/", "-chf", scene.web / "kexec.tar", "usr/sbin/kexec",
                     *(library.lstrip("/") for library in libraries)])
        machine = self.old(scene)
        self.fetch_tree(scene, machine, tree)
        status, output = machine.shell(
            "curl -fsS http://image.test/kexec.tar | tar -C / --skip-old-files -x", 60)
        self.assertEqual(status, 0, output)
        machine.send(f"tree/kexec-boot -y {scene.url} /dev/vda\n")
        self.becomes_new(scene, machine)


# The script of a tree where no command of its own ends the machine: commands that say what they were called with.
WITH_STUBS = """
mount -n -t tmpfs tmpfs /run && mkdir -p /run/systemd/system || exit 98
exec setsid --wait "$@"
"""
KEXEC = """#!/bin/sh
echo "kexec $*" >> "$CALLS"
case $1 in -s) [ -z "$INTERRUPT" ] || kill -INT "$PPID" ;; esac
"""
SYSTEMCTL = """#!/bin/sh
echo "systemctl $*" >> "$CALLS"
exit "${SYSTEMCTL_STATUS-0}"
"""


class KexecBoot(harness.E2ETest):
    """kexec-boot with nothing beside it, up to where the machine would go down."""

    def setUp(self):
        super().setUp()
        self.need_binary()
        harness.machines("kernel")
        self.stubs = self.artifacts / "stubs"
        self.stubs.mkdir()
        for name, text in (("kexec", KEXEC), ("systemctl", SYSTEMCTL)):
            (self.stubs / name).write_text(text)
            (self.stubs / name).chmod(0o755)
        self.calls = self.artifacts / "calls"

    def build(self, *settings):
        tree = self.artifacts / "tree"
        shutil.rmtree(tree, ignore_errors=True)
        harness.run([harness.BINARY, "build", "--format", "tree", "-o", tree, "--kernel", payload.KERNEL / "vmlinuz",
                     "--modules-dir", payload.KERNEL, "--fast", "--profile", "none",
                     *(word for setting in settings for word in ("--set", setting))], timeout=300)
        return tree / "kexec-boot"

    def start(self, script, *words, **environment):
        """(status, what it said, [what it called])"""
        self.calls.write_text("")
        done = subprocess.run(
            ["unshare", "--mount", "--propagation", "private", "sh", "-c", WITH_STUBS, "sh", script, "-y", *words],
            env={**os.environ, "PATH": f"{self.stubs}:{os.environ['PATH']}", "CALLS": str(self.calls), "INTERRUPT": "",
                 **environment}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            timeout=60, check=False)
        return done.returncode, done.stdout, self.calls.read_text().splitlines()

    def refuses(self, script, words, said):
        status, output, calls = self.start(script, *words)
        self.assertEqual((status, calls), (1, []), output)
        self.assertIn(said, output)
        self.assertIn("nothing was changed", output)

    def test_what_was_left_open(self):
        script = self.build()
        status, output, calls = self.start(script, "http://h/x", "/dev/vda", "header=A: b", "insecure")
        self.assertEqual((status, len(calls)), (0, 2), output)
        self.assertRegex(calls[0], r'^kexec -s -l .* curlingiron\.src=http://h/x curlingiron\.dst=/dev/vda '
                                   r'"curlingiron\.header=A: b" curlingiron\.insecure$')
        self.assertEqual(calls[1], "systemctl kexec")
        for words, said in ((["ftp://h/x", "only"], "ftp://h/x: is no setting"),
                            (["nonsense=1"], "nonsense=1: is no setting"),
                            (["http://h/x"], "give the disk after it"),
                            (["http://h/x", ""], "give the disk after it"),
                            (["http://h/x", "only", "sha256"], "sha256: a value is missing"),
                            (["http://h/x", "only", "sha256="], "sha256=: a value is missing"),
                            (["http://h/x", "/dev/vda", "dst=/dev/vdb"], "the disk is /dev/vda already")):
            with self.subTest(words):
                self.refuses(script, words, said)

    def test_what_was_built_in(self):
        """/init takes what was built in before the kernel's command line: it is not as if it were heard."""
        script = self.build("src=http://h/x", f"sha256={'a' * 64}")
        self.refuses(script, [f"sha256={'b' * 64}"], "sha256 was built in")
        self.refuses(script, ["src=http://h/y", "dst=only"], "src was built in")
        self.refuses(script, ["http://h/y", "/dev/vda"], "http://h/x was built in; leave IMAGE out")
        self.assertEqual(self.start(script, "dst=/dev/vda")[0], 0)
        script = self.build("src=http://h/x", "dst=/dev/sda")
        self.refuses(script, ["dst=/dev/sdb"], "dst was built in")
        self.refuses(script, ["http://h/x", "/dev/sda"], "image and disk were built in")

    def test_nothing_stays_loaded(self):
        script = self.build()
        status, output, calls = self.start(script, "http://h/x", "only", INTERRUPT="yes")
        self.assertEqual((status, calls[1:]), (1, ["kexec -u"]), output)
        self.assertIn("interrupted; nothing was changed", output)
        status, output, calls = self.start(script, "http://h/x", "only", SYSTEMCTL_STATUS="1")
        self.assertEqual((status, calls[1:]), (1, ["systemctl kexec", "kexec -u"]), output)
        self.assertIn("this system does not go down: restart it", output)

    def test_by_a_link(self):
        script = self.build()
        link = self.artifacts / "boot"
        link.symlink_to(script)
        self.assertEqual(self.start(link, "http://h/x", "only")[0], 0)


class Output(harness.E2ETest):
    """Where it goes, and what is refused before anything is written."""

    def setUp(self):
        super().setUp()
        self.need_binary()
        harness.machines("kernel")
        self.options = ["--kernel", payload.KERNEL / "vmlinuz", "--modules-dir", payload.KERNEL, "--fast", "--profile", "none"]

    def build(self, output, form, *options, before=()):
        done = subprocess.run([*map(str, before), *map(str, [harness.BINARY, "build", "--format", form, "-o", output,
                                                             *self.options, *options])],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=120, check=False)
        return done.returncode, done.stdout

    def refuses(self, output, form, options, said):
        status, text = self.build(output, form, *options)
        self.assertEqual(status, 1, text)
        self.assertIn(said, text)

    def test_directory_is_of_one_build(self):
        tree = self.artifacts / "tree"
        (tree / "mine").mkdir(parents=True)
        (tree / "notes").write_text("mine")
        self.assertEqual(self.build(tree, "tree")[0], 0)
        # As a form that had more files would have left it.
        (tree / "old.efi").write_text("old")
        with open(tree / "SHA256SUMS", "a", encoding="utf-8") as sums:
            sums.write(f"{'a' * 64}  old.efi\n{'a' * 64}  ../outside\n")
        (self.artifacts / "outside").write_text("not of it")
        self.assertEqual(self.build(tree, "tree", "--append", "quiet")[0], 0)
        harness.run(["sha256sum", "--quiet", "-c", "SHA256SUMS"], cwd=tree)
        self.assertEqual(sorted(path.name for path in tree.iterdir()),
                         sorted(["SHA256SUMS", "cmdline", "initrd", "kexec-boot", "manifest.json", "mine", "notes", "vmlinuz"]))
        self.assertTrue((self.artifacts / "outside").exists())

    def test_full_disk(self):
        """What was there stays whole, and nothing else is left."""
        place = self.artifacts / "place"
        place.mkdir()
        harness.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", place])
        self.addCleanup(harness.run, ["umount", place])
        self.assertEqual(self.build(place / "tree", "tree")[0], 0)
        before = sorted(place.rglob("*"))
        harness.write_noise(place / "fill", 10 << 20, seed=1)
        status, text = self.build(place / "tree", "tree", "--append", "quiet")
        self.assertEqual(status, 1, text)
        self.assertIn("No space left on device", text)
        harness.run(["sha256sum", "--quiet", "-c", "SHA256SUMS"], cwd=place / "tree")
        (place / "fill").unlink()
        self.assertEqual(sorted(place.rglob("*")), before)

    def test_device(self):
        device = self.artifacts / "device"
        harness.run(["mknod", device, "c", "1", "3"])
        self.refuses(device, "uki", [], f"{device}: is no file; name one")
        self.assertTrue(device.is_char_device())
        self.assertEqual(list(self.artifacts.glob("device*")), [device])

    def test_command_lines_that_would_be_others(self):
        output = self.artifacts / "output"
        for form, text, said in (("netboot", "a ; b", 'iPXE would end its command at ";"'),
                                 ("netboot", "a ${b}", "iPXE would put something in place"),
                                 ("usb", "a='b'", "GRUB would change"), ("iso", "a\\b", "GRUB would change"),
                                 ("tree", "a\nb", "a line break"), ("tree", 'a="b', "a quote is not closed"),
                                 ("tree", "curlingiron.nonsense=1", 'unknown setting "nonsense"')):
            with self.subTest(text):
                self.refuses(output, form, ["--append", text], said)
        self.assertFalse(output.exists())

    def test_keys_that_could_not_log_in(self):
        key = self.artifacts / "key"
        harness.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "me", "-f", key])
        public = key.with_suffix(".pub").read_text()
        for text, said in ((f'from="10.0.0.1" {public}', "me: has options before it"), (f"cert-authority {public}", "has options"),
                           (public.replace("ssh-ed25519 ", "ssh-foo "), "it does not hold a key of the type ssh-foo")):
            with self.subTest(text):
                (self.artifacts / "other.pub").write_text(text)
                self.refuses(self.artifacts / "output", "initramfs",
                             ["--rescue", "--ssh-key", self.artifacts / "other.pub"], said)

    def test_tools_take_what_is_theirs(self):
        certificate = self.artifacts / "text.pem"
        certificate.write_text("none\n")
        self.refuses(self.artifacts / "u.efi", "uki", ["--sign-key", certificate, "--sign-cert", certificate],
                     f"--sign-key {certificate} and --sign-cert {certificate}, which have to be PEM files")
        self.refuses(self.artifacts / "u.efi", "uki", ["--stub", payload.KERNEL / "vmlinuz"], "is no stub of systemd")


SHELLS = {"dash": ["dash"], "bash": ["bash", "--posix"], "busybox": ["busybox", "sh"]}


# Runs a command without a terminal, with places to unpack to of its own; 99: it left something there.
ALONE = """
mount -n -t tmpfs tmpfs /dev/shm && mount -n -t tmpfs tmpfs /run || exit 98
rm -rf /run/mount  # of mount itself
setsid --wait "$@"
status=$?
left=$(find /run /dev/shm -mindepth 1) || exit 98
[ -z "$left" ] || { echo "left there: $left"; exit 99; }
exit $status
"""


class Script(harness.E2ETest):
    """The script by itself, up to where the command would begin."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.folder = harness.ARTIFACTS / "Script"
        cls.folder.mkdir(parents=True, exist_ok=True)
        cls.script = cls.folder / "installer.sh"
        harness.run([harness.BINARY, "build", "--format", "script", "-o", cls.script], timeout=300)

    def run_script(self, shell, text=None, arguments=("--version",), **options):
        """As curl hands it over: by a pipe, without a terminal."""
        data = self.script.read_bytes() if text is None else text
        return subprocess.run(["unshare", "--mount", "--propagation", "private", "sh", "-c", ALONE, "sh",
                               *map(str, shell), "-s", "--", *arguments], input=data, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=120, check=False, **options)

    def test_each_shell(self):
        for name, shell in SHELLS.items():
            with self.subTest(name):
                done = self.run_script(shell, arguments=["--help"])
                self.assertEqual(done.returncode, 0, done.stdout)
                self.assertIn(b"reimage this machine in place", done.stdout)

    def test_with_standard_input_closed(self):
        done = subprocess.run(["sh", "-c", f"exec <&-; sh {self.script} --help"], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=120, check=False)
        self.assertEqual(done.returncode, 0, done.stdout)

    def test_busybox_alone(self):
        """A root with nothing else."""
        root = self.artifacts / "root"
        for folder in ("bin", "tmp", "dev", "proc"):
            (root / folder).mkdir(parents=True)
        shutil.copy(shutil.which("busybox"), root / "bin/busybox")
        listed = subprocess.run(["ldd", shutil.which("busybox")], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                text=True, check=False).stdout
        for library in re.findall(r"(/\S+) \(0x", listed):
            (root / library[1:]).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(library, root / library[1:])
        harness.run(["mknod", root / "dev/null", "c", "1", "3"])
        for applet in harness.run([root / "bin/busybox", "--list"]).split():
            if not (root / "bin" / applet).exists():
                os.symlink("busybox", root / "bin" / applet)
        done = self.run_script(["chroot", root, "/bin/sh"], arguments=["http://127.0.0.1/x", "/dev/sda"])
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertRegex(done.stdout.decode(), r"not mounted here.*; nothing was changed\n$")
        self.assertEqual(os.listdir(root / "tmp"), [])

    def test_refusals(self):
        rows = [(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "dash"], rb"only root"),
                (["env", f"PATH={self.fake('uname', 'echo riscv64')}:/usr/bin:/bin", "dash"], rb"this is a riscv64")]
        for shell, says in rows:
            done = self.run_script(shell)
            self.assertEqual(done.returncode, 1, done.stdout)
            self.assertRegex(done.stdout, says + rb".*; nothing was changed\n$")

    def fake(self, name, body):
        folder = self.artifacts / "fake"
        folder.mkdir(exist_ok=True)
        (folder / name).write_text(f"#!/bin/sh\n{body}\n")
        (folder / name).chmod(0o755)
        return folder

    def test_a_damaged_part(self):
        text = bytearray(self.script.read_bytes())
        at = len(text) // 2
        text[at] = ord("0") if text[at] != ord("0") else ord("1")
        done = self.run_script(["dash"], bytes(text))
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertRegex(done.stdout, rb"damaged; get it once more")

    def test_cut_off_anywhere(self):
        """Nothing runs: no program is unpacked, nothing is said but what sh says of its input."""
        text = self.script.read_bytes()
        thorough = bool(os.environ.get("CURLINGIRON_THOROUGH"))
        chance = random.Random(16)
        cuts = [(length, [list(SHELLS)[number % len(SHELLS)]]) for number, length in
                enumerate(sorted(chance.randrange(len(text)) for _ in range(500 if thorough else 20)))]
        # Where it matters most, by each shell: the last line.
        last = text.rindex(b"\n{ curlingiron_main")
        cuts += [(length, SHELLS) for length in (range(last, len(text) - 1) if thorough else [len(text) - 2])]
        for length, shells in cuts:
            for name in shells:
                with self.subTest(length=length, shell=name):
                    self.assert_nothing_runs(SHELLS[name], text[:length])
        # All of the last line without what the script carries, which a shell reads byte by byte.
        text = re.sub(rb"(<< 'END_OF_PART'[^\n]*\n).*?(?=END_OF_PART\n)", rb"\1", text, flags=re.DOTALL)
        self.assertLess(len(text), 300_000)
        for length in range(text.rindex(b"\n{ curlingiron_main"), len(text) - 1):
            for name, shell in SHELLS.items():
                with self.subTest(length=length, shell=name, carries="nothing"):
                    self.assert_nothing_runs(shell, text[:length])

    def assert_nothing_runs(self, shell, text):
        done = self.run_script(shell, text)
        self.assertNotRegex(done.stdout, rb"(?m)curlingiron \d|nothing was changed|^curlingiron:")
        if done.stdout:
            self.assertNotEqual(done.returncode, 0, done.stdout)


if __name__ == "__main__":
    harness.unittest.main()
