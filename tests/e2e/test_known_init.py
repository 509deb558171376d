"""The files of known_cases.py, and those of ../shared/cases/make.py, as /init meets them: refused, they bring the old
system back, and its disk is as it was; right, they are on the disk."""

import collections
import functools
import importlib.util
import os
import pathlib
import tempfile
import unittest

from tests.e2e import harness, known_cases
from tests.e2e.test_direct import DirectTest, phase

SHARED = pathlib.Path(__file__).resolve().parent.parent.parent.parent / "shared/cases/make.py"


@functools.cache
def own_cases():
    with tempfile.TemporaryDirectory() as folder:
        return {case.name: case for case in known_cases.all_cases(folder)}


@functools.cache
def shared_cases():
    """name: bytes"""
    spec = importlib.util.spec_from_file_location("make_cases", SHARED)
    make = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(make)
    with tempfile.TemporaryDirectory() as folder:
        make.main(folder)
        return {path.name: path.read_bytes() for path in pathlib.Path(folder).iterdir()}


# file: of known_cases.py, or of make.py; says: what the reason must say, or nothing where it is installed.
Row = collections.namedtuple("Row", "name file says", defaults=[""])
ROWS = [
    Row("own_error_page", "gateway.html", r"web page \(html\), not a disk image"),
    Row("own_text_of_two_bytes", "wide.txt", r"text, not a disk image"),
    Row("own_page_that_is_packed", "page.html.gz", r"web page"),
    Row("own_damaged_head", "damaged-0.xz", r"no disk image that is known"),
    Row("own_program", "program", r"\(ELF\)"),
    Row("own_archive_that_is_packed", "a.tar.xz", r"tar archive"),
    Row("own_virtual_disk", "made.vhdx", r"vhdx"),
    Row("own_imaging_tool", "a.partclone", r"partclone"),
    Row("own_apple_disk", "a.dmg", r"Apple disk image"),
    Row("own_size_in_an_index", "sector-too-large.xz", r"smaller"),
    Row("own_size_in_a_directory", "sector-too-large-streamed.zip", r"smaller"),
    Row("own_part_of_a_sector", "sector-and-half.xz", r"no multiple of a sector"),
    Row("own_two_images", "two-images.zip", r"several disk images"),
    Row("own_cut_qcow2", "cut.qcow2", r"cut off"),
    Row("own_image_beside_others", "image-first.zip"),
    Row("own_signature_after_gzip", "signature-after.gz"),
    Row("own_signature_after_zstd", "signature-after.zst"),
    Row("own_hybrid_iso", "hybrid.iso"),
    Row("own_board_with_boot_any", "board-any.raw"),
    Row("shared_metadata_gz", "metadata-behind.img.gz"),
    Row("shared_metadata_bz2", "metadata-behind.img.bz2"),
    Row("shared_error_text", "error-page.txt", r"text"),
    Row("shared_error_json", "error.json", r"json"),
    Row("shared_page_with_comment", "page-with-comment.html", r"html"),
    Row("shared_sums", "SHA256SUMS", r"list of digests"),
    Row("shared_pointer", "pointer", r"Git LFS"),
    Row("shared_damaged_gz", "damaged-head.gz", r"no disk image that is known"),
    Row("shared_damaged_bz2", "damaged-head.bz2", r"no disk image that is known"),
    Row("shared_several_files", "several-files.zip"),
    Row("shared_spanning_mark", "spanning-mark.zip"),
    Row("shared_zip64_ones", "zip64-end-ones.zip"),
    Row("shared_sector_too_large", "sector-too-large.img.gz", r"smaller"),
]


class KnownInit(DirectTest):
    def file_of(self, row):
        """(its bytes, the image that it must become, settings)"""
        if row.name.startswith("own_"):
            case = own_cases()[row.file]
            settings = [word for word in case.options if "=" in word]
            return case.data, case.image, settings
        if not SHARED.exists():
            raise unittest.SkipTest("needs ../shared")
        return shared_cases()[row.file], shared_cases()["disk.raw"] if not row.says else None, []

    def meets(self, row):
        data, image, settings = self.file_of(row)
        self.net.serve_names()
        self.net.serve_web(self.web)
        (self.web / row.file).write_bytes(data)
        os.truncate(self.disk, known_cases.DISK_SIZE)
        settings = [f"src=https://image.test/{row.file}", "dst=/dev/vda", *settings]
        if not row.says:
            self.image = self.artifacts / "image"
            self.image.write_bytes(image)
            self.installs(settings)
            return
        before = harness.sha256_of(self.disk)
        machine = self.start(settings)
        match = machine.expect(rf'^curlingiron: phase=(source|disk) status=failed t=(\S+) reason="(.*)"\n', 90,
                               unless=phase("install", "ok") + "|Kernel panic.*|Oops.*")
        machine.expect(phase("leave", "ok", r" how=reboot"), 30)
        machine.wait_exit(30)
        self.assertRegex(match[3], row.says)
        self.assertEqual(harness.sha256_of(self.disk), before, "the disk was written to")
        self.assertLess(float(match[2]), 40 * harness.SLOW)


for row in ROWS:
    setattr(KnownInit, f"test_{row.name}", lambda self, row=row: self.meets(row))
