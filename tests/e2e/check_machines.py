"""The machines that other tests stand on boot by themselves and let a person in: to be run by hand
when scripts/machines changes (python3 -m unittest tests.e2e.check_machines); test_inplace.py boots all
of them, too."""

from tests.e2e import harness


class Machines(harness.E2ETest):

    def boots(self, name, firmware, version, bus="virtio", nic="virtio-net-pci"):
        cache = harness.machines(name)
        network = self.network()
        network.serve_names()
        disk = harness.overlay(cache / f"{name}.raw", self.artifacts / "disk.qcow2")
        machine = self.machine(name=name, network=network, firmware=firmware, memory=1024, reset="reset",
                               disks=[{"file": disk, "bus": bus}], nics=[{"model": nic}])
        machine.log_in()
        status, release = machine.shell("cat /etc/os-release")
        self.assertEqual(status, 0)
        self.assertIn(f'VERSION_ID="{version}"', release)
        status, where = machine.shell("test -d /sys/firmware/efi")
        self.assertEqual(status == 0, firmware == "uefi")
        status, address = machine.shell("until ip -4 -br addr show scope global | grep -o '10[.]77[.]0[.][0-9]*'; do sleep 0.2; done", 60)
        self.assertRegex(address, r"^10\.77\.0\.\d+$")
        _, output = self.ssh(network, address, "hostname; getent hosts image.test")
        self.assertEqual(output.split(), [f"{name}-machine", harness.GATEWAY, "image.test"])
        machine.send("systemctl poweroff\n")
        machine.wait_exit(120)

    def test_old_by_bios(self):
        self.boots("old", "bios", "12")

    def test_old_by_uefi(self):
        self.boots("old", "uefi", "12", bus="sata", nic="e1000")

    def test_new_by_bios(self):
        self.boots("new", "bios", "13", bus="sata", nic="e1000")

    def test_new_by_uefi(self):
        self.boots("new", "uefi", "13")


if __name__ == "__main__":
    harness.unittest.main()
