"""What `flash` says of the disks of machines whose storage has layers, compared with what `lsblk` says there.

A Debian machine copies its root to volumes that it makes on blank disks, and goes on from there. For each of its disks,
the part of the plan that describes disks is worked out anew from lsblk's answer, and must be the same, line by line.
"""

import json
import re
import textwrap

from tests.e2e import harness
from tests.e2e.harness import MIB

WEB = f"http://{harness.GATEWAY}"
SYSTEM, DATA = 1536 * MIB, 512 * MIB

# Runs as PID 1 while the root of storage.raw, on vda3, is read-only: copies it to a volume that it makes, and starts
# init from there. udev begins when there are partitions, as it has the kernel read each new table again, and hands over
# what it knows, as that of an initrd does.
START = """\
set -ex
exec </dev/console >/dev/console 2>&1
{partitions}
/lib/systemd/systemd-udevd --daemon
udevadm trigger --action=add
udevadm settle
{volumes}
dd if=/dev/vda3 of={root} bs=4M iflag=direct oflag=direct status=none
mount {root} /mnt
echo "{root} / ext4 errors=remount-ro 0 1" > /mnt/etc/fstab
for unit in ssh systemd-resolved lvm2-monitor; do ln -sf /dev/null /mnt/etc/systemd/system/$unit.service; done
udevadm settle
udevadm control --exit
for each in dev proc sys run; do mount -n --move /$each /mnt/$each; done
cd /mnt
pivot_root . mnt
exec chroot . sh -c 'umount -l /mnt; exec /sbin/init'
"""
ENCRYPT = "cryptsetup luksFormat -q --pbkdf pbkdf2 --pbkdf-force-iterations 1000 --key-file /root/key"

# The root over two disks; a disk with two encrypted partitions, one of them opened.
VOLUMES = [("volume-one", "virtio", SYSTEM), ("volume-two", "nvme", SYSTEM), ("secrets", "sata", DATA)]
VOLUMES_START = START.format(root="/dev/mapper/vg--0-root", partitions="""\
printf 'label: gpt\\nsize=64MiB\\nsize=+\\n' | sfdisk -q /dev/vdb
printf 'label: gpt\\nsize=+\\n' | sfdisk -q /dev/nvme0n1
printf 'label: gpt\\nsize=128MiB\\nsize=128MiB\\nsize=64MiB\\n' | sfdisk -q /dev/sda
""", volumes="""\
pvcreate -q /dev/vdb2 /dev/nvme0n1p1
vgcreate -q -An vg-0 /dev/vdb2 /dev/nvme0n1p1
lvcreate -q -An -y -n root -i 2 -L 1100M vg-0
lvcreate -q -An -y -n swap -L 32M vg-0 /dev/vdb2
lvcreate -q -An -y -n idle -L 32M vg-0 /dev/nvme0n1p1
""")
VOLUMES_DATA = f"""\
mkfs.ext4 -q /dev/vdb1
mkdir /boot/efi
mount /dev/vdb1 /boot/efi
mkswap -q /dev/vg-0/swap
swapon /dev/vg-0/swap
echo -n secret > /root/key
{ENCRYPT} /dev/sda1
{ENCRYPT} /dev/sda2
cryptsetup open --key-file /root/key /dev/sda1 opened
mkfs.ext4 -q /dev/mapper/opened
mkdir "/srv/my data" /var/spool/data
mount /dev/mapper/opened "/srv/my data"
mount --bind "/srv/my data" /var/spool/data
cp -a /dev/dm-0 /dev/other-node
"""

# The root on one array, encrypted volumes on another; btrfs over two disks; a plain ext4, and swap.
ARRAYS = [("mirror-one", "sata", SYSTEM), ("mirror-two", "sata", SYSTEM), ("tree-one", "virtio", DATA),
          ("tree-two", "virtio", DATA), ("plain", "virtio", DATA), ("swap", "virtio", DATA)]
ARRAYS_START = START.format(root="/dev/md0", partitions="""\
for disk in sda sdb; do printf 'label: gpt\\nsize=1100MiB\\nsize=128MiB\\nsize=+\\n' | sfdisk -q /dev/$disk; done
""", volumes="""\
mdadm -q --create /dev/md0 --run --assume-clean --level=1 --raid-devices=2 --metadata=1.2 /dev/sda1 /dev/sdb1
""")
ARRAYS_DATA = f"""\
mdadm -q --create /dev/md1 --run --assume-clean --level=1 --raid-devices=2 --metadata=1.2 /dev/sda2 /dev/sdb2
echo -n secret > /root/key
{ENCRYPT} /dev/md1
cryptsetup open --key-file /root/key /dev/md1 hidden
pvcreate -q /dev/mapper/hidden
vgcreate -q vg1 /dev/mapper/hidden
lvcreate -q -y -n swap -L 16M vg1
lvcreate -q -y -n logs -L 64M vg1
mkswap -q /dev/vg1/swap
swapon /dev/vg1/swap
mkfs.ext4 -q /dev/vg1/logs
mount /dev/vg1/logs /mnt
mkfs.btrfs -q /dev/vdb /dev/vdc
mkdir /srv/all /srv/photos
mount /dev/vdb /srv/all
btrfs -q subvolume create /srv/all/@photos
btrfs -q subvolume create /srv/all/@home
mount -o subvol=@photos /dev/vdb /srv/photos
mount -o subvol=@home /dev/vdb /home
mkfs.ext4 -q /dev/vdd
mkswap -q /dev/vde
swapon /dev/vde
"""

CONTENTS = {None: "", "ext4": "ext4", "vfat": "FAT", "LVM2_member": "LVM", "crypto_LUKS": "LUKS",
            "linux_raid_member": "RAID (md)", "btrfs": "Btrfs", "swap": "swap"}


def size(count):
    """Never more than there is: rounded down."""
    unit, name = next((u, n) for u, n in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1, "B")) if count >= u)
    return f"{count * 10 // unit / 10:.1f} {name}"


def walk(device):
    yield device
    for child in device.get("children", []):
        yield from walk(child)


class Disks:
    """A machine's disks by lsblk, and what a plan has to say of them."""

    def __init__(self, lsblk, mounts):
        self.disks = {disk["name"]: disk for disk in sorted(lsblk["blockdevices"], key=lambda disk: disk["name"])
                      if disk["type"] == "disk"}
        # Mount points in the order in which they were mounted; lsblk has another.
        self.order = [mount["target"] for mount in mounts["filesystems"]]
        self.btrfs = [disk for disk in self.disks.values() if disk["fstype"] == "btrfs"]

    @staticmethod
    def describe(disk):
        words = [disk["model"], f"serial {disk['serial']}", size(disk["size"])]
        return f"{disk['name']}: {', '.join(filter(None, words))}"

    def use(self, *devices):
        mounts = {point for device in devices for point in device["mountpoints"] if point}
        if mounts == {"[SWAP]"}:
            return ["swap"]
        return ["mounted on " + " and ".join(sorted(mounts, key=self.order.index))] if mounts else []

    @staticmethod
    def runs_from(disk):
        return any("/" in device["mountpoints"] for device in walk(disk))

    def layers(self, device):
        """(its name, how it and what lies on it is used, with all layers between) of each layer."""
        if device in self.btrfs:
            name = "Btrfs over " + " and ".join(each["name"] for each in self.btrfs)
            yield name, ", ".join([name, *self.use(*self.btrfs)])
        for child in sorted(device.get("children", []), key=lambda child: child["kname"]):
            if child["type"] == "part":
                continue
            layer = {"lvm": "LVM {}", "crypt": "encrypted {}", "raid1": "RAID {} (raid1)"}[child["type"]]
            name = layer.format(child["name"])
            above = list(self.layers(child))
            yield name, ", ".join([name, *self.use(child)]) if not above else None
            for layer, text in above:
                yield layer, text and f"{name}, {text}"

    def all_layers(self, disk):
        parts = [disk, *(child for child in disk.get("children", []) if child["type"] == "part")]
        return list(dict.fromkeys(name for part in parts for name, _ in self.layers(part)))

    def plan(self, name):
        """Its lines on disks, when this one is named."""
        lines = []

        def add(text, title="", indent=0, deeper=0):
            lines.extend(textwrap.wrap(text, 79, initial_indent=f"  {title}".ljust(12 + indent),
                                       subsequent_indent=" " * (12 + indent + deeper), break_long_words=False,
                                       break_on_hyphens=False))

        def add_part(part):
            content = CONTENTS[part["fstype"]]
            layers = list(self.layers(part))
            use = [] if part in self.btrfs else self.use(part)
            words = [size(part["size"]), content, *("in use" if each == content else each for each in use)]
            if not content and not use and not layers:
                words.append("no file system that is known")
            add(f"{part['name']}: {', '.join(filter(None, words))}", deeper=2)
            for _, text in layers:
                if text:
                    add(text, indent=2, deeper=2)

        disk = self.disks[name]
        add(f"/dev/{self.describe(disk)}", "disk")
        runs = self.runs_from(disk)
        add("this system runs from it" if runs else "this system's root is not on it: the firmware may start this "
            "system again, unless it is told to start from that disk")
        add(f"the installer finds it by serial:{disk['serial']}")
        if disk["fstype"]:
            add_part(disk)
        for part in disk.get("children", []):
            add_part(part)
        if not disk["fstype"] and not disk.get("children"):
            add("nothing that is known lies on it")
        for other in self.disks.values():
            if other is disk:
                continue
            add(f"/dev/{self.describe(other)}", "stays")
            shared = [layer for layer in self.all_layers(disk) if layer in self.all_layers(other)]
            if shared:
                add(f"what lies on both disks loses its part on /dev/{name}: {', '.join(shared)}")
            if runs and self.runs_from(other):
                add("this system runs from it, too: the firmware may start this system again, unless it is told to "
                    f"start from /dev/{name}")
        return lines

    def under(self, name):
        """Names of the disks that a partition or volume lies on."""
        return [f"/dev/{disk['name']}" for disk in self.disks.values()
                if any(name in (device["name"], device["kname"]) for device in walk(disk))]

    def no_disk(self, typed):
        return f"there is no disk {typed}: the disks are " + "; ".join(map(self.describe, self.disks.values()))

    def refusal(self, typed, kind, name):
        under = self.under(name)
        if len(under) == 1:
            return f"{typed} is {kind}; name the whole disk, {under[0]}"
        return f"{typed} is {kind} of {' and '.join(under)}; name one of these disks"


class Storage(harness.E2ETest):

    def boot(self, disks, start, data):
        """The machine, logged in to, with its disks laid out."""
        self.need_binary()
        cache = harness.machines("storage")
        network = self.network()
        network.serve_names()
        web = self.artifacts / "web"
        web.mkdir()
        (web / "curlingiron").symlink_to(harness.BINARY.resolve())
        (web / "data.sh").write_text(data)
        harness.write_synthetic(web / "image.img", 16 * MIB, seed=15)
        network.serve_web(web)
        layout = self.artifacts / "layout.raw"
        layout.write_text(start)
        attached = [{"file": harness.overlay(cache / "storage.raw", self.artifacts / "first.qcow2"),
                     "serial": "first-system", "properties": {"bootindex": 0}}]
        for serial, bus, length in [*disks, ("layout", "virtio", MIB)]:
            file = self.artifacts / f"{serial}.raw"
            with open(file, "ab") as out:
                out.truncate(length)
            place = {"bus": f"ide.{len(attached)}"} if bus == "sata" else {}
            attached.append({"file": file, "bus": bus, "serial": serial, "properties": place})
        self.machine_ = self.machine(name="machine", network=network, memory=1024, disks=attached, reset="exit")
        self.machine_.log_in()
        self.shell("/lib/systemd/systemd-networkd-wait-online --any --timeout=120 && cd /root && "
                   f"curl -fsS -O {WEB}/curlingiron -O {WEB}/data.sh && chmod +x curlingiron && "
                   "sh -e data.sh && udevadm settle", 180)
        self.disks = Disks(*(json.loads(self.shell(command)) for command in (
            "lsblk -J -b -o NAME,KNAME,TYPE,SIZE,MODEL,SERIAL,FSTYPE,MOUNTPOINTS", "findmnt -J -l -o TARGET")))
        # For people who compare them in the console's log.
        self.shell("lsblk -o NAME,TYPE,SIZE,MODEL,SERIAL,FSTYPE,MOUNTPOINTS,PKNAME")

    def shell(self, command, timeout=60):
        status, output = self.machine_.shell(command, timeout)
        if status != 0:
            raise self.machine_.failure(f"{command}: exit {status}\n{output}")
        return output

    def flash(self, disk, options="</dev/null"):
        return self.machine_.shell(f"./curlingiron flash {WEB}/image.img {disk} {options}", 120)

    def check_plan(self, disk):
        with self.subTest(disk):
            # Nobody there to answer the question that follows the plan.
            status, output = self.flash(disk)
            self.assertEqual(status, 1, output)
            self.assertIn("nobody to ask", output)
            plan = re.search(r"^This replaces everything on\n(?:  .*\n)+with\n(?:(?!curlingiron: ).+\n)+", output,
                             re.MULTILINE)
            self.assertIsNotNone(plan, output)
            lines = plan[0].splitlines()
            self.assertEqual(lines[1:lines.index("with")], self.disks.plan(disk))
            self.assertLess(max(map(len, lines)), 80, plan[0])

    def check_refusals(self, messages):
        for typed, message in messages:
            with self.subTest(typed):
                status, output = self.flash(typed)
                self.assertEqual((status, output.splitlines()[-1]),
                                 (1, f"curlingiron: error: {message}; nothing was changed"))

    def test_volumes(self):
        self.boot(VOLUMES, VOLUMES_START, VOLUMES_DATA)
        self.assertEqual(self.shell("findmnt -no SOURCE /"), "/dev/mapper/vg--0-root")
        for disk in ("vdb", "nvme0n1", "sda", "vda"):
            self.check_plan(disk)
        partition, volume, encrypted = "a partition", "a logical volume", "an encrypted volume"
        self.check_refusals([
            *((typed, self.disks.refusal(typed, volume, "vg--0-root"))
              for typed in ("/dev/mapper/vg--0-root", "dm-0", "/dev/other-node")),
            ("/dev/vg-0/swap", self.disks.refusal("/dev/vg-0/swap", volume, "vg--0-swap")),
            ("/dev/mapper/opened", self.disks.refusal("/dev/mapper/opened", encrypted, "opened")),
            *((typed, self.disks.refusal(typed, partition, "vdb2"))
              for typed in ("vdb2", "/dev/disk/by-id/virtio-volume-one-part2")),
            ("/dev/nvme0n1p1", self.disks.refusal("/dev/nvme0n1p1", partition, "nvme0n1p1")),
            *((typed, self.disks.no_disk(typed)) for typed in ("/dev/vdz", "vdz", "/root")),
        ])
        status, output = self.flash("serial:volume-one", "--dry-run")
        self.assertEqual(status, 0, output)
        self.assertIn("\n".join(self.disks.plan("vdb")), output)

    def test_arrays(self):
        self.boot(ARRAYS, ARRAYS_START, ARRAYS_DATA)
        self.assertEqual(self.shell("findmnt -no SOURCE /"), "/dev/md0")
        for disk in ("sda", "vdb", "vdc", "vdd", "vde"):
            self.check_plan(disk)
        self.check_refusals([
            *((typed, self.disks.refusal(typed, "a RAID", "md0")) for typed in ("/dev/md0", "md0")),
            ("/dev/mapper/hidden", self.disks.refusal("/dev/mapper/hidden", "an encrypted volume", "hidden")),
            ("/dev/vg1/logs", self.disks.refusal("/dev/vg1/logs", "a logical volume", "vg1-logs")),
            ("/dev/sdb1", self.disks.refusal("/dev/sdb1", "a partition", "sdb1")),
        ])


if __name__ == "__main__":
    harness.unittest.main()
