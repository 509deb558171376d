"""A running machine that replaces its own system: the steps that the tests and the demo share."""

import os
import re

from tests.e2e import harness

MEMORY = 1024
SERIAL = "the-one-disk"
IMAGES = {"raw": "new.raw", "gzip": "new.raw.gz", "zstd": "new.raw.zst"}
# Everything up to here leaves the old system as it is.
FAILED = r"phase=\w+ status=failed.*|Kernel panic.*|Oops.*|^curlingiron: error: .*|kexec-boot: .*"


class Scene:
    """The network, the web server with the command and the new image, and the old machine's disk."""

    def __init__(self, artifacts, form="zstd", rate=None, image=None, dhcp=True):
        """`image`: a raw one in the place of the new machine's; it is served packed by zstd."""
        self.cache = harness.machines("old", *(() if image else ("new",)))
        self.artifacts = artifacts
        self.network = harness.Network(artifacts)
        try:
            if image:
                self.image = image
                self.served = artifacts / f"{image.name}.zst"
                harness.run(["zstd", "-q", "-f", "-T0", "-1", image, "-o", self.served], timeout=300)
            else:
                self.image = self.cache / "new.raw"
                self.served = self.cache / IMAGES[form]
            self.url = f"https://image.test/{self.served.name}"
            self.sha256 = harness.sha256_of(self.served)
            web = artifacts / "web"
            web.mkdir(exist_ok=True)
            for file, name in ((harness.BINARY, "curlingiron"), (self.network.certificates.ca, "ca.pem"),
                               (self.served, self.served.name),
                               *((self.cache / name, name) for name in (() if image else IMAGES.values())
                                 if name != self.served.name)):
                (web / name).symlink_to(os.path.abspath(file))
            self.web = web
            self.names = self.network.serve_names(dhcp=dhcp)
            self.network.serve_web(web, rate)
            self.disk = harness.copy_sparse(self.cache / "old.raw", artifacts / "disk.raw")
        except BaseException:
            self.network.close()
            raise

    def close(self):
        self.network.close()
        # Gigabytes; what went wrong is in the logs.
        if not os.environ.get("CURLINGIRON_E2E_KEEP"):
            self.disk.unlink(missing_ok=True)

    def old_machine(self, firmware="bios", bus="virtio", nic="virtio-net-pci", extra_disks=(), memory=MEMORY,
                    wire=None, **options):
        """`wire`: what its NIC is plugged into, in the place of the network's bridge."""
        return harness.Machine(self.artifacts, name="machine", network=self.network, firmware=firmware, memory=memory,
                               disks=[{"file": self.disk, "bus": bus, "serial": SERIAL}, *extra_disks],
                               nics=[{"model": nic, **(wire or {})}], reset="pause", **options)

    def fetch_command(self, machine):
        """All the installation that the old machine needs: one file (and the test's own CA)."""
        machine.shell("until getent hosts image.test; do sleep 0.3; done", 120)
        status, output = machine.shell(
            "cd /root && curl -fsS -O http://image.test/curlingiron -O http://image.test/ca.pem && chmod +x curlingiron", 120)
        if status != 0:
            raise machine.failure(f"fetching the command: {output}")

    def flash_command(self, disk, *options):
        return " ".join(["/root/curlingiron flash", self.url, disk, "--ca /root/ca.pem", f"--sha256 {self.sha256}",
                         "--yes", *options])


def phases(text):
    """{phase: facts} of what /init said last about each."""
    found = {}
    for match in re.finditer(r"^curlingiron: phase=(\w+) (status=.*)$", text, re.MULTILINE):
        found[match[1]] = {k: v.strip('"') for k, v in re.findall(r'(\S+?)=("[^"]*"|\S*)', match[2])}
    return found


PHASES = ["mounts", "config", "drivers", "network", "source", "disk", "install", "verify", "finish"]


def watch_install(machine, first="mounts", timeout=900):
    """From the jump into the installer to the restart that it asks for, with all CPUs stopped."""
    for name in PHASES[PHASES.index(first):]:
        machine.expect(rf"^curlingiron: phase={name} status=ok.*\n", timeout, unless=FAILED)
    machine.wait_pause(120)
    return phases(machine.text)


def identity(machine, device):
    """What the summary compares."""
    ask = {"system": ". /etc/os-release; echo \"$PRETTY_NAME\"", "kernel": "uname -r", "host": "hostname",
           "disk id": f"sfdisk --disk-id {device} 2>/dev/null", "root": "findmnt -no SOURCE,FSTYPE /",
           "machine id": "cat /etc/machine-id"}
    return {what: machine.shell(command)[1].strip() for what, command in ask.items()}
