"""Several ways out, of which some lead nowhere, or end while the download runs."""

import time

from tests.e2e.harness import tail, wait_until
from tests.netns import world
from tests.netns.world import DNS4, DNS6, SILENT_DNS4, WEB4

SECONDS = 12  # of a download that something happens to
RATE = world.IMAGE_SIZE // SECONDS


def dhcp_range(number):
    return f"--dhcp-range=10.{number}.0.100,10.{number}.0.200,255.255.255.0,1h"


class Paths(world.NetnsTest):

    def serve(self, lan, *options):
        lan.serve_dnsmasq(dhcp_range(lan.number), *options)

    # -- several NICs

    def dead_and_alive(self, order):
        """Two LANs with leases; the router of one forwards nothing."""
        scene = self.world(families=(4,))
        for kind in order:
            lan = scene.lan()
            self.serve(lan)
            if kind == "dead":
                lan.filter_forwarded("drop")
            scene.nic(lan)
        join = scene.join()
        self.check(join, "dhcp4", f"eth{order.index('alive')}")
        lans = {request[0].split(".")[1] for request in scene.internet.requests()}
        self.assertEqual(lans, {str(order.index("alive") + 1)})
        join.leave()

    def test_first_nic_leads_nowhere(self):
        self.dead_and_alive(["dead", "alive"])

    def test_second_nic_leads_nowhere(self):
        self.dead_and_alive(["alive", "dead"])

    def test_same_network_on_both_nics(self):
        """Two NICs in one switch: both get addresses of one network."""
        scene = self.world(families=(4,))
        lan = scene.lan()
        self.serve(lan)
        scene.nic(lan)
        scene.nic(lan)
        join = scene.join()
        self.check(join, "dhcp4")
        join.leave()

    def test_six_nics(self):
        """Five of six are dead; that takes at most 2 s more than one alone."""
        times = {}
        for dead in (0, 5):
            scene = self.world(f"{dead}-dead", families=(4,))
            silent = scene.lan()
            for number in range(dead):
                nic = scene.nic(silent)
                if number % 2:
                    nic.plug(False)
            lan = scene.lan()
            self.serve(lan)
            nic = scene.nic(lan)
            join = scene.join()
            self.check(join, "dhcp4", nic.name)
            times[dead] = join.seconds()
            join.leave()
        self.assertLess(times[5], times[0] + 2, times)

    # -- names

    def names(self, *servers):
        scene = self.world(families=(4,))
        lan = scene.lan()
        self.serve(lan, f"--dhcp-option=6,{','.join(servers)}")
        scene.nic(lan)
        join = scene.join()
        self.check(join, "dhcp4", "eth0")
        self.assertLess(join.seconds(), 5, join.failure("joined late"))
        join.leave()

    def test_first_name_server_is_not_there(self):
        """An address on the LAN that nobody has."""
        self.names("10.1.0.77", DNS4)

    def test_first_name_server_is_silent(self):
        self.names(SILENT_DNS4, DNS4)

    def test_third_name_server_answers(self):
        self.names("10.1.0.77", SILENT_DNS4, DNS4)

    def test_search_domain(self):
        """https://image/… where the search domain makes it a name."""
        scene = self.world(families=(4,))
        lan = scene.lan()
        self.serve(lan, "--dhcp-option=15,test")
        scene.nic(lan)
        join = scene.join(url="https://image/image.raw")
        # The name was found, the server asked: its certificate is for other names.
        self.assertRegex(join.failed(), "certificate is for image.test")

    # -- a proxy

    def test_proxy_is_the_only_way_out(self):
        """The LAN's router forwards nothing, its name server knows no names."""
        scene = self.world(families=(4,))
        lan = scene.lan()
        lan.filter_forwarded("drop")
        lan.serve_dnsmasq(dhcp_range(1), "--dhcp-option=6,10.1.0.1", dns=False)
        proxy = lan.serve_proxy()
        scene.nic(lan)
        join = scene.join(f"proxy={proxy}")
        self.check(join, "dhcp4", "eth0")
        self.assertIn("CONNECT image.test:443", tail(lan.directory / "tinyproxy.log", 1 << 20))
        join.leave()

    # -- while the download runs

    def test_dhcp_server_gone(self):
        """Nobody renews; the lease outlives the download."""
        scene = self.world(families=(4,), rate=RATE)
        lan = scene.lan()
        server = lan.serve_kea4(lifetime=20, options={"routers": "10.1.0.1", "domain-name-servers": DNS4,
                                                      "dhcp-renewal-time": "5", "dhcp-rebinding-time": "8"})
        nic = scene.nic(lan)
        join = scene.join(deadline=60)
        facts = join.phase("network")
        self.wait_for_requests(scene, join)
        server.stop()
        self.assertEqual(join.download(), 0, join.failure("resumed"))
        self.assertEqual(nic.addresses(), [facts["addr"]])
        join.leave()

    def test_dhcp_server_gone_for_good(self):
        """The lease ends while the download runs, and the other NIC takes over."""
        scene = self.world(families=(4,), rate=world.IMAGE_SIZE // 30)
        first, second = scene.lan(), scene.lan()
        server = first.serve_kea4(lifetime=20, options={"routers": "10.1.0.1", "domain-name-servers": DNS4,
                                                        "dhcp-renewal-time": "5", "dhcp-rebinding-time": "8"})
        nic = scene.nic(first)
        scene.nic(second)
        join = scene.join(deadline=60)
        join.phase("network")
        self.serve(second)
        self.wait_for_requests(scene, join)
        server.stop()
        join.download(90)
        self.assertEqual(nic.addresses(), [])
        join.leave()

    def fails_over(self, how, patience):
        """The way of the first NIC ends during the download; the second NIC's is there, and is taken within
        `patience` seconds."""
        scene = self.world(families=(4,), rate=RATE)
        first, second = scene.lan(), scene.lan()
        self.serve(first)
        nic = scene.nic(first)
        scene.nic(second)
        join = scene.join(deadline=60)
        self.assertEqual(join.phase("network")["if"], "eth0")
        self.serve(second)
        self.wait_for_requests(scene, join)
        began = time.monotonic()
        how(scene, first, nic)
        self.assertGreaterEqual(join.download(90), 1)
        self.assertLess(time.monotonic() - began, SECONDS + patience, join.failure("too late"))

        def by_the_second():
            """Ranges asked for by way of the second LAN; the server notes a request when it is over."""
            return [request for request in scene.internet.requests()
                    if request[3] != "-" and request[0].split(".")[1] == "2"]
        wait_until(by_the_second, 10, lambda: join.failure("no range was asked for by way of the second LAN"))
        join.leave()

    def test_carrier_lost(self):
        self.fails_over(lambda scene, lan, nic: nic.plug(False), 5)

    def test_path_dies(self):
        """A router further on drops everything: nothing reaches the client."""
        self.fails_over(lambda scene, lan, nic: lan.filter_forwarded("drop"), 10)

    def test_path_is_refused(self):
        """The router says that there is no way any more."""
        self.fails_over(lambda scene, lan, nic: lan.ip("route replace unreachable default"), 10)

    def test_carrier_returns(self):
        """The only cable is pulled for a while."""
        scene = self.world(families=(4,), rate=RATE)
        lan = scene.lan()
        self.serve(lan)
        nic = scene.nic(lan)
        join = scene.join(deadline=60)
        join.phase("network")
        self.wait_for_requests(scene, join)
        nic.pull_for(3)
        join.download(90)
        join.leave()

    def test_other_family_takes_over(self):
        """One NIC; the way out of the family in use ends."""
        scene = self.world(families=(4, 6), rate=RATE)
        lan = scene.lan()
        self.serve(lan, f"--dhcp-option=6,{DNS4}")
        lan.serve_radvd(f"  prefix 2001:db8:1::/64 {{ }};\n  RDNSS {DNS6} {{ }};\n")
        scene.nic(lan)
        join = scene.join(deadline=60)
        join.phase("network")
        self.wait_for_requests(scene, join)
        peers = scene.internet.run(["ss", "-Htn", "state", "established", "sport", "=", ":443"])
        family = 6 if "2001:db8:1:" in peers else 4
        lan.filter_forwarded(f"meta nfproto ipv{family} drop")
        self.assertGreaterEqual(join.download(90), 1)
        visitors = {6 if ":" in request[0] else 4 for request in scene.internet.requests() if request[3] != "-"}
        self.assertIn(10 - family, visitors)
        join.leave()

    def test_cable_is_plugged_in_late(self):
        scene = self.world(families=(4,))
        lan = scene.lan()
        self.serve(lan)
        nic = scene.nic(lan)
        nic.plug(False)
        join = scene.join()
        time.sleep(3)  # how late the cable comes is the case
        nic.plug(True)
        self.check(join, "dhcp4", "eth0")
        self.assertLess(join.seconds(), 6, join.failure("joined late"))
        join.leave()

    # -- what is said when there is no way

    def test_report(self):
        """Each NIC and family, and how far it got."""
        scene = self.world(families=(4,))
        unplugged = scene.nic(scene.lan())
        unplugged.plug(False)
        scene.nic(scene.lan())
        lan = scene.lan()
        self.serve(lan)
        lan.filter_forwarded(f"ip daddr {WEB4} drop")
        scene.nic(lan)
        began = time.monotonic()
        join = scene.join(deadline=8)
        reason = join.failed()
        self.assertLess(time.monotonic() - began, 12)
        for pattern in ("eth0.*no carrier", "eth1.*(no DHCP|no offer|DHCP)", "eth2.*(TCP|connect|answer)"):
            self.assertRegex(reason, pattern)
