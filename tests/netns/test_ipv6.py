"""IPv6 as routers and servers that people run do it, and both families side by side."""

from tests.netns import world
from tests.netns.world import DNS4, DNS6, WEB4, WEB6

PREFIX = """\
  prefix 2001:db8:1::/64 { AdvOnLink on; AdvAutonomous on; };
"""
RDNSS = f"""\
  RDNSS {DNS6} {{ }};
"""
RANGE4 = "--dhcp-range=10.1.0.100,10.1.0.200,255.255.255.0,1h"


class Ipv6(world.NetnsTest):

    def scene(self, families=(6,)):
        """The internet, a LAN without servers yet, a NIC in it."""
        scene = self.world(families=families)
        self.lan = scene.lan()
        self.nic = scene.nic(self.lan)
        return scene

    def visitors(self, scene):
        """Families in which image.test was asked."""
        return {6 if ":" in request[0] else 4 for request in scene.internet.requests()}

    # -- addresses by router advertisement

    def test_router_advertisement_alone(self):
        """SLAAC, and name servers in the advertisement (RFC 8106)."""
        scene = self.scene()
        self.lan.serve_radvd(PREFIX + RDNSS)
        join = scene.join()
        facts = self.check(join, "ra", "eth0")
        self.assertRegex(facts["addr"], r"^2001:db8:1:.*/64$")
        self.assertIn(facts["addr"], self.nic.addresses())
        self.assertEqual(facts["dns"], DNS6)
        join.leave()

    def test_mtu_of_router_advertisement(self):
        scene = self.scene()
        self.lan.serve_radvd(PREFIX + RDNSS + "  AdvLinkMTU 1400;\n")
        join = scene.join()
        self.check(join, "ra", "eth0")
        routes = scene.client.run(["ip", "-6", "route", "get", WEB6])
        mtu = scene.client.run(["cat", "/proc/sys/net/ipv6/conf/eth0/mtu"]).strip()
        self.assertTrue(mtu == "1400" or "mtu 1400" in routes, f"{mtu}: {routes}")
        join.leave()

    # -- DHCPv6

    def managed(self, serve):
        """An advertisement without prefixes that says: ask a server for an address."""
        scene = self.scene()
        self.lan.serve_radvd("  AdvManagedFlag on;\n")
        serve()
        join = scene.join()
        facts = self.check(join, "dhcp6", "eth0")
        self.assertRegex(facts["addr"], r"^2001:db8:1::1\w\w\w/(128|64)$")
        self.assertEqual(facts["dns"], DNS6)
        join.leave()

    def test_stateful_kea(self):
        self.managed(lambda: self.lan.serve_kea6(options={"dns-servers": DNS6}))

    def test_stateful_dnsmasq(self):
        self.managed(lambda: self.lan.serve_dnsmasq(
            "--dhcp-range=2001:db8:1::1000,2001:db8:1::1fff,64,1h", f"--dhcp-option=option6:dns-server,[{DNS6}]"))

    def test_stateless_kea(self):
        """SLAAC; name servers by DHCPv6 alone."""
        scene = self.scene()
        self.lan.serve_radvd(PREFIX + "  AdvOtherConfigFlag on;\n")
        self.lan.serve_kea6(pool=False, options={"dns-servers": DNS6})
        join = scene.join()
        facts = self.check(join, "ra", "eth0")
        self.assertEqual(facts["dns"], DNS6)
        join.leave()

    def test_stateless_dnsmasq(self):
        """dnsmasq as router and as server: the name server is itself."""
        scene = self.scene()
        self.lan.serve_dnsmasq("--enable-ra", "--dhcp-range=::,constructor:br0,ra-stateless,64,1h")
        join = scene.join()
        facts = self.check(join, "ra", "eth0")
        self.assertIn(facts["dns"].split(",")[0].split("%")[0], self.lan.addresses6())
        join.leave()

    def test_no_dhcp6_server_behind_the_flag(self):
        """The advertisement promises a server that is not there; what it has itself is enough."""
        scene = self.scene()
        self.lan.serve_radvd(PREFIX + RDNSS + "  AdvManagedFlag on;\n  AdvOtherConfigFlag on;\n")
        join = scene.join()
        self.check(join, "ra", "eth0")
        join.leave()

    # -- one family, both families

    def test_dns64(self):
        """IPv6 alone here, IPv4 alone there: the name server makes addresses for a translator."""
        scene = self.scene(families=(4,))
        self.lan.serve_radvd(PREFIX + f"  RDNSS {self.lan.address6} {{ }};\n")
        self.lan.serve_dns64()
        join = scene.join()
        self.check(join, "ra", "eth0")
        self.assertEqual(self.visitors(scene), {6})
        join.leave()

    def test_ipv4_alone(self):
        """No router speaks, and the source has an IPv6 address, too."""
        scene = self.scene(families=(4, 6))
        self.lan.serve_dnsmasq(RANGE4)
        join = scene.join()
        self.check(join, "dhcp4", "eth0")
        self.assertEqual(self.visitors(scene), {4})
        join.leave()

    def test_both(self):
        scene = self.scene(families=(4, 6))
        self.lan.serve_dnsmasq(RANGE4)
        self.lan.serve_radvd(PREFIX + RDNSS)
        join = scene.join()
        self.check(join)
        join.leave()

    def broken(self, family):
        """Both families have addresses and routes; one of them leads nowhere, silently."""
        scene = self.scene(families=(4, 6))
        self.lan.serve_dnsmasq(RANGE4, f"--dhcp-option=6,{DNS4}")
        self.lan.serve_radvd(PREFIX + RDNSS)
        self.lan.filter_forwarded(f"meta nfproto ipv{family} drop")
        join = scene.join()
        self.check(join)
        self.assertEqual(self.visitors(scene), {10 - family})
        self.assertLess(join.seconds(), 10, join.failure("joined late"))
        join.leave()

    def test_ipv6_broken(self):
        self.broken(6)

    def test_ipv4_broken(self):
        self.broken(4)

    def test_ipv6_broken_with_good_names(self):
        """The name server is the router's own, so that only the connections fail."""
        scene = self.scene(families=(4, 6))
        self.lan.serve_dnsmasq(RANGE4)
        self.lan.serve_radvd(PREFIX + f"  RDNSS {self.lan.address6} {{ }};\n")
        self.lan.filter_forwarded(f"ip6 daddr {WEB6} drop")
        join = scene.join()
        self.check(join, "dhcp4", "eth0")
        self.assertEqual(self.visitors(scene), {4})
        join.leave()

    def test_ipv4_refused_with_good_names(self):
        """As a firewall that rejects has it."""
        scene = self.scene(families=(4, 6))
        self.lan.serve_dnsmasq(RANGE4)
        self.lan.serve_radvd(PREFIX + f"  RDNSS {self.lan.address6} {{ }};\n")
        self.lan.filter_forwarded(f"ip daddr {WEB4} reject")
        join = scene.join()
        self.check(join, "ra", "eth0")
        self.assertEqual(self.visitors(scene), {6})
        join.leave()
