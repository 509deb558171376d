"""A machine's network as facts that can be compared: read from what `ip -j` says, and from curlingiron's own text.

Neither reading is curlingiron's. Names of devices differ between the two sides, so a NIC is its permanent address, a
VLAN its number on that, a bond its members, and a bridge its one port. What the kernel adds by itself is left out on
both sides (link-local addresses made of the MAC address, table local), or reckoned with on both (routes to the
prefixes of addresses).
"""

import collections
import dataclasses
import ipaddress
import json

# A shell command each, in the order in which a person would ask.
DUMPS = {
    "links": "ip -j -d link show",
    "addresses": "ip -j -N addr show",
    "routes4": "ip -j -d -N -4 route show table all",
    "routes6": "ip -j -d -N -6 route show table all",
    "rules4": "ip -j -N -4 rule show",
    "rules6": "ip -j -N -6 rule show",
    "neighbours": "ip -j -N neigh show nud permanent",
    "resolved": "if systemctl -q is-active systemd-resolved; then resolvectl dns; echo --; resolvectl domain; fi",
    "resolv.conf": "cat /etc/resolv.conf",
}

Address = collections.namedtuple("Address", "device address peer broadcast")
Hop = collections.namedtuple("Hop", "device via onlink weight")
Route = collections.namedtuple("Route", "table type destination tos metric source hops options")
Rule = collections.namedtuple("Rule", "family priority words")
Neighbour = collections.namedtuple("Neighbour", "device address mac")

BOND_DEFAULTS = {"miimon": "0", "updelay": "0", "downdelay": "0", "lacp_rate": "slow", "xmit_hash_policy": "layer2",
                 "ad_select": "stable", "fail_over_mac": "none", "primary_reselect": "always", "min_links": "0",
                 "arp_interval": "0", "primary": None}
TYPES = {1: "unicast", 6: "blackhole", 7: "unreachable", 8: "prohibit", 9: "throw"}
MAIN, LOCAL = 254, 255
KERNEL_RULES = {("4", 0), ("4", 32766), ("4", 32767), ("6", 0), ("6", 32766)}


@dataclasses.dataclass
class Link:
    mtu: int
    mac: str
    bond: dict = None


@dataclasses.dataclass
class State:
    links: dict       # by device
    addresses: set
    routes: set
    rules: set
    neighbours: set
    nameservers: set  # (address, device or None)
    search: set

    def of(self, *devices):
        """What concerns these devices, and what concerns none."""
        return self._filtered(lambda device: device in devices)

    def without(self, *devices):
        return self._filtered(lambda device: device not in devices)

    def _filtered(self, keep):
        return State({d: l for d, l in self.links.items() if keep(d)},
                     {a for a in self.addresses if keep(a.device)},
                     {r for r in self.routes if all(keep(h.device) for h in r.hops)},
                     self.rules,
                     {n for n in self.neighbours if keep(n.device)},
                     {(a, d) for a, d in self.nameservers if d is None or keep(d)},
                     self.search)


def interface_of_mac(mac):
    """The host part that the kernel makes of a MAC address."""
    octets = [int(o, 16) for o in mac.split(":")]
    octets = [octets[0] ^ 2, *octets[1:3], 0xFF, 0xFE, *octets[3:]]
    return int.from_bytes(bytes(octets), "big")


def by_kernel(address, mac):
    """Whether the kernel, or a tool in its stead, gave this address to every NIC."""
    ip = ipaddress.ip_interface(address).ip
    if ip.is_loopback:
        return True
    return ip.version == 6 and ip.is_link_local and mac and int(ip) & (2**64 - 1) == interface_of_mac(mac)


def network(text, version):
    """As one way to write a destination."""
    if text in ("default", "all", "any"):
        text = "0.0.0.0/0" if version == 4 else "::/0"
    return str(ipaddress.ip_network(text, strict=False))


def comparable(routes):
    """Without what every link has; and IPv6 routes with a hop each: the kernel makes one of those that differ in nothing
    else, or not, as it learnt of them."""
    found = set()
    for route in routes:
        if route.destination in ("fe80::/64", "ff00::/8"):
            continue
        split = ":" in route.destination and len(route.hops) > 1
        found |= {route._replace(hops=frozenset([hop])) for hop in route.hops} if split else {route}
    return found


# ---------------------------------------------------------------------------------------------
# What `ip -j` says

def of_dumps(dumps):
    links = {l["ifname"]: l for l in json.loads(dumps["links"])}
    kinds = {name: l.get("linkinfo", {}).get("info_kind") for name, l in links.items()}

    def members(master):
        return sorted(name for name, l in links.items() if l.get("master") == master)

    def device(name):
        link, kind = links[name], kinds[name]
        data = link.get("linkinfo", {}).get("info_data", {})
        if kind == "vlan":
            return f"{device(link['link'])}.{'ad' if data['protocol'] == '802.1ad' else ''}{data['id']}"
        if kind == "bond":
            return f"bond({','.join(device(m) for m in members(name))})"
        if kind == "bridge":
            (port,) = [m for m in members(name) if kinds[m] != "veth"]
            return device(port)
        return name if name == "lo" else link.get("permaddr", link["address"])

    state = State({}, set(), set(), set(), set(), set(), set())
    bridged = {l["master"]: name for name, l in links.items() if kinds.get(l.get("master")) == "bridge"}
    for name, link in links.items():
        if name == "lo" or name in bridged.values() or "UP" not in link["flags"]:
            continue  # a bridge speaks for its port
        bond = None
        if kinds[name] == "bond":
            data = link["linkinfo"]["info_data"]
            told = {**data, "lacp_rate": data.get("ad_lacp_rate", "slow"), "primary": data.get("primary")}
            bond = {"mode": data["mode"], **{k: str(told[k]) if told.get(k) is not None else default
                                             for k, default in BOND_DEFAULTS.items()}}
            bond["primary"] = device(data["primary"]) if data.get("primary") else None
        # Members have the bond's address.
        member = kinds.get(link.get("master")) == "bond"
        state.links[device(name)] = Link(link["mtu"], None if member else link["address"], bond)
    for link in json.loads(dumps["addresses"]):
        for a in link["addr_info"]:
            if not a:
                continue
            text = f"{a['local']}/{a['prefixlen']}"
            if not by_kernel(text, link["address"]):
                state.addresses.add(Address(device(link["ifname"]), text, a.get("address"), a.get("broadcast")))
    for version in (4, 6):
        state.routes |= _routes_of_dump(json.loads(dumps[f"routes{version}"]), version, device)
        for r in json.loads(dumps[f"rules{version}"]):
            if (str(version), r["priority"]) in KERNEL_RULES:
                continue
            words = {}
            for key, word in (("src", "from"), ("dst", "to")):
                if r.get(key, "all") != "all":
                    length = r.get(f"{key}len", 32 if version == 4 else 128)
                    words[word] = network(f"{r[key]}/{length}", version)
            if "table" in r:
                words["lookup"] = r["table"]
            if "fwmark" in r:
                words["fwmark"] = f"{int(r['fwmark'], 16):#x}/{int(r.get('fwmask', '0xffffffff'), 16):#x}"
            if "suppress_prefixlen" in r:
                words["suppress_prefixlength"] = str(r["suppress_prefixlen"])
            for key in ("iif", "oif"):
                if key in r:
                    words[key] = device(r[key]) if r[key] in links else r[key]
            state.rules.add(Rule(str(version), r["priority"], frozenset(words.items())))
    for n in json.loads(dumps["neighbours"]):
        if "lladdr" in n and not ipaddress.ip_address(n["dst"]).is_multicast:
            state.neighbours.add(Neighbour(device(n["dev"]), n["dst"], n["lladdr"]))
    _names_of_dump(dumps, {str(l["ifindex"]): n for n, l in links.items()}, device, state)
    return state


def _routes_of_dump(entries, version, device):
    routes = set()
    for r in entries:
        kind = int(r["type"])
        if int(r["table"]) == LOCAL or kind not in TYPES:
            continue
        hops = r.get("nexthops") or ([r] if "dev" in r and TYPES[kind] == "unicast" else [])
        routes.add(Route(int(r["table"]), TYPES[kind], network(r["dst"], version), r.get("tos", "0"), r.get("metric", 0),
                         r.get("prefsrc"),
                         frozenset(Hop(device(h["dev"]), h.get("gateway") or h.get("via", {}).get("host"),
                                       "onlink" in h.get("flags", []), h.get("weight", 1)) for h in hops),
                         frozenset((k, str(v)) for each in r.get("metrics", []) for k, v in each.items()
                                   if k in ("mtu", "advmss"))))
    return comparable(routes)


def _names_of_dump(dumps, by_index, device, state):
    if dumps["resolved"].strip():
        servers, _, domains = dumps["resolved"].partition("--\n")
        for text, add in ((servers, lambda name, word: state.nameservers.add((word, device(name)))),
                          (domains, lambda name, word: state.search.add(word.rstrip(".")))):
            for line in text.splitlines():
                head, _, words = line.partition(":")
                if head.startswith("Link"):
                    name = head[head.index("(") + 1:head.index(")")]
                    for word in words.split():
                        add(name, word)
        return
    for line in dumps["resolv.conf"].splitlines():
        key, *words = line.split() or [""]
        if key == "nameserver":
            address, _, scope = words[0].partition("%")
            state.nameservers.add((address, device(by_index.get(scope, scope)) if scope else None))
        elif key == "search":
            state.search |= {w.rstrip(".") for w in words}


# ---------------------------------------------------------------------------------------------
# What curlingiron says

FLAGS = {"onlink", "permanent", "noprefixroute", "qinq", "not", "inet6"}
TABLES = {"default": "253", "main": "254", "local": "255"}


def _options(words, repeated="nexthop"):
    """{word: value} of `key value` pairs; what stands alone is True. Hops are a list under `repeated`."""
    found, hops, into = {}, [], None
    position = 0
    while position < len(words):
        word = words[position]
        into = found if not hops else hops[-1]
        if word == repeated:
            hops.append({})
        elif word in FLAGS:
            into[word] = True
        else:
            position += 1
            if position == len(words):
                raise ValueError(f"a value is missing after {word!r}: {' '.join(words)}")
            if words[position] == "lock":
                position += 1
            into[word] = words[position]
        position += 1
    if hops:
        found[repeated] = hops
    return found


def of_text(text):
    lines = [line.split() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    state = State({}, set(), set(), set(), set(), set(), set())
    links = {words[1]: _options(words[2:]) for words in lines if words[0] == "link"}

    def device(name):
        if name == "lo":
            return name
        link = links[name]
        if "vlan" in link:
            return f"{device(link['on'])}.{'ad' if 'qinq' in link else ''}{link['vlan']}"
        if "bond" in link:
            return f"bond({','.join(sorted(device(m) for m in link['bond'].split(',')))})"
        return link["mac"]

    def mac(name):
        """A VLAN has the address of what it is on, a bond that of its first member, unless another is set."""
        link = links[name]
        if "address" in link or "mac" in link:
            return link.get("address") or link["mac"]
        return mac(link["on"] if "vlan" in link else link["bond"].split(",")[0])

    members = {m for l in links.values() if "bond" in l for m in l["bond"].split(",")}
    for name, link in links.items():
        bond = None
        if "bond" in link:
            bond = {"mode": link.get("mode", "balance-rr"), **{k: link.get(k, v) for k, v in BOND_DEFAULTS.items()}}
            if bond["primary"]:
                bond["primary"] = device(bond["primary"])
        state.links[device(name)] = Link(int(link.get("mtu", 1500)), None if name in members else mac(name), bond)
    # (address, whether it makes a route, that route's metric)
    prefixes = []
    for words in lines:
        kind, rest = words[0], words[1:]
        if kind == "address":
            told = _options(rest[1:])
            name = device(told["dev"])
            address = rest[0] if "/" in rest[0] else f"{rest[0]}/{ipaddress.ip_address(rest[0]).max_prefixlen}"
            peer = told.get("peer")
            if not by_kernel(address, name != "lo" and state.links[name].mac):
                state.addresses.add(Address(name, address, peer and peer.partition("/")[0], told.get("broadcast")))
            if "noprefixroute" not in told:
                prefixes.append((name, address, peer, int(told.get("metric", 0))))
        elif kind == "route":
            state.routes.add(_route_of_text(rest, device))
        elif kind == "rule":
            state.rules.add(_rule_of_text(rest, device, links))
        elif kind == "neighbour":
            told = _options(rest[1:])
            if told.get("permanent"):
                state.neighbours.add(Neighbour(device(told["dev"]), rest[0], told["mac"]))
        elif kind == "nameserver":
            told = _options(rest[1:])
            state.nameservers.add((rest[0], device(told["dev"]) if "dev" in told else None))
        elif kind == "search":
            state.search |= {w.rstrip(".") for w in rest}
        elif kind not in ("link", "captured"):
            raise ValueError(f"unknown statement: {' '.join(words)}")
    state.routes |= _prefix_routes(prefixes)
    state.routes = comparable(state.routes)
    return state


def _prefix_routes(addresses):
    """What the kernel makes of addresses."""
    routes, seen = set(), set()
    for name, address, peer, metric in addresses:
        interface = ipaddress.ip_interface(address)
        if name == "lo" or interface.ip.is_loopback:
            continue
        target = network(peer if peer and "/" in peer else f"{peer}/{interface.network.prefixlen}" if peer else address,
                         interface.version)
        if interface.version == 4:
            # A second address of the same prefix finds the route there; a host's own needs none.
            if (not peer and interface.network.prefixlen == 32) or (name, target) in seen:
                continue
            seen.add((name, target))
        routes.add(Route(MAIN, "unicast", target, "0", metric or (256 if interface.version == 6 else 0),
                         str(interface.ip) if interface.version == 4 else None,
                         frozenset([Hop(name, None, False, 1)]), frozenset()))
    return routes


def _route_of_text(words, device):
    kind = "unicast"
    if words[0] in TYPES.values():
        kind, *words = words
    told = _options(words[1:])
    hops = told.get("nexthop") or ([told] if "dev" in told and kind == "unicast" else [])
    gateways = [h["via"] for h in hops if "via" in h]
    version = 6 if ":" in words[0] else 4
    if words[0] == "default":
        version = ipaddress.ip_address(gateways[0]).version
    table = told.get("table", "main")
    return Route(int(TABLES.get(table, table)), kind, network(words[0], version), told.get("tos", "0"),
                 int(told.get("metric", 0 if version == 4 else 1024)), told.get("src"),
                 frozenset(Hop(device(h["dev"]), h.get("via"), "onlink" in h, int(h.get("weight", 1))) for h in hops),
                 frozenset((k, told[k]) for k in ("mtu", "advmss") if k in told))


def _rule_of_text(words, device, links):
    told = _options(words[1:])
    version = 4
    result = {}
    for key, value in told.items():
        if key in ("from", "to"):
            if value in ("all", "default"):
                continue
            version = 6 if ":" in value else 4
            result[key] = network(value, version)
        elif key == "fwmark":
            mark, _, mask = value.partition("/")
            result[key] = f"{int(mark, 0):#x}/{int(mask or '0xffffffff', 0):#x}"
        elif key in ("iif", "oif"):
            result[key] = device(value) if value in links else value
        elif key == "inet6":
            version = 6
        elif key == "lookup":
            result[key] = TABLES.get(value, value)
        else:
            result[key] = value
    return Rule(str(version), int(words[0]), frozenset(result.items()))


def _flat(link):
    return {"mtu": link.mtu, "mac": link.mac, **(link.bond or {})}


def differences(expected, got, names=("links", "addresses", "routes", "rules", "neighbours")):
    """Lines that say what one has and the other has not."""
    lines = []
    for name in names:
        want, have = getattr(expected, name), getattr(got, name)
        if isinstance(want, dict):
            for key in sorted({*want, *have}):
                if want.get(key) == have.get(key):
                    continue
                if key not in want or key not in have:
                    lines.append(f"{name}: {'missing' if key in want else 'too much'}: {key}")
                    continue
                a, b = _flat(want[key]), _flat(have[key])
                lines += [f"{name}: {key}: {k} is {b.get(k)} instead of {a.get(k)}"
                          for k in sorted({*a, *b}) if a.get(k) != b.get(k)]
            continue
        lines += [f"{name}: missing: {each}" for each in sorted(want - have, key=repr)]
        lines += [f"{name}: too much: {each}" for each in sorted(have - want, key=repr)]
    return lines
