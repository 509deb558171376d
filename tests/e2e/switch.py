"""A switch of a data centre: a small machine with Debian's kernel, which speaks VLAN and LACP where this machine's
kernel may not. Its uplink is on the test's network; behind it the servers are the same as without it."""

import pathlib
import re
import subprocess

from tests.e2e import harness, payload

DRIVERS = ["virtio_pci", "virtio_net", "8021q", "bridge", "bonding"]

INIT = """\
#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev /usr/bin
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
for module in $(cat /modules/order); do insmod /modules/$module $(cat /modules/$module.options 2>/dev/null); done
brctl addbr uplink
brctl setfd uplink 0
ip link set uplink up
join() { ip link set "$1" up; brctl addif uplink "$1"; }
join eth0
. /layout
stty -echo
export PS1='ready''> '
exec setsid cttyhack sh
"""


class Wire:
    """A cable between two machines: what one end sends, the other receives, and nobody else."""

    def __init__(self, directory, name):
        a, b = (pathlib.Path(directory) / f"{name}.{end}" for end in "ab")
        # A port whose speed nobody knows takes no part in LACP.
        common = {"properties": {"speed": 10000, "duplex": "full"}}
        self.a, self.b = {"wire": (a, b), **common}, {"wire": (b, a), **common}


def _archive(directory, files):
    """A cpio archive of {path: (mode, content)}."""
    for path, (mode, content) in files.items():
        target = directory / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        target.chmod(mode)
    names = sorted(str(p.relative_to(directory)) for p in directory.rglob("*"))
    done = subprocess.run(["cpio", "--quiet", "-o", "-H", "newc"], cwd=directory, input="\n".join(names).encode() + b"\n",
                          stdout=subprocess.PIPE, check=True)
    return done.stdout


def _modules():
    release = (payload.KERNEL / "release").read_text().strip()
    order = []
    for driver in DRIVERS:
        said = harness.run(["modprobe", "-d", payload.KERNEL, "-S", release, "--show-depends", driver])
        for path in re.findall(r"^insmod (\S+)", said, re.MULTILINE):
            if path not in order:
                order.append(path)
    return [pathlib.Path(path) for path in order]


class Switch:
    """Ports are the far ends of `wires`. `layout`:

    plain  each port for itself
    lacp   all ports are one 802.3ad bond
    vlan   frames of this VLAN alone are passed on; None: those without a tag
    """

    def __init__(self, artifacts, network, wires, layout="plain", vlan=None, name="switch"):
        harness.machines("kernel")
        ports = [f"eth{index + 1}" for index in range(len(wires))]
        lines = []
        if layout == "lacp":
            # Module options stand in for tools: bond0 is there when the module is.
            for port in ports:
                lines += [f"ip link set {port} down", f"echo +{port} > /sys/class/net/bond0/bonding/slaves"]
            trunks = ["bond0"]
        else:
            trunks = ports
        for trunk in trunks:
            lines.append(f"ip link set {trunk} up")
            if vlan is not None:
                lines.append(f"vconfig add {trunk} {vlan}")
            lines.append(f"join {trunk}.{vlan}" if vlan is not None else f"join {trunk}")
        modules = _modules()
        files = {"init": (0o755, INIT.encode()), "layout": (0o644, ("\n".join(lines) + "\n").encode()),
                 "bin/busybox": (0o755, pathlib.Path("/usr/bin/busybox").read_bytes()),
                 "modules/order": (0o644, "\n".join(m.name for m in modules).encode()),
                 "modules/bonding.ko.options": (0o644, b"mode=802.3ad miimon=100 lacp_rate=fast"
                                                if layout == "lacp" else b"max_bonds=0")}
        files.update({f"modules/{m.name}": (0o644, m.read_bytes()) for m in modules})
        tree = pathlib.Path(artifacts) / f"{name}.tree"
        tree.mkdir()
        initrd = pathlib.Path(artifacts) / f"{name}.cpio"
        initrd.write_bytes(_archive(tree, files))
        harness.shutil.rmtree(tree)
        self.machine = harness.Machine(artifacts, name=name, network=network, kernel=payload.KERNEL / "vmlinuz",
                                       initrd=initrd, append="console=ttyS0 quiet panic=1", memory=128,
                                       nics=[{"mac": "52:54:00:c0:1e:00"},
                                             *({**wire.b, "mac": f"52:54:00:c0:1e:{index + 1:02x}"}
                                               for index, wire in enumerate(wires))])

    def ready(self, timeout=60):
        self.machine.expect(r"ready> $", timeout, unless="Kernel panic.*|insmod: .*|can't .*")

    def lacp_partner(self):
        """The MAC address of the system at the other end of the bond; zeros: none."""
        _, text = self.machine.shell("cat /sys/class/net/bond0/bonding/ad_partner_mac")
        return text.strip()
