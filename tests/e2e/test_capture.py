"""What a running system's network is, by `curlingiron capture`, and what /init makes of it.

A Debian machine is configured by one of the tools that Debian has for it; `ip` says what the kernel has then. /init is
started with the same NICs and the captured text, and says what it set up. Both are compared field by field, by a
reading of both sides that is not the command's own.
"""

import io
import os
import pathlib
import re
import tarfile
import time

from tests.e2e import harness, inplace, network_state, payload
from tests.e2e.switch import Switch, Wire

# Two worlds: without DHCP, where the machine has static addresses; and with it.
STATIC_WORLD, DHCP_WORLD = harness.GATEWAY, "10.78.0.1"
LEASED = "10.78.0.150"
BEHIND_GATEWAY = "fd00:55::1"  # a server that is on no link: by the gateway fe80::1

# NICs by their use; the number is that of the PCI slot, which is in the name that udev gives.
STATIC, DHCP, TRUNK, LEG1, LEG2, PORT = (f"enp0s{slot}" for slot in range(16, 22))
NICS = {name: f"52:54:00:c0:1d:{slot:02x}" for name, slot in zip((STATIC, DHCP, TRUNK, LEG1, LEG2, PORT), range(16, 22))}

NO_DHCP = f"""\
nameserver {STATIC_WORLD}
search example.test
"""

IFUPDOWN = {
    "etc/resolv.conf": NO_DHCP,
    "etc/network/interfaces": f"""\
auto lo
iface lo inet loopback

auto {STATIC}
iface {STATIC} inet static
  address 10.77.0.50/32
  gateway 10.77.0.1
  metric 200
  mtu 1450
  up ip route add 198.51.100.0/24 via 10.77.0.1 dev {STATIC} onlink metric 50
  up ip rule add from 192.0.2.5 lookup 100 priority 1000
iface {STATIC} inet static
  address 192.0.2.5/24
  up ip route add default via 192.0.2.1 dev {STATIC} table 100
iface {STATIC} inet6 static
  address fd00:77::50/64
  gateway fe80::1
  accept_ra 0
iface {STATIC} inet6 static
  address fd00:77::51/128

auto {DHCP}
iface {DHCP} inet dhcp
iface {DHCP} inet6 auto

auto {TRUNK}.5
iface {TRUNK}.5 inet static
  address 203.0.113.2/24
  vlan-raw-device {TRUNK}

auto bond0
iface bond0 inet static
  address 198.18.0.2/24
  bond-slaves {LEG1} {LEG2}
  bond-mode active-backup
  bond-miimon 100
  bond-primary {LEG1}

auto bridge0
iface bridge0 inet static
  address 198.19.0.2/24
  bridge_ports {PORT}
  bridge_fd 0
""",
    "etc/start-network": "systemctl --no-block start networking.service\n",
}

NETPLAN = {
    "etc/netplan/test.yaml": f"""\
network:
  version: 2
  renderer: networkd
  ethernets:
    {STATIC}:
      addresses: [10.77.0.50/32, 192.0.2.5/24, "fd00:77::50/64", "fd00:77::51/128"]
      accept-ra: false
      mtu: 1450
      nameservers:
        addresses: [{STATIC_WORLD}]
        search: [example.test]
      routes:
        - {{to: default, via: 10.77.0.1, on-link: true}}
        - {{to: default, via: "fe80::1"}}
        - {{to: 198.51.100.0/24, via: 10.77.0.1, on-link: true, metric: 50}}
        - {{to: default, via: 192.0.2.1, table: 100}}
      routing-policy:
        - {{from: 192.0.2.5, table: 100, priority: 1000}}
    {DHCP}:
      dhcp4: true
      dhcp6: true
    {TRUNK}: {{}}
    {LEG1}: {{}}
    {LEG2}: {{}}
    {PORT}: {{}}
  vlans:
    {TRUNK}.5:
      id: 5
      link: {TRUNK}
      addresses: [203.0.113.2/24]
  bonds:
    bond0:
      interfaces: [{LEG1}, {LEG2}]
      addresses: [198.18.0.2/24]
      parameters:
        mode: active-backup
        mii-monitor-interval: 100
        primary: {LEG1}
  bridges:
    bridge0:
      interfaces: [{PORT}]
      addresses: [198.19.0.2/24]
      parameters:
        forward-delay: 0
""",
    "etc/start-network": "systemctl daemon-reload\n"
                         "systemctl --no-block start systemd-networkd.service systemd-resolved.service\n",
}


def keyfile(identity, kind, device, sections):
    return f"[connection]\nid={identity}\ntype={kind}\ninterface-name={device}\n{sections}"


NETWORK_MANAGER = {
    "etc/resolv.conf": "",
    **{f"etc/NetworkManager/system-connections/{name}.nmconnection": text for name, text in {
        "static": keyfile("static", "ethernet", STATIC, f"""
[ethernet]
mtu=1450
[ipv4]
method=manual
address1=10.77.0.50/32
address2=192.0.2.5/24
gateway=10.77.0.1
dns={STATIC_WORLD};
dns-search=example.test;
route1=198.51.100.0/24,10.77.0.1,50
route2=0.0.0.0/0,192.0.2.1
route2_options=table=100
routing-rule1=priority 1000 from 192.0.2.5 table 100
[ipv6]
method=manual
address1=fd00:77::50/64
address2=fd00:77::51/128
gateway=fe80::1
"""),
        "dhcp": keyfile("dhcp", "ethernet", DHCP, "\n[ipv4]\nmethod=auto\n[ipv6]\nmethod=auto\n"),
        "vlan": keyfile("vlan", "vlan", f"{TRUNK}.5", f"""
[vlan]
id=5
parent={TRUNK}
[ipv4]
method=manual
address1=203.0.113.2/24
[ipv6]
method=disabled
"""),
        "bond": keyfile("bond", "bond", "bond0", f"""
[bond]
mode=active-backup
miimon=100
primary={LEG1}
[ipv4]
method=manual
address1=198.18.0.2/24
[ipv6]
method=disabled
"""),
        "leg1": keyfile("leg1", "ethernet", LEG1, "master=bond0\nslave-type=bond\n"),
        "leg2": keyfile("leg2", "ethernet", LEG2, "master=bond0\nslave-type=bond\n"),
        "bridge": keyfile("bridge", "bridge", "bridge0", """
[bridge]
stp=false
[ipv4]
method=manual
address1=198.19.0.2/24
[ipv6]
method=disabled
"""),
        "port": keyfile("port", "ethernet", PORT, "master=bridge0\nslave-type=bridge\n"),
    }.items()},
    "etc/NetworkManager/conf.d/test.conf": "[main]\nno-auto-default=*\nplugins=keyfile\ndns=default\nrc-manager=file\n",
    "etc/start-network": "systemctl --no-block start NetworkManager.service\n",
}

# What only a person's own commands make.
BY_HAND = {
    "etc/resolv.conf": NO_DHCP,
    "etc/dhcp/dhclient.conf": "request subnet-mask, broadcast-address, routers;\n",
    "etc/start-network": "systemctl --no-block start by-hand.service\n",
    "etc/systemd/system/by-hand.service": """\
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -ex /root/network
""",
    "root/network": f"""\
for device in {STATIC} {DHCP} {TRUNK} {LEG1} {LEG2} {PORT}; do
  until ip link show $device; do sleep 0.1; done
done
sysctl -w net.ipv6.conf.{STATIC}.accept_ra=0
ip link set lo up
ip addr add 192.0.2.99/32 dev lo
ip link set {STATIC} address 52:54:00:77:00:10 mtu 1450 up
ip addr add 10.77.0.50 peer 10.77.0.1/32 dev {STATIC}
ip addr add 192.0.2.5/24 brd + dev {STATIC} metric 77
ip addr add fd00:77::50/64 dev {STATIC}
ip addr add fd00:77::51/128 dev {STATIC}
ip route add default via 10.77.0.1 dev {STATIC} src 10.77.0.50 mtu 1400
ip route add default via fe80::1 dev {STATIC} metric 512
ip route add 198.51.100.0/24 via 10.77.0.1 dev {STATIC} metric 50 advmss 1200
ip route add blackhole 10.0.0.0/8 metric 9999
ip route add unreachable fd00:99::/32
ip route add 100.64.0.0/10 nexthop via 192.0.2.1 dev {STATIC} weight 2 nexthop via 192.0.2.2 dev {STATIC}
ip route add 198.51.101.0/24 via inet6 fe80::1 dev {STATIC}
ip route add default via 192.0.2.1 dev {STATIC} table 100
ip route add default via fe80::1 dev {STATIC} table 100
ip rule add from 192.0.2.5 lookup 100 priority 1000
ip rule add to 198.51.102.0/24 lookup 100 priority 1001
ip rule add fwmark 0x10/0xff lookup 100 priority 1002
ip rule add lookup main suppress_prefixlength 0 priority 999
ip -6 rule add from fd00:77::51 lookup 100 priority 1000
ip neigh add 192.0.2.1 lladdr 52:54:00:77:00:01 dev {STATIC} nud permanent
ip link set {TRUNK} up
ip link add link {TRUNK} name svc type vlan id 7 protocol 802.1ad
ip link add link svc name svc.5 type vlan id 5
ip link set svc up
ip link set svc.5 up
ip addr add 203.0.113.2/24 dev svc.5
ip link add bond0 type bond mode 802.3ad miimon 100 lacp_rate fast xmit_hash_policy layer3+4 ad_select bandwidth
ip link set {LEG1} master bond0
ip link set {LEG2} master bond0
ip link set bond0 up
ip addr add 198.18.0.2/24 dev bond0
ip link add bridge0 type bridge
ip link set {PORT} master bridge0
ip link set {PORT} up
ip link set bridge0 up
ip addr add 198.19.0.2/24 dev bridge0
ip link set {DHCP} up
dhclient -nw -v {DHCP}
""",
}


LACP = {
    "etc/netplan/test.yaml": f"""\
network:
  version: 2
  renderer: networkd
  ethernets:
    {LEG1}: {{}}
    {LEG2}: {{}}
  bonds:
    bond0:
      interfaces: [{LEG1}, {LEG2}]
      parameters: {{mode: 802.3ad, mii-monitor-interval: 100, lacp-rate: fast, transmit-hash-policy: layer3+4}}
  vlans:
    storage:
      id: 5
      link: bond0
      addresses: [10.77.0.60/24]
      routes: [{{to: default, via: {STATIC_WORLD}}}]
      nameservers: {{addresses: [{STATIC_WORLD}]}}
""",
    "etc/start-network": NETPLAN["etc/start-network"],
}

# What is there when the tool has done its work.
ADDRESSES = {"10.77.0.50", "192.0.2.5", "fd00:77::50", "fd00:77::51", LEASED, "fd00:78::5054:ff:fec0:1d11",
             "203.0.113.2", "198.18.0.2", "198.19.0.2"}


def archive(path, files):
    """A tar file of {path: content}; content is text, or the path of a program."""
    with tarfile.open(path, "w") as out:
        for name, content in files.items():
            data = content.encode() if isinstance(content, str) else content.read_bytes()
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            # NetworkManager reads no connection that others may read.
            entry.mode = 0o600 if isinstance(content, str) else 0o755
            out.addfile(entry, io.BytesIO(data))
    return pathlib.Path(path)


def nic(name, **where):
    """The same on the host and under /init."""
    properties = {"addr": f"{int(name.removeprefix('enp0s')):#x}", "speed": 10000, "duplex": "full"}
    return {"mac": NICS[name], "properties": properties, **where}


class Capture(harness.E2ETest):

    def setUp(self):
        super().setUp()
        self.need_binary()
        self.cache = harness.machines("kernel", "net")
        self.net = self.network()
        self.web = self.artifacts / "web"
        self.web.mkdir()
        served, self.image = payload.image("hardware", 16 * harness.MIB, 4, "raw")
        os.link(served, self.web / "image.raw")
        self.sha256 = harness.sha256_of(served)

    def worlds(self):
        for command in ("ip link add br1 type bridge forward_delay 0", f"ip addr add {DHCP_WORLD}/24 dev br1",
                        "ip addr add fd00:78::1/64 dev br1 nodad", "ip link set br1 up",
                        # Else its neighbour advertisements say that it is none, and hosts drop the route through it.
                        "sysctl -qw net.ipv6.conf.br1.forwarding=1",
                        "ip addr add fe80::1/64 dev br0 nodad", "ip addr add fd00:77::1/64 dev br0 nodad",
                        f"ip addr add {BEHIND_GATEWAY}/128 dev lo"):
            self.net.namespace.run(command.split())
        taps = {STATIC: self.net.tap("br0"), DHCP: self.net.tap("br1")}
        self.nics = [nic(name, tap=taps.get(name) or self.net.tap(None)) for name in NICS]
        self.static_tap = taps[STATIC]
        self.names = self.net.serve_names(dhcp=False, name="names-static")
        return self.net.serve_names(
            dhcp=False, name="names-dhcp", bridge="br1", address=STATIC_WORLD,
            options=["--dhcp-range=10.78.0.100,10.78.0.200,255.255.255.0,1h", f"--dhcp-host={NICS[DHCP]},{LEASED}",
                     "--dhcp-authoritative", "--log-dhcp", "--dhcp-option=option:domain-search,dhcp.test",
                     "--enable-ra", "--dhcp-range=fd00:78::,ra-stateless,64,1h"])

    def host(self, files, nics, disk):
        """The Debian machine, with a shell."""
        files = {**files, "root/curlingiron": harness.BINARY, "root/ca.pem": self.net.certificates.ca.read_text()}
        configuration = archive(self.artifacts / "configuration.tar", files)
        machine = self.machine(name="host", network=self.net, memory=1024, reset="pause", nics=nics,
                               disks=[{"file": disk, "serial": inplace.SERIAL},
                                      {"file": configuration, "serial": "configuration"}])
        machine.log_in()
        # The kernel's words would get between those of the commands.
        machine.shell("dmesg -n 1")
        return machine

    def output_of(self, machine, command):
        status, output = machine.shell(command)
        if status != 0:
            raise machine.failure(f"{command}: {output}")
        return output

    def settle(self, machine, expected):
        deadline = time.monotonic() + 90 * harness.SLOW
        while True:
            text = self.output_of(machine, "ip -o addr show")
            missing = expected - set(re.findall(r"inet6? ([0-9a-f.:]+)", text))
            if not missing and " tentative " not in text:
                return
            if time.monotonic() > deadline:
                raise machine.failure(f"the configuration brings no {missing}:\n{text}")
            time.sleep(1)  # its network manager reports no end; each question is a command on its console

    def capture(self, files):
        """What `ip` says and what `curlingiron capture` says of the same network."""
        machine = self.host(files, self.nics, harness.overlay(self.cache / "net.raw", self.artifacts / "disk.qcow2"))
        self.settle(machine, ADDRESSES)
        dumps = {name: self.output_of(machine, command) for name, command in network_state.DUMPS.items()}
        for name, text in dumps.items():
            (self.artifacts / f"host.{name}").write_text(text + "\n")
        text = self.output_of(machine, "/root/curlingiron capture -o /root/network 2>/root/notes && cat /root/network")
        self.output_of(machine, "cat /root/notes")
        (self.artifacts / "network").write_text(text + "\n")
        machine.kill()
        host = network_state.of_dumps(dumps)
        self.compare("captured", host, network_state.of_text(text), leased=False)
        return host

    def start_init(self, name, settings=()):
        initramfs = payload.build(self.artifacts / f"{name}.initramfs", self.net.certificates.ca,
                                  # A disk that is too small: it fails after the source was found, and gives a shell.
                                  ["src=https://image.test/image.raw", "dst=only", "onfail=shell", "deadline=60s",
                                   *settings],
                                  options=["--network", self.artifacts / "network", "--add", "/bin/busybox:/bin/sh",
                                           "--add", "/sbin/ip:/opt/ip"])
        return self.machine(name=name, network=self.net, kernel=payload.KERNEL / "vmlinuz", initrd=initramfs,
                            append="console=ttyS0 panic=1 loglevel=4", memory=256, nics=self.nics,
                            disks=[{"file": harness.write_noise(self.artifacts / f"{name}.raw", 8 * harness.MIB, seed=7),
                                    "serial": inplace.SERIAL}])

    def state_of_init(self, machine):
        """What `ip` says of the network that it set up, when it has found the source."""
        machine.expect(r"^curlingiron: phase=source status=ok.*\n", 90, unless=inplace.FAILED)
        machine.expect(r"press Enter within .* for a shell", 60)
        machine.send("\n")
        machine.expect(r"# $", 30)
        machine.send("stty -echo cols 500; PS1='ready''> '\n")
        machine.expect(r"ready> $", 30)
        # Busybox's shell has an ip of its own.
        dumps = {name: self.output_of(machine, command.replace("ip ", "/opt/ip ", 1))
                 for name, command in network_state.DUMPS.items() if name != "resolved"}
        machine.kill()
        for name, text in dumps.items():
            (self.artifacts / f"{machine.name}.{name}").write_text(text + "\n")
        return network_state.of_dumps({**dumps, "resolved": ""})

    def compare(self, what, host, init, leased):
        """`leased`: the DHCP server was there, and its word counts; else what was captured."""
        found = network_state.differences(host.without(NICS[DHCP]), init.without(NICS[DHCP]))
        host_leased, init_leased = host.of(NICS[DHCP]), init.of(NICS[DHCP])

        def gateways(state):
            return {(r.destination, hop.via) for r in state.routes for hop in r.hops if hop.via}

        for kind, want, have in (
                ("leased address", {a.address for a in host_leased.addresses}, {a.address for a in init_leased.addresses}),
                ("leased gateway", gateways(host_leased), gateways(init_leased)),
                ("name server", {a for a, _ in host.nameservers}, {a for a, _ in init.nameservers}),
                ("search domain", host.search, init.search)):
            found += [f"{kind}: missing: {each}" for each in sorted(want - have)]
            if not leased:
                found += [f"{kind}: too much: {each}" for each in sorted(have - want)]
        if found:
            self.fail("\n".join([f"{what}:", *found, f"logs: {self.artifacts}"]))

    def same(self, files, second):
        leases = self.worlds()
        host = self.capture(files)
        acknowledged = harness.tail(leases.log, 10**7).count("DHCPACK(br1)")
        machine = self.start_init("leased")
        machine.process.until(lambda: harness.tail(leases.log, 10**7).count("DHCPACK(br1)") > acknowledged, 60,
                              "a lease for /init")
        time.sleep(2 * harness.SLOW)  # the router's advertisement comes at about the same time, and is nowhere logged
        web = self.net.serve_web(self.web)
        self.compare("/init with a lease", host, self.state_of_init(machine), leased=True)
        leases.stop()
        web.stop()
        second(host)

    def no_lease(self, host):
        """Only the network with DHCP leads to the source, and its DHCP server and router are silent."""
        self.net.namespace.run(["ip", "link", "set", self.static_tap, "nomaster"])
        self.names.stop()
        self.net.serve_names(dhcp=False, name="names-silent", bridge="br1", address=DHCP_WORLD)
        self.net.serve_web(self.web, address=DHCP_WORLD)
        self.compare("/init without a lease", host, self.state_of_init(self.start_init("silent")), leased=False)

    def by_ipv6_gateway(self, _):
        """Only fe80::1 leads to the source."""
        self.names.stop()
        self.net.serve_names(dhcp=False, name="names-ipv6", address=BEHIND_GATEWAY)
        self.net.serve_web(self.web, address=BEHIND_GATEWAY)
        self.state_of_init(self.start_init("ipv6"))

    def test_ifupdown(self):
        self.same(IFUPDOWN, self.no_lease)

    def test_netplan(self):
        self.same(NETPLAN, self.no_lease)

    def test_network_manager(self):
        self.same(NETWORK_MANAGER, self.no_lease)

    def test_by_hand(self):
        self.same(BY_HAND, self.by_ipv6_gateway)

    def test_flash_in_place(self):
        """A host whose one way out is a VLAN on a bond, with LACP and a static address."""
        self.net.serve_names(dhcp=False)
        self.net.serve_web(self.web)
        wires = [Wire(self.artifacts, f"wire{index}") for index in range(2)]
        switch = Switch(self.artifacts, self.net, wires, "lacp", 5)
        self.addCleanup(switch.machine.kill)
        disk = harness.copy_sparse(self.cache / "net.raw", self.artifacts / "disk.raw")
        machine = self.host(LACP, [nic(LEG1, wire=wires[0].a["wire"]), nic(LEG2, wire=wires[1].a["wire"])], disk)
        self.settle(machine, {"10.77.0.60"})
        machine.send(f"/root/curlingiron flash https://image.test/image.raw /dev/vda --ca /root/ca.pem "
                     f"--sha256 {self.sha256} --yes\n")
        machine.expect(r"This replaces everything on", 180, unless=inplace.FAILED)
        told = inplace.watch_install(machine)
        self.assertEqual(told["network"]["if"], "storage")
        self.assert_installed(disk, self.image)


if __name__ == "__main__":
    harness.unittest.main()
