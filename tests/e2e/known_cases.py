"""Files that people hand to an installer: disk images in every dress, and what is none; with what must come of each."""

import bz2
import dataclasses
import gzip
import io
import json
import lzma
import pathlib
import random
import shutil
import struct
import subprocess
import tarfile
import zipfile
import zlib

MIB = 1024 * 1024
DISK_SIZE = 8 * MIB

# How a file reaches the program: by its path, as standard input that is the file, through a pipe, from a server that
# serves parts of it (Range), and from one that does not.
WAYS = ("path", "input", "pipe", "range", "whole")
# Where the end of a file can be read before its beginning is used.
SEEKABLE = ("path", "input", "range")
# Where the file's length is known.
LENGTH_KNOWN = ("path", "input", "range", "whole")
# Where a stream's end, and so what follows it, is found without decoding it.
AFTER_KNOWN = {"xz": SEEKABLE, "zst": ("path", "input")}
# As it is said before, and when the disk is full.
TOO_LARGE = "smaller than|larger than the disk"


@dataclasses.dataclass
class Case:
    name: str
    data: bytes
    image: bytes = None  # what the disk must begin with; None: refused
    words: str = ""      # of the refusal, or of the warning
    early: tuple = WAYS  # where a refusal comes before anything is written
    options: tuple = ()
    ways: tuple = WAYS


def disk(size=DISK_SIZE, seed=7):
    """Boot code, one partition, a MiB of noise, a MiB of text, the rest free."""
    image = bytearray(size)
    generator = random.Random(seed)
    image[:440] = generator.randbytes(440)
    image[446:462] = bytes([0x80, 0, 2, 0, 0x83, 0, 0, 0]) + struct.pack("<II", 2048, size // 512 - 2048)
    image[510:512] = b"\x55\xaa"
    image[MIB:2 * MIB] = generator.randbytes(MIB)
    image[2 * MIB:3 * MIB] = (b"a line of text, %d\n" % seed * MIB)[:MIB]
    return bytes(image)


def tool(command, data=b""):
    return subprocess.run(command, input=data, capture_output=True, check=True, timeout=120).stdout


def made(folder, command, name="made"):
    """What a tool writes into a file: the name stands in the command."""
    path = pathlib.Path(folder) / name
    path.unlink(missing_ok=True)
    subprocess.run([str(path) if word == "FILE" else word for word in command], check=True, timeout=120,
                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    return path.read_bytes()


def zipped(members, compression=zipfile.ZIP_DEFLATED, wide=False, comment=b""):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        for name, data in members:
            with archive.open(zipfile.ZipInfo(name), "w", force_zip64=wide) as member:
                member.write(data)
        archive.comment = comment
    return out.getvalue()


def streamed_zip(name, data, mark=b""):
    """Sizes after the data, as archivers write that do not go back."""
    packer = zlib.compressobj(6, zlib.DEFLATED, -15)
    packed = packer.compress(data) + packer.flush()
    crc = zlib.crc32(data)
    local = mark + struct.pack("<IHHHHHIIIHH", 0x04034b50, 20, 8, 8, 0, 0x5a21, 0, 0, 0, len(name), 0) + name
    body = local + packed + struct.pack("<IIII", 0x08074b50, crc, len(packed), len(data))
    entry = struct.pack("<IHHHHHHIIIHHHHHII", 0x02014b50, 0x315, 20, 8, 8, 0, 0x5a21, crc, len(packed), len(data),
                        len(name), 0, 0, 0, 0, 0, len(mark)) + name
    return body + entry + struct.pack("<IHHHHIIH", 0x06054b50, 0, 0, 1, 1, len(entry), len(body), 0)


def moved(archive, by):
    """The archive as it is with so many bytes in front of it: its directory's offsets are changed."""
    moved, at = bytearray(archive), archive.find(b"PK\1\2")
    while archive[at:at + 4] == b"PK\1\2":
        name, extra, comment = struct.unpack_from("<HHH", archive, at + 28)
        struct.pack_into("<I", moved, at + 42, struct.unpack_from("<I", archive, at + 42)[0] + by)
        at += 46 + name + extra + comment
    struct.pack_into("<I", moved, at + 16, struct.unpack_from("<I", archive, at + 16)[0] + by)
    return bytes(moved)


def moved_directory(rest, by):
    """The directory and its end record, so many bytes later than they say: entries stay where they are."""
    return rest[:-6] + struct.pack("<I", struct.unpack("<I", rest[-6:-2])[0] + by) + rest[-2:]


def without_last(archive):
    """Its last entry is taken out of the directory, as zip programs do that change an archive in place."""
    begin, = struct.unpack("<I", archive[-6:-2])
    count, = struct.unpack("<H", archive[-12:-10])
    at = begin
    for _ in range(count - 1):
        at += 46 + sum(struct.unpack_from("<HHH", archive, at + 28))
    end = struct.pack("<IHHHHIIH", 0x06054b50, 0, 0, count - 1, count - 1, at - begin, begin, 0)
    return archive[:at] + end


def zip64_ended(name, data, ones):
    """An end record of which the fields in `ones` are left to its zip64 twin (0: all)."""
    whole = streamed_zip(name, data)
    body, end = whole[:-22], list(struct.unpack("<IHHHHIIH", whole[-22:]))
    wide = struct.pack("<IQHHIIQQQQ", 0x06064b50, 44, 45, 45, 0, 0, 1, 1, end[5], end[6])
    for field in ones or range(1, 7):
        end[field] = 0xffff if field < 5 else 0xffffffff
    return body + wide + struct.pack("<IIQI", 0x07064b50, 0, len(body), 1) + struct.pack("<IHHHHIIH", *end)


def sized_zstd(data):
    return tool(["zstd", "-q", "-c", f"--stream-size={len(data)}"], data)


def packed(image):
    return {"gz": gzip.compress(image, 6, mtime=0), "bz2": bz2.compress(image, 1), "xz": lzma.compress(image),
            "zst": tool(["zstd", "-q", "-c"], image), "lz4": tool(["lz4", "-q", "-c"], image)}


def followed(_):
    """Bytes after the stream's own end."""
    image = disk()
    small, large = b"-- built on monday --\n" * 20, random.Random(1).randbytes(MIB + 4096)
    for name, data in packed(image).items():
        yield Case(f"signature-after.{name}", data + small, image, words=f"{len(small)} bytes after the end of the")
        yield Case(f"zeros-after.{name}", data + bytes(3 * MIB), image)
        yield Case(f"much-after.{name}", data + large, words="follow", early=AFTER_KNOWN.get(name, ()))
        yield Case(f"much-after-proven.{name}", data + large, image, words=f"{len(large)} bytes after the end of the",
                   options=("--sha256", "OF THE FILE"))
    # A router's metadata, whose length stands where a gzip file has its size, and would be one of 448 MiB.
    metadata = b'{"metadata_version": "1.1"}'.ljust(0x11c - 16) + struct.pack(">4sIBxxxI", b"FWx0", 0, 1, 0x11c)
    yield Case("router.gz", packed(image)["gz"] + metadata, image, words=f"{len(metadata)} bytes after the end of the")
    yield Case("router-twice.gz", packed(image)["gz"] + metadata * 2, image, words="bytes after the end of the")
    for name, options in (("zst", ["zstd", "-q", "--no-check", "-c"]), ("xz", ["xz", "-C", "none", "-c"])):
        yield Case(f"unchecked-and-signature.{name}", tool(options, image) + small, words="follow",
                   early=SEEKABLE if name == "xz" else ("path", "input"))
    # Another stream that is damaged, or not where it belongs: what it holds must not be missing.
    for name, second in packed(image[-MIB:]).items():
        first = packed(image[:-MIB])[name]
        damaged = bytes([second[0] ^ 0x10]) + second[1:]
        for kind, data in (("damaged", damaged), ("moved", b"\n" + second)):
            yield Case(f"second-stream-{kind}.{name}", first + data, words="is another one|index at its end is damaged",
                       early=SEEKABLE if name == "xz" else ())
    whole = zipped([("disk.img", image)])
    yield Case("signature-after.zip", whole + small, image, words=f"{len(small)} bytes after the end of the")
    yield Case("zeros-after.zip", whole + bytes(3 * MIB), image)
    yield Case("much-after.zip", whole + large, words="follow", early=SEEKABLE)


def texts(_):
    """What a server sends in a file's place, with status 200, and what lies beside images."""
    pages = {
        "gateway.html": b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body></body></html>\r\n",
        "portal.html": b"\n\n<!-- please log in -->\n<!DOCTYPE html><html lang=de>",
        "fragment.html": b"<div>moved</div>\n<BODY>over there</BODY>",
        "no-such-key.xml": b"<?xml version='1.0' encoding='UTF-8'?>\n<Error><Code>NoSuchKey</Code></Error>",
        "bare.xml": b"<Error><Code>AccessDenied</Code></Error>",
        "list.json": b'[{"name": "debian.img", "size": 8388608}]',
        "message.json": json.dumps({"message": "Not Found"}, indent=2).encode(),
        "not-found.txt": b"404: Not Found",
        "long.txt": b"the quick brown fox\n" * 5000,
        "latin.txt": "Datei nicht gefunden: gr\xf6\xdfer\n".encode("latin-1") * 40,
        "wide.txt": "Die Datei ist nicht da.\r\n".encode("utf-16") * 1,
        "wide-unmarked.txt": "Die Datei ist nicht da.\r\n".encode("utf-16-be"),
        "SHA512SUMS": b"%0128x  debian.img\n" % 5,
        "sums.bsd": b"SHA256 (debian.img) = %064x\n" % 5,
        "CHECKSUM": b"# debian.img: 8388608 bytes\nSHA256 (debian.img) = %064x\n" % 5,
        "image.md5": b"%032x *debian.img\r\n" % 5,
        "image.asc": b"-----BEGIN PGP SIGNATURE-----\n\niQIz\n-----END PGP SIGNATURE-----\n",
        "image.minisig": b"untrusted comment: signature\nRWQ=\ntrusted comment: now\n",
        "key.pem": b"-----BEGIN PRIVATE KEY-----\nMII=\n-----END PRIVATE KEY-----\n",
        "id.pub": b"ssh-ed25519 AAAAC3Nza me@here\n",
        "annex": b"/annex/objects/SHA256E-s8388608--0123456789abcdef.img\n",
        "lfs": b"version https://git-lfs.github.com/spec/v1\noid sha256:%064x\nsize 8388608\n" % 3,
        "user-data": b"#cloud-config\npackages: [vim]\n",
        "install.sh": b"#!/bin/sh\nexec true\n",
        "saved-answer": b"HTTP/1.1 200 OK\r\nContent-Length: 8388608\r\n\r\n",
        "descriptor.vmdk": b"# Disk DescriptorFile\nversion=1\n",
    }
    for name, data in pages.items():
        yield Case(name, data, words="not a disk image")
    yield Case("empty", b"", words="empty")
    yield Case("page.html.gz", gzip.compress(pages["portal.html"]), words=r"web page \(html\), not a disk image")


def damaged_heads(_):
    image = disk()
    for name, data in {**packed(image), "zip": zipped([("disk.img", image)])}.items():
        for at in (0, 1):
            damaged = bytearray(data)
            damaged[at] ^= 0x20
            yield Case(f"damaged-{at}.{name}", bytes(damaged), words="no disk image that is known|not a disk image")
    yield Case("noise", random.Random(3).randbytes(MIB), words="no disk image that is known")
    yield Case("zeros", bytes(2 * MIB), words="zeros")
    yield Case("erased-flash", b"\xff" * MIB, words="no disk image that is known")


def with_head(head, at=0, size=MIB):
    data = bytearray(random.Random(4).randbytes(size))
    data[:max(at, 600)] = bytes(max(at, 600))
    data[at:at + len(head)] = head
    return bytes(data)


def other_files(folder):
    """Files of known kinds that are no disk images; those that a tool makes are the tool's."""
    image = disk()
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        info = tarfile.TarInfo("disk.img")
        info.size = len(image)
        tar.addfile(info, io.BytesIO(image))
    heads = {
        "a.deb": (b"!<arch>\ndebian-binary   ", 0), "a.rpm": (b"\xed\xab\xee\xdb\x03", 0),
        "a.rar": (b"Rar!\x1a\x07\x01\0", 0),
        "a.7z": (b"7z\xbc\xaf\x27\x1c\0\x04", 0), "a.cab": (b"MSCF\0\0\0\0", 0), "a.cpio": (b"0707010000", 0),
        "a.png": (b"\x89PNG\r\n\x1a\n\0\0", 0), "a.jpg": (b"\xff\xd8\xff\xe0", 0), "a.pdf": (b"%PDF-1.7\n\xe2\xe3", 0),
        "a.sqlite": (b"SQLite format 3\0", 0), "a.exe": (b"MZ\x90\0", 0), "a.wim": (b"MSWIM\0\0\0", 0),
        "a.ffu": (b"SignedImage ", 4), "a.squashfs": (b"hsqs\x07\0\0\0", 0), "a.simg": (b"\x3a\xff\x26\xed\x01\0", 0),
        "a.gho": (b"\xfe\xef\x01\0", 0), "a.tib": (b"\xb4\x6e\x68\x44", 0), "a.partclone": (b"partclone-image0002", 0),
        "a.partimage": (b"PaRtImAgE-VoLuMe", 0), "a.ntfsclone": (b"\0ntfsclone-image", 0),
        "a.cloop": (b"#!/bin/sh\n#V2.0 Format\n", 0),
        "a.bochs": (b"Bochs Virtual HD Image\0", 0), "a.e01": (b"EVF\x09\x0d\x0a\xff\0", 0), "a.chd": (b"MComprHD", 0),
        "a.iso": (b"\x01CD001\x01", 32768), "a.ubi": (b"UBI#\x01", 0), "a.itb": (b"\xd0\x0d\xfe\xed", 0),
        "a.img.enc": (b"Salted__", 0), "a.btrfs-send": (b"btrfs-stream\0\x01", 0), "a.lz": (b"LZIP\x01\x0c", 0),
        "a.Z": (b"\x1f\x9d\x90", 0), "a.class": (b"\xca\xfe\xba\xbe\0\0\0\x41", 0),
    }
    for name, (head, at) in heads.items():
        yield Case(name, with_head(head, at), words="not a disk image")
    yield Case("a.tar", archive.getvalue(), words="tar archive, not a disk image")
    yield Case("a.tar.xz", lzma.compress(archive.getvalue(), preset=1), words="tar archive, not a disk image")
    yield Case("program", pathlib.Path("/bin/true").read_bytes(), words=r"\(ELF\), not a disk image")
    for form, words in (("vmdk", "vmdk"), ("vdi", "vdi"), ("vhdx", "vhdx"), ("vpc", "VHD"), ("parallels", "Parallels"),
                        ("qed", "QED")):
        yield Case(f"made.{form}", made(folder, ["qemu-img", "create", "-q", "-f", form, "FILE", "4M"]), words=words)
    # An Apple disk image says so at its end.
    yield Case("a.dmg", image + b"koly" + bytes(508), words="Apple disk image", early=SEEKABLE)
    yield Case("twice.gz", gzip.compress(gzip.compress(image, 1)), words="gzip again")
    qcow2 = made(folder, ["qemu-img", "create", "-q", "-f", "qcow2", "FILE", "4M"])
    yield Case("inside.gz", gzip.compress(qcow2), words="qcow2")


def sizes(folder):
    """More than the disk of 8 MiB has, less than a sector, or an end within one."""
    large = disk(DISK_SIZE + 512)
    # The last sector may be a footer.
    yield Case("sector-too-large.raw", large, words=TOO_LARGE, early=SEEKABLE)
    yield Case("two-sectors-too-large.raw", large + bytes(512), words=TOO_LARGE, early=LENGTH_KNOWN)
    yield Case("sector-too-large.gz", gzip.compress(large, 1), words=TOO_LARGE, early=SEEKABLE)
    yield Case("sector-too-large.xz", lzma.compress(large), words=TOO_LARGE, early=SEEKABLE)
    yield Case("sector-too-large-blocks.xz", tool(["xz", "-T2", "--block-size=1MiB", "-c"], large),
               words=TOO_LARGE, early=SEEKABLE)
    yield Case("sector-too-large.zst", sized_zstd(large), words=TOO_LARGE)
    yield Case("sector-too-large.zip", zipped([("disk.img", large)]), words=TOO_LARGE, early=SEEKABLE)
    yield Case("sector-too-large-streamed.zip", streamed_zip(b"disk.img", large), words=TOO_LARGE,
               early=SEEKABLE)
    qcow2 = made(folder, ["qemu-img", "convert", "-O", "qcow2", raw(folder, large), "FILE"])
    yield Case("sector-too-large.qcow2", qcow2, words=TOO_LARGE)
    yield Case("100-bytes", disk()[:100], words="less than a disk's sector|not a disk image")
    half = disk(4 * MIB) + bytes(256)
    yield Case("sector-and-half.raw", half, words="no multiple of a sector", early=LENGTH_KNOWN)
    yield Case("two-frames-too-large.zst", sized_zstd(large[:4 * MIB]) + sized_zstd(large[4 * MIB:]), words=TOO_LARGE,
               early=("path", "input"))
    yield Case("two-members.gz", gzip.compress(large[:4 * MIB], 1) + gzip.compress(large[4 * MIB:-512], 1), large[:-512])
    yield Case("sector-and-half.xz", lzma.compress(half), words="no multiple of a sector", early=SEEKABLE)
    yield Case("sector-and-half.gz", gzip.compress(half, 1), words="no multiple of a sector", early=())
    yield Case("page-and-byte.raw", disk(4 * MIB) + b"\n", words="no multiple of a sector", early=LENGTH_KNOWN)
    yield Case("cut-in-a-sector.raw", disk()[:-100], words="no multiple of a sector", early=LENGTH_KNOWN)
    yield Case("cut-in-a-sector.zst", sized_zstd(disk()[:-100]), words="no multiple of a sector",
               early=("path", "input"))
    yield Case("cut-in-a-sector-any.raw", disk()[:-100], disk()[:-100], options=("--set", "boot=any"))
    # All of it is decoded before anything is written.
    for name, data in packed(disk()[:61_441]).items():
        yield Case(f"small-and-odd.{name}", data, words="no multiple of a sector")
    yield Case("sector-and-half-proven.raw", half, half, words="no multiple of a sector",
               options=("--sha256", "OF THE FILE"))


def zips(_):
    image, other = disk(), disk(4 * MIB, seed=9)
    readme = ("README.txt", b"Write disk.img to a card.\n")
    beside = [("disk.img.sha256", b"%064x  disk.img\n" % 5), ("disk.bmap", b"<?xml version='1.0'?>\n<bmap/>\n"),
              ("disk.img.sig", random.Random(5).randbytes(566)), ("logo.png", b"\x89PNG\r\n\x1a\n" + bytes(5000))]
    yield Case("readme-first.zip", zipped([readme, ("disk.img", image)]), image)
    yield Case("image-first.zip", zipped([("disk.img", image), readme, *beside]), image)
    yield Case("in-folders.zip", zipped([("release/", b""), ("release/disk.img", image), ("release/doc/", b""),
                                         ("__MACOSX/release/._disk.img", b"\0\5\x16\7" + bytes(200))]), image)
    yield Case("stored.zip", zipped([readme, ("disk.img", image)], zipfile.ZIP_STORED), image)
    yield Case("wide.zip", zipped([("disk.img", image), readme], wide=True, comment=b"PK\5\6 in a comment"), image)
    yield Case("split-mark.zip", streamed_zip(b"disk.img", image, b"PK\x07\x08"), image)
    yield Case("not-split-mark.zip", streamed_zip(b"disk.img", image, b"PK00"), image)
    yield Case("split-mark-several.zip", b"PK\x07\x08" + moved(zipped([readme, ("disk.img", image)]), 4), image)
    for number, ones in enumerate(([], [1, 2], [3, 4], [5, 6], [6])):
        yield Case(f"wide-end-{number}.zip", zip64_ended(b"disk.img", image, ones), image)
    # Of these, one is the disk: a boot loader is not known to be one, and boot=any would take it for the second.
    loader = ("u-boot.bin", random.Random(6).randbytes(300_000))
    yield Case("loader-first.zip", zipped([loader, ("disk.img", image)]), image)
    yield Case("loader-last.zip", zipped([("disk.img", image), loader]), image)
    yield Case("loader-any.zip", zipped([("disk.img", image), loader]), words="several disk images", early=SEEKABLE,
               options=("--set", "boot=any"))
    yield Case("loader-alone.zip", zipped([loader]), words="nothing that is known to be a disk; pass (--set )?boot=any")
    yield Case("loader-alone-any.zip", zipped([loader]), loader[1], options=("--set", "boot=any"))
    # A large file beside it says nothing of the image's size.
    manual = ("manual.pdf", b"%PDF-1.7\n" + bytes(15 * MIB))
    yield Case("manual-first.zip", zipped([manual, ("disk.img", image)]), image)
    yield Case("manual-first-stored.zip", zipped([manual, ("disk.img", image)], zipfile.ZIP_STORED), image)
    yield Case("huge-manual-last.zip", zipped([("disk.img", image), (manual[0], manual[1] * 2)]), image)
    # A packer's other methods, in what is not even the image.
    mixed = io.BytesIO()
    with zipfile.ZipFile(mixed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("disk.img", image)
        archive.writestr("notes", b"a note\n" * 100, zipfile.ZIP_BZIP2)
    yield Case("bzip2-beside.zip", mixed.getvalue(), image, ways=SEEKABLE)
    yield Case("bzip2-beside-piped.zip", mixed.getvalue(), words="compressed with bzip2", early=(), ways=("pipe", "whole"))
    # What the directory says is enough: gaps, what was taken out of it, and names that are written in two ways.
    plain = zipped([readme, ("disk.img", image)])
    place = plain.index(b"PK\x01\x02")
    signed = plain[:place] + bytes(4096) + moved_directory(plain[place:], 4096)
    yield Case("gap-before-the-directory.zip", signed, image, ways=SEEKABLE)
    renamed = plain[:place].replace(b"disk.img", b"Disk.IMG") + plain[place:]
    yield Case("named-in-two-ways.zip", renamed, image, ways=SEEKABLE)
    removed = zipped([readme, ("disk.img", image), ("old.txt", b"taken out\n" * 9)])
    yield Case("taken-out.zip", without_last(removed), image, ways=SEEKABLE)
    two = zipped([("a/one.img", image), ("two.img", other), readme])
    yield Case("two-images.zip", two, words=r"several disk images, \"a/one.img\" and \"two.img\"", early=SEEKABLE)
    yield Case("two-images-one-named.zip", two, other, options=("--member", "two.img"))
    yield Case("two-images-none-named.zip", two, words="no file \\\"three.img\\\"", options=("--member", "three.img"))
    yield Case("no-image.zip", zipped([readme, *beside]), words="no disk image in it")
    yield Case("packed-inside.zip", zipped([("disk.img.xz", lzma.compress(image)), readme]), words=r"is xz; unpack")
    cut = zipped([readme, ("disk.img", image)])[:-40]
    yield Case("cut.zip", cut, words="no directory|ends too early", early=SEEKABLE)


def cut_off(folder):
    image = disk()
    yield Case("cut.xz", lzma.compress(image)[:-100], words="does not end as xz|ends too early", early=SEEKABLE)
    cut = tool(["zstd", "-q", "-c"], image)[:-100]
    yield Case("cut.zst", cut, words="cut off|ends too early", early=("path", "input"))
    # A digest proves nothing of a file that is cut off, and does not have to be waited for.
    yield Case("cut-proven.xz", lzma.compress(image)[:-100], words="does not end as xz|ends too early", early=SEEKABLE,
               options=("--sha256", "OF THE FILE"))
    yield Case("cut-in-the-middle.xz", lzma.compress(image)[:600_000], words="does not end as xz|ends too early",
               early=SEEKABLE)
    for name, words in (("gz", "ends too early|no multiple"), ("bz2", "ends too early"), ("lz4", "ends too early")):
        yield Case(f"cut.{name}", packed(image)[name][:-100], words=words, early=())
    path = pathlib.Path(folder) / "raw"
    path.write_bytes(image)
    for options in ([], ["-c"]):
        whole = made(folder, ["qemu-img", "convert", *options, "-O", "qcow2", str(path), "FILE"])
        cut = whole[:len(whole) // 65536 * 65536 - 65536]
        yield Case(f"cut{''.join(options)}.qcow2", cut, words="cut off|truncated")
        yield Case(f"whole{''.join(options)}.qcow2", whole, image)
    # A crash may leave a cluster counted that nothing of the disk is in, after the file's end.
    counted = bytearray(whole)
    table = struct.unpack_from(">Q", counted, 48)[0]
    block = struct.unpack_from(">Q", counted, table)[0]
    struct.pack_into(">H", counted, block + 2 * (len(counted) // 65536 + 3), 1)
    yield Case("counted-after-its-end.qcow2", bytes(counted), image)


def right(folder):
    """What worked before any of this was judged."""
    image = disk()
    yield Case("disk.raw", image, image)
    yield Case("disk.gz", gzip.compress(image, 1), image)
    yield Case("disk.bz2", bz2.compress(image), image)
    yield Case("disk.xz", lzma.compress(image), image)
    yield Case("two-streams.xz", lzma.compress(image[:4 * MIB]) + bytes(8) + lzma.compress(image[4 * MIB:]), image)
    yield Case("disk.vhd", made(folder, ["qemu-img", "convert", "-O", "vpc", "-o", "subformat=fixed,force_size=on",
                                         raw(folder, image), "FILE"]), image)
    # A disk as large as the one it is written to, with a footer that is none of its own.
    path = raw(folder, image)
    subprocess.run(["sfdisk", "-q", path], input=b"label: gpt\n,,L\n", check=True, timeout=60)
    labelled = pathlib.Path(path).read_bytes()
    footed = made(folder, ["qemu-img", "convert", "-O", "vpc", "-o", "subformat=fixed,force_size=on", path, "FILE"])
    yield Case("disk.vhd.xz", lzma.compress(footed), labelled)
    yield Case("disk.vhd.zst", sized_zstd(footed), labelled)
    yield Case("disk.vhd.zip", zipped([("disk.vhd", footed)]), labelled)
    yield Case("no-member.xz", lzma.compress(image), words="xz and no zip archive", options=("--member", "disk.img"))
    tools = "/usr/sbin:/sbin:/usr/bin:/bin"
    for name, command in (("ext4", "mkfs.ext4 -q -F"), ("vfat", "mkfs.vfat"), ("btrfs", "mkfs.btrfs -q -f"),
                          ("swap", "mkswap"), ("minix", "mkfs.minix"), ("xfs", "mkfs.xfs -q -f"), ("f2fs", "mkfs.f2fs -q"),
                          ("ntfs", "mkfs.ntfs -q -F -f"), ("exfat", "mkfs.exfat"), ("lvm", "pvcreate -q -f"),
                          ("luks", "cryptsetup -q luksFormat --key-file /bin/true")):
        if not shutil.which(command.split()[0], path=tools):
            continue  # below, by its first bytes
        path = raw(folder, b"", {"xfs": 300, "btrfs": 112, "f2fs": 64, "luks": 32}.get(name, 8) * MIB)
        done = subprocess.run([*command.split(), path], capture_output=True, check=False, timeout=120, env={"PATH": tools})
        if done.returncode == 0:
            volume = pathlib.Path(path).read_bytes()
            yield Case(f"file-system.{name}", volume, volume)
    for name, head, at in (("luks", b"LUKS\xba\xbe\0\2", 0), ("md", struct.pack("<II", 0xa92b4efc, 1), 4096),
                           ("lvm", b"LABELONE", 512), ("f2fs", b"\x10\x20\xf5\xf2", 1024),
                           ("xfs-v5", b"XFSB\0\0\x10\0", 0)):
        volume = bytearray(with_head(head, at))
        volume[102:104] = b"\x02\0"  # XFS: its sectors
        yield Case(f"volume.{name}", bytes(volume), bytes(volume))
    hybrid = bytearray(image)
    hybrid[32769:32774] = b"CD001"
    yield Case("hybrid.iso", bytes(hybrid), bytes(hybrid))
    boot_code = bytearray(image)
    boot_code[:2] = b"MZ"  # a disk image's first bytes are anything
    yield Case("begins-as-a-program.raw", bytes(boot_code), bytes(boot_code))
    board = with_head(b"\x00\x08eGON.BT0", 8192)
    yield Case("board.raw", board, words="boot=any")
    yield Case("board-any.raw", board, board, options=("--set", "boot=any"))
    text = b"not a disk, and wanted\n" * 512
    yield Case("text-any", text[:8192], text[:8192], options=("--set", "boot=any"))


def raw(folder, data, size=None):
    path = pathlib.Path(folder) / "raw"
    with open(path, "wb") as file:
        file.write(data)
        file.truncate(size if size is not None else len(data))
    return str(path)


KINDS = {kind.__name__: kind for kind in
         (followed, texts, damaged_heads, other_files, sizes, zips, cut_off, right)}


def large_zip(path, begin, size):
    """`begin`, zeros, and `begin` backwards at the end: `size` bytes, which the archive gives modulo 2^32."""
    packer = zlib.compressobj(1, zlib.DEFLATED, -15)
    name, crc, zeros = b"disk.img", 0, bytes(16 * MIB)
    middle = size - 2 * len(begin)
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHHHHIIIHH", 0x04034b50, 20, 8, 8, 0, 0x5a21, 0, 0, 0, len(name), 0) + name)
        start = file.tell()
        for part in [begin, *[zeros] * (middle // len(zeros)), zeros[:middle % len(zeros)], begin[::-1]]:
            crc = zlib.crc32(part, crc)
            file.write(packer.compress(part))
        file.write(packer.flush())
        packed = file.tell() - start
        low = 0xffffffff
        file.write(struct.pack("<IIII", 0x08074b50, crc, packed & low, size & low))
        directory = file.tell()
        file.write(struct.pack("<IHHHHHHIIIHHHHHII", 0x02014b50, 0x315, 20, 8, 8, 0, 0x5a21, crc, packed & low,
                               size & low, len(name), 0, 0, 0, 0, 0, 0) + name)
        length = file.tell() - directory
        file.write(struct.pack("<IHHHHIIH", 0x06054b50, 0, 0, 1, 1, length, directory, 0))
