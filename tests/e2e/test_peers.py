"""The servers are what the other tests take them for, seen with curl. No machine is started."""

import os

from tests.e2e import harness
from tests.e2e.harness import MIB


class Peers(harness.E2ETest):

    def setUp(self):
        super().setUp()
        self.net = self.network()
        self.web = self.artifacts / "web"
        self.web.mkdir()
        self.net.serve_names()
        # The namespace has no /etc/resolv.conf of its own: curl is told who is who.
        self.image = harness.write_synthetic(self.web / "image.raw", 8 * MIB, seed=3)

    def curl(self, url, *options, ca=None):
        host = url.split("/")[2]
        name, _, port = host.partition(":")
        port = port or ("443" if url.startswith("https") else "80")
        command = ["curl", "-sS", "--max-time", "20", "--resolve", f"{name}:{port}:{harness.GATEWAY}",
                   "--cacert", ca or self.net.certificates.ca, *options, url]
        done = harness.subprocess.run([str(c) for c in [*self.net.namespace.enter(), *command]], check=False,
                                      stdout=harness.subprocess.PIPE, stderr=harness.subprocess.PIPE, timeout=60)
        return done.returncode, done.stdout, done.stderr.decode()

    def test_nginx(self):
        self.net.serve_web(self.web)
        for url in ("http://image.test/image.raw", "https://image.test/image.raw", "https://other.test/image.raw"):
            self.assertEqual(self.curl(url)[1], self.image.read_bytes())
        status, part, _ = self.curl("https://image.test/image.raw", "-r", "1048576-1048579")
        self.assertEqual(part, self.image.read_bytes()[MIB:MIB + 4])
        for name, reason in (("expired", "expired"), ("future", "not yet valid"), ("wrong", "subject"),
                             ("unknown", "issuer")):
            status, _, message = self.curl(f"https://{name}.test/image.raw")
            self.assertEqual(status, 60, message)
            self.assertIn(reason, message)
        self.assertEqual(self.curl("https://unknown.test/image.raw", ca=self.net.certificates.unknown_ca)[0], 0)
        self.assertEqual(self.curl("https://image.test:444/image.raw")[0], 7)
        self.assertEqual(self.curl("https://image.test/missing", "-f")[0], 22)

    def test_cuts(self):
        size = self.image.stat().st_size
        for tls in (True, False):
            for how in ("close", "reset"):
                cuts = [size // 10, size // 2, size * 9 // 10]
                server = self.net.serve_faulty(self.web, cuts=cuts, cut_by=how, tls=tls)
                target = self.artifacts / "downloaded"
                target.unlink(missing_ok=True)
                for _ in range(4):
                    self.curl(server.url("image.raw"), "-C", "-", "-o", target)
                self.assertEqual(target.read_bytes(), self.image.read_bytes())
                self.assertEqual([r["status"] for r in server.requests][0], 200)
                self.assertEqual(len(server.requests), 4)
                self.assertEqual(server.cuts, [])
                server.close()

    def test_statuses_and_no_ranges(self):
        server = self.net.serve_faulty(self.web, statuses=[503, 429], ranges=False)
        for status in ("503", "429", "200"):
            _, answer, _ = self.curl(server.url("image.raw"), "-o", os.devnull, "-w", "%{http_code}", "-r", "5-")
            self.assertEqual(answer.decode(), status)

    def test_synthetic_image_is_a_disk(self):
        listing = harness.run(["sfdisk", "--verify", self.image])
        self.assertIn("No errors", listing)
        again = harness.write_synthetic(self.artifacts / "again", 8 * MIB, seed=3)
        self.assertEqual(harness.sha256_of(again), harness.sha256_of(self.image))
        self.assertFalse(harness.is_zero(self.image, self.image.stat().st_size - MIB, MIB))


if __name__ == "__main__":
    harness.unittest.main()
