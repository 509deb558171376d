"""A machine that only its administrator's key and its static address reach is reimaged, and is reached again: by the same
key, at the same address, under its name. The images are those of a cloud: nothing of it is known to them before."""

import contextlib
import json
import re
import subprocess

from tests.e2e import harness, inplace
from tests.e2e.harness import MIB, SECTOR
from tests.e2e.switch import Switch, Wire

ADDRESS = "10.77.0.50"
HOST_NAME = "shop.example.net"
# The old machine's own network, as systemd-networkd has it.
STATIC = f"""\
[Match]
Name={{card}}

[Network]
Address={ADDRESS}/24
Address=fd77::50/64
Gateway={harness.GATEWAY}
DNS={harness.GATEWAY}
Domains=test
IPv6AcceptRA=no

[Route]
Destination=198.51.100.0/24
Gateway=10.77.0.9
"""
# A rented server's: the host's own address alone, a gateway that no network of it holds, behind a VLAN.
FAR_GATEWAY, FAR_GATEWAY6 = "10.79.0.1", "fd79::1"
FAR_ADDRESS, FAR_ADDRESS6 = "192.0.2.50", "2001:db8:7::50"
FAR = {
    "10-card.network": "[Match]\nName={card}\n\n[Network]\nVLAN=wan.7\nLinkLocalAddressing=no\n",
    "10-wan.netdev": "[NetDev]\nName=wan.7\nKind=vlan\n\n[VLAN]\nId=7\n",
    "10-wan.network": f"""\
[Match]
Name=wan.7

[Network]
Address={FAR_ADDRESS}/32
Address={FAR_ADDRESS6}/128
DNS={harness.GATEWAY}
IPv6AcceptRA=no

[Route]
Gateway={FAR_GATEWAY}
GatewayOnLink=yes

[Route]
Gateway={FAR_GATEWAY6}
GatewayOnLink=yes
""",
}
# sgdisk's, of every table that sfdisk made; the image's own.
LATE_FIRST_SECTOR = "Warning: There is a gap between the main partition table (ending sector 33)"
FSCK = {"ext4": ["e2fsck", "-f", "-n"], "xfs": ["xfs_repair", "-n"], "btrfs": ["btrfs", "check", "--readonly"],
        "vfat": ["fsck.fat", "-n"]}


def judge_partitions(disk):
    """What others say of the disk's table and of each file system on it; nothing is to be wrong."""
    table = json.loads(harness.run(["sfdisk", "--json", disk]))["partitiontable"]
    if table["label"] == "gpt":
        yield "sgdisk -v", *judged(["sgdisk", "-v", disk], "No problems found")
    yield "sfdisk -V", *judged(["sfdisk", "-V", disk], "No errors")
    yield "parted", *judged(["parted", "-s", "-m", disk, "unit", "s", "print"], "")
    for entry in table["partitions"]:
        with partition(disk, entry) as device:
            system = subprocess.run(["blkid", "-p", "-s", "TYPE", "-o", "value", device], stdout=subprocess.PIPE,
                                    text=True, check=False).stdout.strip()
            if system in FSCK:
                yield f"{system} of {entry['node']}", *judged([*FSCK[system], device], "")


def judged(command, said):
    done = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False, timeout=300)
    warnings = done.stdout.replace(LATE_FIRST_SECTOR, "")
    return done.returncode == 0 and said in done.stdout and "Warning" not in warnings, done.stdout


@contextlib.contextmanager
def partition(disk, entry):
    device = harness.run(["losetup", "--find", "--show", "--read-only", "--offset", entry["start"] * SECTOR,
                          "--sizelimit", entry["size"] * SECTOR, disk]).strip()
    try:
        yield device
    finally:
        harness.run(["losetup", "--detach", device])


class Reachable(harness.E2ETest):

    def setUp(self):
        super().setUp()
        self.need_binary()

    def old_machine(self, image, **hardware):
        """One that runs from a disk four times as large as the image, without any address yet."""
        scene = inplace.Scene(self.artifacts, image=image, dhcp=False)
        self.addCleanup(scene.close)
        with open(scene.disk, "r+b") as disk:
            disk.truncate(4 * scene.image.stat().st_size)
        machine = scene.old_machine(**hardware)
        self.addCleanup(machine.kill)
        machine.log_in()
        return scene, machine

    def configure(self, machine, files):
        _, card = machine.shell("ls /sys/class/net | grep '^e'")
        commands = ["rm -f /etc/systemd/network/*", f"hostnamectl hostname {HOST_NAME}"]
        for name, text in files.items():
            quoted = text.replace("{card}", card.strip()).replace("\n", "\\n")
            commands.append(f"printf '{quoted}' > /etc/systemd/network/{name}")
        commands.append("systemctl restart systemd-networkd")
        for command in commands:
            status, output = machine.shell(command)
            self.assertEqual(status, 0, output)
        machine.shell("until ip -br route | grep -q ^default; do sleep 0.2; done", 60)

    def flash(self, scene, machine, *options):
        """From the command to the restart. What the plan said."""
        scene.fetch_command(machine)
        machine.send(scene.flash_command("/dev/vda", "--grow", *options) + "\n")
        plan = machine.expect(r"This replaces everything on[^$]*?goes down now", 300, unless=inplace.FAILED)[0]
        inplace.watch_install(machine)
        machine.resume()
        machine.expect(r"login: $", 900)
        return " ".join(plan.split())

    def on(self, scene, address, command):
        status, output = self.ssh(scene.network, address, command, timeout=120)
        return output.strip()

    def assert_the_same_machine(self, scene, address, cloud_init=True):
        harness.wait_until(lambda: self.ssh(scene.network, address, "true", check=False)[0] == 0, 300,
                           lambda: self.failureException(f"no ssh at {address}; logs: {self.artifacts}"))
        if cloud_init:
            self.assertIn("done", self.on(scene, address, "cloud-init status --wait || true"))
        self.assertEqual(self.on(scene, address, "hostname"), HOST_NAME)
        # It reaches names, and so has its name server and its route.
        self.assertEqual(self.on(scene, address, "getent hosts image.test | wc -l"), "1")

    def assert_static_network(self, scene):
        self.assertRegex(self.on(scene, ADDRESS, "ip route"), rf"(?s)default via {harness.GATEWAY}.*"
                         r"198\.51\.100\.0/24 via 10\.77\.0\.9")
        self.assertIn("fd77::50/64", self.on(scene, ADDRESS, "ip -6 addr show scope global"))

    def assert_sound(self, scene, machine, address, system="ext4"):
        """The root file system fills the disk, and nobody finds anything wrong with what is on it."""
        size = int(self.on(scene, address, "findmnt -bno SIZE /"))
        self.assertGreater(size, 0.92 * (scene.disk.stat().st_size - 32 * MIB))
        self.assertEqual(self.on(scene, address, "findmnt -no FSTYPE /"), system)
        self.ssh(scene.network, address, "systemctl poweroff", check=False)
        machine.wait_exit(300)
        for who, good, said in judge_partitions(scene.disk):
            with self.subTest(who):
                self.assertTrue(good, said)

    def comes_back(self, recipe, image, *, system="ext4", options=(), **hardware):
        scene, machine = self.old_machine(harness.machines(recipe) / image, **hardware)
        self.configure(machine, {"10-static.network": STATIC})
        host_key = self.on(scene, ADDRESS, "cat /etc/ssh/ssh_host_ed25519_key.pub")
        plan = self.flash(scene, machine, *options)
        self.assertRegex(plan, r"grows to")
        self.assertIn(f"name {HOST_NAME}", plan)
        self.assertIn(ADDRESS, plan)
        self.assert_the_same_machine(scene, ADDRESS)
        self.assert_static_network(scene)
        kept = self.on(scene, ADDRESS, "cat /etc/ssh/ssh_host_ed25519_key.pub").split()[1] == host_key.split()[1]
        self.assertEqual(kept, "--keep-host-keys" in options)
        self.assert_sound(scene, machine, ADDRESS, system)

    def test_without_cloud_init(self):
        """An image that knows no key and no network: all of it comes from the old machine's own files."""
        image = harness.copy_sparse(harness.machines("new") / "new.raw", self.artifacts / "plain.raw")
        self.addCleanup(image.unlink)
        table = json.loads(harness.run(["sfdisk", "--json", image]))["partitiontable"]["partitions"]
        root = f"{image}?offset={table[-1]['start'] * SECTOR}"
        for gone in ("/root/.ssh/authorized_keys", "/etc/systemd/network/80-dhcp.network"):
            harness.run(["debugfs", "-w", "-R", f"rm {gone}", root])
        mounts = harness.run(["debugfs", "-R", "cat /etc/fstab", root])
        mounts = mounts.replace("remount-ro", "remount-ro,x-systemd.growfs")
        self.assertIn("growfs", mounts)
        scene, machine = self.old_machine(image)
        self.configure(machine, {"10-static.network": STATIC})
        status, output = machine.shell(f"echo '{mounts.strip()}' > /root/fstab")
        self.assertEqual(status, 0, output)
        plan = self.flash(scene, machine, "--no-seed --force-put",
                          "--put /root/.ssh/authorized_keys:root:/root/.ssh/authorized_keys:600",
                          "--put /etc/systemd/network:root:/etc/systemd/network",
                          "--put /etc/hostname:root:/etc/hostname", "--put /root/fstab:root:/etc/fstab")
        self.assertIn("/root/.ssh/authorized_keys", plan)
        self.assert_the_same_machine(scene, ADDRESS, cloud_init=False)
        self.assert_static_network(scene)
        self.assert_sound(scene, machine, ADDRESS)

    def test_debian12(self):
        self.comes_back("cloud12", "cloud12.raw", options=("--keep-host-keys",))

    def test_debian13_uefi(self):
        self.comes_back("cloud13", "cloud13.raw", firmware="uefi")

    def test_systemd_boot(self):
        self.comes_back("cloud13", "cloud13-systemd-boot.raw", firmware="uefi")

    def test_xfs(self):
        self.comes_back("cloud12", "cloud12-xfs.raw", system="xfs")

    def test_btrfs(self):
        self.comes_back("cloud12", "cloud12-btrfs.raw", system="btrfs")

    def test_mbr(self):
        self.comes_back("cloud12", "cloud12-mbr.raw")

    def test_far_gateway_and_vlan(self):
        """Neither DHCP nor a network of its own: /32, /128, a gateway on the link, all of it in a VLAN."""
        wire = Wire(self.artifacts, "wire")
        scene, machine = self.old_machine(harness.machines("cloud12") / "cloud12.raw", wire=wire.a)
        for command in (f"ip addr add {FAR_GATEWAY}/32 dev br0", f"ip addr add {FAR_GATEWAY6}/128 dev br0 nodad",
                        f"ip route add {FAR_ADDRESS} dev br0", f"ip route add {FAR_ADDRESS6} dev br0"):
            scene.network.namespace.run(command.split())
        switch = Switch(self.artifacts, scene.network, [wire], vlan=7)
        self.addCleanup(switch.machine.kill)
        switch.ready()
        self.configure(machine, FAR)
        self.flash(scene, machine)
        for address in (FAR_ADDRESS, FAR_ADDRESS6):
            self.assert_the_same_machine(scene, address)
        self.assertRegex(self.on(scene, FAR_ADDRESS, "ip -d link show wan.7"), "vlan protocol 802.1Q id 7")


if __name__ == "__main__":
    harness.unittest.main()
