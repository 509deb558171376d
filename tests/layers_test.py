#!/usr/bin/env python3
"""tests/layers.py itself: a tree with a wrong arrow must be refused."""
import pathlib
import tempfile
import unittest

import layers


class Layers(unittest.TestCase):
    def check(self, path, line):
        with tempfile.TemporaryDirectory() as root:
            file = pathlib.Path(root) / "src" / path
            file.parent.mkdir(parents=True)
            file.write_text(line + "\n")
            return layers.wrong_arrows(pathlib.Path(root))[0]

    def test_down_is_fine(self):
        self.assertEqual(self.check("disk/a.cc", '#include "io/source.h"'), [])
        self.assertEqual(self.check("net/http/a.cc", '#include "net/tls/policy.h"'), [])

    def test_up_is_wrong(self):
        self.assertEqual(len(self.check("io/a.cc", '#include "disk/choose.h"')), 1)

    def test_sideways_is_wrong(self):
        self.assertEqual(len(self.check("net/http/a.h", '# include "disk/choose.h"')), 1)
        self.assertEqual(len(self.check("net/capture/a.h", '# include "net/http/wire.h"')), 1)

    def test_heavy_headers_stay_out_of_init(self):
        self.assertEqual(len(self.check("io/a.cc", "#include <iostream>")), 1)
        self.assertEqual(self.check("host/a.cc", "#include <iostream>"), [])

    def test_unknown_folder_is_wrong(self):
        self.assertEqual(len(self.check("misc/a.cc", "int x;")), 1)
        self.assertEqual(len(self.check("net/a.cc", "int x;")), 1)

    def test_circles_are_wrong(self):
        self.assertEqual(len(self.check("io/a.h", '#include "io/a.h"')), 1)
        self.assertEqual(layers.circles({"a": ["b", "c"], "b": ["c"], "c": []}), [])
        self.assertEqual(layers.circles({"a": ["b"], "b": ["c"], "c": ["b"]}), ["b -> c -> b"])


if __name__ == "__main__":
    unittest.main()
