"""Certificates that must be refused, with TLS 1.2 and with TLS 1.3, before a byte is written and within a second.

By `curlingiron write` on this machine, and by /init in a machine of QEMU. What the folders of tests/golden/certificates
hold stands in the README there. The server is tests/support/raw_certificate_server.cc, with GnuTLS: it shows what it is
given, while others refuse to load half of this, and OpenSSL's to use a key against its keyUsage.

Environment: CURLINGIRON_RAW_CERTIFICATE_SERVER (the server), and that of tests/e2e/harness.py.
"""

import base64
import collections
import hashlib
import os
import pathlib
import re
import ssl
import subprocess
import threading
import time

from tests.e2e import harness, payload
from tests.e2e.harness import GATEWAY, MIB

SERVER = pathlib.Path(os.environ.get("CURLINGIRON_RAW_CERTIFICATE_SERVER")
                      or harness.ROOT / "build/test/bin/raw_certificate_server")
GOLDEN = harness.ROOT / "tests/golden/certificates"
# Where these cases come from; there on some machines only.
ORIGINALS = harness.ROOT.parent / "shared/cases/certificates"
VERSIONS = ("1.2", "1.3")
PIN = GOLDEN / "pin-bypass"
PIN_HOST = "real.example"
LIMIT = 1  # second of a processor
IMAGE_SIZE = 8 * MIB
DISK_SIZE = 16 * MIB

# host: what the URL calls the server; says: why it is refused.
Case = collections.namedtuple("Case", "host says")
CASES = {
    "anchor-server-cert-no-bc": Case("any.example", r"certificate of the CA server\.example is not accepted "
                                                    r"\(it is no CA, and has signed another\)"),
    "ku-crlsign-only": Case("a.example", r"certificate is not accepted \(it is not for servers\)"),
    "nc-bypass-ca-leaf": Case("evil.example", r"certificate is not accepted "
                                              r"\(a CA above it may not vouch for its name\)"),
}
TOO_LARGE = Case("evil.example", r"certificates are larger than 100 kB")
NOT_SIGNED = Case("evil.example", r"certificate is not accepted \(its signature does not fit its CA\)")
# Of OpenSSL, which does not compare more than a million names with constraints: X509_V_ERR_UNSPECIFIED.
TOO_MANY = Case("evil.example", r"certificate is not accepted \(its names and those that its CAs may vouch for are too many to compare, or cannot be read\)")
TOO_LONG = Case("evil.example", r"is not accepted \(it is too many CAs away from a trusted one\)")
EXCLUDED = CASES["nc-bypass-ca-leaf"]
# The certificate is read in one way or not at all.
NOT_READABLE = Case(PIN_HOST, r"the TLS handshake failed \(the server's certificate cannot be read\)")


# ---------------------------------------------------------------------------------------------
# Certificates that take long to look at: names to compare with constraints, up to a million times.

def openssl(*words, **options):
    return subprocess.run(["openssl", *(str(word) for word in words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          check=True, timeout=60, **options).stdout


class Chain:
    """A folder as those of GOLDEN are, made certificate by certificate, from the authority down."""

    AUTHORITY = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,digitalSignature,keyCertSign,cRLSign\n"

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()

    def add(self, name, subject, extensions, issuer=None, constraints=()):
        """NAME.pem with a key of its own, signed by `issuer` or itself; no key identifiers, so that names alone say
        who may have signed it."""
        if constraints:
            extensions += "nameConstraints=critical," + ",".join(f"excluded;DNS:{each}" for each in constraints) + "\n"
        extensions += "subjectKeyIdentifier=none\nauthorityKeyIdentifier=none\n"
        key, told = self.folder / f"{name}.key", self.folder / f"{name}.extensions"
        told.write_text(extensions)
        openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", key)
        request = openssl("req", "-new", "-key", key, "-subj", f"/CN={subject}")
        signer = ["-CA", self.folder / f"{issuer}.pem", "-CAkey", self.folder / f"{issuer}.key"] if issuer else \
            ["-signkey", key]
        openssl("x509", "-req", "-days", "30", "-extfile", told, *signer, "-out", self.folder / f"{name}.pem",
                input=request)

    def serve(self, *names):
        """chain.pem and key.pem; the size of the chain's DER."""
        chain = "".join((self.folder / f"{name}.pem").read_text() for name in names)
        (self.folder / "chain.pem").write_text(chain)
        (self.folder / "key.pem").write_bytes((self.folder / f"{names[0]}.key").read_bytes())
        return sum(len(ssl.PEM_cert_to_DER_cert(block))
                   for block in re.findall(r"-----BEGIN.*?-----END CERTIFICATE-----", chain, re.DOTALL))


def server_extensions(names):
    return "basicConstraints=critical,CA:FALSE\nsubjectAltName=" + ",".join(f"DNS:{name}" for name in names) + "\n"


def numbered(letter, count):
    return [f"{letter}{number:03x}" for number in range(count)]


def unsigned_chain(folder, roots, constraints):
    """A server with 4096 names, and roots of the trusted one's name that constrain others; none of them signed the
    server's certificate, nor did the trusted one. Returns the size of the DER."""
    chain = Chain(folder)
    for name in ("trusted", "another"):
        chain.add(name, "root", Chain.AUTHORITY)
    chain.add("server", "evil.example", server_extensions([*numbered("z", 4095), "evil.example"]), "another")
    for number in range(roots):
        chain.add(f"root{number}", "root", Chain.AUTHORITY, constraints=numbered("y", constraints))
    return chain.serve("server", *(f"root{number}" for number in range(roots)))


def signed_chain(folder, names, authorities, constraints):
    """A server with many names whose certificate is signed by an authority with many constraints, and that by another,
    up to the trusted one. The lowest excludes the server, at its end. Returns the size of the DER."""
    chain = Chain(folder)
    chain.add("trusted", "root", Chain.AUTHORITY)
    issuers = ["trusted"]
    for number in range(authorities):
        others = numbered("y", constraints) + (["evil.example"] if number == authorities - 1 else [])
        chain.add(f"authority{number}", f"authority {number}", Chain.AUTHORITY, issuers[-1], others)
        issuers.append(f"authority{number}")
    chain.add("server", "evil.example", server_extensions([*numbered("z", names), "evil.example"]), issuers[-1])
    return chain.serve("server", *reversed(issuers[1:]))


# ---------------------------------------------------------------------------------------------

class Server:
    """The server for one version of TLS, on the network's side."""

    def __init__(self, network, name, version, chain, key, file):
        self.success = f"handshake: TLS{version}"
        self.process = network.spawn(name, [SERVER, GATEWAY, 0, version, chain, key, file])
        self.process.until(lambda: len(self._lines()) > 0, 15, "a port")
        self.port = int(re.fullmatch(r"listening on port (\d+)", self._lines()[0])[1])

    def _lines(self):
        return re.findall("(.*)\n", self.process.log.read_text(errors="replace"))

    def said(self):
        """A line of each thing that happened on its connections; there was one at least."""
        self.process.until(lambda: len(self._lines()) > 1, 15, "connection")
        return self._lines()[1:]


class CertificateTest(harness.E2ETest):
    """A network, an image and an old disk."""

    def setUp(self):
        super().setUp()
        self.need_binary()
        if not SERVER.exists():
            self.fail(f"{SERVER} is missing; build raw_certificate_server, or run this with ctest")
        self.net = self.network()
        self.servers = 0
        self.image = harness.write_synthetic(self.artifacts / "image.raw", IMAGE_SIZE, 1)
        self.disk = harness.write_noise(self.artifacts / "disk.raw", DISK_SIZE, seed=7)

    def serve(self, version, chain, key):
        self.servers += 1
        return Server(self.net, f"server{self.servers}-tls{version}", version, chain, key, self.image)

    def note(self, words):
        """What was seen, for who wants to know: a line in the artifacts."""
        with open(self.artifacts / "seen.txt", "a") as file:
            file.write(words.strip() + "\n")

    def assert_none_got_through(self, server):
        """Each handshake came to nothing: not even a request was sent."""
        for line in server.said():
            self.assertRegex(line, "^handshake: ")
            self.assertNotIn(server.success, line)

    def write(self, host, port, *options):
        """`curlingiron write` from the server to the disk: status, words, seconds of the processor and of the clock."""
        hosts = self.artifacts / "hosts"
        hosts.write_text(f"{GATEWAY} {host}\n")
        # No name server is asked: /etc/hosts of this program alone.
        command = [*self.net.namespace.enter(), "unshare", "--mount", "sh", "-c",
                   'mount --bind "$0" /etc/hosts && exec "$@"', hosts, harness.BINARY, "write",
                   f"https://{host}:{port}/image.raw", self.disk, *options]
        begin = time.monotonic()
        with open(self.artifacts / "write.log", "w+b") as log:
            child = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            too_long = threading.Timer(60 * harness.SLOW, child.kill)
            too_long.start()
            _, status, usage = os.wait4(child.pid, 0)
            too_long.cancel()
            child.returncode = os.waitstatus_to_exitcode(status)
            log.seek(0)
            words = log.read().decode(errors="replace")
        return child.returncode, words, usage.ru_utime + usage.ru_stime, time.monotonic() - begin

    def write_is_refused(self, case, chain, key, *options):
        for version in VERSIONS:
            before = harness.sha256_of(self.disk)
            server = self.serve(version, chain, key)
            status, words, processor, clock = self.write(case.host, server.port, *options)
            self.note(f"TLS {version}: {processor:.3f} s of the processor, {clock:.3f} s by the clock: {words}")
            with self.subTest(chain=str(chain), tls=version, options=options):
                self.assertEqual(status, 1, words)
                self.assertRegex(words, rf"^curlingiron: error: {re.escape(case.host)}: .*{case.says}")
                self.assertIn("nothing was written", words)
                self.assertEqual(harness.sha256_of(self.disk), before, "the disk was written to")
                self.assert_none_got_through(server)
                self.assertLess(processor, LIMIT)
                self.assertLess(clock, 10 * LIMIT * harness.SLOW)  # of a machine that others use, too

    def boot(self, host, ports, settings=(), ca=None):
        """A machine that installs from any of these servers."""
        initramfs = payload.build(self.artifacts / "initramfs", ca or self.net.certificates.ca)
        self.net.serve_names(options=[f"--address=/{host}/{GATEWAY}"])
        words = ["console=ttyS0", "panic=1", "loglevel=4", "curlingiron.dst=/dev/vda",
                 *(f"curlingiron.src=https://{host}:{port}/image.raw" for port in ports),
                 *(f"curlingiron.{setting}" for setting in settings)]
        return self.machine(network=self.net, kernel=payload.KERNEL / "vmlinuz", initrd=initramfs,
                            append=" ".join(words), memory=256, disks=[{"file": self.disk}], nics=[{}])

    def init_is_refused(self, case, chain, key, **options):
        """Both versions by one boot: the server of the one is the other's mirror."""
        before = harness.sha256_of(self.disk)
        servers = [self.serve(version, chain, key) for version in VERSIONS]
        machine = self.boot(case.host, [server.port for server in servers], **options)
        unless = r"Kernel panic.*|Oops.*|phase=(config|drivers|network) status=failed.*|phase=source status=ok.*"

        def reaches(words):
            return machine.expect(rf"^curlingiron: phase={words}", 90, unless=unless)
        drivers = float(reaches(r"drivers status=ok t=(\d+\.\d+) ")[1])
        network = float(reaches(r"network status=ok t=(\d+\.\d+) ")[1])
        failed = reaches(r'source status=failed t=(\d+\.\d+) reason="([^"\n]*)"\n')
        machine.expect(r"^curlingiron: phase=leave status=ok .*how=reboot", 30)
        machine.wait_exit(60)
        joining, refusing = network - drivers, float(failed[1]) - network
        self.note(f"network {joining:.3f} s, source {refusing:.3f} s: {failed[2]}")
        self.assertEqual(len(re.findall(case.says, failed[2])), len(VERSIONS), failed[2])
        self.assertEqual(harness.sha256_of(self.disk), before, "the disk was written to")
        for server in servers:
            self.assert_none_got_through(server)
        # By the clock of a machine whose processor is some 20 times slower than this one, and shared with others. Each
        # of the two servers has its second; the network phase has DHCP in it, and 2 s in which another way might turn
        # up to whom was refused.
        self.assertLess(refusing, len(VERSIONS) * LIMIT * harness.SLOW)
        self.assertLess(joining, 10 * LIMIT * harness.SLOW)

    def case_is_refused(self, name):
        self.refused(CASES[name], GOLDEN / name)


class CertificatesWrite(CertificateTest):

    def test_anchor_server_cert_no_bc(self):
        self.case_is_refused("anchor-server-cert-no-bc")

    def test_ku_crlsign_only(self):
        self.case_is_refused("ku-crlsign-only")

    def test_nc_bypass_ca_leaf(self):
        self.case_is_refused("nc-bypass-ca-leaf")

    def test_too_large(self):
        folder = self.artifacts / "chain"
        size = unsigned_chain(folder, 5, 4096)
        self.assertTrue(185_000 < size < 195_000, size)
        self.refused(TOO_LARGE, folder)

    def test_not_signed(self):
        folder = self.artifacts / "chain"
        size = unsigned_chain(folder, 5, 1560)
        self.assertTrue(85_000 < size < 90_000, size)
        self.refused(NOT_SIGNED, folder)

    def test_signed_with_too_many_constraints(self):
        folder = self.artifacts / "chain"
        self.assertLess(signed_chain(folder, 4096, 1, 4096), 100_000)
        self.refused(TOO_MANY, folder)

    def test_signed_and_excluded_at_the_end(self):
        folder = self.artifacts / "chain"
        self.assertLess(signed_chain(folder, 1000, 10, 1000), 100_000)
        self.refused(EXCLUDED, folder)

    def test_signed_by_a_long_line(self):
        """Each of many authorities has few constraints: the comparisons would add up."""
        folder = self.artifacts / "chain"
        self.assertLess(signed_chain(folder, 3000, 60, 70), 100_000)
        self.refused(TOO_LONG, folder)

    @harness.unittest.skipUnless(ORIGINALS.exists(), f"{ORIGINALS} is not on this machine")
    def test_originals(self):
        for name, case in {**CASES, "slow-name-constraints": TOO_LARGE}.items():
            chain = ORIGINALS / name / "chain.pem"
            if subprocess.run(["openssl", "x509", "-in", chain, "-noout", "-checkend", "0"], check=False,
                              stdout=subprocess.DEVNULL).returncode:
                self.skipTest("expired meanwhile, and so refused for another reason")
            self.refused(case, ORIGINALS / name)

    def refused(self, case, folder):
        self.write_is_refused(case, folder / "chain.pem", folder / "key.pem", "--ca", folder / "trusted.pem")

    def test_control(self):
        """The same server with a good certificate: it is the certificates that are refused."""
        good = self.net.certificates.good
        for version in VERSIONS:
            with self.subTest(tls=version):
                server = self.serve(version, good, good.with_suffix(".key"))
                status, words, *_ = self.write("image.test", server.port, "--ca", self.net.certificates.ca)
                self.assertEqual(status, 0, words)
                self.assertIn(server.success, server.said())
                self.assert_installed(self.disk, self.image)
                harness.write_noise(self.disk, DISK_SIZE, seed=7)


class CertificatesInit(CertificateTest):
    """Both versions of TLS by each boot."""

    def test_too_large(self):
        folder = self.artifacts / "chain"
        unsigned_chain(folder, 5, 4096)
        self.refused(TOO_LARGE, folder)

    def test_not_signed(self):
        folder = self.artifacts / "chain"
        unsigned_chain(folder, 5, 1560)
        self.refused(NOT_SIGNED, folder)

    def test_signed_by_a_long_line(self):
        """Each of many authorities has few constraints: the comparisons would add up."""
        folder = self.artifacts / "chain"
        self.assertLess(signed_chain(folder, 3000, 60, 70), 100_000)
        self.refused(TOO_LONG, folder)

    @harness.unittest.skipUnless(ORIGINALS.exists(), f"{ORIGINALS} is not on this machine")
    def test_too_large_original(self):
        self.refused(TOO_LARGE, ORIGINALS / "slow-name-constraints")

    def test_anchor_server_cert_no_bc(self):
        self.case_is_refused("anchor-server-cert-no-bc")

    def test_ku_crlsign_only(self):
        self.case_is_refused("ku-crlsign-only")

    def test_nc_bypass_ca_leaf(self):
        self.case_is_refused("nc-bypass-ca-leaf")

    def refused(self, case, folder):
        self.init_is_refused(case, folder / "chain.pem", folder / "key.pem", ca=folder / "trusted.pem")


class CertificatesPin(CertificateTest):
    """A certificate that once was read as two keys: the pinned one, and that of whoever sits between, who has it."""

    def setUp(self):
        super().setUp()
        self.evil, self.key = PIN / "evil.pem", PIN / "attacker.key"
        self.victims = (PIN / "pin").read_text().strip()
        self.attackers = self.pin_of(openssl("pkey", "-in", self.key, "-pubout", "-outform", "DER"))

    @staticmethod
    def pin_of(key):
        return "sha256//" + base64.b64encode(hashlib.sha256(key).digest()).decode()

    def own_certificate(self):
        """An ordinary one, of the attacker's key."""
        path = self.artifacts / "own.pem"
        openssl("req", "-x509", "-key", self.key, "-subj", f"/CN={PIN_HOST}", "-days", "30", "-out", path)
        return path

    def test_case(self):
        """The files are what they are said to be."""
        self.assertEqual(ssl.PEM_cert_to_DER_cert(self.evil.read_text()), (PIN / "evil.der").read_bytes())
        public = openssl("x509", "-in", PIN / "victim.pem", "-noout", "-pubkey")
        self.assertEqual(self.pin_of(openssl("pkey", "-pubin", "-outform", "DER", input=public)), self.victims)
        self.assertNotEqual(self.victims, self.attackers)

    def test_write(self):
        for pin in (self.victims, self.attackers):
            self.write_is_refused(NOT_READABLE, self.evil, self.key, "--set", "insecure", "--set", f"pin={pin}")

    def test_write_control(self):
        """The same server with an ordinary certificate of that key: its own pin lets it pass, the other does not."""
        own = self.own_certificate()
        wrong = f"the server's key is not the pinned one but {re.escape(self.attackers)};"
        self.write_is_refused(Case(PIN_HOST, wrong), own, self.key, "--set", "insecure", "--set", f"pin={self.victims}")
        for version in VERSIONS:
            with self.subTest(tls=version):
                server = self.serve(version, own, self.key)
                status, words, *_ = self.write(PIN_HOST, server.port, "--set", "insecure",
                                               "--set", f"pin={self.attackers}")
                self.assertEqual(status, 0, words)
                self.assertIn(server.success, server.said())
                self.assert_installed(self.disk, self.image)
                harness.write_noise(self.disk, DISK_SIZE, seed=7)

    def test_init(self):
        self.init_is_refused(NOT_READABLE, self.evil, self.key, settings=["insecure", f"pin={self.victims}"])

    def test_init_control(self):
        server = self.serve("1.3", self.own_certificate(), self.key)
        machine = self.boot(PIN_HOST, [server.port], settings=["insecure", f"pin={self.attackers}"])
        machine.expect(r"^curlingiron: phase=leave status=ok .*how=reboot", 120,
                       unless=r"status=failed.*|Kernel panic.*|Oops.*")
        machine.wait_exit(60)
        self.assert_installed(self.disk, self.image)
        self.assertIn(server.success, server.said())


if __name__ == "__main__":
    harness.unittest.main()
