"""What can be known of a file is known before the first byte is written: `write`, with the files of known_cases.py and
with those of ../shared/cases/make.py, by each of the ways in which a file reaches it."""

import bz2
import concurrent.futures
import functools
import gzip
import hashlib
import http.server
import importlib.util
import lzma
import os
import pathlib
import re
import subprocess
import tempfile
import threading
import unittest

from tests.e2e import known_cases
from tests.e2e.known_cases import DISK_SIZE, MIB, SEEKABLE, WAYS, Case

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PROGRAM = ROOT / "build/release/bin/curlingiron"
SHARED = ROOT.parent / "shared/cases/make.py"
THOROUGH = "CURLINGIRON_THOROUGH" in os.environ


@functools.cache
def old_disk(size):
    """What is on it before: nothing that anybody writes."""
    return b"\xa5" * size


class Handler(http.server.BaseHTTPRequestHandler):
    """/range/NAME, /whole/NAME, and the servers that people meet: see the branches."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):  # noqa: N802
        kind, name = self.path.strip("/").split("/", 1)
        if kind == "latest":  # a redirect to a file of another name
            return self.answer(302, b"", {"Location": "/range/debian-13.4.raw"})
        data = (self.server.folder / name).read_bytes()
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if kind == "endless":  # neither a length nor chunks, and then the connection ends
            self.protocol_version = "HTTP/1.0"
            self.close_connection = True
            self.send_response(200)
            self.end_headers()
            self.wfile.write(data)
            return None
        if kind == "resuming" and not wanted:  # breaks off, and then has all of it for a part
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.send_header("ETag", '"1"')
            self.end_headers()
            self.wfile.write(data[:len(data) // 2])
            self.close_connection = True
            return None
        if kind == "resuming" and not wanted[2]:
            return self.answer(206, data, {"Content-Range": f"bytes 0-{len(data) - 1}/{len(data)}"})
        if kind == "whole" or not wanted:
            return self.answer(200, data, {"Accept-Ranges": "bytes"} if kind != "whole" else {})
        first = int(wanted[1])
        last = min(int(wanted[2] or len(data)), len(data) - 1)
        if first >= len(data):
            return self.answer(416, b"", {"Content-Range": f"bytes */{len(data)}"})
        return self.answer(206, data[first:last + 1], {"Content-Range": f"bytes {first}-{last}/{len(data)}"})

    def answer(self, status, body, headers):
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), "ETag": '"1"', **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, folder):
        super().__init__(("127.0.0.1", 0), Handler)
        self.folder = folder
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, request, client_address):
        """A client that has seen enough closes the connection."""

    def url(self, kind, name):
        return f"http://127.0.0.1:{self.server_port}/{kind}/{name}"


class Known(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.home = pathlib.Path(tempfile.mkdtemp(dir="/dev/shm"))
        cls.addClassCleanup(subprocess.run, ["rm", "-rf", str(cls.home)], check=False)
        cls.files = cls.home / "files"
        cls.files.mkdir()
        cls.server = Server(cls.files)
        cls.addClassCleanup(cls.server.server_close)
        cls.addClassCleanup(cls.server.shutdown)

    def write(self, way, case, *more):
        """(exit status, messages, the disk afterwards)"""
        path = self.files / case.name
        size = max(DISK_SIZE, len(case.image or b""))
        with tempfile.NamedTemporaryFile(dir=self.home) as disk:
            disk.write(old_disk(size))
            disk.flush()
            source = {"path": path, "input": "-", "pipe": "-"}.get(way) or self.server.url(way, case.name)
            digest = hashlib.sha256(case.data).hexdigest()
            options = [digest if word == "OF THE FILE" else word for word in case.options]
            command = [str(word) for word in (PROGRAM, "write", source, disk.name, "--yes", "--set", "verify=off",
                                              *options, *more)]
            if way == "pipe":
                done = subprocess.run(command, input=case.data, capture_output=True, check=False, timeout=120)
            else:
                with open(path if way == "input" else os.devnull, "rb") as given:
                    done = subprocess.run(command, stdin=given, capture_output=True, check=False, timeout=120)
            return done.returncode, done.stderr.decode(), pathlib.Path(disk.name).read_bytes(), done.stdout.decode()

    def fault(self, way, case):
        """None, or what is other than it should be."""
        status, text, disk, _ = self.write(way, case)
        if case.words and not re.search(case.words, text):
            return f"no /{case.words}/"
        if case.image is not None:
            right = status == 0 and disk[:len(case.image)] == case.image
            return None if right else f"status {status}, the disk holds {'the image' if right else 'something else'}"
        if status != 1:
            return f"status {status} instead of 1"
        touched = disk != old_disk(len(disk))
        if touched and way in case.early:
            return "the disk was written to"
        if touched and any(disk[:512]):
            return "the disk may boot"
        return None

    def check(self, cases):
        """Each case, by each way before a release, else by one of them in turn."""
        work = []
        for number, case in enumerate(cases):
            (self.files / case.name).write_bytes(case.data)
            ways = WAYS if THOROUGH else (WAYS[number % len(WAYS)],)
            work += [(way, case) for way in ways if way in case.ways] or [(case.ways[0], case)]
        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            faults = list(pool.map(lambda each: self.fault(*each), work))
        for (way, case), fault in zip(work, faults):
            with self.subTest(case=case.name, way=way):
                if fault:
                    self.fail(f"{fault}\n{self.write(way, case)[1]}")

    def test_bytes_after_the_stream(self):
        self.check(known_cases.followed(self.home))

    def test_texts(self):
        self.check(known_cases.texts(self.home))

    def test_damaged_heads(self):
        self.check(known_cases.damaged_heads(self.home))

    def test_other_files(self):
        self.check(known_cases.other_files(self.home))

    def test_sizes(self):
        self.check(known_cases.sizes(self.home))

    def test_zip_archives(self):
        self.check(known_cases.zips(self.home))

    def test_files_that_are_cut_off(self):
        self.check(known_cases.cut_off(self.home))

    def test_what_is_right(self):
        self.check(known_cases.right(self.home))

    @unittest.skipUnless(SHARED.exists(), "needs ../shared")
    def test_shared_cases(self):
        """As the comments of make.py say."""
        spec = importlib.util.spec_from_file_location("make_cases", SHARED)
        make = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(make)
        folder = self.home / "shared"
        make.main(str(folder))
        image = (folder / "disk.raw").read_bytes()
        right = {"disk.raw", "metadata-behind.img.gz", "metadata-behind.img.bz2", "several-files.zip",
                 "spanning-mark.zip", "zip64-end-ones.zip"}
        cases = []
        for path in sorted(folder.iterdir()):
            if path.name == "hyper-v.modaliases":
                continue  # tests/golden/platforms.py
            early = SEEKABLE if path.name == "sector-too-large.img.gz" else WAYS
            cases.append(Case(path.name, path.read_bytes(), image if path.name in right else None, early=early,
                              words="bytes after the end" if "behind" in path.name else ""))
        self.assertGreater(len(cases), 12)
        self.check(cases)

    def test_the_plan_says_how_large_the_image_is(self):
        image = known_cases.disk()
        expected = {
            ("plan.xz", "path"): (lzma.compress(image), r"8\.0 MiB unpacked \(known by the index at its end\)"),
            ("plan.gz", "range"): (gzip.compress(image),
                                   r"at least 8\.0 MiB unpacked \(known by the size in its last bytes"),
            ("plan.zst", "pipe"): (known_cases.tool(["zstd", "-q", "-c", f"--stream-size={len(image)}"], image),
                                   r"at least 8\.0 MiB unpacked \(known by its header\)"),
            ("plan.zip", "input"): (known_cases.zipped([("disk.img", image)]),
                                    r"8\.0 MiB unpacked \(known by the zip archive's directory\)"),
            ("plan.bz2", "path"): (bz2.compress(image), r"unpacked size not known \(bzip2 does not say it\)"),
            ("plan2.xz", "pipe"): (lzma.compress(image),
                                   r"unpacked size not known \(standard input shows its end last\)"),
            ("plan3.xz", "whole"): (lzma.compress(image),
                                    r"unpacked size not known \(the server does not serve the file's end"),
        }
        for (name, way), (data, words) in expected.items():
            with self.subTest(name=name, way=way):
                (self.files / name).write_bytes(data)
                status, text, disk, _ = self.write(way, Case(name, data), "--dry-run")
                self.assertEqual(status, 0, text)
                self.assertRegex(" ".join(text.split()), words)
                self.assertEqual(disk, old_disk(len(disk)))

    def test_answers_without_a_length(self):
        """The end of the connection is the file's where the format, or a digest, proves it."""
        image = known_cases.disk()
        digest = ("--sha256", "OF THE FILE")
        for case in (Case("endless.gz", gzip.compress(image, 1), image),
                     Case("endless.xz", lzma.compress(image), image),
                     Case("endless.raw", image, words="pass (--sha256 |sha256=)"),
                     Case("endless-proven.raw", image, image, options=digest)):
            with self.subTest(case.name):
                (self.files / case.name).write_bytes(case.data)
                self.assertIsNone(self.fault("endless", case))

    def test_a_resumption_that_is_answered_by_the_whole_file(self):
        image = known_cases.disk()
        for name, data in (("raw", image), *known_cases.packed(image).items(),
                           ("zip", known_cases.zipped([("disk.img", image)]))):
            with self.subTest(name):
                (self.files / f"resumed.{name}").write_bytes(data)
                self.assertIsNone(self.fault("resuming", Case(f"resumed.{name}", data, image)))

    def test_a_digest_by_the_name_that_a_redirect_leads_to(self):
        image = known_cases.disk()
        (self.files / "debian-13.4.raw").write_bytes(image)
        digest = hashlib.sha256(image).hexdigest()
        sums = ("--sums", self.server.url("range", "SHA256SUMS"))
        for listed, expected in (("debian-13.4.raw", 0), ("latest.raw", 0), ("other.raw", 1)):
            with self.subTest(listed):
                (self.files / "SHA256SUMS").write_text(f"{digest}  {listed}\n")
                (self.files / "latest.raw").touch()
                status, text, _, _ = self.write("latest", Case("latest.raw", image, options=sums))
                self.assertEqual(status, expected, text)
                self.assertEqual("has none for" in text, bool(expected), text)

    @unittest.skipUnless(THOROUGH, "writes 4 GiB")
    def test_more_than_4_gigabytes_in_a_zip_archive_without_zip64(self):
        path, plain = self.files / "large.zip", known_cases.disk(MIB)
        disk = self.home / "large.disk"
        # Modulo 2^32, the first has 64 MiB, the second nothing, and the third nearly 4 GiB.
        for size in (4 * 1024 * MIB + 64 * MIB, 4 * 1024 * MIB, 8 * 1024 * MIB - 512):
            known_cases.large_zip(path, plain, size)
            for source in (path, self.server.url("range", path.name), self.server.url("whole", path.name)):
                with self.subTest(source=str(source), size=size):
                    self.check_large(source, disk, size, plain)

    def check_large(self, source, disk, size, plain):
        with open(disk, "wb") as file:
            file.truncate(size)
        done = subprocess.run([PROGRAM, "write", source, disk, "--yes"], capture_output=True, check=False, timeout=600)
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        with open(disk, "rb") as file:
            self.assertTrue(file.read(len(plain)) == plain)
            file.seek(size - len(plain))
            self.assertTrue(file.read() == plain[::-1])


if __name__ == "__main__":
    unittest.main()
