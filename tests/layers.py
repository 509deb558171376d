#!/usr/bin/env python3
"""Fails on an #include that points up or sideways between the folders of src/."""
import pathlib
import re
import sys

BELOW = {
    "base": [],
    "formats": ["base"],
    "sys": ["base"],
    "io": ["base", "formats", "sys"],
    "net": ["base", "formats", "sys", "io"],
    "disk": ["base", "formats", "sys", "io"],
    "payload": ["base", "formats", "sys", "io"],
    "init": ["base", "formats", "sys", "io", "net", "disk"],
    "host": ["base", "formats", "sys", "io", "net", "disk", "payload"],
}
# What /init links stays free of these (size and start-up).
HEAVY = {"iostream", "sstream", "fstream", "regex", "locale", "iomanip"}


def wrong_arrows(source):
    found, files = [], 0
    for path in sorted((source / "src").rglob("*")):
        if path.suffix not in (".cc", ".h"):
            continue
        files += 1
        layer = path.relative_to(source / "src").parts[0]
        if layer not in BELOW:
            found.append(f"{path}: src/{layer} is not a layer of tests/layers.py")
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            quoted = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
            if quoted:
                target = quoted.group(1).split("/")[0]
                if target != layer and target not in BELOW[layer]:
                    found.append(f"{path}:{number}: {layer} may not include {quoted.group(1)}")
            heavy = re.match(r"\s*#\s*include\s+<([^>]+)>", line)
            if heavy and layer != "host" and heavy.group(1) in HEAVY:
                found.append(f"{path}:{number}: <{heavy.group(1)}> is too heavy for /init")
    return found, files


def main():
    found, files = wrong_arrows(pathlib.Path(sys.argv[1]))
    print("\n".join(found) or f"{files} files, every include points down")
    return 1 if found or files == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
