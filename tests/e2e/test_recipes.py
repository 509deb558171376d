"""The recipes of docs/hand-over.md, by `write` and onto images that are laid out as those of the recipes: what each
command hands over is in the new disk's file systems, in its seed, or in its table."""

import json
import os
import pathlib
import re
import shlex
import subprocess
import tempfile
import unittest

from tests.e2e.test_put import ESP_TYPE, MIB, ROOT_TYPE, Image, make_file_system
from tests.e2e.test_write import PROGRAM, run, shell

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BIOS_BOOT, BOOT_LOADER = "21686148-6449-6e6f-744e-656564454649", "bc13c2ff-59e6-4262-a352-b275fd6f7172"
DISK_SIZE = 1024 * MIB
# By the recipe's first words: partitions in the disk's order, as (file system or "", MiB, type, name).
LAYOUTS = {
    "Debian's cloud images": [("", 3, BIOS_BOOT, ""), ("vfat", 64, ESP_TYPE, ""), ("ext4", 64, ROOT_TYPE, "")],
    "Ubuntu": [("", 4, BIOS_BOOT, ""), ("vfat", 64, ESP_TYPE, ""), ("ext4", 32, BOOT_LOADER, ""),
               ("ext4", 64, "linux", "")],
    "Fedora CoreOS": [("", 1, BIOS_BOOT, "BIOS-BOOT"), ("vfat", 64, ESP_TYPE, "EFI-SYSTEM"),
                      ("ext4", 64, "linux", "boot"), ("xfs", 300, "linux", "root")],
    "NixOS": [("vfat", 64, ESP_TYPE, "ESP"), ("ext4", 64, "linux", "primary")],
    "Alpine's cloud images": [("vfat", 64, ESP_TYPE, "EFI"), ("ext4", 64, "linux", "/")],
    "A plain image": [("ext4", 64, "83", "")],
    "A stick": [("vfat", 64, ESP_TYPE, ""), ("ext4", 64, "linux", "")],
}
FILES = ("user-data", "config.ign", "authorized_keys", "10-lan.network", "hostname", ".ssh/authorized_keys",
         ".ssh/id_ed25519.pub")


def recipes():
    """{recipe: the words of its `curlingiron` command}"""
    text = (ROOT / "docs/hand-over.md").read_text().split("\n## Recipes\n")[1].split("\n## ")[0]
    found = {}
    for part in re.split(r"^(?=\*\*)", text, flags=re.MULTILINE)[1:]:
        (command,) = re.findall(r"^    sudo curlingiron ((?:.*\\\n)*.*)$", part, re.MULTILINE)
        found[part] = shlex.split(command.replace("\\\n", " ").replace("~", "."))
    return found


class Recipes(unittest.TestCase):

    def setUp(self):
        if os.geteuid() != 0:
            self.skipTest("mounts file systems")
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.home = pathlib.Path(temporary.name)
        (self.home / ".ssh").mkdir()
        shell("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "me@laptop", "-f", self.home / ".ssh/id_ed25519")
        for name in FILES:
            if name != ".ssh/id_ed25519.pub":
                (self.home / name).write_text(f"#cloud-config\n# what is in {name}\n")

    def image(self, layout):
        label = "dos" if layout[0][2] == "83" else "gpt"
        parts = []
        for number, (kind, size, type_, name) in enumerate(layout):
            file = self.home / f"part{number}"
            file.unlink(missing_ok=True)
            if kind:
                make_file_system(file, kind, size=size)
            else:
                file.write_bytes(bytes(size * MIB))
            parts.append((file, type_, name))
        return Image(self.home / "image", parts, label)

    def content(self, disk, part, path):
        (offset, _) = part
        return run("debugfs", "-R", f"cat {path}", f"{disk}?offset={offset}").stdout.decode()

    def test_hand_over_what_they_say(self):
        found = recipes()
        self.assertEqual(len(found), len(LAYOUTS))
        for (name, layout), (text, words) in zip(LAYOUTS.items(), found.items()):
            with self.subTest(name):
                self.assertTrue(text.startswith(f"**{name}"), text)
                self.check(layout, words)

    def check(self, layout, words):
        image = self.image(layout)
        disk = self.home / "disk"
        disk.write_bytes(b"")
        os.truncate(disk, DISK_SIZE)
        options = words[3:]
        for elsewhere in ("--sums", "--sha256"):
            if elsewhere in options:
                at = options.index(elsewhere)
                del options[at:at + 2]
        seeded = "--no-seed" not in options
        if words[0] == "flash" and seeded:  # what it takes by itself
            options += ["--ssh-key", ".ssh/id_ed25519.pub", "--hostname", "web1"]
        done = run(PROGRAM, "write", image.path, disk, "--set", "boot=any", *options, cwd=self.home)
        self.assertEqual(done.returncode, 0, done.stderr.decode())

        table = json.loads(shell("sfdisk", "--json", disk))["partitiontable"]
        self.assertIn("No errors", shell("sfdisk", "-V", disk))
        last = table["partitions"][len(layout) - 1]
        before = image.parts[-1][1]
        self.assertEqual(last["size"] * 512 > before, "--grow" in options)
        seeds = table["partitions"][len(layout):]
        self.assertEqual(len(seeds), 1 if seeded else 0)
        if seeded:
            seed = f"{disk}@@{seeds[0]['start'] * 512}"
            key = (self.home / ".ssh/id_ed25519.pub").read_text().split()[1]
            self.assertIn(key, shell("mtype", "-i", seed, "::meta-data"))
            if "--user-data" in options:
                self.assertEqual(shell("mtype", "-i", seed, "::user-data"),
                                 (self.home / "user-data").read_text().strip())
        for at, option in enumerate(options):
            if option != "--put":
                continue
            source, where, path, *_ = options[at + 1].split(":")
            number = {"boot": len(layout) - 2, "root": len(layout) - 1}[where]
            self.assertEqual(self.content(disk, image.parts[number], path), (self.home / source).read_text())
        for (kind, *_), part in zip(layout, image.parts):
            if kind == "ext4":
                alone = self.home / "alone"
                subprocess.run(["dd", f"if={disk}", f"of={alone}", "bs=1M", f"skip={part[0]}", f"count={part[1]}",
                                "iflag=skip_bytes,count_bytes", "conv=sparse", "status=none"], check=True)
                os.truncate(alone, part[1])
                shell("e2fsck", "-fn", alone)


if __name__ == "__main__":
    unittest.main()
