"""Initramfs images for the benches: building them, and what their bytes are spent on."""

import collections
import json
import lzma
import os
import pathlib
import re
import subprocess

from tests.e2e import harness, payload
from tests.e2e.harness import MIB, ROOT

PROTOTYPE = pathlib.Path(os.environ.get("CURLINGIRON_PROTOTYPE") or ROOT.parent / "shared/prototype")
MODULE_LIST = pathlib.Path(__file__).parent / "modules.txt"


def release_of(kernel):
    return (kernel / "release").read_text().strip()


# ---------------------------------------------------------------------------------------------
# Building

def known_modules(names, kernel=payload.KERNEL):
    """(names that the kernel has as module or built in, the others)."""
    (tree,) = (kernel / "lib/modules").iterdir()
    known = set()
    for index in ("modules.dep", "modules.builtin"):
        for line in (tree / index).read_text().splitlines():
            file = line.split(":")[0].rsplit("/", 1)[-1]
            known.add(file.split(".ko")[0].replace("-", "_"))
    normal = {name: name.replace("-", "_") for name in names}
    return [n for n in names if normal[n] in known], [n for n in names if normal[n] not in known]


def module_options(modules):
    return [word for module in modules for word in ("--module", module)]


def build_command(output, options, kernel=payload.KERNEL):
    command = [harness.BINARY, "build", "-o", output, "--kernel", kernel / "vmlinuz", "--modules-dir", kernel, "--json",
               *options]
    return [str(word) for word in command]


def build_ours(output, options, kernel=payload.KERNEL):
    """`curlingiron build`'s own account of what it built."""
    done = subprocess.run(build_command(output, options, kernel), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=300 * harness.SLOW, check=False)
    if done.returncode:
        raise harness.Failure(f"curlingiron build: exit {done.returncode}\n{done.stderr}")
    return json.loads(done.stdout)


def build_prototype(output, compression, kernel=payload.KERNEL):
    harness.run([PROTOTYPE / "build", release_of(kernel), kernel, output, compression], timeout=300)
    return output.stat().st_size


# ---------------------------------------------------------------------------------------------
# What is in them

def newc_entries(archive):
    """(path, content) of each regular file in a cpio archive of the newc form."""
    position = 0
    while position + 110 <= len(archive):
        head = archive[position:position + 110]
        if head[:6] != b"070701":
            raise harness.Failure(f"not a newc archive at byte {position}")
        mode, size, name_size = (int(head[6 + 8 * field:14 + 8 * field], 16) for field in (1, 6, 11))
        name = archive[position + 110:position + 110 + name_size - 1].decode()
        if name == "TRAILER!!!":
            return
        begin = (position + 110 + name_size + 3) // 4 * 4
        if mode & 0o170000 == 0o100000:
            yield name, archive[begin:begin + size]
        position = (begin + size + 3) // 4 * 4


def xz_streams(image):
    """(compressed size, content) of each xz stream; the kernel unpacks one after the other."""
    rest = image
    while rest:
        decoder = lzma.LZMADecompressor(format=lzma.FORMAT_XZ)
        content = decoder.decompress(rest)
        if not decoder.eof:
            raise harness.Failure("an xz stream of the initramfs is cut")
        yield len(rest) - len(decoder.unused_data), content
        rest = decoder.unused_data.lstrip(b"\0")


KINDS = ("init", "CA bundle", "modules", "firmware", "index", "rest")


def kind_of(path):
    if path == "init":
        return "init"
    for kind in ("modules", "firmware"):
        if path.startswith(f"lib/{kind}/"):
            return kind
    return {"curlingiron/ca.pem": "CA bundle", "curlingiron/modules": "index", "curlingiron/config": "index"}.get(path, "rest")


def xz_alone(content):
    """Bytes of `content` as a part of an initramfs: xz as tight as the kernel can read."""
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "dict_size": 8 * MIB, "pb": 1}]
    return len(lzma.compress(content, format=lzma.FORMAT_XZ, check=lzma.CHECK_CRC32, filters=filters))


def xz_program(content):
    """The same for a program: with the filter for x86 code."""
    filters = [{"id": lzma.FILTER_X86}, {"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME,
                                         "dict_size": 8 * MIB, "lc": 4, "pb": 2}]
    return len(lzma.compress(content, format=lzma.FORMAT_XZ, check=lzma.CHECK_CRC32, filters=filters))


def account(image):
    """{kind: (raw bytes, compressed bytes, files)}. Parts that share a stream share its compressed
    bytes in proportion to what each takes alone, so that the sum is the file's size."""
    found = collections.defaultdict(lambda: [0, 0, 0])
    content = pathlib.Path(image).read_bytes()
    for compressed, archive in xz_streams(content):
        kinds = collections.defaultdict(bytearray)
        for path, data in newc_entries(archive):
            kinds[kind_of(path)] += data
            found[kind_of(path)][2] += 1
        kinds = {kind: data for kind, data in kinds.items() if data}
        if not kinds:
            continue
        alone = {kind: xz_alone(bytes(data)) if len(kinds) > 1 else 1 for kind, data in kinds.items()}
        shares = {kind: compressed * alone[kind] // sum(alone.values()) for kind in kinds}
        shares[max(shares, key=shares.get)] += compressed - sum(shares.values())  # rounding
        for kind, data in kinds.items():
            found[kind][0] += len(data)
            found[kind][1] += shares[kind]
    found["rest"][1] += len(content) - sum(part[1] for part in found.values())  # padding
    return found


def files_of(image):
    """{path: content} of an initramfs packed with xz."""
    return {path: data for _, archive in xz_streams(image.read_bytes()) for path, data in newc_entries(archive)}


def modules_in(image):
    """How many modules an initramfs of any maker holds, in one archive packed with any of the usual compressors."""
    content = pathlib.Path(image).read_bytes()
    for magic, tool in ((b"\x28\xb5\x2f\xfd", "zstd"), (b"\x1f\x8b", "gzip"), (b"\xfd7zXZ\0", "xz")):
        if content.startswith(magic):
            content = subprocess.run([tool, "-dc"], input=content, stdout=subprocess.PIPE, check=True).stdout
    return sum(bool(re.search(r"\.ko(\.xz|\.zst|\.gz)?$", path)) for path, _ in newc_entries(content))
