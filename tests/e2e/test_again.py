"""examples/again: a payload that starts the next copy of itself by kexec, for as long as one likes."""

import os
import unittest

from tests.e2e import harness, payload
from tests.e2e.test_own_kernel import own_kernel

GENERATIONS = 100 if os.environ.get("CURLINGIRON_THOROUGH") else 5


class Again(harness.E2ETest):

    def kernel(self):
        """(options of build, MiB): a kernel of ours where there is one; the distribution's is three times as large."""
        try:
            own_kernel("vm")
        except unittest.SkipTest:
            harness.machines("kernel")
            return ["--kernel", payload.KERNEL / "vmlinuz", "--modules-dir", payload.KERNEL, "--profile", "none"], 512
        return ["--kernel", "ours:vm"], 256

    def test_generations(self):
        self.need_binary()
        kernel, memory = self.kernel()
        tree = self.artifacts / "again"
        harness.run([harness.ROOT / "examples/again/make", harness.BINARY, tree, *kernel, "--fast",
                     "--append", f"console=ttyS0 panic=1 again={GENERATIONS}"], timeout=120)
        machine = self.machine(kernel=tree / "vmlinuz", initrd=tree / "initrd",
                               append=(tree / "cmdline").read_text().strip(), memory=memory)
        free = []
        for generation in range(1, GENERATIONS + 1):
            match = machine.expect(rf"^again: generation {generation}, (\d+) KiB free\n", 120,
                                   unless=r"Kernel panic.*|Oops.*|curlingiron: error.*|^again: generation (?!%d,)\d+,.*" % generation)
            free.append(int(match[1]))
        machine.expect(r"^again: that was the last one\n", 10)
        machine.wait_exit(60)
        # What the second one, the first to be started by kexec, had is what all have.
        self.assertLess(max(free[1:]) - min(free[1:]), 4096, free)
        self.assertLess(free[1] - free[-1], 2048, free)
