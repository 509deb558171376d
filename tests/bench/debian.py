"""A Debian 12 that runs in QEMU, and what it can tell of its hardware."""

import collections
import contextlib
import os
import tarfile

from tests.e2e import harness, inplace
from tests.e2e.harness import MIB

Hardware = collections.namedtuple("Hardware", "key name nic bus disk second")
HARDWARE = [Hardware("virtio", "virtio-net + virtio-blk", "virtio-net-pci", "virtio", "/dev/vda", {}),
            Hardware("e1000", "e1000 + AHCI", "e1000", "sata", "/dev/sda", {"bus": "ide.1"})]


class Debian:
    """`machine` is logged in, in a directory with the command under test (curlingiron)."""

    def __init__(self, machine, scratch):
        self.machine, self.scratch = machine, scratch

    def run(self, command, timeout=120):
        status, output = self.machine.shell(command, timeout)
        if status:
            raise self.machine.failure(f"{command}: exit {status}: {output}")
        return output

    def fetch(self, *names):
        """Content of files in the machine."""
        # A tape: the shortest way out of it.
        self.run(f"tar -cf /dev/disk/by-id/*ci-disk-1 {' '.join(names)} && sync")
        with tarfile.open(self.scratch) as tape:
            return [tape.extractfile(name).read() for name in names]


@contextlib.contextmanager
def running(hardware, network, artifacts):
    """The network serves a directory with curlingiron in it, and names."""
    cache = harness.machines("old")
    name = f"old.{hardware.key}"
    disk = harness.overlay(cache / "old.raw", artifacts / f"{name}.qcow2")
    scratch = artifacts / f"{name}.scratch.raw"
    with open(scratch, "wb") as out:
        out.truncate(32 * MIB)
    machine = harness.Machine(artifacts, name=name, network=network, memory=inplace.MEMORY,
                              disks=[{"file": disk, "bus": hardware.bus, "properties": {"bootindex": 0}},
                                     {"file": scratch, "bus": hardware.bus, "properties": hardware.second}],
                              nics=[{"model": hardware.nic}])
    try:
        machine.log_in(300)
        debian = Debian(machine, scratch)
        debian.run("until getent hosts image.test; do sleep 0.3; done")
        debian.run("cd /tmp && curl -fsS -O http://image.test/curlingiron && chmod +x curlingiron")
        yield debian
    finally:
        machine.kill()
        for file in (disk, scratch):
            os.unlink(file)
