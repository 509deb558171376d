#!/usr/bin/env python3
"""The sizes of initramfs images, by profile, beside those that docs/initramfs.md names: what differs by more than
two percent fails, until the document names the new size.

usage: sizes.py
Builds with the release program, for Debian 12's kernel (scripts/machines), as tests/bench/build does.
"""
import os
import pathlib
import re
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))

from tests.e2e import harness, payload  # noqa: E402

MOST = 0.02
TABLE = "curlingiron, Debian 12's kernel: bytes"
ROWS = {"host mode, virtio": ["--hardware", ROOT / "tests/bench/virtio.modaliases"],
        "host mode, e1000 + AHCI": ["--hardware", ROOT / "tests/bench/e1000.modaliases"],
        "profile vm": ["--profile", "vm"],
        "profile server": ["--profile", "server"],
        "profile all": ["--profile", "all"]}


def documented(text):
    """{row: bytes} of the table's column xz."""
    rows, columns = {}, None
    for line in text.splitlines():
        cells = [cell.strip(" *") for cell in line.strip("|").split("|")]
        if cells[0] == TABLE:
            columns = cells
        elif columns and not line.startswith("|"):
            break
        elif columns and not re.fullmatch(r"[:-]+", cells[0]):
            rows[cells[0]] = int(cells[columns.index("xz")].replace(",", ""))
    return rows


def built(options, folder):
    harness.run([harness.BINARY, "build", "-o", folder / "image", "--kernel", payload.KERNEL / "vmlinuz", "--modules-dir",
                 payload.KERNEL, *options], timeout=600)
    return (folder / "image").stat().st_size


def say(line):
    """Also there where a person reads it, for whom ctest hides what passes."""
    print(line, flush=True)
    descriptor = os.environ.get("CURLINGIRON_REPORT_FD")
    if descriptor:
        os.write(int(descriptor), f"{line}\n".encode())


def main():
    harness.machines("kernel")
    expected = documented((ROOT / "docs/initramfs.md").read_text())
    other = []
    with tempfile.TemporaryDirectory() as folder:
        for row, options in ROWS.items():
            size = built(options, pathlib.Path(folder))
            say(f"{row}: {size:,} bytes; docs/initramfs.md: {expected[row]:,}")
            if abs(size - expected[row]) > expected[row] * MOST:
                other.append(row)
    if other:
        print(f"other than docs/initramfs.md has them, by more than 2 percent: {', '.join(other)}; find out why, or "
              "measure again (tests/bench/build --output docs/initramfs.md)")
    return 1 if other else 0


if __name__ == "__main__":
    sys.exit(main())
