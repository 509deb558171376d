"""What /init is made of: bytes by part, from the linker's map of it."""

import bisect
import collections
import lzma
import pathlib
import re
import struct

FILTERS = [{"id": lzma.FILTER_X86}, {"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME}]
LIBRARIES = {"libcrypto.a": "OpenSSL", "libssl.a": "OpenSSL", "libwolfssl.a": "wolfSSL", "libcurl.a": "libcurl",
             "libzstd.a": "zstd", "liblz4.a": "lz4", "liblzma.a": "liblzma", "libbz2.a": "bzip2", "libisal.a": "ISA-L",
             "libxxhash.a": "xxHash", "libc.a": "the C library",
             "libstdc++.a": "the C++ library", "libgcc.a": "the C++ library", "libgcc_eh.a": "the C++ library"}
# Of the program's sections those that strip leaves and that take up room in the file.
GONE = (".debug", ".comment", ".bss", "COMMON", ".eh_frame", ".gcc_except_table", ".note", ".tbss", ".symtab", ".strtab")


def part_of(source):
    """The part that an input file of the linker belongs to."""
    archive = re.search(r"([^/]+\.a)\(", source)
    name = archive[1] if archive else source.rsplit("/", 1)[-1]
    if room := re.match(r"libci_([a-z0-9]+)", name):
        return f"src/{room[1]}"
    if name.startswith(("crt", "libm-", "libmvec")):
        return "the C library"
    return LIBRARIES.get(name, "src/init" if name.endswith(".cc.o") else name)


def pieces(text):
    """(address, size, part) of each input section in a map of GNU ld."""
    section, begun = None, False
    for line in text.splitlines():
        begun |= line.startswith("Linker script and memory map")
        # A long name of a section has a line of its own.
        if alone := re.fullmatch(r" (\.[^\s]+|COMMON)", line):
            section = alone[1]
        elif begun and (found := re.fullmatch(r" (\.[^\s]+|COMMON)?\s+0x([0-9a-f]+)\s+0x([0-9a-f]+)\s+(\S.*)", line)):
            section = found[1] or section
            address, size = int(found[2], 16), int(found[3], 16)
            if address and size and section and not section.startswith(GONE):
                yield address, size, part_of(found[4])


def segments(program):
    """(address, offset, size in the file) of each PT_LOAD of a 64-bit ELF file."""
    offset, = struct.unpack_from("<Q", program, 32)
    size, count = struct.unpack_from("<HH", program, 54)
    for index in range(count):
        kind, _, begin, address, _, length = struct.unpack_from("<IIQQQQ", program, offset + index * size)
        if kind == 1:
            yield address, begin, length


def packed(data):
    return len(lzma.compress(data, lzma.FORMAT_RAW, filters=FILTERS)) if data else 0


def parts(build):
    """{part: (bytes, packed bytes)} of a build folder's /init. What is packed together is smaller than its parts packed
    alone: these are in proportion to that, and add up to the whole."""
    build = pathlib.Path(build)
    program = (build / "init.stripped").read_bytes()
    loaded = sorted(segments(program))
    contents = collections.defaultdict(bytearray)
    for address, size, part in pieces((build / "init.map").read_text(errors="replace")):
        segment = loaded[bisect.bisect(loaded, (address, float("inf"))) - 1]
        begin = segment[1] + address - segment[0]
        if address >= segment[0] and address + size <= segment[0] + segment[2]:
            contents[part] += program[begin:begin + size]
    rest = len(program) - sum(map(len, contents.values()))
    alone = {part: packed(bytes(data)) for part, data in contents.items()}
    scale = packed(program) / sum(alone.values())
    found = {part: (len(data), round(alone[part] * scale)) for part, data in contents.items()}
    found["headers, padding"] = (rest, 0)
    return found
