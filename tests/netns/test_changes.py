"""Networks that are not as they were described, or change under way: NICs and cables that come and
go, addresses that are given to others, servers that answer otherwise than before."""

import http.server
import os
import socket
import threading
import time

from tests.e2e import harness
from tests.e2e.harness import tail
from tests.netns import rogue, world
from tests.netns.world import DNS4, DNS6, WEB4

SECONDS = 8  # of a download that something happens to
RATE = world.IMAGE_SIZE // SECONDS
FLOATING = f"ip=10.1.0.50::10.1.0.1:255.255.255.0:::none:{DNS4}"  # on whichever NIC it works


def dhcp_range(number, first=100, last=200):
    return f"--dhcp-range=10.{number}.0.{first},10.{number}.0.{last},255.255.255.0,1h"


def configured(mac, name="eth0", network=1, more=""):
    """A network file: a static address on the NIC with this MAC."""
    return f"link {name} mac {mac}\naddress 10.{network}.0.50/24 dev {name}\n" \
           f"route default via 10.{network}.0.1 dev {name}\nnameserver {DNS4}\n{more}"


def cpu_seconds(process):
    """What it has used until now."""
    with open(f"/proc/{process.child.pid}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Web:
    """An HTTP server without TLS. `status(method)` is what it answers; 200 serves the image at RATE."""

    def __init__(self, host, bound, image, status):
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_HEAD(self):
                self.answer(status("HEAD"))

            def do_GET(self):
                self.answer(status("GET"))

            def answer(self, code):
                if code != 200:
                    self.send_response(code)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                data = image.read_bytes()
                asked = self.headers.get("Range")
                first = int(asked.split("=")[1].split("-")[0]) if asked else 0
                self.send_response(206 if asked else 200)
                if asked:
                    self.send_header("Content-Range", f"bytes {first}-{len(data) - 1}/{len(data)}")
                self.send_header("ETag", '"one"')
                self.send_header("Accept-Ranges", "bytes")
                self.send_header("Content-Length", str(len(data) - first))
                self.end_headers()
                if self.command == "HEAD":
                    return
                try:
                    for begin in range(first, len(data), RATE // 10):
                        self.wfile.write(data[begin:begin + RATE // 10])
                        time.sleep(0.1)  # RATE
                except OSError:  # the client, or its way, is gone
                    self.close_connection = True

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            def handle_error(self, *_):
                pass

        self.server = host.call(lambda: Server((bound, 80), Handler))
        self.server.block_on_close = False
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Again:
    """Does something again and again, until it is closed."""

    def __init__(self, pause, action):
        self.ended = threading.Event()

        def body():
            count = 0
            while not self.ended.wait(pause):
                count += 1
                try:
                    action(count)
                except OSError:  # the port is down for a moment
                    pass
        self.thread = threading.Thread(target=body)
        self.thread.start()

    def close(self):
        self.ended.set()
        self.thread.join()


class Changes(world.NetnsTest):

    def serve_web(self, host, bound, scene, status):
        self.addCleanup(Web(host, bound, scene.image, status).close)

    def until(self, condition, timeout, join, what):
        harness.wait_until(condition, timeout, lambda: join.failure(f"not within {timeout} s: {what}"))

    # -- other NICs than those of the network file

    def test_captured_nic_is_not_here(self):
        """The captured network was that of a NIC this machine does not have: DHCP on those it has."""
        scene = self.world(families=(4,))
        lan = scene.lan()
        lan.serve_dnsmasq(dhcp_range(1))
        scene.nic(lan)
        join = scene.join(network=configured("52:54:00:99:99:99", "eth7", 9, "captured\n"), deadline=40)
        self.check(join, "dhcp4", "eth0")
        self.assertLess(join.seconds(), 18, join.failure("joined late"))
        join.leave()

    def test_nic_comes_after_everything_was_tried(self):
        """The captured network leads nowhere, DHCP was tried in its place; then a NIC with a DHCP server comes."""
        scene = self.world(families=(4,))
        nic = scene.nic(scene.lan())
        join = scene.join(network=configured(nic.mac, network=9, more="captured\n"), deadline=35)
        join.expect("does not lead to the source", 20, "trying of everything", join.log)
        lan = scene.lan()
        lan.serve_dnsmasq(dhcp_range(2))
        scene.nic(lan)
        self.check(join, "dhcp4", "eth1")
        join.leave()

    def test_name_belongs_to_another_nic(self):
        """The file calls eth0 what the kernel calls eth1, and eth0 is a NIC that it does not mention."""
        scene = self.world(families=(4,))
        scene.nic(scene.lan())
        nic = scene.nic(scene.lan())
        join = scene.join(network=configured(nic.mac, network=2), deadline=20)
        self.check(join, "static", "eth1")
        join.leave()

    def test_mac_is_set(self):
        """A NIC that is found by its MAC, and then has another one."""
        scene = self.world(families=(4,))
        nic = scene.nic(scene.lan())
        network = configured(nic.mac).replace(nic.mac, f"{nic.mac} address 52:54:00:77:77:77")
        join = scene.join(network=network, deadline=12)
        self.check(join, "static", "eth0")
        self.assertEqual(nic.state()["address"], "52:54:00:77:77:77")
        join.leave()

    # -- an address without a NIC

    def floating(self, lans=1, seconds=4):
        """A download with an address that only the first LAN's router knows."""
        scene = self.world(families=(4,), rate=world.IMAGE_SIZE // seconds)
        nics = [scene.nic(scene.lan()) for _ in range(lans)]
        join = scene.join(FLOATING, deadline=30)
        self.assertEqual(join.phase("network")["if"], "eth0")
        self.wait_for_requests(scene, join)
        return scene, nics, join

    def test_floating_address_stays_when_its_carrier_is_lost(self):
        """The cable of the NIC that the address was found good on is pulled for a while."""
        _, nics, join = self.floating(lans=2)
        nics[0].pull_for(2)
        join.download(30)
        self.assertEqual(nics[0].addresses(), ["10.1.0.50/24"])
        join.leave()

    def test_floating_address_moves_to_a_new_nic(self):
        """The NIC is taken out, another one put in."""
        scene, _, join = self.floating()
        scene.client.ip("link del eth0")
        time.sleep(1)  # a hand needs that long; the client has seen the loss by then
        nic = world.Nic(scene.client, scene.lans[0], 10, 1500)
        join.download(30)
        self.assertEqual(nic.addresses(), ["10.1.0.50/24"])
        join.leave()

    def test_floating_address_costs_nothing(self):
        """Once it is found good, there is nothing to do for it."""
        _, _, join = self.floating(lans=2, seconds=6)
        began, used = time.monotonic(), cpu_seconds(join)
        join.download(30)
        self.assertLess(cpu_seconds(join) - used, (time.monotonic() - began) / 2)
        join.leave()

    # -- leases

    def lease_changes(self, routers, server, *settings):
        """The cable is pulled; when it is back, another DHCP server is there, which gives other addresses. The
        join, on the address of the second server."""
        scene = self.world(families=(4,), rate=RATE)
        lan = scene.lan()
        nic = scene.nic(lan)
        options = [f"--dhcp-option=6,{DNS4}", *routers]
        first = lan.serve_dnsmasq(dhcp_range(1, 100, 110), *options)
        join = scene.join(*settings, deadline=30)
        join.phase("network")
        self.wait_for_requests(scene, join)
        first.stop()
        lan.serve_dnsmasq(dhcp_range(1, 150, 160), *options, *server, name="dnsmasq2")
        nic.pull_for(1)

        def moved():
            addresses = nic.addresses()
            routes = scene.client.show("route", "show", "default")
            return len(addresses) == 1 and addresses[0].startswith("10.1.0.15") and \
                [route.get("gateway") for route in routes] == ["10.1.0.1"]
        self.until(moved, 15, join, "an address of the second server, no other, and the default route")
        time.sleep(1)  # whether they stay: that nothing happens is no event
        self.assertTrue(moved(), nic.addresses())
        return join

    def test_configured_route_outlives_the_lease(self):
        """The leased address is refused, and its loss takes the routes through it along: the configured one
        is set again."""
        join = self.lease_changes(["--dhcp-option=3"], ["--dhcp-authoritative"],
                                  "ip=dhcp", "route=0.0.0.0/0:10.1.0.1:eth0")
        join.download(30)
        join.leave()

    def test_lease_is_replaced_by_one_of_the_same_network(self):
        """Nobody refuses the old address: the new one is there when it is taken away."""
        self.lease_changes([], [])

    def test_leased_address_is_claimed(self):
        """Somebody has the address that DHCP gives, which is also the captured one: it is not taken, then either."""
        scene = self.world(families=(4,))
        lan = scene.lan()
        nic = scene.nic(lan)
        lan.ip("link add other type veth peer name other1\nlink set other up\nlink set other1 master br0 up\n"
               "addr add 10.1.0.50/32 dev other")
        lan.serve_dnsmasq(dhcp_range(1, 50, 50))
        join = scene.join(network=f"""\
link eth0 mac {nic.mac} ipv4 dhcp
address 10.1.0.50/24 dev eth0 from dhcp4
route default via 10.1.0.1 dev eth0 from dhcp4
nameserver {DNS4} dev eth0 from dhcp4
captured
""", deadline=10)
        while join.running():
            self.assertEqual(nic.addresses(), [], join.failure("the address is somebody else's"))
            time.sleep(0.05)  # a sample of each moment until the client gives up
        self.assertRegex(join.failed(), "10.1.0.50")

    def test_dhcp6_lease_outlives_a_lost_carrier(self):
        """The cable is pulled for a moment; the lease goes on being renewed."""
        scene = self.world(families=(6,), rate=RATE)
        lan = scene.lan()
        nic = scene.nic(lan)
        lan.serve_radvd("  AdvManagedFlag on;\n")
        lan.serve_kea6(lifetime=6, options={"dns-servers": DNS6})
        join = scene.join(deadline=30)
        join.phase("network")
        self.wait_for_requests(scene, join)
        nic.pull_for(1.5)
        join.download(30)
        self.assertRegex(" ".join(nic.addresses()), r"2001:db8:1::1[0-9a-f]{3}/128")
        join.leave()

    # -- answers

    def test_portal_answers_meanwhile(self):
        """The way to the source ends for a while; on the other LAN, whose name server sends everybody to it, a
        portal says 404 over HTTP. It is not taken for the source, nor for the end."""
        scene = self.world(families=(4,))
        first, second = scene.lan(), scene.lan()
        first.serve_dnsmasq(dhcp_range(1))
        second.serve_dnsmasq(dhcp_range(2), "--address=/image.test/10.2.0.1")
        nic = scene.nic(first)
        scene.nic(second)
        self.serve_web(scene.internet, WEB4, scene, lambda method: 200)
        self.serve_web(second, "10.2.0.1", scene, lambda method: 404)
        join = scene.join(f"sha256={scene.digest}", url="http://image.test/image.raw", deadline=30)
        self.assertEqual(join.phase("network")["if"], "eth0")
        self.wait_for_requests(scene, join, port=80)
        nic.pull_for(3)
        join.download(40)
        join.leave()

    def test_source_is_unavailable_for_a_moment(self):
        """The way in use ends for good, and by the other one the source says 503 at first: it is asked again."""
        scene = self.world(families=(4,))
        nics = {}
        for _ in range(2):
            lan = scene.lan()
            lan.serve_dnsmasq(dhcp_range(lan.number))
            nic = scene.nic(lan)
            nics[nic.name] = nic
        down = threading.Event()
        self.serve_web(scene.internet, WEB4, scene,
                       lambda method: 503 if method == "HEAD" and down.is_set() else 200)
        join = scene.join(f"sha256={scene.digest}", url="http://image.test/image.raw", deadline=30)
        used = nics[join.phase("network")["if"]]
        self.wait_for_requests(scene, join, port=80)
        down.set()
        used.plug(False)
        time.sleep(3)  # it says 503 that long
        down.clear()
        join.download(40)
        join.leave()

    def test_name_servers_change_while_the_source_is_asked(self):
        """A router advertises a name server and takes it back, again and again; the source takes its time to
        answer, and is not asked anew each time."""
        scene = self.world(families=(4,))
        lan = scene.lan()
        scene.nic(lan)
        lan.serve_dnsmasq(dhcp_range(1))
        router = rogue.Router(lan)
        self.addCleanup(router.close)
        names = rogue.names_option

        def advertise(count):
            router.send(rogue.advertisement(names("2001:db8:1::1", lifetime=3600 * (count % 2)), lifetime=0))
        self.addCleanup(Again(0.2, advertise).close)

        def slow(_):
            time.sleep(0.5)  # a slow server is the case
            return 200
        self.serve_web(scene.internet, WEB4, scene, slow)
        join = scene.join(f"sha256={scene.digest}", url="http://image.test/image.raw", deadline=15)
        join.phase("network", 20)
        self.assertLess(join.seconds(), 6, join.failure("joined late"))

    def test_trouble_is_said_once(self):
        """Nobody listens at either mirror, and ARP requests that concern nobody wake the client all the time."""
        scene = self.world(families=(4,))
        lan = scene.lan()
        scene.nic(lan)
        lan.serve_dnsmasq(dhcp_range(1))

        def open_socket():
            opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
            opened.bind(("kept", 0x0806))
            return opened
        wire = lan.call(open_socket)
        self.addCleanup(wire.close)
        mac = bytes.fromhex("020000000001")
        request = b"\xff" * 6 + mac + bytes.fromhex("0806 0001 0800 06 04 0001") + mac + \
            rogue.address("10.1.0.9") + bytes(6) + rogue.address("10.1.0.8")
        self.addCleanup(Again(0.02, lambda _: wire.send(request)).close)
        join = scene.join("src=https://10.1.0.1:445/x", url="https://image.test:444/image.raw", deadline=5)
        join.failed()
        self.assertLess(tail(join.log, 1 << 20).count("\n"), 30)

    def test_captured_way_opens_late(self):
        """The captured way is blocked at first, and the DHCP server's gateway is nobody: once the way is open,
        it is found."""
        scene = self.world(families=(4,))
        lan = scene.lan()
        nic = scene.nic(lan)
        lan.serve_dnsmasq(dhcp_range(1), "--dhcp-option=3,10.1.0.254", dns=False)
        lan.filter_forwarded("drop")
        join = scene.join(network=configured(nic.mac, more="captured\n"), deadline=60)
        join.expect("does not lead to the source", 20, "trying of everything", join.log)
        lan.run(["nft", "flush", "chain", "inet", "filter", "forward"])
        self.check(join, "static", "eth0")
        join.leave()
