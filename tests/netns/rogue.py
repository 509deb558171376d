"""Servers that say what a test asks them to, right or wrong: DHCPv4, RA, DNS, web."""

import random
import socket
import ssl
import struct
import threading
import time

ETH_P_IP = 0x0800
MAGIC = b"\x63\x82\x53\x63"
DISCOVER, OFFER, REQUEST, DECLINE, ACK, NAK, RELEASE = range(1, 8)
# Options by their codes (RFC 2132).
MASK, ROUTER, NAMES, HOST_NAME, DOMAIN, LEASE, OVERLOAD, TYPE, SERVER, T1, T2, SEARCH = 1, 3, 6, 12, 15, 51, 52, 53, 54, 58, 59, 119


def address(text):
    return socket.inet_aton(text)


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def frame(source_mac, target_mac, source, target, payload, source_port=67, target_port=68):
    """An Ethernet frame with a UDP datagram."""
    length = 8 + len(payload)
    pseudo = address(source) + address(target) + struct.pack("!BBH", 0, socket.IPPROTO_UDP, length)
    udp = struct.pack("!HHHH", source_port, target_port, length, 0)
    udp = udp[:6] + struct.pack("!H", checksum(pseudo + udp + payload) or 0xffff)
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + length, 0, 0, 64, socket.IPPROTO_UDP, 0, address(source), address(target))
    ip = ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:]
    return target_mac + source_mac + struct.pack("!H", ETH_P_IP) + ip + udp + payload


def options(*pairs):
    """The bytes of DHCP options; a value longer than 255 bytes is split (RFC 3396)."""
    out = b""
    for code, value in pairs:
        pieces = [value[i:i + 255] for i in range(0, len(value), 255)] or [b""]
        out += b"".join(bytes([code, len(piece)]) + piece for piece in pieces)
    return out


class Request:
    """What a client asked, as far as a server needs it."""

    def __init__(self, payload):
        self.fixed, rest = payload[:236], payload[240:]
        self.xid, self.mac = payload[4:8], payload[28:34]
        self.options = {}
        while rest and rest[0] != 255:
            if rest[0] == 0:
                rest = rest[1:]
                continue
            self.options[rest[0]] = self.options.get(rest[0], b"") + rest[2:2 + rest[1]]
            rest = rest[2 + rest[1]:]
        self.type = self.options[TYPE][0]

    def answer(self, kind, offered, server, *more, xid=None, mac=None, file=b"", name=b"", end=True):
        """The payload of an answer. `more`: (code, value) each, or bytes as they are."""
        fixed = struct.pack("!BBBB4sHH4s4s4s4s", 2, 1, 6, 0, xid or self.xid, 0, 0, bytes(4), address(offered),
                            address(server), bytes(4)) + (mac or self.mac) + bytes(10)
        body = options((TYPE, bytes([kind])), (SERVER, address(server)))
        for item in more:
            body += item if isinstance(item, bytes) else options(item)
        return fixed + name.ljust(64, b"\0") + file.ljust(128, b"\0") + MAGIC + body + (b"\xff" if end else b"")


class Dhcp4:
    """A DHCPv4 server on a LAN. `script(request, count)` gives what is to be sent back: a list of
    payloads; `count` is the number of requests before. Runs until close()."""

    def __init__(self, lan, script):
        self.lan, self.script = lan, script
        self.requests = []  # (time, type) each
        self.errors = []
        self.socket = lan.call(self._open)
        self.mac = self.socket.getsockname()[4]
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    @staticmethod
    def _open():
        opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_IP))
        opened.bind(("br0", ETH_P_IP))
        opened.settimeout(0.2)
        return opened

    def _run(self):
        while not self.ended.is_set():
            try:
                data, origin = self.socket.recvfrom(4096)
            except TimeoutError:
                continue
            if origin[2] == socket.PACKET_OUTGOING or data[23] != socket.IPPROTO_UDP:
                continue
            start = 14 + (data[14] & 15) * 4
            if struct.unpack("!H", data[start + 2:start + 4])[0] != 67:
                continue
            try:
                request = Request(data[start + 8:])
                self.requests.append((time.monotonic(), request.type))
                for payload in self.script(request, len(self.requests) - 1):
                    self.send(payload)
            except Exception as error:  # the test shows it
                self.errors.append(error)

    def send(self, payload):
        self.socket.send(frame(self.mac, b"\xff" * 6, self.lan.address4, "255.255.255.255", payload))

    def count(self, kind):
        return sum(kind == sent for _, sent in self.requests)

    def close(self):
        self.ended.set()
        self.thread.join(5)
        self.socket.close()
        if self.errors:
            raise self.errors[0]


def plain(offered, server, *more, lease=3600):
    """A script of a server without fault."""
    def script(request, count):
        kind = {DISCOVER: OFFER, REQUEST: ACK}.get(request.type)
        return [] if kind is None else [request.answer(kind, offered, server, *usual(server, lease=lease), *more)]
    return script


def usual(server, names=None, lease=3600):
    return ((MASK, address("255.255.255.0")), (ROUTER, address(server)), (NAMES, address(names or server)),
            (LEASE, struct.pack("!I", lease)))


def garbage(request, generator):
    """Payloads that are not answers: noise, truncated ones, lengths that lie, other clients' ones."""
    good = request.answer(OFFER, "10.1.0.66", "10.1.0.1", *usual("10.1.0.1"))
    yield b""
    yield b"\x02"
    yield good[:239]
    yield good[:243]
    yield good[:-5]
    yield good.replace(MAGIC, b"BOOT")
    yield request.answer(OFFER, "10.1.0.66", "10.1.0.1", bytes([MASK, 255, 1, 2]), end=False)
    yield request.answer(OFFER, "10.1.0.66", "10.1.0.1", xid=bytes(4))
    yield request.answer(OFFER, "10.1.0.66", "10.1.0.1", mac=b"\x02\0\0\0\0\x01")
    yield request.answer(OFFER, "0.0.0.0", "10.1.0.1", *usual("10.1.0.1"))
    yield request.answer(OFFER, "255.255.255.255", "10.1.0.1", *usual("10.1.0.1"))
    yield request.answer(OFFER, "127.0.0.1", "10.1.0.1", *usual("10.1.0.1"))
    yield request.answer(OFFER, "224.0.0.5", "10.1.0.1", *usual("10.1.0.1"))
    yield request.answer(99, "10.1.0.66", "10.1.0.1")
    for _ in range(50):
        noise = bytearray(good)
        for _ in range(generator.randrange(1, 40)):
            noise[generator.randrange(236, len(noise))] = generator.randrange(256)
        # A type that no client takes: noise is not to be an offer by chance.
        yield bytes(noise).replace(bytes([TYPE, 1, OFFER]), bytes([TYPE, 1, 77]))
    yield generator.randbytes(1400)


class Datagrams:
    """A UDP server: `answer(data, origin)` gives what is sent back, a list of datagrams."""

    def __init__(self, host, bound, port, answer):
        def open_socket():
            opened = socket.socket(socket.AF_INET6 if ":" in bound else socket.AF_INET, socket.SOCK_DGRAM)
            opened.bind((bound, port))
            opened.settimeout(0.2)
            return opened
        self.answer, self.received = answer, []
        self.socket = host.call(open_socket)
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while not self.ended.is_set():
            try:
                data, origin = self.socket.recvfrom(4096)
            except TimeoutError:
                continue
            self.received.append(data)
            for datagram in self.answer(data, origin):
                self.socket.sendto(datagram, origin)

    def close(self):
        self.ended.set()
        self.thread.join(5)
        self.socket.close()


def dns_answer(query, records, flags=0x8180, identifier=None):
    """To a query of one question; `records`: bytes after the question, and how many they are."""
    count, body = records
    end = query.index(b"\0", 12) + 5
    return (identifier or query[:2]) + struct.pack("!HHHHH", flags, 1, count, 0, 0) + query[12:end] + body


def dns_address(text, ttl=60):
    packed = socket.inet_aton(text)
    return 1, b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, ttl, 4) + packed


def dns_garbage(query):
    """Datagrams that a resolver must survive."""
    generator = random.Random(query)
    yield b""
    yield query[:2]
    yield query[:12]
    yield query  # a query as its own answer
    yield dns_answer(query, (65535, b""))
    yield dns_answer(query, (1, b"\xc0\x0c"))
    yield dns_answer(query, (1, b"\xc0\xff" * 20))
    end = query.index(b"\0", 12) + 5
    yield dns_answer(query, (1, b"\xc0" + bytes([end]) + struct.pack("!HHIH", 1, 1, 60, 4) + b"\1\2\3\4"))  # points to itself
    yield dns_answer(query, (1, b"\x3fa" * 200))
    yield dns_answer(query, (1, b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 60, 400) + b"\1\2\3\4"))
    yield dns_answer(query, (1, b"\xc0\x0c" + struct.pack("!HHIH", 5, 1, 60, 2) + b"\xc0\x0c"))  # an alias of itself
    yield dns_answer(query, dns_address("203.0.113.66"), identifier=bytes(2 * [query[0] ^ 0xff]))  # somebody else's
    for _ in range(50):
        yield query[:2] + generator.randbytes(generator.randrange(10, 500))


class Listener:
    """A web server that keeps whatever it gets, and answers 200 to everything. With TLS where a
    certificate is given."""

    def __init__(self, host, bound, port, certificate=None):
        def open_socket():
            opened = socket.socket(socket.AF_INET6 if ":" in bound else socket.AF_INET)
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            opened.bind((bound, port))
            opened.listen(16)
            return opened
        self.context = None
        if certificate:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(certificate, certificate.with_suffix(".key"))
        self.connections, self.received = 0, b""
        self.socket = host.call(open_socket)
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            self.connections += 1
            connection.settimeout(5)
            try:
                if self.context:
                    connection = self.context.wrap_socket(connection, server_side=True)
                self.received += connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\nAccept-Ranges: bytes\r\n\r\nrogue")
                self.received += connection.recv(65536)
            except OSError:
                pass  # a client that does not trust us
            finally:
                connection.close()

    def close(self):
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.socket.close()
        self.thread.join(10)


# -- router advertisements (RFC 4861, 8106)

def advertisement(*parts, hops=64, flags=0, lifetime=1800):
    return struct.pack("!BBHBBHII", 134, 0, 0, hops, flags, lifetime, 0, 0) + b"".join(parts)


def prefix_option(prefix, length=64, flags=0xc0, valid=3600, preferred=1800):
    return struct.pack("!BBBBIII", 3, 4, length, flags, valid, preferred, 0) + socket.inet_pton(socket.AF_INET6, prefix)


def names_option(*servers, lifetime=1800):
    return struct.pack("!BBHI", 25, 1 + 2 * len(servers), 0, lifetime) + \
        b"".join(socket.inet_pton(socket.AF_INET6, server) for server in servers)


class Router:
    """Sends router advertisements, as fast as it can."""

    def __init__(self, lan):
        def open_socket():
            opened = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, 255)
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, socket.if_nametoindex("br0"))
            opened.bind(("fe80::1", 0, 0, socket.if_nametoindex("br0")))
            self.index = socket.if_nametoindex("br0")
            return opened
        self.index = 0
        self.socket = lan.call(open_socket)

    def send(self, message):
        self.socket.sendto(message, ("ff02::1", 0, 0, self.index))

    def close(self):
        self.socket.close()
