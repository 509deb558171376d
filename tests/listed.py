#!/usr/bin/env python3
"""Every method of tests/e2e and tests/netns is in the list of ctest: CMake reads their names from the text of the files,
and one that it does not see would never be run.

usage: listed.py BUILD
"""
import json
import pathlib
import subprocess
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))


def listed(build):
    """What ctest gives to unittest: tests.e2e.MODULE.CLASS, or a method of it."""
    shown = subprocess.run(["ctest", "--test-dir", build, "--show-only=json-v1"], capture_output=True, check=True)
    commands = [test["command"] for test in json.loads(shown.stdout)["tests"] if "command" in test]
    return [command[command.index("unittest") + 1] for command in commands if "unittest" in command]


def written():
    """Each method there is, as unittest finds it."""
    loader = unittest.TestLoader()
    for folder in ("e2e", "netns"):
        for path in sorted((ROOT / "tests" / folder).glob("test_*.py")):
            suites = [loader.loadTestsFromName(f"tests.{folder}.{path.stem}")]
            while suites:
                for item in suites.pop():
                    if isinstance(item, unittest.TestSuite):
                        suites.append(item)
                    else:
                        yield item.id()


def main():
    known = listed(sys.argv[1])
    forgotten = [name for name in written()
                 if not any(name == test or name.startswith(test + ".") for test in known)]
    for name in forgotten:
        print(f"{name}: no test of ctest runs it; see tests/CMakeLists.txt")
    print(f"{len(known)} tests of ctest run Python's, {len(forgotten)} methods are in none")
    return 1 if forgotten or not known else 0


if __name__ == "__main__":
    sys.exit(main())
