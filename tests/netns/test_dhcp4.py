"""DHCPv4 as servers that people run do it."""

import re

from tests.e2e.harness import tail
from tests.netns import world
from tests.netns.world import DNS4, classless_routes

RANGE = "--dhcp-range=10.1.0.100,10.1.0.200,255.255.255.0,1h"


class Dhcp4(world.NetnsTest):

    def scene(self, mtu=1500, address=None, **options):
        """The internet, a LAN without servers yet, a NIC in it."""
        scene = self.world(**options)
        self.lan = scene.lan(mtu=mtu, address=address)
        self.nic = scene.nic(self.lan)
        return scene

    # -- the servers

    def test_dnsmasq(self):
        scene = self.scene()
        self.lan.serve_dnsmasq(RANGE)
        join = scene.join()
        facts = self.check(join, "dhcp4", "eth0")
        self.assertEqual(self.nic.addresses(), [facts["addr"]])
        self.assertRegex(facts["addr"], r"^10\.1\.0\.\d+/24$")
        self.assertEqual(facts["gw"], "10.1.0.1")
        self.assertIn("nameserver 10.1.0.1", scene.client.resolv_conf_lines())
        self.assertEqual({request[2] for request in scene.internet.requests()} - {"200", "206"}, set())
        join.leave()
        self.assertEqual(self.nic.addresses(), [])

    def test_kea(self):
        scene = self.scene()
        self.lan.serve_kea4(options={"routers": "10.1.0.1", "domain-name-servers": DNS4})
        join = scene.join()
        facts = self.check(join, "dhcp4", "eth0")
        self.assertRegex(facts["addr"], r"^10\.1\.0\.\d+/24$")
        self.assertEqual(facts["dns"], DNS4)
        join.leave()

    def test_isc_dhcpd(self):
        scene = self.scene()
        self.lan.serve_dhcpd(f"""\
subnet 10.1.0.0 netmask 255.255.255.0 {{
  range 10.1.0.100 10.1.0.200;
  option routers 10.1.0.1;
  option domain-name-servers {DNS4};
}}""")
        join = scene.join()
        facts = self.check(join, "dhcp4", "eth0")
        self.assertRegex(facts["addr"], r"^10\.1\.0\.\d+/24$")
        join.leave()

    # -- addresses and routes

    def test_host_address_with_on_link_gateway(self):
        """/32, and a gateway outside of it that option 121 makes reachable."""
        scene = self.scene()
        self.lan.on_link("203.0.113.77/32")
        self.lan.serve_kea4(subnet="203.0.113.77/32", pool="203.0.113.77 - 203.0.113.77",
                            options={"domain-name-servers": DNS4,
                                     121: classless_routes(("10.1.0.1/32", "0.0.0.0"), ("0.0.0.0/0", "10.1.0.1"))})
        join = scene.join()
        facts = self.check(join, "dhcp4", "eth0")
        self.assertEqual(facts["addr"], "203.0.113.77/32")
        self.assertEqual(self.nic.addresses(), ["203.0.113.77/32"])
        join.leave()

    def test_classless_routes_from_dnsmasq(self):
        """Option 121 instead of option 3, as RFC 3442 has it: option 3 leads nowhere."""
        scene = self.scene()
        self.lan.serve_dnsmasq(RANGE, "--dhcp-option=3,10.1.0.99", "--dhcp-option=121,0.0.0.0/0,10.1.0.1")
        join = scene.join()
        facts = self.check(join, "dhcp4", "eth0")
        self.assertEqual(facts["gw"], "10.1.0.1")
        join.leave()

    def test_classless_routes_without_default(self):
        """Option 121 with a route to somewhere else; the way out is option 3's."""
        scene = self.scene()
        self.lan.serve_dnsmasq(RANGE, "--dhcp-option=121,172.16.0.0/12,10.1.0.99")
        join = scene.join()
        facts = self.check(join, "dhcp4", "eth0")
        self.assertEqual(facts["gw"], "10.1.0.1")
        routes = {(route["dst"], route.get("gateway")) for route in scene.client.show("-4", "route")}
        self.assertIn(("172.16.0.0/12", "10.1.0.99"), routes)
        self.assertIn(("default", "10.1.0.1"), routes)
        join.leave()

    def test_two_addresses_link(self):
        """/31 (RFC 3021): no network address, no broadcast address."""
        scene = self.scene(address="10.1.0.0/31")
        self.lan.serve_kea4(pool="10.1.0.1 - 10.1.0.1",
                            options={"routers": "10.1.0.0", "domain-name-servers": DNS4})
        join = scene.join()
        facts = self.check(join, "dhcp4", "eth0")
        self.assertEqual(facts["addr"], "10.1.0.1/31")
        join.leave()

    # -- MTU

    def mtu_by_option(self, mtu):
        scene = self.scene(mtu=9000)
        self.lan.serve_dnsmasq(RANGE, f"--dhcp-option=26,{mtu}")
        join = scene.join()
        self.check(join, "dhcp4", "eth0")
        self.assertEqual(self.nic.mtu(), mtu)
        join.leave()

    def test_mtu_1460(self):
        self.mtu_by_option(1460)

    def test_mtu_9000(self):
        self.mtu_by_option(9000)

    def black_hole(self, mtu, passes):
        """A router on the way drops what is larger than `passes` bytes and says nothing."""
        scene = self.scene(mtu=9000)
        self.lan.serve_dnsmasq(RANGE, f"--dhcp-option=26,{mtu}")
        scene.client.without_offloads("eth0")
        scene.internet.without_offloads("lan1")
        self.lan.without_offloads("wan", "port0")
        self.lan.filter_forwarded(f"meta length > {passes} drop", "meta l4proto { icmp, icmpv6 } drop")
        join = scene.join(deadline=90)
        self.check(join, "dhcp4", "eth0", timeout=90)
        join.leave()

    def test_black_hole(self):
        self.black_hole(1500, 1300)

    def test_black_hole_on_jumbo_frames(self):
        self.black_hole(9000, 1500)

    def test_small_black_hole_on_jumbo_frames(self):
        self.black_hole(9000, 1300)

    # -- leases

    def test_renewal_during_a_slow_download(self):
        """A lease of 60 s, and a download that lasts longer than half of it."""
        scene = self.scene(rate=world.IMAGE_SIZE // 40)
        server = self.lan.serve_kea4(lifetime=60, options={"routers": "10.1.0.1", "domain-name-servers": DNS4,
                                                           "dhcp-renewal-time": "30"})
        join = scene.join(deadline=90)
        before = join.phase("network")["addr"]
        join.download(80)
        self.assertEqual(self.nic.addresses(), [before])
        # One exchange at the start, one for each renewal.
        answers = re.findall(r"DHCP4_PACKET_SEND.*DHCPACK", tail(server.log, 1 << 24))
        self.assertGreaterEqual(len(answers), 2, f"renewals; logs: {self.artifacts}")
        join.leave()
