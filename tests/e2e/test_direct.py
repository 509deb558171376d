"""/init on a machine of its own: kernel and initramfs started directly, a real server, a disk.

One machine a test, some 10 s each. What the old system's start has to do with it: test_inplace.py.
"""

import collections
import os
import re
import time

from tests.e2e import harness, payload
from tests.e2e.harness import MIB

DISK_SIZE = 80 * MIB
IMAGE_SIZE = 64 * MIB
WITHHELD = MIB  # at each end, until the image is proven
SERIAL = "old-disk-1"


def phase(name, status, rest=""):
    return rf"^curlingiron: phase={name} status={status} t=\d+\.\d+{rest}"


class DirectTest(harness.E2ETest):
    """A network, a web server with the image, an old disk, an initramfs that trusts the server."""

    def setUp(self):
        super().setUp()
        self.need_binary()
        self.net = self.network()
        self.web = self.artifacts / "web"
        self.web.mkdir()
        self.initramfs = payload.build(self.artifacts / "initramfs", self.net.certificates.ca)
        self.disk = harness.write_noise(self.artifacts / "disk.raw", DISK_SIZE, seed=7)

    def serve(self, form="raw", size=IMAGE_SIZE, **options):
        """The image's raw bytes; served as image.raw, image.raw.gz or image.raw.zst."""
        self.net.serve_names()
        self.net.serve_web(self.web, **options)
        self.put(form, size)

    def put(self, form, size=IMAGE_SIZE):
        served, self.image = payload.image("direct", size, 1, form)
        self.name = "image.raw" + served.suffix.replace(".raw", "")
        os.link(served, self.web / self.name)
        self.served = self.web / self.name

    def start(self, settings, disk=None, nic=None, words=(), **options):
        """`words`: more of the kernel's command line."""
        # The kernel's informational lines would cut those of /init in two on a serial console.
        consoles = (f"console={name}" for name in options.pop("consoles", ["ttyS0"]))
        words = [*consoles, "panic=1", "loglevel=4", *words, *(f"curlingiron.{s}" for s in settings)]
        return self.machine(network=self.net, kernel=payload.KERNEL / "vmlinuz", initrd=self.initramfs,
                            append=" ".join(words), memory=options.pop("memory", 256),
                            disks=[{"file": self.disk, "serial": SERIAL, **(disk or {})}], nics=[nic or {}],
                            **options)

    def installs(self, settings, timeout=120, **options):
        """From power-on to the restart, with the image's bytes on the disk at its end."""
        machine = self.start(settings, **options)
        facts = {}
        for name in ("mounts", "config", "drivers", "network", "source", "disk", "install", "verify", "finish", "leave"):
            match = machine.expect(phase(name, "ok", r"(.*)\n"), timeout,
                                   unless=r"status=failed.*|Kernel panic.*|Oops.*")
            facts[name] = dict(re.findall(r'(\S+?)=("[^"]*"|\S*)', match[1]))
        machine.wait_exit(30)
        self.assert_installed(self.disk, self.image)
        size = self.disk.stat().st_size
        if size >= self.image.stat().st_size + WITHHELD:
            table = harness.GPT_SECTORS * harness.SECTOR if harness.has_gpt(self.disk) else 0
            self.assertTrue(harness.is_zero(self.disk, size - WITHHELD, WITHHELD - table),
                            "the disk's last MiB holds more than the new table")
        return facts


class Installs(DirectTest):

    def test_raw(self):
        self.serve("raw")
        facts = self.installs([f"src=https://image.test/{self.name}", "dst=/dev/vda"])
        self.assertEqual(facts["network"]["via"], "dhcp4")
        self.assertRegex(facts["network"]["addr"], r"^10\.77\.0\.\d+/24$")
        self.assertEqual(facts["install"]["bytes"], str(IMAGE_SIZE))
        self.assertEqual(facts["source"]["tls"], "TLSv1.3")

    def test_gzip(self):
        self.serve("gzip")
        self.installs([f"src=https://image.test/{self.name}", f"dst=serial:{SERIAL}",
                       f"sha256={harness.sha256_of(self.served)}"], disk={"bus": "sata"}, nic={"model": "e1000"})

    def test_zstd(self):
        self.serve("zstd")
        facts = self.installs([f"src=https://image.test/{self.name}", "dst=only",
                               f"sha256={harness.sha256_of(self.served)}",
                               f"image-sha256={harness.sha256_of(self.image)}"],
                              disk={"bus": "nvme"}, nic={"model": "e1000e"})
        self.assertIn("sha256", facts["verify"]["by"])

    def test_plain_http_with_digest(self):
        self.serve("raw")
        self.installs([f"src=http://image.test/{self.name}", "dst=/dev/sda",
                       f"sha256={harness.sha256_of(self.served)}"], disk={"bus": "scsi"})

    def test_sectors_of_4096(self):
        """A disk that takes no write of 512 bytes."""
        self.serve("raw")
        # The image's table is for 512-byte sectors: to this test only the bytes matter.
        content = bytearray(self.served.read_bytes())
        content[512:520] = bytes(8)
        content[510:512] = bytes(2)
        self.served.unlink()
        self.served.write_bytes(content)
        self.image = self.served
        self.installs([f"src=https://image.test/{self.name}", "dst=/dev/vda", "boot=any"],
                      disk={"properties": {"logical_block_size": 4096, "physical_block_size": 4096}})

    def test_disk_as_large_as_the_image(self):
        self.serve("zstd")
        os.truncate(self.disk, IMAGE_SIZE)
        self.installs([f"src=https://image.test/{self.name}", "dst=/dev/vda"])

    def test_two_processors(self):
        self.serve("zstd")
        self.installs([f"src=https://image.test/{self.name}", "dst=/dev/vda"], cpus=2, timeout=240)

    def test_power_off_afterwards(self):
        self.serve("zstd")
        facts = self.installs([f"src=https://image.test/{self.name}", "dst=/dev/vda", "after=poweroff"], reset="reset")
        self.assertEqual(facts["leave"]["how"], "poweroff")

    def test_160_megabytes_of_memory(self):
        self.serve("zstd")
        self.installs([f"src=https://image.test/{self.name}", "dst=/dev/vda"], memory=160)


# ---------------------------------------------------------------------------------------------
# Nothing written: every reason for which the old system comes back.

# server: how the world is arranged (a method of Untouched); settings; where: the phase that says it;
# says: what its reason must say. At once: no waiting for the deadline, for no waiting would help.
Row = collections.namedtuple("Row", "name server settings where says at_once", defaults=[True])
GOOD = "src=https://image.test/image.raw"

ROWS = [
    Row("host_not_found", "all", ["src=https://nowhere.test/image.raw", "dst=/dev/vda", "deadline=8s"],
        "network", r"nowhere\.test.*(not found|does not exist|unknown|no such|resolve)", at_once=False),
    Row("connection_refused", "all", ["src=https://image.test:444/image.raw", "dst=/dev/vda", "deadline=8s"],
        "network", r"image\.test.*refused.*444", at_once=False),
    Row("not_found", "all", ["src=https://image.test/missing.raw", "dst=/dev/vda"], "source", r"missing\.raw.*404"),
    Row("certificate_expired", "all", ["src=https://expired.test/image.raw", "dst=/dev/vda"],
        "source", r"expired\.test.*certificate.*expired"),
    Row("certificate_not_yet_valid", "all", ["src=https://future.test/image.raw", "dst=/dev/vda"],
        "source", r"future\.test.*certificate.*not (yet )?valid"),
    Row("certificate_for_another_name", "all", ["src=https://wrong.test/image.raw", "dst=/dev/vda"],
        "source", r"wrong\.test.*certificate.*image\.test|certificate.*(not|another|other).*wrong\.test"),
    Row("unknown_ca", "all", ["src=https://unknown.test/image.raw", "dst=/dev/vda"],
        "source", r"unknown\.test.*unknown CA"),
    Row("digest_of_wrong_length", "all", [GOOD, "dst=/dev/vda", "sha256=0123456789abcdef"],
        "config", r"sha256.*64 hex"),
    Row("unknown_setting", "all", [GOOD, "dst=/dev/vda", "sha265=00"], "config", r"sha265.*sha256"),
    Row("disk_smaller_than_the_image", "small_disk", [GOOD, "dst=/dev/vda"], "disk", r"vda: .*smaller"),
    Row("disk_smaller_than_the_zstd_image", "small_disk", ["src=https://image.test/image.raw.zst", "dst=/dev/vda"],
        "disk", r"vda: .*smaller"),
    Row("no_such_disk", "all", [GOOD, "dst=serial:another", "deadline=8s"],
        "disk", rf"serial:another.*{SERIAL}", at_once=False),
    Row("no_dhcp", "no_dhcp", [GOOD, "dst=/dev/vda", "deadline=8s"], "network", r"DHCP", at_once=False),
    Row("a_web_page", "web_page", ["src=https://image.test/page.html", "dst=/dev/vda"],
        "(source|disk)", r"(html|web page)"),
    Row("an_empty_file", "web_page", ["src=https://image.test/empty.raw", "dst=/dev/vda"], "(source|disk)", r"empty"),
    Row("server_errors_without_end", "always_503", ["src=https://cut.test:8443/image.raw", "dst=/dev/vda", "deadline=8s"],
        "source", r"503", at_once=False),
]


class Clock(DirectTest):
    """Certificates are judged by a clock that may be wrong."""

    def test_behind(self):
        """As before the certificate was made: the server's own Date tells better, and only forwards."""
        self.serve("raw")
        after = int(time.time()) - 3 * 86400
        facts = self.installs([f"src=https://image.test/{self.name}", "dst=/dev/vda", f"time={after}"])
        self.assertEqual(facts["source"]["tls"], "TLSv1.3")

    def test_ahead(self):
        """As after the certificate's end: no Date turns the clock back."""
        self.serve("raw")
        ahead = int(time.time()) + 40 * 86400
        before = harness.sha256_of(self.disk)
        machine = self.start([f"src=https://image.test/{self.name}", "dst=/dev/vda", f"time={ahead}"])
        machine.expect(phase("source", "failed", r" reason=.*certificate expired on .*"), 90)
        machine.wait_exit(60)
        self.assertEqual(harness.sha256_of(self.disk), before, "the disk was written to")


class Untouched(DirectTest):
    """The disk is the same byte for byte, the reason is one clear line, and the machine restarts."""

    def all(self):
        self.serve("raw")

    def small_disk(self):
        self.serve("raw")
        zst, _ = payload.image("direct", IMAGE_SIZE, 1, "zstd")
        os.link(zst, self.web / "image.raw.zst")
        os.truncate(self.disk, IMAGE_SIZE - 4096)

    def no_dhcp(self):
        self.net.serve_names(dhcp=False)
        self.net.serve_web(self.web)

    def web_page(self):
        self.serve("raw")
        (self.web / "page.html").write_text("<!DOCTYPE html>\n<html><body>Please log in</body></html>\n")
        (self.web / "empty.raw").touch()

    def always_503(self):
        self.serve("raw")
        self.net.serve_faulty(self.web, statuses=[503] * 1000)

    def leaves(self, row):
        getattr(self, row.server)()
        before = harness.sha256_of(self.disk)
        machine = self.start(row.settings)
        match = machine.expect(rf'^curlingiron: phase=(\w+) status=failed t=(\S+) reason="([^"\n]*)"\n', 90,
                               unless=phase("install", "ok") + "|Kernel panic.*|Oops.*")
        machine.expect(phase("leave", "ok", r" how=reboot"), 30)
        machine.wait_exit(30)
        self.assertRegex(match[1], f"^{row.where}$")
        self.assertRegex(match[3], row.says)
        # One line of a size that a person reads.
        self.assertLess(len(match[3]), 400)
        self.assertEqual(harness.sha256_of(self.disk), before, "the disk was written to")
        if row.at_once:
            self.assertLess(float(match[2]), 40 * harness.SLOW)


for row in ROWS:
    setattr(Untouched, f"test_{row.name}", lambda self, row=row: self.leaves(row))


# ---------------------------------------------------------------------------------------------

class NotBootable(DirectTest):
    """Found wrong at the end: firmware must not start what is there."""

    def not_bootable(self):
        """No partition table, no boot code: neither the old ones, nor the image's, nor a backup."""
        self.assertTrue(harness.is_zero(self.disk, 0, WITHHELD), "the first MiB is not zero")
        self.assertTrue(harness.is_zero(self.disk, self.disk.stat().st_size - WITHHELD, WITHHELD),
                        "the last MiB is not zero")
        with open(self.disk, "rb") as disk:
            disk.seek(IMAGE_SIZE - WITHHELD)
            self.assertNotIn(b"EFI PART", disk.read(WITHHELD), "the image's backup partition table is there")

    def holds(self, settings, says, timeout=120):
        machine = self.start(settings)
        machine.expect(phase("(install|verify)", "failed", f".*{says}"), timeout, unless=r"phase=finish.*|Kernel panic.*")
        machine.expect(r"curlingiron: .*stays up", 10)
        self.assertTrue(machine.running())
        machine.kill()
        self.not_bootable()

    def test_wrong_digest_raw(self):
        self.serve("raw")
        self.holds([f"src=https://image.test/{self.name}", "dst=/dev/vda", f"sha256={'ab' * 32}", "prove=stream"],
                   r"SHA-256.*abab")
        # All else was written before the digest could tell.
        middle = IMAGE_SIZE - 2 * WITHHELD
        with open(self.disk, "rb") as disk, open(self.image, "rb") as image:
            disk.seek(WITHHELD)
            image.seek(WITHHELD)
            self.assertTrue(disk.read(middle) == image.read(middle), "the middle differs from the image")

    def test_wrong_digest_zstd(self):
        self.serve("zstd")
        self.holds([f"src=https://image.test/{self.name}", "dst=/dev/vda", f"sha256={'ab' * 32}", "prove=stream"],
                   r"SHA-256.*abab")

    def test_truncated_zstd(self):
        self.serve("zstd")
        content = self.served.read_bytes()
        self.served.unlink()
        self.served.write_bytes(content[:len(content) * 9 // 10])
        self.truncated()

    def test_truncated_gzip(self):
        self.serve("gzip")
        content = self.served.read_bytes()
        self.served.unlink()
        self.served.write_bytes(content[:-4])
        self.truncated()

    def test_garbage_in_the_middle_of_gzip(self):
        self.serve("gzip")
        content = bytearray(self.served.read_bytes())
        self.served.unlink()
        content[len(content) // 2] ^= 0x40
        self.served.write_bytes(content)
        self.truncated()

    def truncated(self):
        machine = self.start([f"src=https://image.test/{self.name}", "dst=/dev/vda"])
        machine.expect(phase("install", "failed", r' reason="[^"\n]+"\n'), 120, unless=r"phase=finish.*|Kernel panic.*")
        machine.expect(r"curlingiron: .*stays up", 10)
        machine.kill()
        self.not_bootable()


class Resumes(DirectTest):
    """Connections end, the download does not start over."""

    def resumes(self, form, **faults):
        self.serve(form)
        size = self.served.stat().st_size
        cuts = [size * percent // 100 for percent in (10, 50, 90)]
        server = self.net.serve_faulty(self.web, cuts=cuts, **faults)
        facts = self.installs([f"src={server.url(self.name)}", "dst=/dev/vda",
                               f"sha256={harness.sha256_of(self.served)}"], timeout=240)
        self.assertEqual(server.cuts, [], "not every cut was reached")
        self.assertEqual(facts["install"]["resumed"], "3")
        return server, size, cuts

    def resumed_at_the_byte(self, form, **faults):
        server, size, cuts = self.resumes(form, **faults)
        # After each cut: the rest, from exactly where the client was, pinned to the same file.
        asked = [r for r in server.requests if re.fullmatch(r"bytes=\d+-", r["range"] or "")]
        self.assertEqual(len(asked), 3, server.requests)
        for request, cut in zip(asked, cuts):
            begin = int(re.match(r"bytes=(\d+)-", request["range"])[1])
            # With a cut by reset the kernel may throw away what the program has not read yet.
            self.assertLessEqual(begin, cut)
            self.assertGreater(begin, cut - 8 * MIB)
            self.assertEqual(request["if_range"], '"one"')
            self.assertEqual(request["status"], 206)
        self.assertLess(sum(r["sent"] for r in server.requests), size + 24 * MIB)

    def test_raw_closed(self):
        self.resumed_at_the_byte("raw")

    def test_zstd_closed(self):
        self.resumed_at_the_byte("zstd")

    def test_gzip_reset(self):
        self.resumed_at_the_byte("gzip", cut_by="reset")

    def test_http_closed(self):
        self.resumed_at_the_byte("raw", tls=False)

    def test_server_without_ranges(self):
        server, _, _ = self.resumes("zstd", ranges=False)
        self.assertTrue(all(r["status"] == 200 for r in server.requests))

    def test_busy_at_first(self):
        """503 and 429 are waited out."""
        self.serve("zstd")
        server = self.net.serve_faulty(self.web, statuses=[503, 429])
        self.installs([f"src={server.url(self.name)}", "dst=/dev/vda"], timeout=240)

    def test_changed_image_is_not_mixed(self):
        """Another file under the same name after a cut: an error, never half of each."""
        self.serve("raw")
        cut = IMAGE_SIZE // 2
        server = self.net.serve_faulty(self.web, cuts=[cut], etags=["one", "two"])
        machine = self.start([f"src={server.url(self.name)}", "dst=/dev/vda"])
        machine.expect(phase("install", "failed", r".*changed"), 180, unless=r"phase=finish.*|Kernel panic.*")
        machine.kill()
        self.assertTrue(harness.is_zero(self.disk, 0, WITHHELD), "the first MiB is not zero")


if __name__ == "__main__":
    harness.unittest.main()
