"""Static addresses: by ip= and by a network file."""

from tests.netns import world
from tests.netns.world import DNS4, DNS6


class Static(world.NetnsTest):

    def scene(self, families=(4, 6), **options):
        """The internet, a LAN without any server, a NIC in it."""
        scene = self.world(families=families)
        self.lan = scene.lan(**options)
        self.nic = scene.nic(self.lan)
        return scene

    def joins(self, scene, addresses, *settings, **options):
        join = scene.join(*settings, **options)
        facts = self.check(join, "static", "eth0")
        self.assertEqual(set(addresses), set(self.nic.addresses()))
        self.assertIn(facts["addr"], addresses)
        self.assertLess(join.seconds(), 5, join.failure("joined late"))
        return join

    # -- ip=

    def test_ipv4(self):
        scene = self.scene(families=(4,))
        join = self.joins(scene, ["10.1.0.50/24"],
                          f"ip=10.1.0.50::10.1.0.1:255.255.255.0:host:eth0:none:{DNS4}")
        join.leave()
        self.assertEqual(self.nic.addresses(), [])

    def test_ipv4_by_mac(self):
        """A device that is named by its MAC, where names are another kernel's."""
        scene = self.scene(families=(4,))
        scene.nic(scene.lan())
        mac = self.nic.mac.replace(":", "-")
        self.joins(scene, ["10.1.0.50/24"], f"ip=10.1.0.50::10.1.0.1:24::{mac}:none", f"nameserver={DNS4}").leave()

    def test_ipv4_host_address(self):
        """/32, and a gateway outside of it."""
        scene = self.scene(families=(4,))
        self.lan.on_link("203.0.113.77/32")
        self.joins(scene, ["203.0.113.77/32"],
                   f"ip=203.0.113.77::10.1.0.1:255.255.255.255::eth0:none:{DNS4}").leave()

    def test_ipv6(self):
        scene = self.scene(families=(6,))
        self.joins(scene, ["2001:db8:1::50/64"],
                   f"ip=[2001:db8:1::50]::[2001:db8:1::1]:64::eth0:none:[{DNS6}]").leave()

    def test_ipv6_link_local_gateway(self):
        scene = self.scene(families=(6,))
        self.joins(scene, ["2001:db8:1::50/64"],
                   "ip=[2001:db8:1::50]::[fe80::1]:64::eth0:none", f"nameserver={DNS6}").leave()

    def test_both_families(self):
        scene = self.scene()
        self.joins(scene, ["10.1.0.50/24", "2001:db8:1::50/64"],
                   f"ip=10.1.0.50::10.1.0.1:255.255.255.0::eth0:none:{DNS4}",
                   "ip=[2001:db8:1::50]::[fe80::1]:64::eth0:none").leave()

    def test_any_nic(self):
        """No device is named, and the cable is in the third."""
        scene = self.world(families=(4,))
        for _ in range(2):
            scene.nic(scene.lan())
        self.lan = scene.lan()
        self.nic = scene.nic(self.lan)
        join = scene.join(f"ip=10.3.0.50::10.3.0.1:255.255.255.0:::none:{DNS4}", deadline=60)
        self.check(join, "static", "eth2")
        join.leave()

    # -- a network file

    def test_file(self):
        """Both families, several addresses, a metric, a source address."""
        scene = self.scene()
        network = f"""\
# as a person writes it
link eth0 mac {self.nic.mac}
address 10.1.0.50/24 dev eth0
address 10.1.0.51/24 dev eth0
address 2001:db8:1::50/64 dev eth0
route default via 10.1.0.1 dev eth0 metric 50 src 10.1.0.51
route default via fe80::1 dev eth0
nameserver {DNS4}
nameserver {DNS6}
search example.test
"""
        join = self.joins(scene, ["10.1.0.50/24", "10.1.0.51/24", "2001:db8:1::50/64"], network=network)
        routes = [route for route in scene.client.show("-4", "route") if route["dst"] == "default"]
        self.assertIn(("10.1.0.1", "10.1.0.51", 50),
                      [(route["gateway"], route.get("prefsrc"), route.get("metric")) for route in routes])
        lines = scene.client.resolv_conf_lines()
        for line in (f"nameserver {DNS4}", f"nameserver {DNS6}", "search example.test"):
            self.assertIn(line, lines)
        join.leave()

    def test_file_host_address(self):
        """As a rented server has it: /32, the gateway reachable by a route of its own."""
        scene = self.scene(families=(4,))
        self.lan.on_link("203.0.113.77/32")
        self.joins(scene, ["203.0.113.77/32"], network=f"""\
link eth0 mac {self.nic.mac}
address 203.0.113.77/32 dev eth0
route 10.1.0.1/32 dev eth0 scope link
route default via 10.1.0.1 dev eth0
nameserver {DNS4}
""").leave()

    def test_file_on_link_gateway(self):
        scene = self.scene(families=(4,))
        self.lan.on_link("203.0.113.77/32")
        self.joins(scene, ["203.0.113.77/32"], network=f"""\
link eth0 mac {self.nic.mac}
address 203.0.113.77/32 dev eth0
route default via 10.1.0.1 dev eth0 onlink
nameserver {DNS4}
""").leave()

    def test_file_policy_rules(self):
        """The way out is in a table of its own, which a rule for the address chooses."""
        scene = self.scene(families=(4,))
        join = self.joins(scene, ["10.1.0.50/24"], network=f"""\
link eth0 mac {self.nic.mac}
address 10.1.0.50/24 dev eth0
route default via 10.1.0.1 dev eth0 table 100
route 198.51.100.0/24 via 10.1.0.1 dev eth0
rule 1000 from 10.1.0.50/32 lookup 100
nameserver {DNS4}
""")
        rules = [rule for rule in scene.client.show("-4", "rule") if rule.get("table") == "100"]
        self.assertEqual([(rule["priority"], rule["src"]) for rule in rules], [(1000, "10.1.0.50")])
        join.leave()

    def test_captured_address_of_a_lease(self):
        """What a DHCP server gave the system before serves when no server answers now."""
        scene = self.scene(families=(4,))
        join = scene.join(network=f"""\
link eth0 mac {self.nic.mac} ipv4 dhcp
address 10.1.0.50/24 dev eth0 from dhcp4
route default via 10.1.0.1 dev eth0 from dhcp4
nameserver {DNS4} dev eth0 from dhcp4
captured
""", deadline=60)
        facts = self.check(join, interface="eth0")
        self.assertEqual(facts["addr"], "10.1.0.50/24")
        join.leave()

    def test_captured_and_moved(self):
        """What was captured leads nowhere here: plain DHCP does."""
        scene = self.scene(families=(4,))
        self.lan.serve_dnsmasq("--dhcp-range=10.1.0.100,10.1.0.200,255.255.255.0,1h")
        join = scene.join(network=f"""\
link eth0 mac {self.nic.mac}
address 10.9.0.50/24 dev eth0
route default via 10.9.0.1 dev eth0
nameserver {DNS4}
captured
""", deadline=60)
        self.check(join, "dhcp4", "eth0")
        join.leave()
