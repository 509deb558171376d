"""Whole runs of /init in QEMU, with a digest that is compared before the disk is touched, and afterwards."""

import os
import re
import shutil
import statistics
import subprocess

from tests.bench.tables import table
from tests.e2e import harness, payload
from tests.e2e.harness import MIB, ROOT

ARTIFACTS = ROOT / "build/bench/flashes"
SIZE, MEMORY, CPUS = 256 * MIB, 1024, 2
SUFFIX = {"raw": "", "gzip": ".gz", "zstd": ".zst", "xz": ".xz"}
WAYS = ("stream", "first")


class Flashes:
    """times: {form: {way: {phase: [seconds]}}} of `runs` of each, which take turns; sizes: {form: bytes as served};
    `say` reports what is going on."""

    def __init__(self, program, runs, say):
        harness.BINARY = program
        shutil.rmtree(ARTIFACTS, ignore_errors=True)
        self.web = ARTIFACTS / "web"
        self.web.mkdir(parents=True)
        _, self.image = payload.image("direct", SIZE, 1)
        self.times = {form: {way: {} for way in WAYS} for form in SUFFIX}
        self.sizes = {}
        network = harness.Network(ARTIFACTS)
        try:
            network.serve_names()
            network.serve_web(self.web)
            self.initramfs = payload.build(ARTIFACTS / "initramfs", network.certificates.ca)
            for form, suffix in SUFFIX.items():
                served = self.serve(form, suffix)
                self.sizes[form] = served.stat().st_size
                for turn in range(runs):
                    for way in WAYS:
                        say(f"QEMU: {form}, prove={way}, {turn + 1} of {runs}")
                        self.install(network, served, form, way)
                served.unlink()
        finally:
            network.close()

    def serve(self, form, suffix):
        served = self.web / f"image.raw{suffix}"
        if form == "xz":
            with open(served, "wb") as out:
                subprocess.run(["xz", "-6", "-T2", "-c", str(self.image)], stdout=out, check=True)
        else:
            os.link(payload.image("direct", SIZE, 1, form)[0], served)
        return served

    def install(self, network, served, form, way):
        disk = ARTIFACTS / "disk.raw"
        with open(disk, "wb") as out:
            out.truncate(2 * SIZE)
        settings = [f"src=https://image.test/{served.name}", "dst=/dev/vda", f"sha256={harness.sha256_of(served)}",
                    f"prove={way}"]
        append = " ".join(["console=ttyS0", "quiet", "panic=1", *(f"curlingiron.{word}" for word in settings)])
        machine = harness.Machine(ARTIFACTS, name=f"{form}.{way}", network=network, memory=MEMORY, cpus=CPUS,
                                  kernel=payload.KERNEL / "vmlinuz", initrd=self.initramfs, append=append,
                                  disks=[{"file": disk}], nics=[{}])
        try:
            machine.expect(r"phase=leave status=ok", 600, unless=r"Kernel panic.*|phase=\w+ status=failed.*")
            machine.wait_exit(60)
            if harness.install_difference(disk, self.image) is not None:
                raise machine.failure("the disk is not the image")
            ended = {phase: float(t) for phase, t in
                     re.findall(r"phase=(\w+) status=ok t=([0-9.]+)", machine.text)}
        finally:
            machine.kill()
            disk.unlink()
        begin, seconds = ended["disk"], self.times[form][way]
        for phase in ("proof", "install", "verify"):
            if phase in ended:
                seconds.setdefault(phase, []).append(ended[phase] - begin)
                begin = ended[phase]
        seconds.setdefault("all", []).append(ended["leave"])


def flash_table(times, sizes):
    rows = []
    for form, ways in times.items():
        stream, first = ({phase: statistics.median(values) for phase, values in ways[way].items()} for way in WAYS)
        rows.append([form, f"{sizes[form] / MIB:.0f}", f"{stream['all']:.1f}", f"{first['all']:.1f}",
                     f"{stream['install']:.1f}", f"{first['proof']:.1f}", f"{first['install']:.1f}"])
    return table(["https", "MiB", "prove=stream, s", "prove=first, s", "stream's writing, s", "first's proof, s",
                  "first's writing, s"], rows)
