#!/usr/bin/env python3
"""Fails on an #include that points up or sideways between the rooms of src/, and on a circle of them."""
import pathlib
import re
import sys

BELOW = {
    "base": [],
    "formats/netlink": ["base"],
    "formats": ["base", "formats/netlink"],
    "sys": ["base", "formats/netlink", "formats"],
    "io": ["base", "formats/netlink", "formats", "sys"],
    "net/dns": ["base", "formats/netlink", "formats", "sys", "io"],
    "net/tls": ["base", "formats/netlink", "formats", "sys", "io"],
    "net/http": ["base", "formats/netlink", "formats", "sys", "io", "net/dns", "net/tls"],
    "net/join": ["base", "formats/netlink", "formats", "sys", "io", "net/dns", "net/http"],
    "net/capture": ["base", "formats/netlink", "formats", "sys", "io"],
    "disk": ["base", "formats/netlink", "formats", "sys", "io"],
    "image": ["base", "formats/netlink", "formats", "sys", "io", "net/tls", "net/http", "disk"],
    "payload": ["base", "formats/netlink", "formats", "sys", "io"],
    "unpack": [],
    "forms": ["base", "formats/netlink", "formats", "unpack"],
    "init": ["base", "formats/netlink", "formats", "sys", "io", "net/http", "net/join", "disk", "image"],
    "host": ["base", "formats/netlink", "formats", "sys", "io", "net/http", "net/capture", "disk", "image", "payload",
             "forms"],
}
# A room may use only rooms named before it: so there is no circle of rooms.
assert all(list(BELOW).index(below) < at for at, room in enumerate(BELOW) for below in BELOW[room])
# What /init links stays free of these (size and start-up).
HEAVY = {"iostream", "sstream", "fstream", "regex", "locale", "iomanip"}



def room_of(path):
    """The room of a file of src/ ("net/http/wire.h" is of net/http), or None."""
    folder = path.rpartition("/")[0]
    return folder if folder in BELOW else None


def circles(includes):
    """Of a graph file -> files: each circle once, as a text."""
    found, done = [], set()

    def walk(file, path):
        if file in path:
            found.append(" -> ".join([*path[path.index(file):], file]))
        elif file not in done:
            for target in includes.get(file, []):
                walk(target, [*path, file])
            done.add(file)

    for file in includes:
        walk(file, [])
    return found


def wrong_arrows(source):
    found, includes = [], {}
    for path in sorted((source / "src").rglob("*")):
        if path.suffix not in (".cc", ".h"):
            continue
        name = path.relative_to(source / "src").as_posix()
        includes[name] = []
        room = room_of(name)
        if room is None:
            found.append(f"{path}: its folder is not a room of tests/layers.py")
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            quoted = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
            # Text that CMake makes of a file beside it.
            if quoted and not quoted.group(1).endswith(".inc"):
                includes[name].append(quoted.group(1))
                target = room_of(quoted.group(1))
                if target != room and target not in BELOW[room]:
                    found.append(f"{path}:{number}: {room} may not include {quoted.group(1)}")
            heavy = re.match(r"\s*#\s*include\s+<([^>]+)>", line)
            if heavy and room != "host" and heavy.group(1) in HEAVY:
                found.append(f"{path}:{number}: <{heavy.group(1)}> is too heavy for /init")
    found += [f"a circle of #include: {circle}" for circle in circles(includes)]
    return found, len(includes)


def main():
    found, files = wrong_arrows(pathlib.Path(sys.argv[1]))
    print("\n".join(found) or f"{files} files, every include points down")
    return 1 if found or files == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
