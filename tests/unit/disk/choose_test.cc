#include "disk/choose.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "disk/sysfs_path.h"
#include "disk/vpd.h"
#include "unit/disk/machine.h"
#include "unit/formats/gpt_image.h"

namespace curlingiron {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr uint64_t GiB = uint64_t{1} << 30;

ByteVector vpd_page(uint8_t code, ConstBytes content) {
  ByteWriter out;
  out.u8(0);
  out.u8(code);
  out.be16(static_cast<uint16_t>(content.size()));
  out.append(content);
  return std::move(out).bytes();
}

void add_designator(ByteWriter& out, uint8_t code_set, uint8_t type, ConstBytes value) {
  out.u8(code_set);
  out.u8(type);
  out.u8(0);
  out.u8(static_cast<uint8_t>(value.size()));
  out.append(value);
}

constexpr char kAhci[] = "devices/pci0000:00/0000:00:1f.2/ata3/host2/target2:0:0/2:0:0:0";
constexpr char kAtaModel[] = "Samsung SSD 860 EVO 500GB               ";  // 40
constexpr char kAtaSerial[] = "S3Z1NB0K123456A     ";                     // 20

void add_virtio(Machine& machine, const std::string& name, const std::string& slot,
                std::string_view serial, uint64_t size) {
  std::string device = concat("devices/pci0000:00/0000:00:", slot, ".0/virtio", slot);
  machine.disk(name, device, size);
  machine.file(concat("sys/block/", name, "/serial"), serial);
}

void add_ata(Machine& machine, const std::string& name) {
  machine.disk(name, kAhci, 500'107'862'016);
  std::string folder = concat("sys/", kAhci);
  machine.file(folder + "/vendor", "ATA     \n");
  machine.file(folder + "/model", "Samsung SSD 860 \n");
  machine.file(folder + "/wwid", "naa.5002538e40a1b2c3\n");
  machine.file(folder + "/vpd_pg80", as_text(vpd_page(0x80, as_bytes(kAtaSerial))));
  ByteWriter page;
  add_designator(page, 2, 0, as_bytes(kAtaSerial));
  add_designator(page, 2, 1, as_bytes(concat("ATA     ", kAtaModel, kAtaSerial)));
  add_designator(page, 1, 3, from_hex("5002538e40a1b2c3").value());
  add_designator(page, 1, 0x13, from_hex("ffffffffffffffff").value());  // of the port
  machine.file(folder + "/vpd_pg83", as_text(vpd_page(0x83, page.bytes())));
  machine.file("sys/devices/pci0000:00/0000:00:1f.2/ata3/ata_port/ata3/port_no", "3\n");
}

void add_nvme(Machine& machine) {
  std::string device = "devices/pci0000:00/0000:00:1d.0/0000:03:00.0/nvme/nvme0";
  machine.disk("nvme0n1", device, 512 * GiB, "");
  machine.file(concat("sys/", device, "/model"), "WD Black   SN850X 1TB                   \n");
  machine.file(concat("sys/", device, "/serial"), "  23170A 80/12\n");
  machine.file(concat("sys/", device, "/nvme0n1/wwid"), "eui.e8238fa6bf530001001b448b4a1f2e3d\n");
  machine.file(concat("sys/", device, "/nvme0n1/nsid"), "1\n");
}

Disk named(const std::vector<Disk>& disks, std::string_view name) {
  for (const Disk& disk : disks) {
    if (disk.name == name) return disk;
  }
  ADD_FAILURE() << name << " is not there";
  return {};
}

TEST(ListDisks, AUsbDiskHasTheSerialOfItsDeviceUnlessItTellsItsOwn) {
  Machine machine;
  std::string usb = "devices/pci0000:00/0000:00:14.0/usb2/2-1";
  std::string disk = usb + "/2-1:1.0/host6/target6:0:0/6:0:0:0";
  machine.file(concat("sys/", usb, "/idVendor"), "46f4\n");
  machine.file(concat("sys/", usb, "/serial"), "STICK 1\n");
  machine.disk("sda", disk, 6 * GiB);
  machine.file(concat("sys/", disk, "/vendor"), "QEMU\n");
  machine.file(concat("sys/", disk, "/model"), "QEMU HARDDISK\n");
  EXPECT_EQ(list_disks(machine.root()).value().at(0).serial, "STICK 1");
  machine.file(concat("sys/", disk, "/vpd_pg80"), as_text(vpd_page(0x80, as_bytes("OWN 2"))));
  Disk sda = list_disks(machine.root()).value().at(0);
  EXPECT_EQ(sda.serial, "OWN 2");
  EXPECT_THAT(sda.by_ids, Contains("usb-QEMU_QEMU_HARDDISK_STICK_1-0:0"));
}

TEST(ListDisks, ReadsVirtioAtaAndNvme) {
  Machine machine;
  add_virtio(machine, "vda", "04", "my-serial\n", 6 * GiB);
  add_ata(machine, "sda");
  add_nvme(machine);
  std::vector<Disk> disks = list_disks(machine.root()).value();
  ASSERT_EQ(disks.size(), 3u);

  Disk vda = named(disks, "vda");
  EXPECT_EQ(vda.serial, "my-serial");
  EXPECT_EQ(vda.size, 6 * GiB);
  EXPECT_EQ(vda.logical_sector, 512u);
  EXPECT_EQ(vda.physical_sector, 4096u);
  EXPECT_EQ(vda.device_path, "devices/pci0000:00/0000:00:04.0/virtio04");
  EXPECT_EQ(vda.by_path, "pci-0000:00:04.0");
  EXPECT_THAT(vda.by_ids, ElementsAre("virtio-my-serial"));
  EXPECT_EQ(vda.path(), "/dev/vda");
  EXPECT_EQ(vda.describe(), "vda: serial my-serial, 6.0 GiB");

  Disk sda = named(disks, "sda");
  EXPECT_EQ(sda.model, "Samsung SSD 860 EVO 500GB");
  EXPECT_EQ(sda.serial, "S3Z1NB0K123456A");
  EXPECT_EQ(sda.wwn, "naa.5002538e40a1b2c3");
  EXPECT_EQ(sda.by_path, "pci-0000:00:1f.2-ata-3");
  EXPECT_THAT(sda.by_ids, Contains("ata-Samsung_SSD_860_EVO_500GB_S3Z1NB0K123456A"));
  EXPECT_THAT(sda.by_ids, Contains("wwn-0x5002538e40a1b2c3"));
  EXPECT_THAT(sda.by_ids, Contains("scsi-35002538e40a1b2c3"));
  EXPECT_EQ(sda.describe(), "sda: Samsung SSD 860 EVO 500GB, serial S3Z1NB0K123456A, 465.7 GiB");

  Disk nvme = named(disks, "nvme0n1");
  EXPECT_EQ(nvme.serial, "23170A 80/12");
  EXPECT_EQ(nvme.wwn, "eui.e8238fa6bf530001001b448b4a1f2e3d");
  EXPECT_EQ(nvme.by_path, "pci-0000:03:00.0-nvme-1");
  EXPECT_THAT(nvme.by_ids, Contains("nvme-WD_Black_SN850X_1TB_23170A_80_12"));
  EXPECT_THAT(nvme.by_ids, Contains("nvme-eui.e8238fa6bf530001001b448b4a1f2e3d"));
}

TEST(ListDisks, LeavesOutWhatIsNoDisk) {
  Machine machine;
  for (const char* name :
       {"loop0", "ram0", "zram0", "dm-0", "md0", "md127", "md_d0", "sr0", "fd0", "nbd0",
        "mtdblock0", "mmcblk0boot0", "mmcblk0boot1", "mmcblk0rpmb", "bcache0", "zd0"}) {
    machine.disk(name, concat("devices/virtual/x", name), GiB);
  }
  machine.disk("sdb", "devices/pci0000:00/0000:00:05.0/host0/target0:0:0/0:0:0:0", 0);  // no medium
  machine.disk("nvme0c0n1", "devices/pci0000:00/0000:00:06.0/nvme/nvme0", GiB, "");
  machine.file("sys/block/nvme0c0n1/hidden", "1\n");
  machine.disk("mmcblk0", "devices/platform/mmc/mmc_host/mmc0/mmc0:0001", GiB);
  machine.disk("fdisk", "devices/virtual/strange", GiB);  // a name is not its prefix
  std::vector<Disk> disks = list_disks(machine.root()).value();
  std::vector<std::string> names;
  for (const Disk& disk : disks) names.push_back(disk.name);
  EXPECT_THAT(names, ElementsAre("fdisk", "mmcblk0"));
}

TEST(ListDisks, NoSysfsIsAnErrorNoDisksIsNot) {
  Machine machine;
  EXPECT_THAT(list_disks(machine.root()).value(), IsEmpty());
  TemporaryDirectory empty = TemporaryDirectory::create().value();
  EXPECT_FALSE(list_disks(open_root(empty.path()).value()).ok());
}

TEST(ListDisks, ReadsThePartitionTable) {
  Machine machine;
  add_virtio(machine, "vda", "04", "a", GiB);
  add_virtio(machine, "vdb", "05", "b", GiB);
  add_virtio(machine, "vdc", "06", "c", GiB);
  add_virtio(machine, "vdd", "07", "d", GiB);
  machine.file("sys/block/vdb/queue/logical_block_size", "4096\n");
  machine.file("dev/vda", as_text(make_gpt(512, 100'000)));
  machine.file("dev/vdb", as_text(make_gpt(4096, 100'000)));
  machine.file("dev/vdc", concat(as_text(make_mbr(0x1badcafe, {{0x83, true, 2048, 100}})),
                                 std::string(512, '\0')));
  std::vector<Disk> disks = list_disks(machine.root()).value();
  EXPECT_EQ(disks[0].ptuuid, kDiskGuidText);
  EXPECT_EQ(disks[1].ptuuid, kDiskGuidText);
  EXPECT_EQ(disks[2].ptuuid, "1badcafe");
  EXPECT_EQ(disks[3].ptuuid, "");
  EXPECT_EQ(choose_disk(disks, "ptuuid:1BADCAFE").value().name, "vdc");
  EXPECT_THAT(choose_disk(disks, concat("ptuuid:", kDiskGuidText)).error().message(),
              HasSubstr("more than one"));
}

TEST(ListDisks, AnNvmeNamespaceWithMultipathHasTheFirstControllersPlace) {
  Machine machine;
  std::string subsystem = "devices/virtual/nvme-subsystem/nvme-subsys0";
  machine.disk("nvme0n1", subsystem, GiB, "");
  machine.file(concat("sys/", subsystem, "/nvme0n1/nsid"), "2\n");
  machine.file(concat("sys/", subsystem, "/serial"), "SN1\n");
  machine.folder("sys/devices/pci0000:00/0000:00:05.0/nvme/nvme0");
  machine.link(concat("sys/", subsystem, "/nvme0"), "../../../pci0000:00/0000:00:05.0/nvme/nvme0");
  Disk disk = list_disks(machine.root()).value().front();
  EXPECT_EQ(disk.serial, "SN1");
  EXPECT_EQ(disk.by_path, "pci-0000:00:05.0-nvme-2");
}

TEST(StablePath, HoldsNoNumberThatChangesBetweenBoots) {
  Machine machine;
  auto path = [&](const char* device) { return stable_path(machine.root(), device, ""); };
  // The same slot on two boots, beside a host of another controller.
  for (const char* host : {"0", "7"}) {
    Machine boot;
    boot.folder("sys/devices/pci0000:00/0000:00:01.1/ata1/host3");
    std::string scsi = concat("devices/pci0000:00/0000:00:05.0/virtio2/host", host, "/target", host,
                              ":0:1/", host, ":0:1:3");
    boot.folder(concat("sys/", scsi));
    EXPECT_EQ(stable_path(boot.root(), scsi, ""), "pci-0000:00:05.0-scsi-0:0:1:3");
  }
  // A controller with two hosts.
  std::string two = "devices/pci0000:00/0000:00:08.0";
  machine.folder(concat("sys/", two, "/host9"));
  machine.folder(concat("sys/", two, "/host10"));
  EXPECT_EQ(path((two + "/host9/target9:0:0/9:0:0:0").c_str()), "pci-0000:00:08.0-scsi-0:0:0:0");
  EXPECT_EQ(path((two + "/host10/target10:0:0/10:0:0:0").c_str()), "pci-0000:00:08.0-scsi-1:0:0:0");
  EXPECT_EQ(path("devices/pci0000:00/0000:00:06.0/virtio9/host5/target5:0:1/5:0:1:3"),
            "pci-0000:00:06.0-scsi-0:0:1:3");
  EXPECT_EQ(
      path("devices/pci0000:00/0000:00:14.0/usb2/2-1/2-1.4/2-1.4:1.0/host6/target6:0:0/6:0:0:0"),
      "pci-0000:00:14.0-usb-0:1.4:1.0-scsi-0:0:0:0");
  EXPECT_EQ(path("devices/pci10000:e0/10000:e0:06.0/10000:e1:00.0/nvme/nvme3"),
            "pci-10000:e1:00.0-nvme-1");
  EXPECT_EQ(path("devices/platform/a003e00.virtio_mmio/virtio3"), "platform-a003e00.virtio_mmio");
  EXPECT_EQ(path("devices/LNXSYSTM:00/LNXSYBUS:00/ACPI0004:00/VMBUS:00/"
                 "00000000-0000-8899-0000-000000000000/host0/target0:0:0/0:0:0:1"),
            "LNXSYSTM:00-LNXSYBUS:00-ACPI0004:00-VMBUS:00-00000000-0000-8899-0000-000000000000-"
            "scsi-0:0:0:1");
  EXPECT_EQ(path("devices/vbd-51712"), "vbd-51712");
  EXPECT_EQ(path("devices/pci0000:00/0000:00:1a.0/mmc_host/mmc1/mmc1:aaaa"),
            "pci-0000:00:1a.0-mmc-0");
  EXPECT_EQ(path(""), "");

  std::string sas = "devices/pci0000:00/0000:02:00.0/host4/port-4:2/end_device-4:2";
  machine.file(concat("sys/", sas, "/sas_device/end_device-4:2/sas_address"),
               "0x5000c50012345678\n");
  EXPECT_EQ(path((sas + "/target4:0:2/4:0:2:0").c_str()),
            "pci-0000:02:00.0-sas-0x5000c50012345678-lun-0");
  std::string fc = "devices/pci0000:00/0000:04:00.1/host8/rport-8:0-3";
  machine.file(concat("sys/", fc, "/fc_remote_ports/rport-8:0-3/port_name"),
               "0x50060e8007e2c512\n");
  EXPECT_EQ(path((fc + "/target8:0:3/8:0:3:5").c_str()),
            "pci-0000:04:00.1-fc-0x50060e8007e2c512-lun-5");
}

std::vector<Disk> three_disks() {
  Disk a;
  a.name = "sda";
  a.model = "QEMU HARDDISK";
  a.serial = "A B%41/\"x\"";
  a.wwn = "naa.5000000000000001";
  a.by_path = "pci-0000:00:05.0-scsi-0:0:0:0";
  a.by_ids = {"scsi-0QEMU_QEMU_HARDDISK_a"};
  a.size = 10 * GiB;
  Disk b = a;
  b.name = "sdb";
  b.serial = "same";
  b.wwn = "naa.5000000000000002";
  b.by_path = "pci-0000:00:05.0-scsi-0:0:1:0";
  b.by_ids = {};
  Disk c = b;
  c.name = "nvme0n1";
  c.wwn = "";
  c.by_path = "";
  c.ptuuid = "00000001";
  c.size = 20 * GiB;
  return {c, a, b};
}

TEST(ChooseDisk, ByEveryKindOfName) {
  std::vector<Disk> disks = three_disks();
  auto chosen = [&](std::string_view wanted) {
    Result<Disk> disk = choose_disk(disks, wanted);
    return disk.ok() ? disk.value().name : disk.error().message();
  };
  EXPECT_EQ(chosen("/dev/sda"), "sda");
  EXPECT_EQ(chosen("sdb"), "sdb");
  EXPECT_EQ(chosen("wwn:naa.5000000000000001"), "sda");
  EXPECT_EQ(chosen("wwn:0x5000000000000002"), "sdb");
  EXPECT_EQ(chosen("by-path:pci-0000:00:05.0-scsi-0:0:1:0"), "sdb");
  EXPECT_EQ(chosen("/dev/disk/by-path/pci-0000:00:05.0-scsi-0:0:1:0"), "sdb");
  EXPECT_EQ(chosen("by-id:scsi-0QEMU_QEMU_HARDDISK_a"), "sda");
  EXPECT_EQ(chosen("/dev/disk/by-id/scsi-0QEMU_QEMU_HARDDISK_a"), "sda");
  EXPECT_EQ(chosen("ptuuid:00000001"), "nvme0n1");
  EXPECT_EQ(chosen("size:20G"), "nvme0n1");
  EXPECT_EQ(chosen(concat("size:", 20 * GiB)), "nvme0n1");
}

TEST(ChooseDisk, ErrorsListWhatIsThere) {
  std::vector<Disk> disks = three_disks();
  auto message = [&](std::string_view wanted) {
    Result<Disk> disk = choose_disk(disks, wanted);
    EXPECT_FALSE(disk.ok()) << wanted;
    return disk.ok() ? disk.value().name : disk.error().message();
  };
  for (const char* wanted : {"/dev/sdx", "serial:none", "wwn:none", "only", "", "by-id:none",
                             "by-path:none", "ptuuid:none", "size:1G"}) {
    EXPECT_THAT(message(wanted), HasSubstr("nvme0n1: QEMU HARDDISK, serial same, 20.0 GiB"));
    EXPECT_THAT(message(wanted), HasSubstr("sda: "));
    EXPECT_THAT(message(wanted), HasSubstr("sdb: "));
  }
  EXPECT_THAT(message("serial:same"), HasSubstr("fits more than one disk: nvme0n1: "));
  EXPECT_THAT(message("size:10G"), HasSubstr("fits more than one"));
  EXPECT_THAT(message("/dev/sda1"), HasSubstr("partition; name the whole disk, /dev/sda"));
  EXPECT_THAT(message("/dev/nvme0n1p2"), HasSubstr("partition"));
  EXPECT_THAT(message("/dev/sdaa"), HasSubstr("there is no disk"));
  EXPECT_THAT(message("label:root"), HasSubstr("does not name a disk"));
  EXPECT_THAT(message("size:big"), HasSubstr("not a number"));
  EXPECT_THAT(message("serial:"), HasSubstr("needs a value"));
  EXPECT_THAT(choose_disk({}, "only").error().message(), HasSubstr("no disk at all"));
}

TEST(ChooseDisk, AnEmptyAttributeMatchesNothing) {
  Disk disk;
  disk.name = "vda";
  for (const char* wanted : {"wwn:0x", "by-path:virtio-", "ptuuid:%00"}) {
    EXPECT_FALSE(choose_disk({disk}, wanted).ok()) << wanted;
  }
}

TEST(Identity, LeadsBackToTheDiskAndSurvivesACommandLine) {
  std::vector<Disk> disks = three_disks();
  std::vector<std::string> expected = {"ptuuid:00000001", "serial:A%20B%2541%2f%22x%22",
                                       "wwn:naa.5000000000000002"};
  for (size_t i = 0; i < disks.size(); ++i) {
    std::string identity = identity_of(disks[i], disks).value();
    EXPECT_EQ(identity, expected[i]);
    EXPECT_EQ(choose_disk(disks, identity).value().name, disks[i].name);
    EXPECT_EQ(identity.find_first_of(" \t\n\"'\\$#,;="), std::string::npos);
  }
}

TEST(Identity, FallsBackToTheSizeAndToTheOnlyDisk) {
  Disk a;
  a.name = "vda";
  a.size = GiB;
  Disk b = a;
  b.name = "vdb";
  EXPECT_EQ(identity_of(a, {a}).value(), "size:1073741824");
  EXPECT_FALSE(identity_of(a, {a, b}).ok());
  b.size = 2 * GiB;
  EXPECT_EQ(identity_of(b, {a, b}).value(), "size:2147483648");
}

TEST(Identity, EveryByteInASerialSurvives) {
  for (int byte = 1; byte < 256; ++byte) {
    Disk disk;
    disk.name = "vda";
    disk.serial = concat("a", static_cast<char>(byte), "b");
    Disk other = disk;
    other.name = "vdb";
    other.serial = "a";
    std::string identity = identity_of(disk, {disk, other}).value();
    EXPECT_TRUE(identity.starts_with("serial:"));
    for (char c : identity) EXPECT_TRUE(c > ' ' && c <= '~');
    EXPECT_EQ(choose_disk({other, disk}, identity).value().name, "vda");
  }
}

TEST(Vpd, UnitSerial) {
  EXPECT_EQ(parse_unit_serial(vpd_page(0x80, as_bytes("  ABC 1\t "))).value(), "ABC 1");
  EXPECT_EQ(parse_unit_serial(vpd_page(0x80, {})).value(), "");
  EXPECT_EQ(parse_unit_serial(vpd_page(0x80, ByteVector(20, 0))).value(), "");
  EXPECT_FALSE(parse_unit_serial(vpd_page(0x83, as_bytes("ABC"))).ok());
  ByteVector page = vpd_page(0x80, as_bytes("ABC"));
  for (size_t size = 0; size < page.size(); ++size) {
    EXPECT_FALSE(parse_unit_serial(ConstBytes(page).first(size)).ok());
  }
}

TEST(Vpd, TruncatedIdentificationIsAnError) {
  ByteWriter content;
  add_designator(content, 1, 3, ByteVector(8, 1));
  add_designator(content, 2, 1, as_bytes("VENDOR  thing"));
  ByteVector page = vpd_page(0x83, content.bytes());
  ASSERT_EQ(parse_device_identification(page).value().size(), 2u);
  for (size_t size = 0; size < page.size(); ++size) {
    EXPECT_FALSE(parse_device_identification(ConstBytes(page).first(size)).ok());
  }
  page[3] = static_cast<uint8_t>(page[3] - 1);  // ends within a designator
  EXPECT_FALSE(parse_device_identification(page).ok());
}

}  // namespace
}  // namespace curlingiron
