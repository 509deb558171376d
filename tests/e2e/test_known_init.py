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


def own_case(path):
    """One of known_cases.py, by KIND/NAME."""
    kind, name = path.split("/")
    with tempfile.TemporaryDirectory() as folder:
        return next(case for case in known_cases.KINDS[kind](folder) if case.name == name)


@functools.cache
def shared_cases():
    """name: bytes"""
    spec = importlib.util.spec_from_file_location("make_cases", SHARED)
    make = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(make)
    with tempfile.TemporaryDirectory() as folder:
        make.main(folder)
        return {path.name: path.read_bytes() for path in pathlib.Path(folder).iterdir()}


# file: KIND/NAME of known_cases.py, or one of make.py; says: what the reason must say, or nothing where it is installed.
Row = collections.namedtuple("Row", "name file says", defaults=[""])
ROWS = [
    Row("own_error_page", "texts/gateway.html", r"web page \(html\), not a disk image"),
    Row("own_text_of_two_bytes", "texts/wide.txt", r"text, not a disk image"),
    Row("own_page_that_is_packed", "texts/page.html.gz", r"web page"),
    Row("own_damaged_head", "damaged_heads/damaged-0.xz", r"no disk image that is known"),
    Row("own_program", "other_files/program", r"\(ELF\)"),
    Row("own_archive_that_is_packed", "other_files/a.tar.xz", r"tar archive"),
    Row("own_virtual_disk", "other_files/made.vhdx", r"vhdx"),
    Row("own_imaging_tool", "other_files/a.partclone", r"partclone"),
    Row("own_apple_disk", "other_files/a.dmg", r"Apple disk image"),
    Row("own_size_in_an_index", "sizes/sector-too-large.xz", r"smaller"),
    Row("own_size_in_a_directory", "sizes/sector-too-large-streamed.zip", r"smaller"),
    Row("own_part_of_a_sector", "sizes/sector-and-half.xz", r"no multiple of a sector"),
    Row("own_two_images", "zips/two-images.zip", r"several disk images"),
    Row("own_cut_qcow2", "cut_off/cut.qcow2", r"cut off"),
    Row("own_image_beside_others", "zips/image-first.zip"),
    Row("own_signature_after_gzip", "followed/signature-after.gz"),
    Row("own_signature_after_zstd", "followed/signature-after.zst"),
    Row("own_metadata_of_a_router", "followed/router.gz"),
    Row("own_signature_after_bzip2", "followed/signature-after.bz2"),
    Row("own_signature_after_zip", "followed/signature-after.zip"),
    Row("own_much_after_xz", "followed/much-after.xz", r"bytes that are not xz follow"),
    Row("own_xml", "texts/no-such-key.xml", r"xml"),
    Row("own_sums", "texts/SHA512SUMS", r"list of digests"),
    Row("own_key", "texts/key.pem", r"key or a certificate"),
    Row("own_annex", "texts/annex", r"git-annex"),
    Row("own_damaged_gz", "damaged_heads/damaged-1.gz", r"no disk image that is known"),
    Row("own_damaged_zst", "damaged_heads/damaged-0.zst", r"zstd of before 2016"),
    Row("own_damaged_zip", "damaged_heads/damaged-1.zip", r"no disk image that is known"),
    Row("own_loader_beside", "zips/loader-first.zip"),
    Row("own_manual_beside", "zips/manual-first-stored.zip"),
    Row("own_other_mark", "zips/not-split-mark.zip"),
    Row("own_mark_and_several", "zips/split-mark-several.zip"),
    Row("own_wide_end", "zips/wide-end-0.zip"),
    Row("own_wide_end_in_part", "zips/wide-end-2.zip"),
    Row("own_wide_entries", "zips/wide.zip"),
    Row("own_size_at_the_end", "sizes/sector-too-large.gz", r"smaller"),
    Row("own_size_in_a_head", "sizes/sector-too-large.zst", r"smaller"),
    Row("own_cut_xz", "cut_off/cut.xz", r"does not end as xz"),
    Row("own_cut_zip", "zips/cut.zip", r"no directory"),
    Row("own_hybrid_iso", "right/hybrid.iso"),
    Row("own_board_with_boot_any", "right/board-any.raw"),
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
            case = own_case(row.file)
            settings = [word for word in case.options if "=" in word]
            return case.data, case.image, settings
        if not SHARED.exists():
            raise unittest.SkipTest("needs ../shared")
        return shared_cases()[row.file], shared_cases()["disk.raw"] if not row.says else None, []

    def meets(self, row):
        data, image, settings = self.file_of(row)
        name = row.file.rpartition("/")[2]
        self.net.serve_names()
        self.net.serve_web(self.web)
        (self.web / name).write_bytes(data)
        os.truncate(self.disk, known_cases.DISK_SIZE)
        settings = [f"src=https://image.test/{name}", "dst=/dev/vda", *settings]
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


    def test_more_than_4_gigabytes_in_a_zip_archive(self):
        """Its size stands there modulo 2^32."""
        self.net.serve_names()
        self.net.serve_web(self.web)
        begin, size = known_cases.disk(), (4 << 30) + (64 << 20)
        known_cases.large_zip(self.web / "large.zip", begin, size)
        self.image = self.artifacts / "image"
        with open(self.image, "wb") as image:
            image.write(begin)
            image.seek(size - len(begin))
            image.write(begin[::-1])
        # What was on it reads as zeros, and is written all the same: a disk of noise of that size takes minutes.
        os.truncate(self.disk, size)
        self.installs(["src=https://image.test/large.zip", "dst=/dev/vda"], timeout=300)


for row in ROWS:
    setattr(KnownInit, f"test_{row.name}", lambda self, row=row: self.meets(row))
