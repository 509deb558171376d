"""What a person reads who types something wrong, or whose image is not what was meant: on this machine, without QEMU.

Each message names what was typed, the cause and a next step that can be typed as it stands; and nothing was written.
"""

import contextlib
import functools
import hashlib
import http.server
import os
import pathlib
import re
import socket
import ssl
import stat
import subprocess
import tempfile
import threading
import unittest

from tests.e2e.test_write import MIB, PROGRAM, make_image, run


class Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """A client that has seen enough closes the connection."""


class Words(unittest.TestCase):
    def setUp(self):
        self.cleanup = contextlib.ExitStack()
        self.addCleanup(self.cleanup.close)
        self.home = pathlib.Path(self.cleanup.enter_context(tempfile.TemporaryDirectory()))
        self.image = make_image()
        self.file = self.home / "debian.raw"
        self.file.write_bytes(self.image)
        self.sha256 = hashlib.sha256(self.image).hexdigest()
        self.disk = self.home / "disk"
        self.before = os.urandom(MIB) * 16
        self.disk.write_bytes(self.before)

    def serve(self, tls=None):
        server = Server(("127.0.0.1", 0), functools.partial(Handler, directory=self.home))
        if tls:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.cleanup.callback(server.server_close)
        self.cleanup.callback(server.shutdown)
        return f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}"

    def write(self, *words, status=0):
        done = run(PROGRAM, "write", *words)
        text = done.stderr.decode()
        self.assertEqual(done.returncode, status, text)
        return text

    def refused(self, *words):
        text = self.write(*words, status=1)
        self.assertEqual(self.disk.read_bytes(), self.before, "the disk was written to")
        self.assertTrue(text.rstrip().endswith("nothing was written"), text)
        return text

    def test_a_mistyped_digest_is_found_before_the_disk_is_gone(self):
        wrong = f"{self.sha256[:-1]}{'0' if self.sha256[-1] != '0' else '1'}"
        (self.home / "SHA256SUMS").write_text(f"{self.sha256}  debian.raw\n{'0' * 64}  other.raw\n")
        (self.home / "plain").mkdir()
        for source in (self.file, f"{self.serve()}/debian.raw"):
            with self.subTest(source):
                text = self.refused(source, self.disk, "--sha256", wrong)
                self.assertIn(self.sha256, text)
                self.assertIn(wrong, text)
                # Who publishes the digest has said it already, in the plan.
                self.assertRegex(text, r"SHA256SUMS has another SHA-256 for debian\.raw")
        (self.home / "SHA256SUMS").unlink()
        (self.home / "debian.raw.sha256").write_text(f"{self.sha256}\n")
        self.assertRegex(self.refused(self.file, self.disk, "--sha256", wrong),
                         r"debian\.raw\.sha256 has another SHA-256")

    def test_what_the_plan_says_of_the_proof(self):
        url = f"{self.serve()}/debian.raw"
        digest = ("--sha256", self.sha256)
        fits = self.write(url, self.disk, *digest, "--dry-run")
        self.assertRegex(" ".join(fits.split()), r"raw, 6\.0 MiB fits into memory: proven by its SHA-256 before the first byte is written")
        after = self.write(url, self.disk, *digest, "--set", "prove=stream", "--dry-run")
        self.assertRegex(" ".join(after.split()), r"prove=stream: .*after it is written; if that "
                         r"fails, \S*disk holds no system")
        self.assertNotRegex(self.write(self.file, self.disk, "--dry-run"), "proven")
        self.assertIn("nothing was changed", fits)
        self.assertEqual(self.disk.read_bytes(), self.before)

    def test_what_cannot_be_proven_first_is_said(self):
        self.assertIn("--sha256 HEX", self.refused(self.file, self.disk, "--set", "prove=first"))
        pipe = f"cat {self.file} | {PROGRAM} write - {self.disk} --sha256 {self.sha256} --dry-run"
        text = " ".join(run("sh", "-c", pipe).stderr.decode().split())
        self.assertRegex(text, r"its length is not known \(--set prove=first tries to keep it in memory\)")
        first = run("sh", "-c", pipe.replace("--dry-run", "--set prove=first").replace(self.sha256, "ab" * 32))
        self.assertEqual(first.returncode, 1)
        self.assertEqual(self.disk.read_bytes(), self.before, "the disk was written to")

    def test_no_secret_is_shown(self):
        (self.home / "SHA256SUMS").write_text(f"{self.sha256}  debian.raw\n")
        url = self.serve().replace("://", "://joe:geheim@")
        text = self.write(f"{url}/debian.raw", self.disk, "--sums", f"{url}/SHA256SUMS?token=schatz",
                          "--set", "header=X-Key: perle", "--dry-run")
        self.assertNotRegex(text, "geheim|schatz|perle")
        self.assertIn("SHA256SUMS", text)

    def test_an_image_is_not_written_over_itself(self):
        done = run(PROGRAM, "write", self.file, self.home / "." / "debian.raw")
        self.assertEqual(done.returncode, 1)
        self.assertIn("is the image itself", done.stderr.decode())
        self.assertEqual(self.file.read_bytes(), self.image)

    def test_without_proc(self):
        """In a chroot: a file of this machine is proven first, and of a server's, memory is not known."""
        for source in (self.file, f"{self.serve()}/debian.raw"):
            self.disk.write_bytes(self.before)
            done = run("unshare", "--mount", "sh", "-c",
                       f"mount -t tmpfs none /proc && {PROGRAM} write {source} {self.disk} --sha256 {self.sha256}")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(self.disk.read_bytes()[:len(self.image)], self.image)

    def test_a_list_from_where_the_image_is_proves_nothing(self):
        (self.home / "SHA256SUMS").write_text(f"{self.sha256}  debian.raw\n")
        text = self.write(f"{self.serve()}/debian.raw", self.disk, "--sums", "SHA256SUMS")
        self.assertRegex(text, r"warning: .*nothing proves that this is the image you mean")
        self.assertIn("--sha256 HEX", text)

    def test_certificates_that_are_not_verified_are_named(self):
        key, certificate = self.home / "key.pem", self.home / "certificate.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-keyout", key, "-out", certificate, "-days", "2", "-subj", "/CN=127.0.0.1",
                        "-addext", "subjectAltName=IP:127.0.0.1"], check=True, stderr=subprocess.DEVNULL, timeout=60)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        url = f"{self.serve(context)}/debian.raw"
        refused = self.refused(url, self.disk)
        self.assertIn("--ca FILE", refused)
        text = self.write(url, self.disk, "--set", "insecure")
        self.assertIn("certificates are not verified (insecure)", text)
        self.assertNotIn("use https", text)

    def test_a_file_of_this_machine_is_not_a_server(self):
        cut = self.home / "cut.gz"
        cut.write_bytes(b"\x1f\x8b\x08\x00")
        page = self.home / "page.raw"
        page.write_bytes(b"<!DOCTYPE html><html><body>Log in</body></html>" * 100)
        texts = [self.write(self.file, self.disk, "--sha256", self.sha256)]
        self.disk.write_bytes(self.before)
        for words in ((cut,), (page,), (self.file, "--sha256", "ab" * 32), (self.home / "none",)):
            texts.append(self.refused(words[0], self.disk, *words[1:]))
        for text in texts:
            self.assertNotRegex(text, "server|URL")

    def test_advice_can_be_typed(self):
        strange = self.home / "strange.raw"
        strange.write_bytes(os.urandom(128 * 1024))
        self.assertIn("--set boot=any", self.refused(strange, self.disk))
        self.write(strange, self.disk, "--set", "boot=any", "--dry-run")
        self.assertIn('did you mean "src"', self.refused(self.file, self.disk, "--set", "scr=x"))
        folder = self.home / "folder"
        folder.mkdir()
        self.assertRegex(self.refused(folder, self.disk), rf"{folder}: is a directory")

    def test_a_port_that_refuses_is_counted(self):
        with socket.socket() as busy:  # bound and not listening: nobody else takes it
            busy.bind(("127.0.0.1", 0))
            text = self.refused(f"http://127.0.0.1:{busy.getsockname()[1]}/debian.raw", self.disk)
        refusals = [line for line in text.splitlines() if "refused" in line]
        self.assertLessEqual(len(refusals), 3, text)
        self.assertRegex(text, r"for the 4th time: 127\.0\.0\.1: connection refused")

    def test_where_no_machine_can_be_replaced(self):
        """What flash needs to see is missed before the plan."""
        flash = f"{PROGRAM} flash http://127.0.0.1:1/x /dev/sda --dry-run"
        rows = [("--pid --fork --mount-proc", flash, r"container"),
                ("--mount", f"umount -l /sys && {flash}", r"/sys is not mounted.*mount -t sysfs"),
                ("--mount", f"umount -l /proc && {flash}", r"/proc is not mounted.*mount -t proc")]
        for options, command, says in rows:
            with self.subTest(says):
                if run("unshare", *options.split(), "true").returncode != 0:
                    self.skipTest("no namespaces here")
                done = run("unshare", *options.split(), "sh", "-c", command)
                text = done.stderr.decode()
                self.assertEqual(done.returncode, 1, text)
                self.assertRegex(text, says)
                self.assertNotIn("This replaces", text)
                self.assertTrue(text.rstrip().endswith("nothing was changed"), text)

    def test_qemu_gets_one_accelerator(self):
        """Who names one to `run` knows why."""
        programs = self.home / "bin"
        programs.mkdir()
        qemu = programs / "qemu-system-x86_64"
        qemu.write_text('#!/bin/sh\necho "$@"\n')
        qemu.chmod(qemu.stat().st_mode | stat.S_IXUSR)
        kernel = self.home / "vmlinuz"
        # The head of a kernel (Documentation/arch/x86/boot.rst): the magics, and where its release is named.
        head = bytearray(4096)
        head[0x1FE:0x200] = b"\x55\xaa"
        head[0x202:0x206] = b"HdrS"
        head[0x206:0x208] = b"\x0f\x02"
        head[0x20E:0x210] = (0x300).to_bytes(2, "little")
        head[0x236:0x238] = b"\x01\0"
        head[0x500:0x500 + 16] = b"6.1.0-9-amd64 x\0"
        kernel.write_bytes(head)
        environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"}
        for own in (["-accel", "tcg"], ["-machine", "q35,accel=tcg"], ["-enable-kvm"]):
            done = run(PROGRAM, "run", self.file, "--kernel", kernel, "--", *own, env=environment)
            self.assertEqual(done.returncode, 0, done.stderr)
            words = done.stdout.decode()
            named = re.findall(r"-accel\b|-enable-kvm|accel=", words)
            self.assertEqual(len(named), 1, words)


if __name__ == "__main__":
    unittest.main()
