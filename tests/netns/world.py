"""Networks as machines find them, made of namespaces and real servers, around one client.

    client  eth0 --- port0  lan 1: switch and router, DHCP, RA, DNS  --- internet: image.test, DNS
            eth1 --- port1  lan 2                                    ---

The client is `netjoin`, which does what /init does from the network phase to the last byte of the
download. A LAN is a namespace with a bridge, on which its servers listen, and a router to the
internet, a namespace with the web server and the name server. Everything belongs to the test that
made it, and ends with it. Needs root and Linux.

Environment: CURLINGIRON_NETJOIN (the program), and that of tests/e2e/harness.py.
"""

import ipaddress
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import time

from tests.e2e import harness
from tests.e2e.harness import Failure, Process, tail

NETJOIN = pathlib.Path(os.environ.get("CURLINGIRON_NETJOIN") or harness.ROOT / "build/test/bin/netjoin")

WEB4, WEB6 = "198.51.100.10", "2001:db8:ff::10"
WEB64 = "64:ff9b::c633:640a"  # WEB4 as a translator shows it to IPv6 (RFC 6052)
DNS4, DNS6 = "198.51.100.53", "2001:db8:ff::53"
# Routed to the internet, and dropped there; nobody's on any LAN.
SILENT_DNS4 = "198.51.100.66"
# Addresses are good at once: duplicates are no subject here.
ROUTER = ("ipv4.ip_forward=1", "ipv6.conf.all.forwarding=1", "ipv6.conf.all.accept_dad=0", "ipv6.conf.default.accept_dad=0")
IMAGE_SIZE = 8 * harness.MIB


class Host(harness.Namespace):
    """A machine: a network and mounts of its own, among them /etc/resolv.conf and /sys."""

    def __init__(self, world, name, mounts=""):
        self.world, self.directory = world, world.artifacts / name
        self.directory.mkdir(parents=True)
        self.resolv_conf = self.directory / "resolv.conf"
        self.resolv_conf.write_text("")
        script = f"set -e; mount -t sysfs sysfs /sys; mount --bind {self.resolv_conf} /etc/resolv.conf\n" \
                 f"{mounts}\necho ready; exec cat"
        self.holder = subprocess.Popen(["unshare", "--net", "--mount", "--propagation", "private", "sh", "-c", script],
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        if self.holder.stdout.readline() != b"ready\n":
            raise Failure("unshare --net --mount failed; namespaces need root")
        self.processes = []
        world.hosts.append(self)  # which closes it, also when what follows fails
        self.ip("link set lo up")

    def enter(self):
        return ["nsenter", f"--net=/proc/{self.holder.pid}/ns/net", f"--mount=/proc/{self.holder.pid}/ns/mnt"]

    def ip(self, commands):
        """Commands of ip(8), one a line."""
        done = subprocess.run([*self.enter(), "ip", "-batch", "-"], input=commands, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=30, check=False)
        if done.returncode:
            raise Failure(f"ip: {done.stdout}\n{commands}")

    def show(self, *words):
        """What `ip -json WORDS` says."""
        return json.loads(self.run(["ip", "-json", *words]) or "[]")

    def sysctl(self, *settings):
        """Each "ipv4.ip_forward=1", below net."""
        self.run(["sysctl", "-q", *(f"net.{setting}" for setting in settings)])

    def nft(self, rules):
        """A rule set of nft(8), added to what is there."""
        done = subprocess.run([*self.enter(), "nft", "-f", "-"], input=rules, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=30, check=False)
        if done.returncode:
            raise Failure(f"nft: {done.stdout}\n{rules}")

    def filter_forwarded(self, *rules):
        """Rules of nft(8) on what this router forwards."""
        self.nft("add table inet filter\nadd chain inet filter forward { type filter hook forward priority 0; }\n" +
                 "".join(f"add rule inet filter forward {rule}\n" for rule in rules))

    def without_offloads(self, *devices):
        """Packets of the size of the wire, also between namespaces."""
        for device in devices:
            self.run(["ethtool", "-K", device, "tso", "off", "gso", "off", "gro", "off"])

    def spawn(self, name, command, ready=None, timeout=15, **options):
        """A server that ends with the host; returns when its log has `ready`."""
        process = Process(name, command, self.directory / f"{name}.log", self, **options)
        self.processes.append(process)
        if ready:
            process.until(lambda: re.search(ready, tail(process.log, 20000)), timeout, f"{ready!r} in its log")
        return process

    def capture(self, device, name="capture", match=()):
        """tcpdump; the file's path."""
        path = self.directory / f"{name}.pcap"
        self.spawn(name, ["tcpdump", "-i", device, "-n", "-U", "--immediate-mode", "-s", "0", "-w", path, *match],
                   "listening on")
        return path

    def close(self):
        for process in reversed(self.processes):
            process.stop()
        super().close()


def dnsmasq_command(*options):
    return ["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--log-facility=-", "--user=root", "--pid-file=",
            "--no-hosts", "--no-resolv", "--bind-dynamic", "--no-ping", "--log-dhcp", "--log-queries", *options]


class Internet(Host):
    """The web server and the name server, each with addresses of its own; links to the LANs."""

    def __init__(self, world, families, rate):
        super().__init__(world, "internet")
        self.sysctl(*ROUTER, "ipv4.tcp_mtu_probing=0")
        self.ip("\n".join(f"addr add {address} dev lo" for address in (
            f"{WEB4}/32", f"{DNS4}/32", f"{WEB6}/128 nodad", f"{DNS6}/128 nodad", f"{WEB64}/128 nodad")))
        self.ip(f"route add blackhole {SILENT_DNS4}/32")
        addresses = [address for family, address in ((4, WEB4), (6, WEB6)) if family in families]
        self.names = self.spawn("dnsmasq", dnsmasq_command("--local=/test/", "--no-dhcp-interface=*",
                                                           f"--host-record=image.test,{','.join(addresses)}"),
                                "started, version")
        self.access_log = self.directory / "access.log"
        self._serve_web(rate)

    def link(self, lan):
        """A wire to the router of a LAN, on which its networks are known."""
        number = lan.number
        device = f"lan{number}"
        self.ip(f"""\
link add {device} mtu 9000 type veth peer name wan netns {lan.holder.pid}
link set {device} up
addr add 192.0.2.{2 * number}/31 dev {device}
addr add fe80::1/64 dev {device} nodad""")
        lan.ip(f"""\
link set wan mtu 9000 up
addr add 192.0.2.{2 * number + 1}/31 dev wan
addr add fe80::2/64 dev wan nodad
route add default via 192.0.2.{2 * number}
route add ::/0 via fe80::1 dev wan""")

    def route(self, lan, network):
        """`network` is behind the router of the LAN."""
        if ipaddress.ip_network(network).version == 4:
            self.ip(f"route add {network} via 192.0.2.{2 * lan.number + 1}")
        else:
            self.ip(f"route add {network} via fe80::2 dev lan{lan.number}")

    def requests(self):
        """What the web server was asked: (client's address, request line, status, range, Authorization,
        X-Token) each."""
        return [tuple(line.split("|")) for line in tail(self.access_log, 1 << 20).splitlines()]

    def _serve_web(self, rate):
        world, home = self.world, self.directory / "nginx"
        home.mkdir()
        limit = f"limit_rate {rate};" if rate else ""
        certificate = world.certificates.good
        config = home / "nginx.conf"
        config.write_text(f"""\
daemon off;
master_process off;
pid {home}/pid;
error_log {self.directory}/nginx.log notice;
events {{ worker_connections 256; }}
http {{
  log_format told '$remote_addr|$request|$status|$http_range|$http_authorization|$http_x_token';
  access_log {self.access_log} told;
  default_type application/octet-stream;
  sendfile on;
  ssl_protocols TLSv1.2 TLSv1.3;
  client_body_temp_path {home}/body;
  proxy_temp_path {home}/proxy;
  fastcgi_temp_path {home}/fastcgi;
  uwsgi_temp_path {home}/uwsgi;
  scgi_temp_path {home}/scgi;
  server {{
    listen {WEB4}:443 ssl;
    listen [{WEB6}]:443 ssl;
    listen [{WEB64}]:443 ssl;
    ssl_certificate {certificate};
    ssl_certificate_key {certificate.with_suffix('.key')};
    root {world.web};
    {limit}
  }}
}}
""")
        process = self.spawn("nginx", ["nginx", "-p", home, "-c", config])

        def answers():
            with socket.socket() as probe:
                return probe.connect_ex((WEB4, 443)) == 0
        process.until(lambda: self.call(answers), 15, "listening socket on port 443")


def kea_options(options):
    return [{"name": key, "data": value} if isinstance(key, str) else
            {"code": key, "csv-format": False, "data": value.hex()} for key, value in (options or {}).items()]


def classless_routes(*routes):
    """The value of DHCP option 121 (RFC 3442): each (network, gateway)."""
    value = b""
    for destination, gateway in routes:
        network = ipaddress.ip_network(destination)
        octets = network.network_address.packed[:(network.prefixlen + 7) // 8]
        value += bytes([network.prefixlen]) + octets + ipaddress.ip_address(gateway).packed
    return value


class Lan(Host):
    """A switch (br0) and a router, number N: 10.N.0.1/24, 2001:db8:N::1/64 and fe80::1. Its servers
    are those that a test starts."""

    def __init__(self, world, number, mtu, address):
        super().__init__(world, f"lan{number}")
        self.number, self.mtu = number, mtu
        self.address4 = address.split("/")[0]
        self.network4 = str(ipaddress.ip_interface(address).network)
        self.address6, self.network6 = f"2001:db8:{number}::1", f"2001:db8:{number}::/64"
        self.sysctl(*ROUTER, "ipv4.conf.all.send_redirects=0")
        # A port that is always up: servers start on a bridge that runs.
        self.ip(f"""\
link add br0 mtu {mtu} type bridge forward_delay 0 mcast_snooping 0
link add keep mtu {mtu} type veth peer name kept mtu {mtu}
link set keep master br0 up
link set kept arp off addrgenmode none up
link set br0 up
addr add {address} dev br0
addr add {self.address6}/64 dev br0 nodad
addr add fe80::1/64 dev br0 nodad""")
        world.internet.link(self)
        world.internet.route(self, self.network4)
        world.internet.route(self, self.network6)

    def addresses6(self):
        """All of the router's, with the one that the kernel gave it: dnsmasq takes any of them for itself."""
        return [entry["local"] for entry in self.show("-6", "addr", "show", "dev", "br0")[0]["addr_info"]]

    def on_link(self, network):
        """`network` is on this LAN, beside those it is made with."""
        self.ip(f"route add {network} dev br0")
        self.world.internet.route(self, network)

    def add_port(self, nic):
        self.ip(f"link set {nic.port} mtu {self.mtu} master br0\nlink set {nic.port} up")

    # -- its servers

    def serve_dnsmasq(self, *options, name="dnsmasq", dns=True):
        """DNS that asks the internet's; DHCP and RA as the options of dnsmasq(8) say."""
        names = [f"--server={DNS4}"] if dns else ["--port=0"]
        return self.spawn(name, dnsmasq_command("--interface=br0", "--except-interface=lo", *names,
                                                f"--dhcp-leasefile={self.directory}/{name}.leases", *options),
                          "started, version|warning: interface br0 does not currently exist")

    def serve_kea4(self, *, subnet=None, pool=None, lifetime=3600, options=None, name="kea-dhcp4"):
        """`options`: name of the option in Kea -> its text, or code -> bytes."""
        subnet = subnet or self.network4
        pool = pool or f"10.{self.number}.0.100 - 10.{self.number}.0.200"
        return self._serve_kea("Dhcp4", name, {
            "valid-lifetime": lifetime, "min-valid-lifetime": lifetime, "max-valid-lifetime": lifetime,
            "authoritative": True,
            "subnet4": [{"subnet": subnet, "interface": "br0", "pools": [{"pool": pool}],
                         "option-data": kea_options(options)}],
        })

    def serve_kea6(self, *, pool=True, lifetime=3600, options=None, name="kea-dhcp6"):
        pools = [{"pool": f"2001:db8:{self.number}::1000 - 2001:db8:{self.number}::1fff"}] if pool else []
        return self._serve_kea("Dhcp6", name, {
            "preferred-lifetime": lifetime, "valid-lifetime": lifetime,
            "server-id": {"type": "EN", "enterprise-id": 2495, "identifier": "87ABEF7A5BB545", "persist": False},
            "subnet6": [{"subnet": self.network6, "interface": "br0", "pools": pools, "rapid-commit": False,
                         "option-data": kea_options(options)}],
        })

    def _serve_kea(self, kind, name, config):
        home = self.directory / name
        home.mkdir()
        path = home / "config.json"
        path.write_text(json.dumps({kind: {
            "interfaces-config": {"interfaces": ["br0"]},
            "lease-database": {"type": "memfile", "persist": False},
            "loggers": [{"name": name, "severity": "DEBUG", "debuglevel": 40,
                         "output_options": [{"output": "stdout", "flush": True}]}],
            **config}}, indent=2))
        return self.spawn(name, [f"kea-{kind.lower()}", "-c", path], f"{kind.upper()}_STARTED",
                          env={**os.environ, "KEA_PIDFILE_DIR": str(home), "KEA_LOCKFILE_DIR": str(home)})

    def serve_dhcpd(self, body, name="dhcpd"):
        """isc-dhcp-server with this in its subnet's (or shared-network's) declaration."""
        home = self.directory / name
        home.mkdir()
        (home / "config").write_text(f"authoritative;\nddns-update-style none;\nping-check false;\n{body}\n")
        (home / "leases").write_text("")
        return self.spawn(name, ["dhcpd", "-4", "-f", "-d", "-cf", home / "config", "-lf", home / "leases",
                                 "-pf", home / "pid", "br0"], "Server starting service")

    def serve_radvd(self, body, name="radvd"):
        """radvd(8) with this in its interface's block."""
        path = self.directory / f"{name}.conf"
        path.write_text(f"interface br0 {{\n  AdvSendAdvert on;\n  MinRtrAdvInterval 30;\n  MaxRtrAdvInterval 60;\n{body}\n}};\n")
        return self.spawn(name, ["radvd", "-n", "-d", "1", "-m", "stderr", "-C", path, "-p", self.directory / f"{name}.pid"],
                          "version .* started")

    def serve_dns64(self):
        """unbound, which makes an AAAA of every A; on this LAN's addresses."""
        path = self.directory / "unbound.conf"
        path.write_text(f"""\
server:
  directory: "{self.directory}"
  chroot: ""
  username: ""
  pidfile: "{self.directory}/unbound.pid"
  use-syslog: no
  logfile: ""
  verbosity: 1
  log-queries: yes
  num-threads: 1
  interface: {self.address6}
  access-control: ::/0 allow
  do-not-query-localhost: no
  module-config: "dns64 iterator"
  local-zone: "test." nodefault
remote-control:
  control-enable: no
forward-zone:
  name: "."
  forward-addr: {DNS4}
""")
        return self.spawn("unbound", ["unbound", "-d", "-c", path], "start of service")

    def serve_proxy(self, port=3128):
        """tinyproxy, which looks names up at the internet's server."""
        self.resolv_conf.write_text(f"nameserver {DNS4}\n")
        path = self.directory / "tinyproxy.conf"
        path.write_text(f"Port {port}\nListen {self.address4}\nTimeout 600\nLogLevel Info\nConnectPort 443\n"
                        f"PidFile \"{self.directory}/tinyproxy.pid\"\n")
        self.spawn("tinyproxy", ["tinyproxy", "-d", "-c", path], "Accepting connections")
        return f"http://{self.address4}:{port}"


class Nic:
    """A NIC of the client, and the port of the switch that its cable is in."""

    def __init__(self, client, lan, number, mtu):
        self.client, self.lan = client, lan
        self.name, self.port = f"eth{number}", f"port{number}"
        self.mac = f"52:54:00:77:00:{number + 1:02x}"
        # The kernel reports a carrier at once only where the indices of both ends differ.
        client.ip(f"link add {self.name} index {2 + number} address {self.mac} mtu {mtu} type veth "
                  f"peer name {self.port} index {102 + number} netns {lan.holder.pid}")
        lan.add_port(self)

    def plug(self, there):
        """The port's carrier."""
        self.lan.ip(f"link set {self.port} {'up' if there else 'down'}")

    def pull_for(self, seconds):
        """The cable is out for so long: an outage is lived through in real time."""
        self.plug(False)
        time.sleep(seconds)
        self.plug(True)

    def state(self):
        """What `ip -json address` says of it."""
        return self.client.show("address", "show", "dev", self.name)[0]

    def addresses(self, scope="global"):
        return [f"{a['local']}/{a['prefixlen']}" for a in self.state()["addr_info"] if a["scope"] == scope]

    def mtu(self):
        return self.state()["mtu"]


class Client(Host):
    """The machine that joins. Its root directory holds sys/ and proc/ of its own, and etc/."""

    def __init__(self, world):
        self.root = world.artifacts / "client" / "root"
        mounts = f"""\
mkdir -p {self.root}/sys {self.root}/proc {self.root}/etc {self.root}/dev {self.root}/run
mount -t sysfs sysfs {self.root}/sys
mount --bind /proc {self.root}/proc
mount --bind /dev {self.root}/dev"""
        super().__init__(world, "client", mounts)

    def resolv_conf_lines(self):
        """Of what the client wrote."""
        return tail(self.root / "etc/resolv.conf").splitlines()


class Join(Process):
    """A run of netjoin."""

    def __init__(self, world, arguments):
        self.out = world.artifacts / "netjoin.out"
        self.begun = time.clock_gettime(time.CLOCK_BOOTTIME)  # the client's clock
        self.text = ""
        with open(self.out, "wb") as out:
            super().__init__("netjoin", [NETJOIN, "--root", world.client.root, "--ca", world.certificates.ca,
                                         *arguments],
                             world.artifacts / "netjoin.log", world.client, stdin=subprocess.PIPE, stdout=out)
        self.world = world

    def failure(self, what):
        return Failure(f"{what}\n-- stdout\n{tail(self.out)}\n-- stderr\n{tail(self.log)}\nlogs: {self.world.artifacts}")

    def expect(self, pattern, timeout, what, file=None):
        """The match of a line of stdout, or of another file; a failure as soon as the client says one or ends."""
        def said():
            running = self.running()  # asked before reading: what it wrote last is read
            if match := re.search(pattern, tail(file or self.out, 1 << 20), re.M):
                return match
            if re.search(r"status=failed", tail(self.out, 1 << 20)):
                raise self.failure(f"netjoin failed before {what}")
            if not running:
                raise self.failure(f"netjoin ended with {self.child.returncode} before {what}")
            return None
        return harness.wait_until(said, timeout,
                                  lambda: self.failure(f"netjoin: no {what} within {timeout * harness.SLOW:.0f} s"))

    def phase(self, name, timeout=40):
        """The facts of a phase that succeeded: {"if": "eth0", "t": "1.204", …}."""
        line = self.expect(rf"^curlingiron: phase={name} status=ok.*$", timeout, f"phase {name}")[0]
        return {key: value.strip('"') for key, value in re.findall(r'([\w-]+)=("(?:[^"\\]|\\.)*"|\S+)', line)}

    def seconds(self):
        """From the client's start to the end of its network phase."""
        return float(self.phase("network", 1)["t"]) - self.begun

    def failed(self, timeout=60):
        """Why a run failed that is to fail, once it has ended with status 1: the reason of its network phase,
        or of its download."""
        self.until_end(timeout)
        match = re.search(r'^curlingiron: phase=network status=failed .*?reason="(.*)"$', tail(self.out, 1 << 20), re.M) or \
            re.search(r"^curlingiron: error: (.*)$", tail(self.log, 1 << 20), re.M)
        if self.child.returncode != 1 or not match:
            raise self.failure(f"netjoin: exit {self.child.returncode}, and a reason is expected")
        return match[1]

    def until_end(self, timeout):
        try:
            self.child.wait(timeout * harness.SLOW)
        except subprocess.TimeoutExpired:
            raise self.failure(f"netjoin still runs after {timeout * harness.SLOW:.0f} s") from None

    def download(self, timeout=60):
        """Waits for the last byte, and compares. How often the download was taken up again."""
        match = self.expect(r"^sha256=([0-9a-f]{64}) bytes=(\d+) resumptions=(\d+)$", timeout, "end of the download")
        if match[1] != self.world.digest:
            raise self.failure(f"{match[2]} bytes with digest {match[1]}, and {self.world.digest} is served")
        self.expect(r"^ready$", 10, "ready")
        return int(match[3])

    def leave(self):
        """Leaves the network; it must do so with status 0."""
        self.child.stdin.close()
        self.until_end(20)
        if self.child.returncode != 0:
            raise self.failure(f"netjoin: exit {self.child.returncode} when it left")


class World:
    """The internet, the client, and the LANs between them.

    families   of which image.test has an address
    rate       bytes a second that the web server sends at most
    """

    def __init__(self, artifacts, families=(4, 6), rate=None):
        self.artifacts = pathlib.Path(artifacts)
        self.artifacts.mkdir(exist_ok=True)
        self.certificates = harness.Certificates()
        self.web = self.artifacts / "web"
        self.web.mkdir()
        self.image = harness.write_synthetic(self.web / "image.raw", IMAGE_SIZE, seed=5)
        self.digest = harness.sha256_of(self.image)
        self.hosts, self.lans, self.nics, self.joins = [], [], [], []
        try:
            self.internet = Internet(self, families, rate)
            self.client = Client(self)
        except BaseException:
            self.close()
            raise

    def close(self):
        for join in self.joins:
            join.stop()
        for host in reversed(self.hosts):
            host.close()

    def lan(self, mtu=1500, address=None):
        """A new LAN, without servers and NICs. `address` is the router's IPv4 one."""
        number = len(self.lans) + 1
        lan = Lan(self, number, mtu, address or f"10.{number}.0.1/24")
        self.lans.append(lan)
        return lan

    def nic(self, lan, mtu=1500):
        """A new NIC of the client, in a port of the LAN's switch; down, as a machine's at its start."""
        nic = Nic(self.client, lan, len(self.nics), mtu)
        self.nics.append(nic)
        return nic

    def join(self, *settings, network=None, url="https://image.test/image.raw", deadline=30):
        """Starts the client. `settings`: KEY=VALUE as /init's; `network`: text of a network file."""
        arguments = []
        if network is not None:
            path = self.artifacts / "network"
            path.write_text(network)
            arguments = ["--network", path]
        join = Join(self, [*arguments, f"src={url}", f"deadline={deadline}", *settings])
        self.joins.append(join)
        return join


class NetnsTest(harness.E2ETest):
    """A test of `netjoin` in a world of its own."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        if not NETJOIN.exists():
            raise AssertionError(f"{NETJOIN} is missing; build it: cmake --preset test && cmake --build --preset test")

    def run(self, result=None):
        result = super().run(result)
        # Of a test that passed, the logs are kept.
        shutil.rmtree(getattr(self, "artifacts", pathlib.Path("/nonexistent")) / "web", ignore_errors=True)
        return result

    def world(self, name=".", **options):
        """`name` keeps several worlds of one test apart."""
        world = World(self.artifacts / name, **options)
        self.addCleanup(world.close)
        return world

    def check(self, join, via=None, interface=None, timeout=60):
        """The download over HTTPS, and how the client says it joined: the facts of the phase."""
        facts = join.phase("network", timeout)
        if via:
            self.assertEqual(facts["via"], via, join.failure("via"))
        if interface:
            self.assertEqual(facts["if"], interface, join.failure("interface"))
        join.download(timeout)
        return facts

    def wait_for_requests(self, scene, join, count=1, port=443):
        """Until the web server has sent something for so many requests; it logs them at their ends, so the
        client's connections are what shows it."""
        def begun():
            out = scene.internet.run(["ss", "-Htni", "state", "established", "sport", "=", f":{port}"])
            sent = [int(word.split(":")[1]) for word in out.split() if word.startswith("bytes_acked:")]
            return sum(value > 100_000 for value in sent) >= count
        harness.wait_until(begun, 30, lambda: join.failure("no download has begun"))
