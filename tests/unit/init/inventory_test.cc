#include "init/inventory.h"

#include <gtest/gtest.h>

#include <map>

#include "unit/disk/machine.h"

namespace curlingiron {
namespace {

constexpr uint64_t kGiB = uint64_t{1} << 30;
constexpr std::string_view kNicAlias = "pci:v00008086d000010D3sv00008086sd00000000bc02sc00i00";
constexpr std::string_view kAhciAlias = "pci:v00008086d00002922sv00001AF4sd00001100bc01sc06i01";

class HardwareTest : public ::testing::Test {
 protected:
  // A device on a bus, as the kernel's tree shows it.
  void device(const std::string& bus, const std::string& path, std::string_view modalias,
              const std::string& driver = "") {
    std::string name = path.substr(path.rfind('/') + 1);
    machine_.file(concat("sys/", path, "/modalias"), concat(modalias, "\n"));
    machine_.link(concat("sys/bus/", bus, "/devices/", name), concat("../../../", path));
    if (!driver.empty()) {
      machine_.link(concat("sys/", path, "/driver"),
                    concat("../../bus/", bus, "/drivers/", driver));
    }
  }

  void nic(const std::string& name, const std::string& device_path, std::string_view carrier) {
    std::string place = concat(device_path, "/net/", name);
    machine_.file(concat("sys/", place, "/address"), "52:54:00:c0:1d:00\n");
    if (!carrier.empty()) machine_.file(concat("sys/", place, "/carrier"), carrier);
    machine_.link(concat("sys/", place, "/device"), "../..");
    machine_.link(concat("sys/class/net/", name), concat("../../", place));
  }

  DriverAnswer answer(std::string_view modalias) const {
    auto found = answers_.find(std::string(modalias));
    return found == answers_.end() ? DriverAnswer{} : found->second;
  }

  std::string missing(Kind kind) const {
    std::vector<Disk> disks = list_disks(machine_.root()).value();
    return explain_missing(machine_.root(), kind, disks,
                           [this](std::string_view alias) { return answer(alias); });
  }
  std::string described() const {
    return describe_hardware(machine_.root(), list_disks(machine_.root()).value());
  }

  Machine machine_;
  std::map<std::string, DriverAnswer> answers_;
};

TEST_F(HardwareTest, DisksAndNicsOnOneLine) {
  const std::string ahci = "devices/pci0000:00/0000:00:1f.2";
  const std::string disk = ahci + "/ata1/host0/target0:0:0/0:0:0:0";
  device("pci", ahci, kAhciAlias, "ahci");
  device("scsi", disk, "scsi:t-0x00", "sd");
  machine_.disk("sda", disk, 4 * kGiB);
  machine_.file("sys/" + disk + "/vendor", "ATA\n");
  machine_.file("sys/" + disk + "/model", "QEMU HARDDISK\n");
  machine_.file("sys/" + disk + "/serial", "QM00001\n");
  device("pci", "devices/pci0000:00/0000:00:02.0", kNicAlias, "e1000e");
  nic("eth0", "devices/pci0000:00/0000:00:02.0", "1\n");
  nic("eth1", "devices/pci0000:00/0000:00:03.0", "0\n");
  nic("eth2", "devices/pci0000:00/0000:00:04.0", "");
  machine_.file("sys/devices/virtual/net/lo/address", "00:00:00:00:00:00\n");
  machine_.link("sys/class/net/lo", "../../devices/virtual/net/lo");
  EXPECT_EQ(described(),
            "disks: sda QEMU_HARDDISK serial=QM00001 4.0 GiB (ahci); "
            "nics: eth0 52:54:00:c0:1d:00 (e1000e) up, eth1 52:54:00:c0:1d:00 no link, "
            "eth2 52:54:00:c0:1d:00 down");
}

TEST_F(HardwareTest, NothingAndMuchAreOneLine) {
  EXPECT_EQ(described(), "disks: none; nics: none");
  for (int i = 0; i < 20; ++i) {
    std::string port = concat("devices/pci0000:00/0000:00:1f.2/ata", i);
    machine_.disk(concat("sd", static_cast<char>('a' + i)), port, kGiB);
    machine_.file("sys/" + port + "/model", std::string(300, 'M'));
  }
  std::string line = described();
  EXPECT_NE(line.find("sdh"), std::string::npos);
  EXPECT_EQ(line.find("sdi"), std::string::npos);
  EXPECT_NE(line.find(" and 12 more; nics: none"), std::string::npos) << line;
  EXPECT_LT(line.size(), 700U);
}

TEST_F(HardwareTest, WhatADiskSaysIsMadeFitForALine) {
  machine_.disk("sda", "devices/platform/host0/target0:0:0/0:0:0:0", kGiB);
  machine_.file("sys/devices/platform/host0/target0:0:0/0:0:0:0/model", "EVIL\033[2J DISK\n");
  EXPECT_EQ(described(), "disks: sda EVIL?[2J_DISK 1.0 GiB; nics: none");
}

TEST_F(HardwareTest, ANicWithoutADriverIsNamedByItsModalias) {
  device("pci", "devices/pci0000:00/0000:00:02.0", kNicAlias);
  EXPECT_EQ(missing(Kind::Nic),
            concat("no driver in this initramfs for ", kNicAlias,
                   " at 0000:00:02.0; build with --profile server, with --module NAME (modprobe -R "
                   "MODALIAS names it), or on that machine"));
  EXPECT_EQ(missing(Kind::Disk), "");
}

TEST_F(HardwareTest, AFailedDriverTellsWhy) {
  device("pci", "devices/pci0000:00/0000:00:02.0", kNicAlias);
  answers_[std::string(kNicAlias)] = {{"e1000e"}, "lib/modules/e1000e.ko: not signed"};
  EXPECT_EQ(missing(Kind::Nic), "0000:00:02.0 has no driver: lib/modules/e1000e.ko: not signed");
  answers_[std::string(kNicAlias)].failure.clear();
  EXPECT_EQ(missing(Kind::Nic),
            "e1000e did not take 0000:00:02.0; the kernel's messages may say why");
}

TEST_F(HardwareTest, OneCauseIsToldOnce) {
  for (int i = 1; i < 7; ++i) {
    device("virtio", concat("devices/pci0000:00/0000:00:0", i, ".0/virtio", i),
           "virtio:d00000001v00001AF4", "virtio_net");
    nic(concat("eth", i), concat("devices/pci0000:00/0000:00:0", i, ".0/virtio", i), "1\n");
    device("pci", concat("devices/pci0000:00/0000:00:0", i, ".0"), kAhciAlias);
    answers_[std::string(kAhciAlias)] = {{"ahci"}, ""};
  }
  EXPECT_EQ(missing(Kind::Nic), "");
  std::string text = missing(Kind::Disk);
  EXPECT_NE(text.find("ahci did not take 0000:00:04.0"), std::string::npos) << text;
  EXPECT_EQ(text.find("0000:00:05.0"), std::string::npos) << text;
  EXPECT_TRUE(text.ends_with("; and 2 more")) << text;
}

TEST_F(HardwareTest, OnlyTheDeviceAtTheEndOfTheChainIsBlamed) {
  const std::string pci = "devices/pci0000:00/0000:00:04.0";
  device("pci", pci, "pci:v00001AF4d00001042sv00001AF4sd00001100bc01sc00i00", "virtio-pci");
  device("virtio", pci + "/virtio1", "virtio:d00000002v00001AF4");
  EXPECT_TRUE(
      missing(Kind::Disk)
          .starts_with(
              "no driver in this initramfs for virtio:d00000002v00001AF4 at virtio1; build with"))
      << missing(Kind::Disk);
}

TEST_F(HardwareTest, AControllerWithoutADiskIsNamed) {
  device("pci", "devices/pci0000:00/0000:00:1f.2", kAhciAlias, "ahci");
  EXPECT_EQ(missing(Kind::Disk), "ahci has 0000:00:1f.2 but shows no disk");
  // A disk on another controller does not change that; one on this does.
  machine_.disk("vda", "devices/pci0000:00/0000:00:04.0/virtio1", kGiB);
  EXPECT_EQ(missing(Kind::Disk), "ahci has 0000:00:1f.2 but shows no disk");
  machine_.disk("sda", "devices/pci0000:00/0000:00:1f.2/ata1/host0/target0:0:0/0:0:0:0", kGiB);
  EXPECT_EQ(missing(Kind::Disk), "");
}

TEST_F(HardwareTest, UsbHostsLeadToBothAndOnlyWithoutADriver) {
  constexpr std::string_view kXhci = "pci:v00001B36d0000000Dsv00001AF4sd00001100bc0Csc03i30";
  const std::string host = "devices/pci0000:00/0000:00:05.0";
  device("pci", host, kXhci);
  for (Kind kind : {Kind::Disk, Kind::Nic}) {
    EXPECT_TRUE(missing(kind).starts_with(concat("no driver in this initramfs for ", kXhci)));
  }
  machine_.link("sys/" + host + "/driver", "../../../bus/pci/drivers/xhci_hcd");
  for (Kind kind : {Kind::Disk, Kind::Nic}) {
    EXPECT_EQ(missing(kind), "");
  }
}

TEST_F(HardwareTest, AcpiDevicesHaveTheirDriverOnOneOfTwoBuses) {
  device("acpi", "devices/LNXSYSTM:00/VMBUS:00", "acpi:VMBUS:");
  EXPECT_TRUE(missing(Kind::Nic).starts_with("no driver in this initramfs for acpi:VMBUS:"));
  device("platform", "devices/platform/VMBUS:00", "acpi:VMBUS:", "hv_vmbus");
  EXPECT_EQ(missing(Kind::Nic), "");
}

TEST_F(HardwareTest, AVendorsUsbDeviceIsNamedOnlyWhereNothingIsMoreLikely) {
  device("usb", "devices/pci0000:00/0000:00:05.0/usb1/1-1/1-1:1.0",
         "usb:v0B95p1790d0100dcFFdscFFdp00icFFiscFFip00in00");
  EXPECT_NE(missing(Kind::Nic).find("usb:v0B95p1790"), std::string::npos);
  device("pci", "devices/pci0000:00/0000:00:02.0", kNicAlias);
  EXPECT_EQ(missing(Kind::Nic).find("usb:v0B95p1790"), std::string::npos);
}

TEST_F(HardwareTest, ACardHasItsModaliasInItsUevent) {
  const std::string host = "devices/pci0000:00/0000:00:06.0";
  device("pci", host, "pci:v00001B36d00000007sv00001AF4sd00001100bc08sc05i01", "sdhci-pci");
  const std::string card = host + "/mmc_host/mmc0/mmc0:4567";
  machine_.file("sys/" + card + "/uevent", "MMC_TYPE=SD\nMODALIAS=mmc:block\n");
  machine_.link("sys/bus/mmc/devices/mmc0:4567", "../../../" + card);
  EXPECT_TRUE(missing(Kind::Disk).starts_with("no driver in this initramfs for mmc:block"));
}

TEST_F(HardwareTest, UsbStorageIsOnItsWayUntilABlockDeviceIsThere) {
  EXPECT_FALSE(storage_on_its_way(machine_.root()));
  const std::string interface = "devices/pci0000:00/0000:00:05.0/usb1/1-1/1-1:1.0";
  device("usb", interface, "usb:v46F4p0001d0000dc00dsc00dp00ic08isc06ip50in00");
  EXPECT_FALSE(storage_on_its_way(machine_.root()));  // Nobody will drive it.
  machine_.link("sys/" + interface + "/driver", "../../bus/usb/drivers/usb-storage");
  EXPECT_TRUE(storage_on_its_way(machine_.root()));
  // A card reader without a card: no disk, but no reason to wait either.
  machine_.disk("sda", interface + "/host0/target0:0:0/0:0:0:0", 0);
  EXPECT_FALSE(storage_on_its_way(machine_.root()));
  EXPECT_EQ(missing(Kind::Disk), "usb-storage has 1-1:1.0 but shows no disk");
}

}  // namespace
}  // namespace curlingiron
