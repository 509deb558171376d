"""Servers that are late, wrong or hostile: the client finds the right ones, or ends in time and says
why; it gives its credentials to nobody but the web server that is meant."""

import base64
import random
import struct
import time

from tests.e2e import harness
from tests.e2e.harness import tail
from tests.netns import rogue, world
from tests.netns.rogue import ACK, DISCOVER, LEASE, MASK, NAK, NAMES, OFFER, REQUEST, ROUTER, address, usual
from tests.netns.world import DNS4

PASSWORD, TOKEN = "pass-q7Zx", "token-Jw81"
URL = f"https://somebody:{PASSWORD}@image.test/image.raw"
SETTINGS = (f"header=X-Token: {TOKEN}",)
SECRETS = [secret.encode() for secret in (
    PASSWORD, TOKEN, base64.b64encode(f"somebody:{PASSWORD}".encode()).decode())]


class Servers(world.NetnsTest):
    """DHCPv4 servers that answer in the end."""

    def scene(self, script):
        scene = self.world(families=(4,))
        self.lan = scene.lan()
        self.lan.serve_dnsmasq()  # names alone
        self.nic = scene.nic(self.lan)
        server = rogue.Dhcp4(self.lan, script)
        self.addCleanup(server.close)
        return scene, server

    def test_late(self):
        """Silent for 12 s, as behind a switch that learns its ports slowly."""
        good = rogue.plain("10.1.0.66", "10.1.0.1")
        began = []

        def script(request, count):
            began.append(time.monotonic())
            return good(request, count) if time.monotonic() - began[0] > 12 else []
        scene, _ = self.scene(script)
        join = scene.join()
        facts = self.check(join, "dhcp4", "eth0")
        self.assertEqual(facts["addr"], "10.1.0.66/24")
        # The next attempt after those 12 s finds it.
        self.assertLess(join.seconds(), 22, join.failure("joined late"))
        join.leave()

    def test_late_answer_to_the_first(self):
        """Each answer takes 3 s, longer than a client waits until it asks again."""
        good = rogue.plain("10.1.0.66", "10.1.0.1")

        def script(request, count):
            time.sleep(3)  # a slow server is the case
            return good(request, count)
        scene, _ = self.scene(script)
        join = scene.join()
        self.check(join, "dhcp4", "eth0")
        join.leave()

    def test_refuses_first(self):
        """Two NAKs, then the address."""
        good = rogue.plain("10.1.0.66", "10.1.0.1")
        refused = []

        def script(request, count):
            if request.type == REQUEST and len(refused) < 2:
                refused.append(count)
                return [request.answer(NAK, "0.0.0.0", "10.1.0.1")]
            return good(request, count)
        scene, server = self.scene(script)
        join = scene.join()
        self.check(join, "dhcp4", "eth0")
        self.assertGreaterEqual(server.count(DISCOVER), 3)
        join.leave()

    def test_garbage_first(self):
        """Before each answer all kinds of what is none."""
        good = rogue.plain("10.1.0.66", "10.1.0.1")
        generator = random.Random(1)
        scene, _ = self.scene(lambda request, count: [*rogue.garbage(request, generator), *good(request, count)])
        join = scene.join()
        facts = self.check(join, "dhcp4", "eth0")
        self.assertEqual(facts["addr"], "10.1.0.66/24")
        join.leave()

    def test_address_in_use(self):
        """Somebody has the first address that is offered: it is declined (RFC 2131, 5227)."""
        declined = []

        def script(request, count):
            if request.type == rogue.DECLINE:
                declined.append(request.options[50])
                return []
            offered = "10.1.0.67" if declined else "10.1.0.66"
            return rogue.plain(offered, "10.1.0.1")(request, count)
        scene, _ = self.scene(script)
        self.lan.ip("addr add 10.1.0.66/32 dev br0")
        join = scene.join()
        facts = self.check(join, "dhcp4", "eth0")
        self.assertEqual(declined, [address("10.1.0.66")])
        self.assertEqual(facts["addr"], "10.1.0.67/24")
        join.leave()


class Rogue(world.NetnsTest):
    """A hostile LAN at the first NIC: its servers answer wrong, its web servers wait for secrets.
    A good LAN at the second, later, or none."""

    def scene(self, **options):
        scene = self.world(families=(4,), **options)
        self.bad = scene.lan()
        self.bad.filter_forwarded("drop")
        # Whoever is sent to the address of image.test there meets us.
        self.bad.ip("addr add 198.51.100.10/32 dev br0\naddr add 203.0.113.66/32 dev br0")
        self.listeners = [rogue.Listener(self.bad, bound, port, certificate)
                          for bound in ("198.51.100.10", "203.0.113.66", "10.1.0.1")
                          for port, certificate in ((80, None), (443, scene.certificates.rogue), (3128, None))]
        for listener in self.listeners:
            self.addCleanup(listener.close)
        self.capture = self.bad.capture("br0")
        self.bad_nic = scene.nic(self.bad)
        return scene

    def serve(self, script):
        server = rogue.Dhcp4(self.bad, script)
        self.addCleanup(server.close)
        return server

    def names(self, answer=None):
        """A name server that says: all names are this LAN's."""
        server = rogue.Datagrams(self.bad, "10.1.0.1", 53, answer or (
            lambda query, origin: [rogue.dns_answer(query, rogue.dns_address("203.0.113.66"))]
            if query[-3] == 1 else [rogue.dns_answer(query, (0, b""))]))
        self.addCleanup(server.close)
        return server

    def check_secrets(self, join):
        """No secret anywhere on that LAN, nor in what the client writes for people."""
        time.sleep(0.2)  # tcpdump does not report that it has written all
        seen = self.capture.read_bytes() + b"".join(listener.received for listener in self.listeners)
        said = join.out.read_bytes() + join.log.read_bytes()
        for secret in SECRETS:
            self.assertNotIn(secret, seen, f"a secret on the rogue's network; logs: {self.artifacts}")
            self.assertNotIn(secret, said, f"a secret in a log; logs: {self.artifacts}")

    def with_good_lan(self, scene):
        """A good LAN beside it: that is where the image comes from."""
        good = scene.lan()
        good.serve_dnsmasq("--dhcp-range=10.2.0.100,10.2.0.200,255.255.255.0,1h")
        scene.nic(good)
        join = scene.join(*SETTINGS, url=URL)
        self.check(join, "dhcp4", "eth1")
        self.check_secrets(join)
        asked = scene.internet.requests()
        self.assertEqual({request[5] for request in asked if request[1].startswith("GET")}, {TOKEN})
        join.leave()

    def alone(self, scene, deadline=8):
        """Nobody else: the client ends at its deadline, and says why."""
        join = scene.join(*SETTINGS, url=URL, deadline=deadline)
        reason = join.failed(deadline + 15)
        took = time.clock_gettime(time.CLOCK_BOOTTIME) - join.begun
        self.assertLess(took, deadline + 6, join.failure("ended late"))
        self.check_secrets(join)
        return reason

    def offers(self, *more, offered="10.1.0.66", **fields):
        def script(request, count):
            kind = {DISCOVER: OFFER, REQUEST: ACK}.get(request.type)
            return [] if kind is None else [request.answer(kind, offered, "10.1.0.1", *more, **fields)]
        return script

    # -- a false image.test

    def test_false_names(self):
        scene = self.scene()
        self.names()
        self.serve(rogue.plain("10.1.0.66", "10.1.0.1"))
        self.with_good_lan(scene)

    def test_false_names_alone(self):
        scene = self.scene()
        self.names()
        self.serve(rogue.plain("10.1.0.66", "10.1.0.1"))
        reason = self.alone(scene)
        self.assertRegex(reason, "(?i)certificate|trust|TLS")
        self.assertTrue(any(listener.connections for listener in self.listeners), "it was asked")

    # -- DHCP

    def test_lease_of_no_time(self):
        scene = self.scene()
        self.names()
        server = self.serve(rogue.plain("10.1.0.66", "10.1.0.1", lease=0))
        self.with_good_lan(scene)
        self.assertLess(len(server.requests), 60, "requests while the image came")

    def test_lease_of_no_time_alone(self):
        scene = self.scene()
        self.names()
        server = self.serve(rogue.plain("10.1.0.66", "10.1.0.1", lease=0))
        self.alone(scene)
        self.assertLess(len(server.requests), 60, "requests in 8 s")

    def test_router_is_the_client(self):
        scene = self.scene()
        self.names()
        self.serve(self.offers((MASK, address("255.255.255.0")), (ROUTER, address("10.1.0.66")),
                               (NAMES, address("10.1.0.66")), (LEASE, struct.pack("!I", 600))))
        self.with_good_lan(scene)

    def test_hostile_routes(self):
        """Everything by 121: loopback, multicast, the client's own network, halves of the Internet."""
        routes = world.classless_routes(
            ("127.0.0.0/8", "10.1.0.1"), ("224.0.0.0/4", "10.1.0.1"), ("10.2.0.0/24", "10.1.0.1"), ("0.0.0.0/1", "10.1.0.1"),
            ("128.0.0.0/1", "10.1.0.1"), ("198.51.100.10/32", "10.1.0.1"), ("198.51.100.53/32", "10.1.0.1"),
            ("0.0.0.0/0", "10.1.0.66"), ("0.0.0.0/0", "255.255.255.255"))
        scene = self.scene()
        self.names()
        self.serve(self.offers(*usual("10.1.0.1"), (121, routes)))
        self.with_good_lan(scene)

    def test_all_options(self):
        """Every option there is, each with two bytes of noise, which is the right length of few."""
        generator = random.Random(2)
        more = [(code, generator.randbytes(2)) for code in range(2, 255)
                if code not in (MASK, ROUTER, NAMES, LEASE, rogue.OVERLOAD, rogue.TYPE, rogue.SERVER)]
        scene = self.scene()
        self.names()
        self.serve(self.offers(*usual("10.1.0.1"), *more))
        self.with_good_lan(scene)

    def test_long_names(self):
        """Domains longer than a name can be, one that points to itself, bytes that no name has."""
        scene = self.scene()
        self.names()
        self.serve(self.offers(*usual("10.1.0.1"), (rogue.DOMAIN, b"a." * 127), (rogue.HOST_NAME, b"\n\x1b[2J;reboot"),
                               (rogue.SEARCH, b"\x3f" + b"x" * 63 + (b"\x3f" + b"y" * 63) * 4 + b"\0" + b"\xc0\x00")))
        self.with_good_lan(scene)
        text = "\n".join(scene.client.resolv_conf_lines())
        self.assertNotIn("\x1b", text)

    def test_overload(self):
        """Option overload (RFC 2132, 9.3), and in those fields an overload again, and no ends."""
        scene = self.scene()
        self.names()
        inner = rogue.options((rogue.OVERLOAD, b"\3"), (rogue.DOMAIN, b"x" * 20), (MASK, b"\xff\xff\xff\0"))
        self.serve(self.offers(*usual("10.1.0.1"), (rogue.OVERLOAD, b"\3"), file=inner, name=inner, end=False))
        self.with_good_lan(scene)

    def test_changes_its_mind(self):
        """The ACK has another address than the offer, another mask each time, then NAKs for ever."""
        scene = self.scene()
        self.names()

        def script(request, count):
            if request.type == DISCOVER:
                return [request.answer(OFFER, "10.1.0.66", "10.1.0.1", *usual("10.1.0.1"))]
            if request.type == REQUEST and count < 6:
                return [request.answer(ACK, f"10.1.0.{70 + count}", "10.1.0.1", (MASK, bytes([255, 255, 255, count * 32])),
                                       (LEASE, struct.pack("!I", 10)))]
            return [request.answer(NAK, "0.0.0.0", "10.1.0.1")]
        self.serve(script)
        self.with_good_lan(scene)

    def test_garbage_alone(self):
        scene = self.scene()
        generator = random.Random(3)
        self.serve(lambda request, count: list(rogue.garbage(request, generator)))
        self.alone(scene)

    # -- DNS

    def test_name_server_answers_garbage(self):
        scene = self.scene()
        self.names(lambda query, origin: list(rogue.dns_garbage(query)))
        self.serve(rogue.plain("10.1.0.66", "10.1.0.1"))
        self.with_good_lan(scene)

    def test_name_server_answers_garbage_alone(self):
        scene = self.scene()
        self.names(lambda query, origin: list(rogue.dns_garbage(query)))
        self.serve(rogue.plain("10.1.0.66", "10.1.0.1"))
        self.alone(scene)

    # -- router advertisements

    def flood(self):
        """The scene while the image comes over the good LAN, for 4 s."""
        scene = self.scene(rate=world.IMAGE_SIZE // 4)
        router = rogue.Router(self.bad)
        self.addCleanup(router.close)
        self.serve(rogue.plain("10.1.0.66", "10.1.0.1"))
        self.names()
        good = scene.lan()
        good.serve_dnsmasq("--dhcp-range=10.2.0.100,10.2.0.200,255.255.255.0,1h")
        scene.nic(good)
        join = scene.join(*SETTINGS, url=URL)
        # From the NIC's carrier on.
        harness.wait_until(lambda: scene.client.show("link", "show", "eth0")[0]["operstate"] == "UP", 10,
                           lambda: join.failure("eth0 gets no carrier"))
        return router, join

    def end_flood(self, join):
        self.check(join, "dhcp4", "eth1")
        routers = join.world.client.run(["ip", "-6", "route", "show", "table", "all", "default"])
        self.assertIn("via fe80::1 dev eth0", routers, "the advertisements have been heard")
        self.check_secrets(join)
        join.leave()

    def test_flood_of_advertisements(self):
        """1000, each with another prefix, another name server and all flags, within a second."""
        router, join = self.flood()
        for number in range(1000):
            router.send(rogue.advertisement(rogue.prefix_option(f"2001:db8:{number + 16:x}::"), flags=0xc0, hops=number % 256))
            if number % 10 == 0:
                router.send(rogue.advertisement(rogue.names_option(f"2001:db8:{number + 16:x}::53"), lifetime=number % 3))
                time.sleep(0.01)  # the flood's rate
        self.end_flood(join)

    def test_advertisement_with_a_hundred_prefixes(self):
        router, join = self.flood()
        for round_ in range(20):
            router.send(rogue.advertisement(*(rogue.prefix_option(f"2001:db8:{100 * round_ + number + 16:x}::")
                                              for number in range(40)), flags=0x40))
            router.send(rogue.advertisement(rogue.names_option(*(f"2001:db8::{number:x}" for number in range(1, 40)))))
        self.end_flood(join)

    def test_flood_on_the_only_lan(self):
        """The good server and the rogue router on one LAN: name servers and addresses without end, and
        IPv6 leads nowhere."""
        scene = self.world(families=(4, 6), rate=world.IMAGE_SIZE // 4)
        lan = scene.lan()
        lan.serve_dnsmasq("--dhcp-range=10.1.0.100,10.1.0.200,255.255.255.0,1h")
        lan.filter_forwarded("meta nfproto ipv6 drop")
        router = rogue.Router(lan)
        self.addCleanup(router.close)
        scene.nic(lan)
        join = scene.join()
        sent, deadline = 0, time.monotonic() + 60
        while "status=ok" not in tail(join.out) and join.running() and time.monotonic() < deadline:
            router.send(rogue.advertisement(rogue.prefix_option(f"2001:db8:{sent % 5000 + 16:x}::"),
                                            rogue.names_option(f"2001:db8:{sent % 5000 + 16:x}::53"), flags=0xc0))
            sent += 1
            time.sleep(0.001)  # the flood's rate
        self.check(join, "dhcp4", "eth0")
        self.assertLess(join.seconds(), 10, join.failure("joined late"))
        join.leave()

    def test_advertisements_of_noise(self):
        """Lengths of 0, options that end after the packet, an MTU of 0 and of 68, prefixes of 255 bits."""
        router, join = self.flood()
        generator = random.Random(4)
        for mtu in (0, 68, 1279, 0xffffffff):
            router.send(rogue.advertisement(struct.pack("!BBHI", 5, 1, 0, mtu)))
        router.send(rogue.advertisement(b"\x19\0" + bytes(6)))
        router.send(rogue.advertisement(b"\x19\x04" + bytes(6)))
        router.send(rogue.advertisement(b"\x1f\x02\0\0\0\0\xff\xff" + b"\xc0\0" * 4))
        router.send(rogue.advertisement(rogue.prefix_option("2001:db8:99::", length=255)))
        router.send(rogue.advertisement(rogue.prefix_option("fe80::", valid=0xffffffff)))
        router.send(rogue.advertisement(rogue.prefix_option("ff02::")))
        router.send(rogue.advertisement(rogue.names_option("::1", "ff02::1", "::")))
        for _ in range(200):
            router.send(rogue.advertisement(generator.randbytes(generator.randrange(0, 300))))
        self.end_flood(join)
