"""The memory of a machine's UEFI firmware, as the file that QEMU keeps it in: OVMF's variables (EDK2,
MdeModulePkg/Include/Guid/VariableFormat.h), and the boot entries among them (UEFI specification 2.10, 3.1.3). Written
from the specifications, not by what is tested."""

import contextlib
import re
import struct
import uuid

GLOBAL = uuid.UUID("8be4df61-93ca-11d2-aa0d-00e098032b8c")
STRANGER = uuid.UUID("c0001d00-0000-4000-8000-00c0ffee0000")
LASTING = 7  # non-volatile, at boot and at runtime

# StartId, State, reserved, attributes, counter, time, key, name's and value's bytes, namespace.
HEADER = struct.Struct("<HBBIQ16sIII16s")
ADDED = 0x3f
BEING_DELETED = 0x3e
DELETED = 0x3c


class Nvram:
    """Variables in a file of QEMU's; what is added is there for the next start of the machine."""

    def __init__(self, file):
        self.file = file

    def _records(self):
        """(offset, state, namespace, name, value) of each."""
        content = self.file.read_bytes()
        assert content[40:44] == b"_FVH", self.file
        store, = struct.unpack_from("<H", content, 48)
        size, = struct.unpack_from("<I", content, store + 16)
        at = store + 28
        while True:
            mark, state, _, _, _, _, _, name_size, size_of_value, vendor = HEADER.unpack_from(content, at)
            if mark != 0x55aa:
                break
            text = at + HEADER.size
            value = text + name_size
            name = content[text:value].decode("utf-16-le").rstrip("\0")
            begin, at = at, (value + size_of_value + 3) // 4 * 4
            yield begin, state, uuid.UUID(bytes_le=vendor), name, content[value:value + size_of_value]
        self.free = (at, store + size)

    def variables(self):
        """{name: value} of the specification's own namespace."""
        return {name: value for _, state, vendor, name, value in self._records()
                if state in (ADDED, BEING_DELETED) and vendor == GLOBAL}

    def add(self, name, value, vendor=GLOBAL):
        same = [begin for begin, state, whose, other, _ in self._records()
                if (whose, other) == (vendor, name) and state in (ADDED, BEING_DELETED)]
        text = (name + "\0").encode("utf-16-le")
        record = HEADER.pack(0x55aa, ADDED, 0, LASTING, 0, bytes(16), 0, len(text), len(value), vendor.bytes_le)
        with open(self.file, "r+b") as out:
            for begin in same:
                out.seek(begin + 2)
                out.write(bytes([DELETED]))
            out.seek(self.free[0])
            out.write(record + text + value)

    def fill(self, leave):
        """With variables of a stranger, but for so many bytes. What was deleted makes no room later: it goes first."""
        content = self.file.read_bytes()
        records = list(self._records())
        ends = [begin for begin, *_ in records[1:]] + [self.free[0]]
        kept = b"".join(content[record[0]:end] for record, end in zip(records, ends) if record[1] == ADDED)
        begin, end = records[0][0], self.free[1]
        with open(self.file, "r+b") as out:
            out.seek(begin)
            out.write(kept.ljust(end - begin, b"\xff"))
        number = 0
        while True:
            list(self._records())
            room = self.free[1] - self.free[0] - leave
            if room < 200:
                return
            self.add(f"Filling{number}", b"x" * min(room - 100, 4000), STRANGER)
            number += 1

    def entries(self):
        """{number: LoadOption}, but for those that are none."""
        found = {}
        for name, value in self.variables().items():
            if re.fullmatch("Boot[0-9A-F]{4}", name):
                with contextlib.suppress(struct.error, IndexError):
                    found[int(name[4:], 16)] = LoadOption.parse(value)
        return found

    def order(self):
        value = self.variables().get("BootOrder", b"")
        return list(struct.unpack(f"<{len(value) // 2}H", value))


class LoadOption:
    """description, loader ("" for none) and the partition's GUID (None: it names no GPT partition)."""

    def __init__(self, description, partition=None, loader="", number=1, first=2048, sectors=2048):
        self.description, self.partition, self.loader = description, partition, loader
        self.number, self.first, self.sectors = number, first, sectors

    def __repr__(self):
        return f"LoadOption({self.description!r}, {self.partition}, {self.loader!r}, {self.number}, {self.first})"

    @staticmethod
    def parse(value):
        _, length = struct.unpack_from("<IH", value)
        end = 6
        while value[end] or value[end + 1]:
            end += 2
        option = LoadOption(value[6:end].decode("utf-16-le"))
        at = end + 2
        stop = at + length
        while at < stop:
            kind, subtype, size = struct.unpack_from("<BBH", value, at)
            if size < 4:
                raise struct.error(f"a node of {size} bytes")
            if (kind, subtype) == (4, 1):
                option.number, option.first, option.sectors, guid, form = struct.unpack_from("<IQQ16sB", value, at + 4)
                option.partition = uuid.UUID(bytes_le=guid) if form == 2 else None
            if (kind, subtype) == (4, 4):
                option.loader += value[at + 4:at + size].decode("utf-16-le").rstrip("\0")
            at += size
        return option

    def bytes(self):
        path = self.loader.encode("utf-16-le") + b"\0\0"
        nodes = struct.pack("<BBHIQQ", 4, 1, 42, self.number, self.first, self.sectors) + self.partition.bytes_le
        nodes += b"\2\2" + struct.pack("<BBH", 4, 4, 4 + len(path)) + path + struct.pack("<BBH", 0x7f, 0xff, 4)
        return struct.pack("<IH", 1, len(nodes)) + self.description.encode("utf-16-le") + b"\0\0" + nodes
