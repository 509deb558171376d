#!/usr/bin/env python3
"""Compares what is brought for every dynamic program of /usr/bin with what the dynamic loader loads.

usage: ldd.py PAYLOAD_TEST
PAYLOAD_TEST is the unit test program, which writes down what `--add PROGRAM` brings. The loader
itself is asked what it loads (what ldd does: its LD_TRACE_LOADED_OBJECTS).

The files must be the same, except that, each counted,
- linux-vdso.so.1 is no file but the kernel's;
- of a library with versions for particular processors (glibc-hwcaps/), the loader takes the one for
  this processor, and we the one for all: they must be of one name;
- the loader finds nothing for a program whose library is missing; we refuse it, naming the library;
- a program of 32 bits may have no loader here to ask; we must refuse it, saying so.
"""
import os
import re
import subprocess
import sys
import tempfile


def brought(program):
    """{program: {file} or the error}."""
    with tempfile.NamedTemporaryFile(mode="r", suffix=".txt") as out:
        environment = dict(os.environ, CURLINGIRON_LIBRARIES=out.name)
        subprocess.run([program, "--gtest_filter=RealPrograms.WritesLibraries"],
                       env=environment, check=True, stdout=subprocess.DEVNULL)
        results = {}
        for line in out.read().splitlines():
            path, mark, rest = re.fullmatch(r"([^:! ]+)([:!])(.*)", line).groups()
            # The program itself, under its real name, is not one of its libraries.
            results[path] = rest.strip() if mark == "!" else set(rest.split()) - {os.path.realpath(path)}
        return results


def loaded(path):
    """(files, names not found) as the loader resolves them; None where it cannot be asked."""
    asked = subprocess.run(["readelf", "--program-headers", path], capture_output=True, text=True)
    loader = re.search(r"program interpreter: (\S+)\]", asked.stdout)
    if not loader:
        return set(), []
    environment = {"LD_TRACE_LOADED_OBJECTS": "1", "LC_ALL": "C"}
    # The kernel tells a program its real path, which $ORIGIN is taken from; the loader alone does not.
    shown = subprocess.run([loader[1], os.path.realpath(path)], capture_output=True, text=True, env=environment)
    if shown.returncode:
        return None
    files, missing = {os.path.realpath(loader[1])}, []
    for line in shown.stdout.splitlines():
        words = line.split()
        if not words or words[0] == "statically" or words[0].startswith("linux-vdso"):
            continue
        if "not found" in line:
            missing.append(words[0])
        else:
            files.add(os.path.realpath(words[2] if "=>" in words else words[0]))
    return files, missing


def without_capabilities(files):
    """The files with glibc-hwcaps/LEVEL/ taken out of their paths."""
    return {os.path.realpath(re.sub(r"/glibc-hwcaps/[^/]+/", "/", file)) for file in files}


def main():
    compared = static = libraries = special = refused = 0
    wrong = []
    for path, ours in brought(sys.argv[1]).items():
        theirs = loaded(path)
        if isinstance(ours, str):
            named = theirs and theirs[1] and any(name in ours for name in theirs[1])
            if named or (theirs is None and "32-bit" in ours):
                refused += 1
            else:
                wrong.append(f"{path}: refused, but the loader loads it: {ours}")
            continue
        if theirs is None:
            wrong.append(f"{path}: the loader refuses it; we bring {sorted(ours)}")
            continue
        files, missing = theirs
        if missing:
            wrong.append(f"{path}: the loader does not find {missing}")
        elif ours == files:
            compared += bool(files)
            static += not files
            libraries += len(files)
        elif ours == without_capabilities(files):
            special += 1
        else:
            wrong.append(f"{path}: missing {sorted(files - ours)}, extra {sorted(ours - files)}")
    for line in wrong:
        print(line)
    print(f"{compared} dynamic programs compared with {libraries} libraries, {len(wrong)} differ; "
          f"{special} more use libraries for this processor, {static} are static, {refused} lack a library")
    return 1 if wrong or compared == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
