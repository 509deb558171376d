"""What build hands out in each form, with the distribution's kernel and with those of scripts/kernel: bytes, and the
seconds from power-on to the image's first bytes; what others need for the same beside it."""

import os
import re
import shutil
import statistics
import subprocess
import time

from tests.bench.tables import number, table
from tests.e2e import harness, payload
from tests.e2e.harness import MIB, ROOT

ARTIFACTS = ROOT / "build/bench/forms"
OWN = ("vm", "metal")
MEMORY = 128
SECONDS = 3

# The largest that one UEFI program of it may be.
BARS = {"vm": 4_400_000, "metal": 5_400_000}

# Debian's installer, as it is started from the network; packages that hold it, and what of them is started.
PEERS = [("Debian's installer, netboot: kernel and initramfs", "debian-installer-12-netboot-amd64",
          [r"/text/debian-installer/amd64/linux$", r"/text/debian-installer/amd64/initrd\.gz$"]),
         ("iPXE for UEFI, which loads the rest", "ipxe", [r"/boot/ipxe\.efi$"])]


def bytes_of(path):
    if path.is_dir():
        return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    return path.stat().st_size


class Forms:
    """sizes: {(form, kernel): bytes}; peers: {title: bytes}; seconds: {kernel: [seconds]}"""

    def __init__(self, program, say):
        self.program, self.say = program, say
        shutil.rmtree(ARTIFACTS, ignore_errors=True)
        ARTIFACTS.mkdir(parents=True)
        self.kernels = {"Debian's": ["--kernel", payload.KERNEL / "vmlinuz", "--modules-dir", payload.KERNEL, "--profile", "vm"]}
        for name in OWN:
            if (ROOT / f"build/kernel/{name}/release").exists():
                self.kernels[f"ours:{name}"] = ["--kernel", f"ours:{name}"]
            else:
                say(f"build/kernel/{name} is not made: its rows stay empty; scripts/kernel {name} makes it")
        self.sizes = {}
        for form in ("tree", "script", "uki", "usb", "iso", "netboot"):
            for kernel, options in self.kernels.items():
                self.make(form, kernel, options)
        self.make_rescue()
        self.peers = {title: self.peer(package, files) for title, package, files in PEERS}
        self.kernel_bytes = {kernel: (ARTIFACTS / f"tree.{kernel}/vmlinuz").stat().st_size for kernel in self.kernels}
        self.seconds = self.measure_seconds()

    def build(self, output, form, options):
        harness.run([self.program, "build", "--format", form, "-o", output, *options], timeout=300)
        return output

    def make(self, form, kernel, options):
        self.say(f"{form}, {kernel} kernel")
        output = self.build(ARTIFACTS / f"{form}.{kernel}", form, options)
        self.sizes[form, kernel] = bytes_of(output)
        if form == "script":
            packed = subprocess.run(["gzip", "-9", "-c", output], stdout=subprocess.PIPE, check=True).stdout
            self.sizes["script, gzip -9", kernel] = len(packed)

    def make_rescue(self):
        """What a system to log in to adds."""
        key = ARTIFACTS / "key"
        harness.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key])
        for kernel, options in self.kernels.items():
            self.say(f"uki --rescue, {kernel} kernel")
            output = self.build(ARTIFACTS / f"rescue.{kernel}", "uki", [*options, "--rescue", "--ssh-key", f"{key}.pub"])
            self.sizes["uki --rescue", kernel] = bytes_of(output)

    def peer(self, package, files):
        """Bytes of these files of a package; None where it cannot be had."""
        done = subprocess.run(["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", package], cwd=ARTIFACTS,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        found = list(ARTIFACTS.glob(f"{package}_*.deb"))
        if done.returncode or not found:
            self.say(f"{package} cannot be had: its row stays empty")
            return None
        size, seen = 0, 0
        for line in harness.run(["dpkg-deb", "-c", found[0]]).splitlines():
            fields = line.split()
            if any(re.search(pattern, fields[5]) for pattern in files):
                size += int(fields[2])
                seen += 1
        if seen != len(files):
            self.say(f"{found[0].name}: {seen} of {len(files)} files are in it: its row stays empty")
            return None
        return size

    def measure_seconds(self):
        """From QEMU's start until /init has the image's first bytes, in a machine of MEMORY megabytes; they take turns."""
        web = ARTIFACTS / "web"
        web.mkdir()
        served, _ = payload.image("direct", 64 * MIB, 1, "zstd")
        os.link(served, web / "image.raw.zst")
        network = harness.Network(ARTIFACTS)
        seconds = {kernel: [] for kernel in self.kernels}
        try:
            network.serve_names()
            network.serve_web(web)
            trees = {kernel: self.build(ARTIFACTS / f"timed.{kernel}", "tree", [
                *options, "--ca", network.certificates.ca, "--set", "src=https://image.test/image.raw.zst",
                "--set", "dst=only", "--set", "prove=stream", "--append", "console=ttyS0"])
                for kernel, options in self.kernels.items()}
            for turn in range(SECONDS):
                for kernel, tree in trees.items():
                    self.say(f"from power-on, {kernel} kernel: {turn + 1} of {SECONDS}")
                    seconds[kernel].append(self.power_on(network, tree, kernel.replace(":", "-").replace("'", "")))
        finally:
            network.close()
        return seconds

    def power_on(self, network, tree, name):
        disk = ARTIFACTS / "disk.raw"
        with open(disk, "wb") as out:
            out.truncate(80 * MIB)
        machine = harness.Machine(ARTIFACTS, name=name, network=network, memory=MEMORY, kernel=tree / "vmlinuz",
                                  initrd=tree / "initrd", append=(tree / "cmdline").read_text().strip(),
                                  disks=[{"file": disk}])
        try:
            machine.expect(r"phase=source status=ok", 120, unless=r"Kernel panic.*|phase=\w+ status=failed.*")
            took = time.monotonic() - machine.started
            machine.expect(r"phase=leave status=ok", 240, unless=r"Kernel panic.*|phase=\w+ status=failed.*")
        finally:
            machine.kill()
            disk.unlink()
        return took

    def bars(self):
        """(title, limit, bytes or None)"""
        return [(f"uki, ours:{name}: bytes", bar, self.sizes.get(("uki", f"ours:{name}"))) for name, bar in BARS.items()]

    def size_table(self):
        kernels = ["Debian's", *(f"ours:{name}" for name in OWN)]
        forms = ["tree", "script", "script, gzip -9", "uki", "uki --rescue", "usb", "iso", "netboot"]
        rows = [["the kernel in it", *(number(self.kernel_bytes.get(kernel)) for kernel in kernels)]]
        rows += [[form, *(number(self.sizes.get((form, kernel))) for kernel in kernels)] for form in forms]
        return table(["form: bytes", "Debian's kernel, profile vm", "ours:vm", "ours:metal"], rows)

    def peer_table(self):
        return table(["others", "bytes"], [[title, number(size)] for title, size in self.peers.items()])

    def seconds_table(self):
        rows = [[kernel, f"{statistics.median(values):.1f}", f"{min(values):.1f} to {max(values):.1f}"]
                for kernel, values in self.seconds.items()]
        return table(["kernel", "seconds until the image's first bytes", "fastest to slowest"], rows)
