#!/usr/bin/env python3
"""What cloud-init itself makes of a seed, and of the networks that are handed over in one.

usage: cloud_init.py HOST_TEST
cloud-init's packages of Debian 12 and 13 are downloaded once and unpacked into build/cloud_init, with netplan's and the
Python modules that they need; nothing is installed. Its data source NoCloud reads a seed that `curlingiron write` (the
release preset's) has put onto a disk; its renderers, netplan's generator and systemd-networkd are given what HOST_TEST
(the host room's tests) makes of the networks below.
"""

import hashlib
import importlib.machinery
import importlib.util
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))

from tests.e2e import harness  # noqa: E402

PEER = ROOT / "tests/golden/cloud_init_peer.py"
CACHE = ROOT / "build/cloud_init"
MODULES = ["yaml", "jinja2", "jsonschema", "oauthlib", "configobj", "requests", "serial", "jsonpatch", "json-pointer",
           "markupsafe", "six", "attr", "pyrsistent", "urllib3", "chardet", "idna", "certifi", "jwt", "blinker"]
# By release of Debian: those of the first are for the second, too.
PACKAGES = {"bookworm": ["cloud-init", "netplan.io", "libnetplan0", "libyaml-0-2",
                         *(f"python3-{name}" for name in MODULES)],
            "trixie": ["cloud-init"]}
NETWORKD = pathlib.Path("/lib/systemd/systemd-networkd")

CARD = "link eth0 mac 52:54:00:12:34:50 ipv4 off ipv6 off\n"
# Name: (the network, {renderer: what its files hold}, what they must not hold).
NETWORKS = {
    "static": (
        "link eth0 mac 52:54:00:12:34:50 mtu 1450 ipv4 off ipv6 off\n"
        "address 192.0.2.7/24 dev eth0\naddress 2001:db8::7/64 dev eth0\n"
        "route default via 192.0.2.1 dev eth0 metric 100\nroute default via 2001:db8::1 dev eth0 metric 1024\n"
        "nameserver 192.0.2.53\nnameserver 2001:db8::53\nsearch example.org example.net\n",
        {"netplan": ["192.0.2.7/24", "2001:db8::7/64", "gateway4: 192.0.2.1", "gateway6: 2001:db8::1", "mtu: 1450",
                     "192.0.2.53", "2001:db8::53", "example.org", "example.net", "52:54:00:12:34:50"],
         "networkd": ["Address=192.0.2.7/24", "Address=2001:db8::7/64", "Gateway=192.0.2.1", "Gateway=2001:db8::1",
                      "MTUBytes=1450", "DNS=192.0.2.53 2001:db8::53", "Domains=example.org example.net",
                      "MACAddress=52:54:00:12:34:50"],
         "eni": ["address 192.0.2.7/24", "gateway 192.0.2.1", "address 2001:db8::7/64", "gateway 2001:db8::1",
                 "mtu 1450", "dns-nameservers 192.0.2.53 2001:db8::53", "dns-search example.org example.net"],
         "network-manager": ["address1=192.0.2.7/24", "gateway=192.0.2.1", "address1=2001:db8::7/64",
                             "gateway=2001:db8::1", "mtu=1450", "dns=192.0.2.53;", "dns=2001:db8::53;"]}),
    "on_link": (
        CARD + "address 203.0.113.7/32 dev eth0\naddress 2001:db8:1::7/128 dev eth0\n"
        "route 172.31.1.1/32 dev eth0\nroute default via 172.31.1.1 dev eth0 onlink\n"
        "route 2001:db8:ffff::1/128 dev eth0\nroute default via 2001:db8:ffff::1 dev eth0\n"
        "route 10.0.0.0/8 via 172.31.1.1 dev eth0\nroute 192.168.7.0/24 dev eth0\n",
        {"netplan": ["203.0.113.7/32", "gateway4: 172.31.1.1", "172.31.1.1/32", "scope: link", "10.0.0.0/8"],
         "networkd": ["Gateway=172.31.1.1", "Destination=172.31.1.1/32", "Gateway=0.0.0.0", "Gateway=2001:db8:ffff::1",
                      "Destination=2001:db8:ffff::1/128", "Destination=10.0.0.0/8", "Destination=192.168.7.0/24"],
         # ifupdown makes it "onlink" by itself.
         "eni": ["address 203.0.113.7/32", "gateway 172.31.1.1", "address 2001:db8:1::7/128",
                 "gateway 2001:db8:ffff::1"],
         "network-manager": ["gateway=172.31.1.1", "172.31.1.1/32,0.0.0.0", "gateway=2001:db8:ffff::1"]}),
    "vlan_on_bond": (
        "link eth0 mac 52:54:00:12:34:50\nlink eth1 mac 52:54:00:12:34:51\n"
        "link bond0 bond eth0,eth1 mode active-backup miimon 100 ipv4 off ipv6 off\n"
        "link bond0.5 vlan 5 on bond0 mtu 1400 ipv4 off ipv6 off\n"
        "address 10.0.5.2/24 dev bond0.5\nroute default via 10.0.5.1 dev bond0.5\n",
        {"netplan": ["bond0.5:", "id: 5", "link: bond0", "mode: active-backup", "mii-monitor-interval: 100",
                     "10.0.5.2/24", "mtu: 1400"],
         # It makes neither bonds nor VLANs, but says what they are to have.
         "networkd": ["Name=bond0.5", "Address=10.0.5.2/24", "Gateway=10.0.5.1", "MTUBytes=1400"],
         "eni": ["iface bond0.5 inet static", "vlan-raw-device bond0", "vlan_id 5", "bond-mode active-backup",
                 "bond-miimon 100", "address 10.0.5.2/24", "gateway 10.0.5.1", "mtu 1400"],
         "network-manager": ["type=vlan", "id=5", "type=bond", "mode=active-backup", "address1=10.0.5.2/24"]}),
    "dhcp": (
        "link eth0 mac 52:54:00:12:34:50 ipv4 dhcp ipv6 auto\naddress 10.0.2.15/24 dev eth0 from dhcp4\n"
        "address 2001:db8::5/128 dev eth0 from dhcp6\nroute default via 10.0.2.2 dev eth0 metric 100 from dhcp4\n",
        {"netplan": ["dhcp4: true", "dhcp6: true", "accept-ra: true"], "networkd": ["DHCP=yes"],
         "eni": ["iface eth0 inet dhcp", "iface eth0 inet6 dhcp"], "network-manager": ["method=auto"]}),
    "ipv6_only": (
        CARD + "address 2001:db8::7/64 dev eth0\nroute default via fe80::1 dev eth0 metric 1024\n"
        "nameserver 2001:db8::53\n",
        {"netplan": ["2001:db8::7/64", "gateway6: fe80::1", "dhcp4: false"],
         "networkd": ["Address=2001:db8::7/64", "Gateway=fe80::1", "DNS=2001:db8::53"],
         "eni": ["address 2001:db8::7/64", "gateway fe80::1"],
         "network-manager": ["address1=2001:db8::7/64", "gateway=fe80::1"]}),
    "routes_and_a_rule": (
        CARD + "address 192.0.2.7/24 dev eth0\nroute default via 192.0.2.1 dev eth0\n"
        "route 198.51.100.0/24 via 192.0.2.2 dev eth0 metric 50\nroute 10.0.0.0/8 via 192.0.2.3 dev eth0\n"
        "route default via 192.0.2.9 dev eth0 table 100\nrule 1000 from 192.0.2.7/32 lookup 100\n",
        {"netplan": ["198.51.100.0/24", "via: 192.0.2.2", "10.0.0.0/8", "via: 192.0.2.3", "table: 100",
                     "via: 192.0.2.9", "routing-policy", "from: 192.0.2.7/32", "priority: 1000"],
         "networkd": ["Destination=198.51.100.0/24", "Gateway=192.0.2.2", "Destination=10.0.0.0/8"],
         "eni": ["-net 198.51.100.0/24 gw 192.0.2.2", "-net 10.0.0.0/8 gw 192.0.2.3"],
         "network-manager": ["198.51.100.0/24,192.0.2.2", "10.0.0.0/8,192.0.2.3"]}),
}

# In namespaces of its own: what systemd-networkd makes of $1, until the lines of $2 are among its routes.
RUN_NETWORKD = """
mount -t tmpfs none /run && mkdir -p /run/systemd/network /run/systemd/netif/links /run/systemd/netif/leases
mount -t sysfs -o ro sysfs /sys
cp "$1"/* /run/systemd/network/
chmod -R a+rX /run && chmod -R a+rwX /run/systemd/netif
ip link set lo up
ip link add eth0 address 52:54:00:12:34:50 type veth peer name other
ip link set other up
SYSTEMD_LOG_TARGET=console "$3" > /run/log 2>&1 &
networkd=$!
# That a gateway is on the link need not be said of one that is.
routes() { { ip -4 route show dev eth0; ip -6 route show dev eth0; } | sed 's/ onlink / /' > /run/routes; }
until routes && ! grep -qvxFf /run/routes "$2"; do
  kill -0 $networkd || break
  sleep 0.1
  [ $((waited += 1)) -lt 200 ] || break
done
kill $networkd
cat /run/routes
"""

# By ip route.
ON_LINK_ROUTES = """\
default via 172.31.1.1 proto static 
172.31.1.1 proto static scope link 
10.0.0.0/8 via 172.31.1.1 proto static 
192.168.7.0/24 proto static scope link 
2001:db8:ffff::1 proto static metric 1024 pref medium
default via 2001:db8:ffff::1 proto static metric 1024 pref medium
"""


def fetch(suite):
    """The unpacked packages of a release of Debian, from the archive that this machine is configured to use."""
    root = CACHE / suite
    stamp = hashlib.sha256(" ".join(PACKAGES[suite]).encode()).hexdigest()
    if (root / "stamp").exists() and (root / "stamp").read_text() == stamp:
        return root
    loader = importlib.machinery.SourceFileLoader("machines", str(ROOT / "scripts/machines"))
    machines = importlib.util.module_from_spec(importlib.util.spec_from_loader("machines", loader))
    loader.exec_module(machines)
    uri, options = machines.archive()
    shutil.rmtree(root, ignore_errors=True)
    home = root / "apt"
    for folder in ("lists/partial", "cache/archives/partial", "debs"):
        (home / folder).mkdir(parents=True)
    (home / "status").write_text("")
    (home / "sources.list").write_text(
        f"deb [arch=amd64 {' '.join(machines.keyring_options(options))}] {uri} {suite} main\n")
    apt = ["apt-get", "-q", *machines.apt_proxy_options(), "-o", f"Dir::Etc::SourceList={home}/sources.list",
           "-o", "Dir::Etc::SourceParts=/dev/null", "-o", f"Dir::State::Lists={home}/lists",
           "-o", f"Dir::Cache={home}/cache", "-o", f"Dir::State::status={home}/status", "-o", "APT::Sandbox::User=root",
           "-o", "Acquire::Languages=none", "-o", "APT::Architecture=amd64", "-o", "APT::Architectures=amd64"]
    apt = [word for option in apt for word in (["-o", option] if option.startswith("Acquire::http") else [option])]
    harness.run([*apt, "update", "--error-on=any"], timeout=300)
    harness.run([*apt, "download", *PACKAGES[suite]], timeout=300, cwd=home / "debs")
    for deb in sorted((home / "debs").glob("*.deb")):
        harness.run(["dpkg-deb", "-x", deb, root])
    shutil.rmtree(home)
    (root / "stamp").write_text(stamp)
    return root


def ask(roots, *arguments):
    """What cloud_init_peer.py says with these packages and the Python of the system, and no other module."""
    path = ":".join(str(root / "usr/lib/python3/dist-packages") for root in roots)
    done = subprocess.run(["/usr/bin/python3", "-S", "-W", "ignore", PEER, *arguments], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False, timeout=300,
                          env={"PATH": os.environ["PATH"], "PYTHONPATH": path})
    if done.returncode:
        raise harness.Failure(f"{arguments[0]}: {done.stderr[-3000:]}")
    said = json.loads(done.stdout)
    return said["version"], said["result"]


def expect(holds, what):
    if not holds:
        raise harness.Failure(what)


def check_networks(roots, directory):
    version, found = ask(roots, "networks", directory)
    for name, (_, expected) in NETWORKS.items():
        # What is netplan's own its schema does not know, and the interval of a bond is text there: it logs that and
        # goes on.
        for problem in found[name]["complaints"]:
            expect(re.fullmatch(r"Additional properties are not allowed \('(on-link|scope|table)' was unexpected\)|"
                                r"100 is not of type 'string'", problem), f"cloud-init {version}, {name}: {problem}")
        for renderer, words in expected.items():
            text = "\n".join(f"# {path}\n{text}" for path, text in found[name]["files"][renderer].items())
            for word in words:
                # At a line's end, or before what ends a word.
                expect(re.search(re.escape(word) + r"(?![0-9a-f./]|:[0-9a-f])", text),
                       f"cloud-init {version}, {renderer}, {name}: no {word}\n{text}")
            expect("::/64" not in text, f"cloud-init {version}, {renderer}, {name}: ::/0 became another\n{text}")
    return version, found


def check_networkd(directory, files, what):
    """systemd-networkd has the routes of the network on_link from these files."""
    expected = directory / "expected"
    expected.write_text(ON_LINK_ROUTES)
    folder = directory / "networkd"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for path, text in files.items():
        # A veth has no permanent address.
        (folder / pathlib.Path(path).name).write_text(text.replace("PermanentMACAddress=", "MACAddress="))
    routes = harness.run(["unshare", "--net", "--mount", "sh", "-c", RUN_NETWORKD, "sh", folder, expected, NETWORKD])
    for line in ON_LINK_ROUTES.splitlines():
        expect(line in routes.splitlines(), f"systemd-networkd, {what}: no route {line}\n{routes}")


def by_netplan(root, directory, config):
    """What netplan's generator makes for systemd-networkd."""
    home = directory / "netplan"
    shutil.rmtree(home, ignore_errors=True)
    (home / "etc/netplan").mkdir(parents=True)
    (home / "etc/netplan/50-cloud-init.yaml").write_text(config)
    (home / "etc/netplan/50-cloud-init.yaml").chmod(0o600)
    library = root / "usr/lib/x86_64-linux-gnu"
    harness.run([root / "usr/libexec/netplan/generate", "--root-dir", home],
                env={**os.environ, "LD_LIBRARY_PATH": str(library)})
    return {path.name: path.read_text() for path in sorted((home / "run/systemd/network").glob("*.network"))}


def check_seed(roots, directory):
    """A disk with a seed, as the new system finds it."""
    image, disk, key, user_data = (directory / name for name in ("image", "disk", "key.pub", "user-data"))
    for path, size in ((image, 8), (disk, 64)):
        path.write_bytes(b"")
        os.truncate(path, size * harness.MIB)
    subprocess.run(["sfdisk", "--quiet", image], input=b"label: gpt\nstart=2048, size=4096\n", check=True)
    harness.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "me@laptop", "-f", directory / "key"])
    user_data.write_text("#cloud-config\npackages: [vim]\n")
    network = directory / "folder"
    network.mkdir()
    (network / "network-config").write_text((directory / "networks/on_link.yaml").read_text())
    harness.run([harness.BINARY, "write", image, disk, "--grow", "--ssh-key", key, "--hostname", "web1.example.org",
                 "--user-data", user_data, "--seed-dir", network])
    (part,) = [part for part in json.loads(harness.run(["sfdisk", "--json", disk]))["partitiontable"]["partitions"]
               if part.get("name") == "curlingiron seed"]
    device = harness.run(["losetup", "--find", "--show", "--read-only", "--offset", str(part["start"] * 512),
                          "--sizelimit", str(part["size"] * 512), disk]).strip()
    try:
        version, found = ask(roots, "seed", device, directory / "state")
    finally:
        harness.run(["losetup", "--detach", device])
    expect(found, f"cloud-init {version}: NoCloud finds no seed on {device}")
    expect(found["seed"] == device, f"cloud-init {version}: it reads {found['seed']}, not {device}")
    expect(found["keys"] == [key.read_text().strip()], f"cloud-init {version}: other keys: {found['keys']}")
    expect(str(found["name"]) in ("web1.example.org", "web1"), f"cloud-init {version}: other name: {found['name']}")
    expect(re.fullmatch("curlingiron-[0-9a-f]{16}", found["instance"]), f"another instance: {found['instance']}")
    expect(found["user-data"] == user_data.read_text(), f"cloud-init {version}: other user-data")
    expect(found["vendor-data"].get("disable_root") is False, f"cloud-init {version}: root is shut out")
    expect(found["network"]["version"] == 2 and "eth0" in found["network"]["ethernets"],
           f"cloud-init {version}: other network: {found['network']}")


def main(arguments):
    if len(arguments) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        old, new = fetch("bookworm"), fetch("trixie")
    except (harness.Failure, subprocess.TimeoutExpired) as failure:
        print(f"skipped: cloud-init's packages cannot be downloaded: {failure}")
        return 77
    for roots in ((old,), (new, old)):
        with tempfile.TemporaryDirectory() as temporary:
            directory = pathlib.Path(temporary)
            networks = directory / "networks"
            networks.mkdir()
            for name, (text, _) in NETWORKS.items():
                (networks / f"{name}.network").write_text(text)
            harness.run([arguments[0], "--gtest_filter=CloudNetworks.ForCloudInit"],
                        env={**os.environ, "CURLINGIRON_NETWORKS": str(networks)})
            version, found = check_networks(roots, networks)
            if NETWORKD.exists():
                check_networkd(directory, found["on_link"]["files"]["networkd"], f"cloud-init {version}")
                (config,) = found["on_link"]["files"]["netplan"].values()
                check_networkd(directory, by_netplan(old, directory, config), f"netplan, cloud-init {version}")
            check_seed(roots, directory)
            print(f"cloud-init {version}: a seed and {len(NETWORKS)} networks, as they should be")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
