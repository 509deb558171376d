"""Initramfs images made by the command under test, for machines that start them directly."""

import hashlib
import os
import pathlib

from tests.e2e import harness

# Whatever disk or card a test's machine has.
MODULES = ["virtio_pci", "virtio_net", "virtio_blk", "virtio_scsi", "sd_mod", "e1000", "e1000e", "ahci", "nvme"]

KERNEL = harness.CACHE / "kernel"


def build(output, ca, settings=(), modules=MODULES, options=()):
    """`curlingiron build` for Debian's kernel."""
    harness.machines("kernel")
    command = [harness.BINARY, "build", "-o", output, "--kernel", KERNEL / "vmlinuz", "--modules-dir", KERNEL,
               "--compress", "zstd", "--fast"]
    if ca:
        command += ["--ca", ca]
    for module in modules:
        command += ["--module", module]
    for setting in settings:
        command += ["--set", setting]
    harness.run([*command, *options], timeout=120)
    return pathlib.Path(output)


def image(name, size, seed, form="raw"):
    """A synthetic disk image, made once: (path as served, path of its raw bytes)."""
    directory = harness.CACHE / "synthetic"
    directory.mkdir(parents=True, exist_ok=True)
    # The generator is part of the content's name: a changed one makes new files.
    recipe = hashlib.sha256(pathlib.Path(harness.__file__).read_bytes()).hexdigest()[:8]
    raw = directory / f"{name}-{size // harness.MIB}-{seed}-{recipe}.raw"
    if not raw.exists():
        for old in directory.glob(f"{name}-{size // harness.MIB}-{seed}-*"):
            old.unlink()
        temporary = harness.write_synthetic(directory / f"{name}.{os.getpid()}.new", size, seed)
        os.rename(temporary, raw)
    served = pathlib.Path(f"{raw}{ {'raw': '', 'gzip': '.gz', 'zstd': '.zst'}[form] }")
    if not served.exists():
        temporary = directory / f"{name}.{os.getpid()}.new"
        os.link(raw, temporary)
        os.rename(harness.compress(temporary, form), served)
        temporary.unlink()
    return served, raw
