"""VLANs and bonds: /init behind a switch that speaks nothing else, with a cable that is cut.

A machine each, started directly, and a second one as the switch: this machine's kernel need not know either protocol.
"""

import collections
import os

from tests.e2e import harness, payload
from tests.e2e.switch import Switch, Wire
from tests.e2e.test_direct import phase
from tests.e2e.test_hardware import PHASES

DISK_SIZE = 32 * harness.MIB
IMAGE_SIZE = 16 * harness.MIB
SERIAL = "ci-links-1"

# name; how the switch takes the ports (layout, VLAN); the settings; the number of cables; dead: what is wrong with one
# of them, as (its number, "unplugged": no carrier, "silent": a carrier, and nobody at the other end); words: on the
# kernel's command line as dracut has them, instead of settings of curlingiron's own.
Row = collections.namedtuple("Row", "name layout vlan settings cables dead words", defaults=[1, None, []])

STATIC = "ip=10.77.0.40::10.77.0.1:255.255.255.0::{}:none"
NAMES = f"nameserver={harness.GATEWAY}"

ROWS = [
    Row("vlan_dhcp", "plain", 5, ["vlan=eth0.5:eth0", "ip=eth0.5:dhcp"]),
    Row("vlan_static", "plain", 5, ["vlan=vlan0005:eth0", STATIC.format("vlan0005"), NAMES]),
    Row("bond_active_backup", "plain", None,
        ["bond=bond0:eth0,eth1:mode=active-backup,miimon=100,primary=eth0", "ip=bond0:dhcp"], 2, (0, "unplugged")),
    Row("bond_lacp", "lacp", None, ["bond=bond0:eth0,eth1:mode=802.3ad,miimon=100,lacp_rate=fast", "ip=bond0:dhcp"],
        2, (0, "unplugged")),
    Row("bond_lacp_silent", "lacp", None,
        ["bond=bond0:eth0,eth1:mode=802.3ad,miimon=100,lacp_rate=fast", STATIC.format("bond0"), NAMES], 2, (0, "silent")),
    Row("vlan_on_bond", "lacp", 5,
        ["bond=bond0:eth0,eth1:mode=802.3ad,miimon=100,lacp_rate=fast,xmit_hash_policy=layer3+4", "vlan=bond0.5:bond0",
         STATIC.format("bond0.5"), NAMES], 2, (1, "unplugged")),
    Row("vlan_on_bond_dracut", "plain", 5, [], 2, (0, "unplugged"),
        ["bond=bond0:eth0,eth1:mode=active-backup,miimon=100", "vlan=bond0.5:bond0", "ip=bond0.5:dhcp"]),
]


class Links(harness.E2ETest):

    def installs(self, row):
        self.need_binary()
        net = self.network()
        web = self.artifacts / "web"
        web.mkdir()
        served, image = payload.image("hardware", IMAGE_SIZE, 4, "raw")
        os.link(served, web / "image.raw")
        net.serve_names()
        net.serve_web(web)
        settings = ["src=https://image.test/image.raw", "dst=only", "deadline=60s", "loglevel=debug", *row.settings]
        modules = [*payload.MODULES, *(["bonding", "8021q"] if row.words else [])]
        initramfs = payload.build(self.artifacts / "initramfs", net.certificates.ca, settings, modules)
        disk = harness.write_noise(self.artifacts / "disk.raw", DISK_SIZE, seed=7)

        wires = [Wire(self.artifacts, f"wire{index}") for index in range(row.cables)]
        number, how = row.dead or (None, None)
        ends = [Wire(self.artifacts, "nobody") if how == "silent" and number == index else wire
                for index, wire in enumerate(wires)]
        switch = Switch(self.artifacts, net, ends, row.layout, row.vlan)
        self.addCleanup(switch.machine.kill)
        machine = self.machine(network=net, kernel=payload.KERNEL / "vmlinuz", initrd=initramfs, memory=256,
                               append=" ".join(["console=ttyS0", "panic=1", "loglevel=4", *row.words]),
                               disks=[{"file": disk, "serial": SERIAL}], nics=[wire.a for wire in wires])
        if how == "unplugged":
            machine.plug(number, False)
        for each in PHASES:
            machine.expect(phase(each, "ok"), 120, unless=r"status=failed.*\n|Kernel panic.*|Oops.*|BUG: .*")
            if each == "source" and row.layout == "lacp":
                switch.ready()
                # The address of the bond is that of its first member, in the kernel's order.
                self.assertRegex(switch.lacp_partner(), "^52:54:00:c0:1d:0[01]$")
        machine.wait_exit(30)
        self.assert_installed(disk, image)


for row in ROWS:
    setattr(Links, f"test_{row.name}", lambda self, row=row: self.installs(row))


if __name__ == "__main__":
    harness.unittest.main()
