"""Real machines and real servers for tests: QEMU, a network of its own, DHCP, DNS, HTTPS, images.

Everything belongs to the test that made it, is ended with it (also when the test itself is killed),
and is bounded in time. No packet leaves the test's network namespace. Needs root and Linux.

Environment: CURLINGIRON_BIN (the command under test), CURLINGIRON_CACHE (machines and images),
CURLINGIRON_E2E_ARTIFACTS (logs; default build/e2e), CURLINGIRON_E2E_ECHO=1 (consoles live),
CURLINGIRON_E2E_SLOW=2 (all timeouts twice as long), CURLINGIRON_E2E_KEEP=1 (disks of passed tests).
"""

import ctypes
import datetime
import hashlib
import json
import os
import pathlib
import random
import re
import shlex
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
CACHE = pathlib.Path(os.environ.get("CURLINGIRON_CACHE") or ROOT / "build" / "machines")
BINARY = pathlib.Path(os.environ.get("CURLINGIRON_BIN") or ROOT / "build/release/bin/curlingiron")
ARTIFACTS = pathlib.Path(os.environ.get("CURLINGIRON_E2E_ARTIFACTS") or ROOT / "build" / "e2e")
SLOW = float(os.environ.get("CURLINGIRON_E2E_SLOW") or 1)
ECHO = bool(os.environ.get("CURLINGIRON_E2E_ECHO"))

MIB = 1024 * 1024
SECTOR = 512
GPT_SECTORS = 33  # of each copy: the header and its entries
ROOT_PASSWORD = "curlingiron"  # as scripts/machines sets it
GATEWAY = "10.77.0.1"
CLONE_NEWNET = 0x40000000


class Failure(AssertionError):
    """Something outside did not do what the test waits for."""


def run(command, timeout=120, **options):
    """Runs a tool to its end; a failure shows its output."""
    command = [str(word) for word in command]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=timeout * SLOW, check=False,
                          errors="replace", **options)
    if done.returncode:
        raise Failure(f"{shlex.join(command)}: exit {done.returncode}\n{done.stdout[-3000:]}")
    return done.stdout


def tail(path, characters=3000):
    try:
        return pathlib.Path(path).read_text(errors="replace")[-characters:]
    except FileNotFoundError:
        return ""


def machines(*names):
    """Paths of what scripts/machines makes; makes what is missing or out of date."""
    subprocess.run([str(ROOT / "scripts/machines"), *names], check=True, timeout=900 * SLOW)
    return CACHE


def wait_until(ready, timeout, failure):
    """The first true value of ready(). failure(): what is raised after so many seconds.

    It asks every 20 ms: what another process writes to a file, and what the kernel says of a link or a socket,
    is shown by no event that holds for all of them."""
    deadline = time.monotonic() + timeout * SLOW
    while not (found := ready()):
        if time.monotonic() > deadline:
            raise failure()
        time.sleep(0.02)
    return found


class Process:
    """A child that ends with us: by stop(), and by the kernel when we are killed."""

    def __init__(self, name, command, log, namespace=None, **options):
        self.name, self.log = name, pathlib.Path(log)
        self.command = [str(word) for word in command]
        prefix = ["setpriv", "--pdeathsig", "KILL"]
        if namespace is not None:
            prefix += namespace.enter()
        with open(self.log, "ab") as out:
            options = {"stdin": subprocess.DEVNULL, "stdout": out, "stderr": out, **options}
            self.child = subprocess.Popen(prefix + self.command, **options)

    def running(self):
        return self.child.poll() is None

    def stop(self):
        if self.running():
            self.child.terminate()
            try:
                self.child.wait(5)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait(10)
        for pipe in (self.child.stdin, self.child.stdout):
            if pipe:
                pipe.close()

    def until(self, ready, timeout, what):
        """Waits until ready() or the process's end."""
        def ready_or_ended():
            running = self.running()  # asked before: what it did last is seen
            if not (found := ready()) and not running:
                raise Failure(f"{self.name} ended with {self.child.returncode} before {what}\n{tail(self.log)}")
            return found
        wait_until(ready_or_ended, timeout, lambda: Failure(
            f"{self.name}: no {what} within {timeout * SLOW:.0f} s\n{tail(self.log)}"))


# ---------------------------------------------------------------------------------------------
# The network

class Namespace:
    """A network namespace held by a process that ends when we do."""

    def __init__(self):
        self.holder = subprocess.Popen(["unshare", "--net", "sh", "-c", "echo ready; exec cat"],
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        if self.holder.stdout.readline() != b"ready\n":
            raise Failure("unshare --net failed; network namespaces need root")

    def enter(self):
        return ["nsenter", f"--net=/proc/{self.holder.pid}/ns/net"]

    def run(self, command, **options):
        return run([*self.enter(), *command], **options)

    def call(self, function):
        """function() on a thread inside; sockets made there stay there."""
        result = {}

        def body():
            try:
                with open(f"/proc/{self.holder.pid}/ns/net") as file:
                    libc = ctypes.CDLL(None, use_errno=True)
                    if libc.setns(file.fileno(), CLONE_NEWNET):
                        raise OSError(ctypes.get_errno(), "setns")
                result["value"] = function()
            except BaseException as error:  # handed to the caller
                result["error"] = error

        thread = threading.Thread(target=body)
        thread.start()
        thread.join()
        if "error" in result:
            raise result["error"]
        return result["value"]

    def close(self):
        self.holder.stdin.close()
        self.holder.stdout.close()
        self.holder.wait(10)


class Certificates:
    """A certificate authority for tests, and the certificates that clients must refuse: made once a day, for all tests.

    ca, unknown_ca        authorities
    good                  of image.test and other names that exist
    expired, future       of names of their own
    unknown, rogue        of a name of its own and of image.test, by the authority that nobody trusts
    (the key of PATH.pem is PATH.key)
    """

    def __init__(self):
        folder = ARTIFACTS / "certificates"
        folder.mkdir(parents=True, exist_ok=True)
        self.directory = folder / datetime.datetime.now(datetime.timezone.utc).date().isoformat()
        if not self.directory.exists():
            with tempfile.TemporaryDirectory(dir=folder) as own:
                self._make(pathlib.Path(own) / "new")
                try:
                    os.rename(pathlib.Path(own) / "new", self.directory)
                except OSError:
                    if not self.directory.exists():  # else another process was quicker
                        raise
        self.ca, self.unknown_ca, self.good, self.expired, self.future, self.unknown, self.rogue = (
            self.directory / f"{name}.pem"
            for name in ("ca", "unknown-ca", "good", "expired", "future", "unknown", "rogue"))

    @classmethod
    def _make(cls, directory):
        directory.mkdir()
        cls._authority(directory, "ca", "curlingiron test CA")
        cls._authority(directory, "unknown-ca", "a CA nobody trusts")
        now = datetime.datetime.now(datetime.timezone.utc)
        day = datetime.timedelta(days=1)
        cls._issue(directory, "good", "ca", ["image.test", "other.test", "cut.test"], now - day, now + 30 * day)
        cls._issue(directory, "expired", "ca", ["expired.test"], now - 30 * day, now - day)
        cls._issue(directory, "future", "ca", ["future.test"], now + 30 * day, now + 60 * day)
        cls._issue(directory, "unknown", "unknown-ca", ["unknown.test"], now - day, now + 30 * day)
        cls._issue(directory, "rogue", "unknown-ca", ["image.test"], now - day, now + 30 * day)

    @staticmethod
    def _authority(d, name, subject):
        run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
             "-keyout", d / f"{name}.key", "-out", d / f"{name}.pem", "-days", "3650",
             "-subj", f"/CN={subject}", "-addext", "keyUsage=critical,keyCertSign,cRLSign"])

    @staticmethod
    def _issue(d, name, authority, hosts, begin, end):
        """`openssl ca`, as only it sets both dates."""
        config = d / f"{name}.cnf"
        config.write_text(f"""\
[ca]
default_ca = test
[test]
database = {d}/{name}.index
new_certs_dir = {d}
default_md = sha256
policy = any
x509_extensions = server
rand_serial = yes
unique_subject = no
[any]
commonName = supplied
[server]
basicConstraints = CA:FALSE
extendedKeyUsage = serverAuth
subjectAltName = {','.join('DNS:' + host for host in hosts)}
""")
        (d / f"{name}.index").write_text("")
        run(["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
             "-keyout", d / f"{name}.key", "-out", d / f"{name}.csr", "-subj", f"/CN={hosts[0]}"])
        stamp = "%Y%m%d%H%M%SZ"
        run(["openssl", "ca", "-batch", "-notext", "-config", config, "-cert", d / f"{authority}.pem",
             "-keyfile", d / f"{authority}.key", "-in", d / f"{name}.csr", "-out", d / f"{name}.pem",
             "-startdate", begin.strftime(stamp), "-enddate", end.strftime(stamp)])


class Network:
    """A namespace with a bridge, on which machines, DHCP, DNS and web servers meet.

    Names: image.test, other.test, expired.test, future.test, wrong.test, unknown.test are this
    side (GATEWAY); cut.test is too; every other name does not exist.
    """

    def __init__(self, artifacts):
        self.artifacts = pathlib.Path(artifacts)
        self.artifacts.mkdir(parents=True, exist_ok=True)
        self.namespace = Namespace()
        self.processes = []
        self.servers = []
        self.taps = 0
        self.certificates = Certificates()
        for command in ("ip link set lo up", "ip link add br0 type bridge forward_delay 0",
                        f"ip addr add {GATEWAY}/24 dev br0", "ip link set br0 up"):
            self.namespace.run(command.split())

    def close(self):
        for server in self.servers:
            server.close()
        for process in reversed(self.processes):
            process.stop()
        self.namespace.close()

    def spawn(self, name, command, **options):
        process = Process(name, command, self.artifacts / f"{name}.log", self.namespace, **options)
        self.processes.append(process)
        return process

    def tap(self, bridge="br0"):
        """A port for a machine; without a bridge, one with nobody at its other end."""
        name = f"tap{self.taps}"
        self.taps += 1
        self.namespace.run(["ip", "tuntap", "add", name, "mode", "tap"])
        if bridge:
            self.namespace.run(["ip", "link", "set", name, "master", bridge])
        self.namespace.run(["ip", "link", "set", name, "up"])
        return name

    def serve_names(self, dhcp=True, name="dnsmasq", bridge="br0", address=GATEWAY, options=()):
        """DNS, and DHCP if wanted. `address`: of all the names that exist."""
        arguments = ["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--log-facility=-", "--user=root",
                     "--pid-file=", "--no-resolv", "--no-hosts", f"--interface={bridge}", "--bind-interfaces",
                     "--except-interface=lo", "--no-ping", "--local=/test/", f"--dhcp-leasefile={self.artifacts}/{name}.leases"]
        arguments += [f"--address=/{host}.test/{address}"
                      for host in ("image", "other", "expired", "future", "wrong", "unknown", "cut")]
        if dhcp:
            arguments += ["--dhcp-range=10.77.0.100,10.77.0.200,255.255.255.0,1h", "--dhcp-authoritative", "--log-dhcp"]
        process = self.spawn(name, [*arguments, *options])
        process.until(lambda: "started, version" in tail(process.log), 10, "start")
        return process

    def serve_web(self, directory, rate=None, address=GATEWAY):
        """nginx: http on 80; on 443 https with the certificate that the name asks for. Port 444 is
        closed. `rate`: bytes a second for each connection."""
        listen = f"[{address}]" if ":" in address else address
        certificates = self.certificates
        home = self.artifacts / "nginx"
        home.mkdir(exist_ok=True)
        limit = f"limit_rate {rate};" if rate else ""
        # wrong.test shows the certificate of image.test.
        hosts = [("image.test other.test", certificates.good), ("wrong.test", certificates.good),
                 ("expired.test", certificates.expired), ("future.test", certificates.future),
                 ("unknown.test", certificates.unknown)]
        servers = "".join(f"""
  server {{
    listen {listen}:443 ssl;
    server_name {names};
    ssl_certificate {certificate};
    ssl_certificate_key {certificate.with_suffix('.key')};
    root {directory};
    {limit}
  }}""" for names, certificate in hosts)
        config = home / "nginx.conf"
        config.write_text(f"""\
daemon off;
master_process off;
pid {home}/pid;
error_log {self.artifacts}/nginx.log notice;
events {{ worker_connections 256; }}
http {{
  log_format full '$time_iso8601 $host "$request" $status range="$http_range" if-range="$http_if_range" sent=$body_bytes_sent of=$sent_http_content_length t=$request_time ssl=$ssl_protocol';
  access_log {self.artifacts}/access.log full;
  types {{ text/html html; }}
  default_type application/octet-stream;
  sendfile on;
  keepalive_timeout 30s;
  ssl_protocols TLSv1.2 TLSv1.3;
  client_body_temp_path {home}/body;
  proxy_temp_path {home}/proxy;
  fastcgi_temp_path {home}/fastcgi;
  uwsgi_temp_path {home}/uwsgi;
  scgi_temp_path {home}/scgi;
  server {{ listen {listen}:80; root {directory}; {limit} }}{servers}
}}
""")
        process = self.spawn("nginx", ["nginx", "-p", home, "-c", config])
        process.until(lambda: self.connects(443, address), 15, "listening socket on port 443")
        return process

    def connects(self, port, address=GATEWAY):
        def attempt():
            with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
                probe.settimeout(1)
                return probe.connect_ex((address, port)) == 0
        return self.namespace.call(attempt)

    def serve_faulty(self, directory, port=8443, tls=True, **faults):
        server = FaultyServer(self, directory, port, tls, **faults)
        self.servers.append(server)
        return server


class FaultyServer:
    """An HTTP server that honours Range and If-Range, and fails as a test asks it to.

    cuts       offsets in the file, ascending: the body stops there, each once
    cut_by     "close" (FIN, no TLS close_notify), "reset" (RST) or "stall" (silent for stall seconds)
    statuses   answers for the first GETs before files are served: [503, 429]
    ranges     False: every answer is the whole file
    validators False: no ETag, no Last-Modified
    etags      one for each GET in turn, the last one for all further: ["a", "b"]
    rate       bytes a second
    requests   what came: dicts with method, path, range, if_range, status, sent
    """

    def __init__(self, network, directory, port, tls, cuts=(), cut_by="close", stall=120, statuses=(), ranges=True,
                 validators=True, etags=(), rate=None):
        import ssl
        self.directory, self.port = pathlib.Path(directory), port
        self.cuts, self.cut_by, self.stall = list(cuts), cut_by, stall
        self.statuses, self.ranges, self.rate = list(statuses), ranges, rate
        self.validators, self.etags = validators, list(etags)
        self.requests, self.errors = [], []
        self.lock = threading.Lock()
        self.closing = threading.Event()
        self.context = None
        if tls:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            good = network.certificates.good
            self.context.load_cert_chain(good, good.with_suffix(".key"))
        self.listener = network.namespace.call(self._listen)
        threading.Thread(target=self._accept, daemon=True).start()

    def url(self, path):
        return f"http{'s' if self.context else ''}://cut.test:{self.port}/{path}"

    def close(self):
        self.closing.set()
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()

    def _listen(self):
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((GATEWAY, self.port))
        listener.listen(16)
        return listener

    def _accept(self):
        while not self.closing.is_set():
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        connection.settimeout(60)
        raw = connection
        try:
            if self.context:
                connection = self.context.wrap_socket(connection, server_side=True)
            self._answer(connection, raw)
        except OSError as error:
            self.errors.append(str(error))
        finally:
            connection.close()

    def _answer(self, connection, raw):
        request = b""
        while b"\r\n\r\n" not in request:
            piece = connection.recv(4096)
            if not piece or len(request) > 65536:
                return
            request += piece
        first, *lines = request.decode("latin-1").split("\r\n")
        method, path, _ = first.split(" ", 2)
        headers = {k.strip().lower(): v.strip() for k, _, v in (line.partition(":") for line in lines if line)}
        record = {"method": method, "path": path, "range": headers.get("range"),
                  "if_range": headers.get("if-range"), "status": 0, "sent": 0}
        with self.lock:
            # A HEAD only asks whether the file is there.
            index = sum(r["method"] == "GET" for r in self.requests)
            self.requests.append(record)
            status = self.statuses[0] if self.statuses else 200
            if method == "GET" and self.statuses:
                self.statuses.pop(0)
            etag = f'"{self.etags[min(index, len(self.etags) - 1)]}"' if self.etags else '"one"'
        file = self.directory / path.lstrip("/")
        if status == 200 and not file.is_file():
            status = 404
        if status != 200:
            record["status"] = status
            connection.sendall(f"HTTP/1.1 {status} No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
            return
        size = file.stat().st_size
        begin, end = 0, size
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", headers.get("range", ""))
        if asked and self.ranges and headers.get("if-range", etag) == etag:
            begin = int(asked[1])
            end = min(size, int(asked[2]) + 1) if asked[2] else size
            status = 206
        record["status"] = status
        answer = f"HTTP/1.1 {status} {'Partial Content' if status == 206 else 'OK'}\r\n" \
                 f"Content-Length: {end - begin}\r\nContent-Type: application/octet-stream\r\n"
        if status == 206:
            answer += f"Content-Range: bytes {begin}-{end - 1}/{size}\r\n"
        if self.ranges:
            answer += "Accept-Ranges: bytes\r\n"
        if self.validators:
            answer += f"ETag: {etag}\r\n"
        connection.sendall((answer + "Connection: close\r\n\r\n").encode())
        if method != "GET":
            return
        with open(file, "rb") as content:
            content.seek(begin)
            position = begin
            while position < end:
                with self.lock:
                    cut = next((c for c in self.cuts if position < c <= end), None)
                stop = min(end, position + 65536, cut if cut is not None else end)
                connection.sendall(content.read(stop - position))
                record["sent"] += stop - position
                if self.rate:
                    time.sleep((stop - position) / self.rate)  # the rate is what is asked for
                position = stop
                if position == cut:
                    with self.lock:
                        self.cuts.remove(cut)
                    self._cut(connection, raw)
                    return

    def _cut(self, connection, raw):
        if self.cut_by == "stall":
            self.closing.wait(self.stall)
        elif self.cut_by == "reset":
            # Linger of zero: close() sends RST.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


# ---------------------------------------------------------------------------------------------
# Disks and images

def write_synthetic(path, size, seed, table=True):
    """A disk image of `size` bytes as images are: a partition table with its backup at the end,
    boot code, data that does not compress, text that does, holes. The same seed, the same bytes."""
    generator = random.Random(seed)
    with open(path, "wb") as out:
        out.truncate(size)
    if table:
        start, sectors = 2048, size // 512 - 2048 - 2048
        subprocess.run(["sfdisk", "--quiet", "--no-reread", "--no-tell-kernel", str(path)], check=True,
                       input=f"label: gpt\nlabel-id: 0c0a1d00-0000-4000-8000-{seed:012x}\n"
                             f"start={start}, size={sectors}, type=L, name=synthetic-{seed}, "
                             f"uuid=0c0a1d01-0000-4000-8000-{seed:012x}\n",
                       text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    with open(path, "r+b") as out:
        out.write(generator.randbytes(440))
        for offset in range(MIB, size - MIB, MIB):
            kind = generator.random()
            out.seek(offset)
            if kind < 0.5:
                out.write(generator.randbytes(MIB))
            elif kind < 0.65:
                out.write((b"%016x curlingiron\n" % offset) * (MIB // 29))
            elif kind < 0.75:
                # Zeros that begin and end off every boundary.
                out.write(generator.randbytes(generator.randrange(1, 200_000)))
    return pathlib.Path(path)


def write_noise(path, size, seed):
    """An old disk: every byte random, so that anything written to it shows."""
    generator = random.Random(seed)
    with open(path, "wb") as out:
        for offset in range(0, size, MIB):
            out.write(generator.randbytes(min(MIB, size - offset)))
    return pathlib.Path(path)


def compress(path, how):
    """PATH.gz, PATH.zst or PATH itself."""
    suffix = {"raw": "", "gzip": ".gz", "zstd": ".zst"}[how]
    target = pathlib.Path(f"{path}{suffix}")
    if how == "gzip":
        with open(target, "wb") as out:
            subprocess.run(["gzip", "-1", "-n", "-c", str(path)], stdout=out, check=True)
    elif how == "zstd":
        run(["zstd", "-q", "-f", "-3", path, "-o", target])
    return target


def sha256_of(path, begin=0, length=None):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        file.seek(begin)
        left = length
        while left is None or left > 0:
            piece = file.read(4 * MIB if left is None else min(4 * MIB, left))
            if not piece:
                break
            digest.update(piece)
            if left is not None:
                left -= len(piece)
    return digest.hexdigest()


def first_difference(disk, image, length=None, begin=0):
    """Offset of the first byte of `image` (of `length` bytes from `begin` on) that `disk` has not; None when
    there is none. Extra bytes after it on the disk do not count."""
    position = begin
    end = None if length is None else begin + length
    with open(disk, "rb") as a, open(image, "rb") as b:
        a.seek(begin)
        b.seek(begin)
        while end is None or position < end:
            want = b.read(4 * MIB if end is None else min(4 * MIB, end - position))
            if not want:
                return None
            have = a.read(len(want))
            if have != want:
                for index, (x, y) in enumerate(zip(have, want)):
                    if x != y:
                        return position + index
                return position + len(have)
            position += len(want)
    return None


def has_gpt(path):
    with open(path, "rb") as file:
        file.seek(SECTOR)
        return file.read(8) == b"EFI PART"


def partitions(path):
    """What sfdisk reads of each, but for the name of the file that it is in."""
    table = json.loads(run(["sfdisk", "--json", path]))["partitiontable"]
    return [{key: value for key, value in entry.items() if key != "node"} for entry in table["partitions"]]


def install_difference(disk, image):
    """Why `disk` does not hold `image` as an installation leaves it: each byte but those of a GPT, whose backup is at the
    end of a larger disk, and which may have more partitions then. None when it does."""
    size = os.stat(image).st_size
    moved = has_gpt(image) and os.stat(disk).st_size > size
    # The protective MBR's partition, the header and its entries, the old backup's header.
    of_table = [(446, 512), (SECTOR, (GPT_SECTORS + 1) * SECTOR), (size - SECTOR, size)] if moved else []
    begin = 0
    for left_out, resume in [*of_table, (size, size)]:
        if begin < left_out:
            offset = first_difference(disk, image, left_out - begin, begin)
            if offset is not None:
                return f"{disk} differs from {image} at byte {offset} ({offset / MIB:.3f} MiB)"
        begin = resume
    if not moved:
        return None
    judged = run(["sgdisk", "-v", disk])
    if "No problems found" not in judged:
        return f"sgdisk -v {disk}:\n{judged}"
    found = partitions(disk)
    missing = [entry for entry in partitions(image) if entry not in found]
    return f"{disk} has not the image's partitions {missing}, but {found}" if missing else None


def is_zero(path, begin, length):
    with open(path, "rb") as file:
        file.seek(begin)
        content = file.read(length)
    return len(content) == length and content.count(0) == length


def copy_sparse(source, target):
    run(["cp", "--sparse=always", "--reflink=auto", source, target], timeout=300)
    return pathlib.Path(target)


def overlay(base, target):
    """A qcow2 that keeps what is written, over a raw image that stays as it is."""
    run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", pathlib.Path(base).resolve(), "-F", "raw", target])
    return pathlib.Path(target)


def flatten(disk, target):
    """The raw bytes of a qcow2."""
    run(["qemu-img", "convert", "-O", "raw", disk, target], timeout=300)
    return pathlib.Path(target)


# ---------------------------------------------------------------------------------------------
# The machine

ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[()][A-Za-z0-9]|P[^\x1b]*\x1b\\|[@-Z\\^_=>78c])")


# What a disk hangs on, each under its own bus: devices that come before it, then its own. {i}: its number.
DISKS = {
    "virtio": ["virtio-blk-pci"],
    "sata": ["ide-hd"],  # of the machine q35
    "ide": ["ide-hd"],   # of the machine pc
    "nvme": ["nvme"],
    "scsi": ["virtio-scsi-pci,id=scsi{i}", "scsi-hd,bus=scsi{i}.0"],
    **{hba: [hba + ",id=scsi{i}", "scsi-hd,bus=scsi{i}.0"]
       for hba in ("pvscsi", "megasas", "megasas-gen2", "lsi53c895a", "lsi53c810", "am53c974")},
    # Linux takes no disk from it that has no address in the SAS domain.
    "mptsas1068": ["mptsas1068,id=scsi{i}", "scsi-hd,bus=scsi{i}.0,wwn=0x5000c50000c01d0{i}"],
    "usb-xhci": ["qemu-xhci,id=usb{i}", "usb-storage,bus=usb{i}.0"],
    "usb-ehci": ["usb-ehci,id=usb{i}", "usb-storage,bus=usb{i}.0"],
    "uas": ["qemu-xhci,id=usb{i}", "usb-uas,id=uas{i},bus=usb{i}.0", "scsi-hd,bus=uas{i}.0"],
    "sdhci": ["sdhci-pci", "sd-card"],
}
WITHOUT_SERIAL = {"sdhci"}


class Machine:
    """A QEMU machine without KVM.

    disks     list of dicts: file, and optionally format (raw, by name), bus (a name of DISKS), serial
    nics      list of dicts: model (virtio-net-pci, e1000, ...), mac, usb (the host controller of a usb-net), properties
              (more of QEMU's); on the network's bridge, or on another tap device, or at an end of a wire:
              (socket here, socket there)
    machine   "q35", or "pc": PCI without Express, IDE on a PIIX
    firmware  "bios", "uefi", or under Secure Boot "secure" (Microsoft's keys) or "snakeoil" (Debian's key for tests);
              for disks, a CD (`extra`) and cards of `properties` the bootindex says which it starts from
    kernel, initrd, append: direct boot
    reset     what a restart of the guest does: "exit" ends QEMU, "reset" restarts, "pause" stops it
              between the two systems, where its disk can be looked at, until resume()
    """

    def __init__(self, artifacts, name="machine", network=None, disks=(), nics=None, firmware="bios", memory=512,
                 cpu="max", cpus=1, kernel=None, initrd=None, append="", reset="exit", vga=None,
                 extra=(), echo=None, machine="q35"):
        self.artifacts = pathlib.Path(artifacts)
        self.artifacts.mkdir(parents=True, exist_ok=True)
        self.name, self.network, self.firmware = name, network, firmware
        self.echo = ECHO if echo is None else echo
        self.text = ""          # the console without escapes and carriage returns
        self.position = 0       # what expect() has consumed
        self._held = ""         # an escape sequence that is not complete yet
        self._line = ""
        self._condition = threading.Condition()
        self._ended = False
        self._qmp_socket = None
        self._qmp_buffer = b""
        self.sockets = pathlib.Path(tempfile.mkdtemp(prefix="curlingiron-"))
        nics = [{}] if nics is None and network else (nics or [])
        self.command = self._command(machine, disks, nics, firmware, memory, cpu, cpus, kernel, initrd, append, reset,
                                     vga, extra)
        self.log = self.artifacts / f"{name}.console.log"
        repeat = self.artifacts / f"{name}.command.sh"
        repeat.write_text("#!/bin/sh\n# The machine alone; its network namespace and servers end with the test.\n"
                          f"exec {shlex.join(self.command)}\n")
        self.started = time.monotonic()
        self.process = Process(f"qemu of {name}", self.command, self.artifacts / f"{name}.qemu.log",
                               network.namespace if network else None,
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _command(self, machine, disks, nics, firmware, memory, cpu, cpus, kernel, initrd, append, reset, vga, extra):
        # Virtual CPUs take turns: with a thread each, QEMU 7.2 now and then lets one run an instruction
        # that another has just patched away, and the kernel dies of "Oops: int3".
        command = ["qemu-system-x86_64", "-machine", machine, "-accel", "tcg,thread=single", "-cpu", cpu, "-smp", cpus,
                   "-m", memory, "-display", "none", "-nodefaults", "-no-user-config",
                   "-vga", vga or ("none" if kernel else "std"),
                   "-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console",
                   "-qmp", f"unix:{self.sockets}/qmp,server=on,wait=off"]
        command += {"exit": ["-action", "reboot=shutdown"], "reset": [],
                    "pause": ["-action", "reboot=shutdown,shutdown=pause"]}[reset]
        if firmware != "bios":
            code, keys = {"uefi": ("", ""), "secure": (".secboot", ".ms"), "snakeoil": (".secboot", ".snakeoil")}[firmware]
            variables = self.artifacts / f"{self.name}.vars.fd"
            if not variables.exists():
                shutil.copyfile(f"/usr/share/OVMF/OVMF_VARS_4M{keys}.fd", variables)
            command += ["-drive", f"if=pflash,format=raw,unit=0,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M{code}.fd",
                        "-drive", f"if=pflash,format=raw,unit=1,file={variables}"]
            if code:
                # Only its own code in SMM may write the variables.
                command[2] += ",smm=on"
                command += ["-global", "driver=cfi.pflash01,property=secure,value=on"]
        for index, disk in enumerate(disks):
            file = pathlib.Path(disk["file"])
            form = disk.get("format", "qcow2" if file.suffix == ".qcow2" else "raw")
            serial = disk.get("serial", f"ci-disk-{index}")
            command += ["-drive", f"if=none,id=disk{index},file={file},format={form},cache=unsafe,discard=unmap,"
                                  "detect-zeroes=unmap"]
            bus = disk.get("bus", "virtio")
            *before, device = [text.format(i=index) for text in DISKS[bus]]
            for text in before:
                command += ["-device", text]
            properties = {**({} if bus in WITHOUT_SERIAL else {"serial": serial}), **disk.get("properties", {})}
            command += ["-device", ",".join([device, f"drive=disk{index}", *(f"{k}={v}" for k, v in properties.items())])]
        for index, nic in enumerate(nics):
            mac = nic.get("mac", f"52:54:00:c0:1d:{index:02x}")
            if "wire" in nic:
                here, there = nic["wire"]
                command += ["-netdev", f"dgram,id=net{index},local.type=unix,local.path={here},"
                                       f"remote.type=unix,remote.path={there}"]
            else:
                tap = nic.get("tap") or self.network.tap()
                command += ["-netdev", f"tap,id=net{index},ifname={tap},script=no,downscript=no"]
            properties = {"romfile": "", **nic.get("properties", {})}  # None: the one that QEMU takes
            place = ",".join(f"{k}={v}" for k, v in properties.items() if v is not None)
            if "usb" in nic:
                command += ["-device", f"{nic['usb']},id=usbnet{index}"]
                place = f"bus=usbnet{index}.0"
            command += ["-device", f"{nic.get('model', 'virtio-net-pci')},id=nic{index},netdev=net{index},mac={mac},"
                                   f"{place}"]
        if not nics:
            command += ["-nic", "none"]
        if kernel:
            command += ["-kernel", kernel]
        if initrd:
            command += ["-initrd", initrd]
        if kernel and append:
            command += ["-append", append]
        return [str(word) for word in [*command, *extra]]

    # -- the console

    def _read(self):
        raw = open(self.artifacts / f"{self.name}.console.raw", "wb", buffering=0)
        log = open(self.log, "w", buffering=1)
        pending = b""
        while True:
            piece = self.process.child.stdout.read(65536)
            if not piece:
                break
            raw.write(piece)
            if self.echo:
                sys.stderr.buffer.write(piece)
                sys.stderr.flush()
            pending += piece
            # A UTF-8 sequence may be cut by the read; wait for its rest.
            keep = 0
            for back in range(1, min(4, len(pending) + 1)):
                if pending[-back] >= 0xC0:
                    keep = back if back < (2 if pending[-back] < 0xE0 else 3 if pending[-back] < 0xF0 else 4) else 0
                    break
                if pending[-back] < 0x80:
                    break
            text, pending = pending[:len(pending) - keep].decode(errors="replace"), pending[len(pending) - keep:]
            self._add(text, log)
        with self._condition:
            self._ended = True
            self._condition.notify_all()
        if self._line:
            log.write(f"[{time.monotonic() - self.started:8.3f}] {self._line}\n")
        raw.close()
        log.close()

    def _add(self, text, log):
        text = ESCAPES.sub("", self._held + text)
        self._held = ""
        escape = text.rfind("\x1b")
        if escape >= 0 and len(text) - escape < 200:
            self._held, text = text[escape:], text[:escape]
        text = text.replace("\r", "")
        *lines, rest = (self._line + text).split("\n")
        at = time.monotonic() - self.started
        for line in lines:
            log.write(f"[{at:8.3f}] {line}\n")
        self._line = rest
        with self._condition:
            self.text += text
            self._condition.notify_all()

    def expect(self, pattern, timeout, unless=None):
        """Waits for a regular expression (MULTILINE) in what the console said since the last match.
        `unless`: fail at once when this comes first."""
        expression = re.compile(pattern, re.MULTILINE)
        forbidden = re.compile(unless, re.MULTILINE) if unless else None
        deadline = time.monotonic() + timeout * SLOW
        with self._condition:
            while True:
                match = expression.search(self.text, self.position)
                bad = forbidden.search(self.text, self.position) if forbidden else None
                if bad and (not match or bad.start() < match.start()):
                    raise self.failure(f"console said {bad.group(0)!r} before {pattern!r}")
                if match:
                    self.position = match.end()
                    return match
                if self._ended:
                    raise self.failure(f"the machine ended before the console said {pattern!r}")
                left = deadline - time.monotonic()
                if left <= 0:
                    raise self.failure(f"no {pattern!r} on the console within {timeout * SLOW:.0f} s")
                self._condition.wait(left)

    def failure(self, what):
        return Failure(f"{self.name}: {what}\n---- the console's end ----\n{self.text[-4000:]}\n----\n"
                       f"console: {self.log}\nQEMU's command: {self.artifacts}/{self.name}.command.sh\n"
                       f"QEMU's messages: {tail(self.process.log, 500)}")

    def send(self, text):
        self.process.child.stdin.write(text.encode())

    def wait_exit(self, timeout):
        """Until QEMU ended: the guest powered off, or rebooted while reboot is off."""
        try:
            status = self.process.child.wait(timeout * SLOW)
        except subprocess.TimeoutExpired:
            raise self.failure(f"still up after {timeout * SLOW:.0f} s") from None
        self.reader.join(10)
        if status != 0:
            raise self.failure(f"QEMU ended with {status}")

    def running(self):
        return self.process.running()

    def uptime(self):
        return time.monotonic() - self.started

    def kill(self):
        self.process.child.kill()
        self.process.child.wait(10)
        self.reader.join(10)
        self.process.stop()
        if self._qmp_socket:
            self._qmp_socket.close()
            self._qmp_socket = None
        shutil.rmtree(self.sockets, ignore_errors=True)

    # -- QMP

    def _qmp_read(self, timeout):
        self._qmp_socket.settimeout(max(timeout, 0.01))
        while b"\n" not in self._qmp_buffer:
            try:
                piece = self._qmp_socket.recv(65536)
            except TimeoutError:
                return None
            if not piece:
                raise self.failure("QMP: QEMU ended")
            self._qmp_buffer += piece
        line, _, self._qmp_buffer = self._qmp_buffer.partition(b"\n")
        return json.loads(line)

    def qmp(self, command, **arguments):
        if self._qmp_socket is None:
            self.process.until((self.sockets / "qmp").exists, 30, "QMP socket")
            self._qmp_socket = socket.socket(socket.AF_UNIX)
            self._qmp_socket.connect(str(self.sockets / "qmp"))
            self._qmp_read(30 * SLOW)
            self.qmp("qmp_capabilities")
        self._qmp_socket.sendall(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
        deadline = time.monotonic() + 60 * SLOW
        while True:
            answer = self._qmp_read(deadline - time.monotonic())
            if answer is None:
                raise self.failure(f"QMP {command}: no answer")
            if "error" in answer:
                raise self.failure(f"QMP {command}: {answer['error']}")
            if "return" in answer:
                return answer["return"]

    def wait_pause(self, timeout):
        """Until the guest asked for a restart or power-off; its processors stand still then."""
        deadline = time.monotonic() + timeout * SLOW
        while self.qmp("query-status")["running"]:
            # An event says when it is worth asking again.
            if self._qmp_read(deadline - time.monotonic()) is None and time.monotonic() >= deadline:
                raise self.failure(f"no restart within {timeout * SLOW:.0f} s")

    def press(self, text):
        """Types it on the keyboard that stands beside the screen."""
        named = {"\n": "ret", " ": "spc", "/": "slash", ".": "dot", "-": "minus", ":": "shift-semicolon"}
        for character in text:
            keys = named.get(character, character.lower() if not character.isupper() else f"shift-{character.lower()}")
            self.qmp("send-key", keys=[{"type": "qcode", "data": key} for key in keys.split("-")])
            time.sleep(0.1)  # QEMU holds each key for as long, and has no event for its end

    def screen(self):
        """The lines of VGA's text memory: what scrolled out of the screen is there, too, in no order."""
        file = self.artifacts / f"{self.name}.screen"
        self.qmp("pmemsave", val=0xb8000, size=0x8000, filename=str(file))
        text = file.read_bytes()[::2].decode("cp437")
        return [text[at:at + 80].rstrip() for at in range(0, len(text), 80)]

    def plug(self, nic, plugged=True):
        """The cable of a NIC, by its number: the guest sees the carrier come and go."""
        self.qmp("set_link", name=f"nic{nic}", up=plugged)

    def resume(self):
        """From wait_pause() on, as if the restart had just happened; the next one is not stopped."""
        self.qmp("set-action", reboot="reset", shutdown="poweroff")
        self.qmp("system_reset")
        self.qmp("cont")

    # -- a person at the console

    def log_in(self, timeout=300):
        """From power-on to a root shell on the serial console."""
        self.expect(r"login: ?$", timeout, unless=r"Kernel panic|emergency mode|GRUB: |grub rescue>")
        self.send("root\n")
        self.expect(r"Password: ?$", 30)
        self.send(ROOT_PASSWORD + "\n")
        self.expect(r"# $", 60)
        # A prompt that nothing else says, no colours, no line editing, no wrapping.
        self.send("stty -echo cols 500; TERM=dumb; unset PROMPT_COMMAND; PS1='ready''> '; bind 'set enable-bracketed-paste off'\n")
        self.expect(r"ready> $", 30)

    def shell(self, command, timeout=60):
        """(exit status, output) of a command in the shell that log_in() left."""
        begin = self.position
        self.send(command + "; echo \"status=$?.\"\n")
        match = self.expect(r"status=(\d+)\.\nready> $", timeout)
        return int(match[1]), self.text[begin:match.start()].strip("\n")


class E2ETest(unittest.TestCase):
    """Artifacts of each test in ARTIFACTS/Class.test; kept, for the failure message names them."""

    maxDiff = None

    @classmethod
    def setUpClass(cls):
        if os.getuid() != 0:
            raise unittest.SkipTest("needs root: network namespaces, tap devices")
        os.environ["PATH"] = f"/usr/sbin:/usr/bin:/sbin:/bin:{os.environ['PATH']}"

    def setUp(self):
        self.artifacts = ARTIFACTS / f"{type(self).__name__}.{self._testMethodName}"
        shutil.rmtree(self.artifacts, ignore_errors=True)
        self.artifacts.mkdir(parents=True)

    def run(self, result=None):
        result = result or self.defaultTestResult()
        bad = len(result.failures) + len(result.errors)
        super().run(result)
        if len(result.failures) + len(result.errors) == bad and not os.environ.get("CURLINGIRON_E2E_KEEP"):
            # The disks of a test that passed say nothing, and fill the machine.
            for pattern in ("*.raw", "*.qcow2", "initramfs"):
                for file in self.artifacts.glob(pattern) if hasattr(self, "artifacts") else ():
                    file.unlink()
        return result

    def need_binary(self):
        if not BINARY.exists():
            self.fail(f"{BINARY} is missing; build it: cmake --preset release && cmake --build --preset release")

    def network(self, **options):
        network = Network(self.artifacts, **options)
        self.addCleanup(network.close)
        return network

    def machine(self, **options):
        artifacts = options.pop("artifacts", self.artifacts)
        machine = Machine(artifacts, **options)
        self.addCleanup(machine.kill)
        return machine

    def assert_same(self, disk, image, length=None):
        offset = first_difference(disk, image, length)
        if offset is not None:
            self.fail(f"{disk} differs from {image} at byte {offset} ({offset / MIB:.3f} MiB); logs: {self.artifacts}")

    def assert_installed(self, disk, image):
        difference = install_difference(disk, image)
        if difference is not None:
            self.fail(f"{difference}; logs: {self.artifacts}")

    def ssh(self, network, address, command, timeout=60, check=True):
        """The exit status and output of a command by ssh, as an administrator runs it."""
        arguments = [*network.namespace.enter(), "ssh", "-i", CACHE / "ssh_key", "-o", "StrictHostKeyChecking=no",
                     "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", "-o", "ConnectTimeout=30",
                     "-o", "BatchMode=yes", "-F", "/dev/null", f"root@{address}", command]
        done = subprocess.run([str(a) for a in arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, errors="replace", timeout=timeout * SLOW, check=False)
        if check and done.returncode:
            self.fail(f"ssh {command!r}: exit {done.returncode}\n{done.stdout[-3000:]}\nlogs: {self.artifacts}")
        return done.returncode, done.stdout
