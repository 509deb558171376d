#!/usr/bin/env python3
"""Compares what is loaded before every module with `modprobe --show-depends`, for real kernels.

usage: closure.py PAYLOAD_TEST
CURLINGIRON_MODULES_ROOT names a directory that holds lib/modules/RELEASE with depmod's files; where
it is not set, the test is skipped (exit 0, with a message). PAYLOAD_TEST is the unit test program,
which writes the closures down.

The sets must be equal, and our order must load: a module after what it needs. One difference is
known and counted: of several softdep lines of a module (btrfs: sha256, xxhash64, crc32c), kmod reads
only the first; we read all, as the module's author wrote them.
"""
import collections
import itertools
import os
import pathlib
import subprocess
import sys
import tempfile


def closures_of(program, root):
    """[(release, module, [path before], [path besides])] as the program resolves them."""
    with tempfile.NamedTemporaryFile(mode="r", suffix=".txt") as out:
        environment = dict(os.environ, CURLINGIRON_CLOSURES=out.name)
        subprocess.run([program, "--gtest_filter=RealModules.WritesClosures"],
                       env=environment, check=True, stdout=subprocess.DEVNULL)
        for line in out.read().splitlines():
            head, before, besides = line.split(":")
            release, module = head.split()
            yield release, module, before.split(), besides.split()


def some_of(closures):
    """Every eleventh module, of all folders; before a release (scripts/test --all) every one."""
    step = 1 if os.environ.get("CURLINGIRON_THOROUGH") else 11
    return itertools.islice(closures, 0, None, step)


def modprobe(root, release, module):
    """The paths that modprobe would load for the module, itself included. No configuration."""
    shown = subprocess.run(["modprobe", "-C", "/dev/null", "-d", root, "-S", release,
                            "--show-depends", module], capture_output=True, text=True, check=True)
    base = f"/lib/modules/{release}/"
    return [line.split()[1].split(base)[1] for line in shown.stdout.splitlines()
            if line.startswith("insmod ")]


def name_of(path):
    return path.rsplit("/", 1)[-1].split(".ko")[0].replace("-", "_")


def with_several_softdep_lines(root, release):
    text = (pathlib.Path(root) / "lib/modules" / release / "modules.softdep").read_text()
    lines = collections.Counter(line.split()[1] for line in text.splitlines()
                                if line.startswith("softdep "))
    return {module for module, count in lines.items() if count > 1}


def hard_dependencies(root, release):
    text = (pathlib.Path(root) / "lib/modules" / release / "modules.dep").read_text()
    return {path: needs.split() for path, _, needs in
            (line.partition(":") for line in text.splitlines())}


def main():
    root = os.environ.get("CURLINGIRON_MODULES_ROOT")
    if not root:
        print("skipped: CURLINGIRON_MODULES_ROOT is not set")
        return 0
    compared, wrong, first_line_only = 0, [], 0
    hard, several = {}, {}
    for release, module, before, besides in some_of(closures_of(sys.argv[1], root)):
        if release not in hard:
            hard[release] = hard_dependencies(root, release)
            several[release] = with_several_softdep_lines(root, release)
        for position, path in enumerate(before):
            late = [need for need in hard[release][path] if need not in before[:position]]
            if late:
                wrong.append(f"{release} {module}: {path} comes before {' '.join(late)}")
        compared += 1
        theirs = {path for path in modprobe(root, release, module) if name_of(path) != module}
        ours = set(before) | set(besides)
        if ours == theirs:
            continue
        names = {module} | {name_of(path) for path in ours}
        if theirs < ours and names & several[release]:
            first_line_only += 1
            continue
        wrong.append(f"{release} {module}: missing {sorted(theirs - ours)}, "
                     f"extra {sorted(ours - theirs)}")
    for line in wrong:
        print(line)
    print(f"{compared} modules compared, {len(wrong)} differ; {first_line_only} more have softdep "
          "lines that kmod does not read")
    return 1 if wrong or compared == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
