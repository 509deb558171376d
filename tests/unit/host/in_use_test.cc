#include "host/in_use.h"

#include <gmock/gmock.h>

#include "base/units.h"
#include "unit/disk/machine.h"

namespace curlingiron {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// As a server that was installed with encryption, LVM and RAID: vda with six partitions.
class InUse : public ::testing::Test {
 protected:
  void SetUp() override {
    machine_.disk("vda", "devices/pci0000:00/0000:00:04.0/virtio1", 20_GiB);
    machine_.file("sys/block/vda/dev", "254:0\n");
    for (const char* number : {"1", "2", "3", "4", "5", "10"}) {
      std::string folder = concat("sys/block/vda/vda", number);
      machine_.file(concat(folder, "/partition"), concat(number, "\n"));
      machine_.file(concat(folder, "/dev"), concat("254:", number, "\n"));
      machine_.file(concat(folder, "/size"), "2048\n");
      machine_.link(concat("sys/class/block/vda", number), concat("../../block/vda/vda", number));
    }
    holds("vda3", "dm-0");
    mapped("dm-0", "253:0", "LVM-abc", "vg0-root");
    holds("vda3", "dm-1");
    mapped("dm-1", "253:1", "LVM-abd", "vg0-swap");
    holds("vda3", "dm-2");
    mapped("dm-2", "253:2", "LVM-abe", "vg0-idle");
    holds("vda4", "md0");
    machine_.file("sys/class/block/md0/md/level", "raid1\n");
    machine_.file("sys/class/block/md0/dev", "9:0\n");
    machine_.folder("sys/class/block/md0/holders/dm-3");
    machine_.folder("sys/class/block/md0/slaves/vda4");
    mapped("dm-3", "253:3", "CRYPT-LUKS2-x", "secret");
    machine_.folder("sys/class/block/dm-3/slaves/md0");
    machine_.file("proc/self/mountinfo",
                  "22 1 253:0 / / rw,relatime shared:1 - ext4 /dev/mapper/vg0-root rw\n"
                  "23 22 0:20 / /sys rw shared:7 - sysfs sysfs rw\n"
                  "24 22 0:44 /@ /mnt/my\\040disk rw - btrfs /dev/vda5 rw\n"
                  "25 22 0:44 /@home /home rw - btrfs /dev/vda5 rw\n"
                  "26 22 253:3 / /srv rw - xfs /dev/mapper/secret rw\n"
                  "27 22 254:1 / /boot rw - ext4 /dev/vda1 rw\n"
                  "28 22 254:16 / /other rw - ext4 /dev/vdb rw\n"
                  "damaged line\n");
    machine_.file("proc/swaps",
                  "Filename Type Size Used Priority\n/dev/vda2 partition 10 0 -2\n"
                  "/dev/dm-1 partition 10 0 -3\n");
  }

  void holds(const std::string& partition, const std::string& holder) {
    machine_.folder(concat("sys/block/vda/", partition, "/holders/", holder));
    machine_.folder(concat("sys/class/block/", holder, "/slaves/", partition));
  }
  void mapped(const std::string& name, const std::string& number, const std::string& uuid,
              const std::string& mapped_name) {
    std::string folder = concat("sys/class/block/", name);
    machine_.file(concat(folder, "/dev"), concat(number, "\n"));
    machine_.file(concat(folder, "/dm/uuid"), concat(uuid, "\n"));
    machine_.file(concat(folder, "/dm/name"), concat(mapped_name, "\n"));
  }

  Machine machine_;
};

TEST_F(InUse, NamesMountsSwapAndLayers) {
  EXPECT_THAT(
      uses_of(parts_of(machine_.root(), "vda")),
      ElementsAre("vda1 is mounted on /boot", "vda2 is swap", "vda3: LVM vg0-root, mounted on /",
                  "vda3: LVM vg0-swap, swap", "vda3: LVM vg0-idle",
                  "vda4: RAID md0 (raid1), encrypted secret, mounted on /srv",
                  "vda5 is mounted on /mnt/my disk and /home"));
  EXPECT_THAT(uses_of(parts_of(machine_.root(), "vdz")), IsEmpty());
}

TEST_F(InUse, PartitionsAreInTheOrderOfTheirNumbers) {
  std::vector<DiskPart> parts = parts_of(machine_.root(), "vda");
  ASSERT_EQ(parts.size(), 6U);
  EXPECT_EQ(parts.front().name, "vda1");
  EXPECT_EQ(parts.back().name, "vda10");
  EXPECT_EQ(parts.front().size, 1_MiB);
  for (const DiskPart& part : parts) EXPECT_EQ(part.holds_root, part.name == "vda3") << part.name;
}

TEST_F(InUse, WhatVolumesLieOn) {
  EXPECT_EQ(volume_kind(machine_.root(), "dm-0"), "a logical volume");
  EXPECT_EQ(volume_kind(machine_.root(), "dm-3"), "an encrypted volume");
  EXPECT_EQ(volume_kind(machine_.root(), "md0"), "a RAID");
  EXPECT_EQ(volume_kind(machine_.root(), "vda1"), "");
  EXPECT_THAT(disks_under(machine_.root(), "dm-0"), ElementsAre("vda"));
  EXPECT_THAT(disks_under(machine_.root(), "dm-3"), ElementsAre("vda"));
  EXPECT_THAT(disks_under(machine_.root(), "vda10"), ElementsAre("vda"));
}

TEST_F(InUse, EachDeviceOfABtrfsIsMountedWhereAnyIs) {
  machine_.disk("vdc", "devices/pci0000:00/0000:00:05.0/virtio2", 1_GiB);
  machine_.file("sys/block/vdc/dev", "254:32\n");
  machine_.folder("sys/fs/btrfs/features");
  machine_.folder("sys/fs/btrfs/8b5e/devices/vda5");
  machine_.folder("sys/fs/btrfs/8b5e/devices/vdc");
  const char* use = "Btrfs over vda5 and vdc, mounted on /mnt/my disk and /home";
  std::vector<DiskPart> other = parts_of(machine_.root(), "vdc");
  EXPECT_THAT(uses_of(other), ElementsAre(concat("vdc: ", use)));
  std::vector<DiskPart> parts = parts_of(machine_.root(), "vda");
  EXPECT_THAT(parts[4].uses, ElementsAre(use));
  EXPECT_THAT(shared_layers(parts, other), ElementsAre("Btrfs over vda5 and vdc"));
}

TEST_F(InUse, EachDeviceOfABcachefsIsNamedByItsMount) {
  machine_.disk("vdc", "devices/pci0000:00/0000:00:05.0/virtio2", 1_GiB);
  machine_.file("proc/self/mountinfo", "22 1 0:30 / / rw - bcachefs /dev/vda5:/dev/vdc rw\n");
  EXPECT_THAT(uses_of(parts_of(machine_.root(), "vdc")), ElementsAre("vdc is mounted on /"));
  EXPECT_TRUE(parts_of(machine_.root(), "vda")[4].holds_root);
}

TEST_F(InUse, WhatLiesOnTwoDisksIsShared) {
  machine_.disk("vdc", "devices/pci0000:00/0000:00:05.0/virtio2", 1_GiB);
  machine_.folder("sys/block/vdc/holders/dm-4");
  mapped("dm-4", "253:4", "CRYPT-LUKS2-y", "second");
  machine_.folder("sys/class/block/dm-4/holders/dm-0");
  std::vector<DiskPart> other = parts_of(machine_.root(), "vdc");
  EXPECT_THAT(uses_of(other), ElementsAre("vdc: encrypted second, LVM vg0-root, mounted on /"));
  EXPECT_TRUE(other.front().holds_root);
  EXPECT_THAT(shared_layers(parts_of(machine_.root(), "vda"), other), ElementsAre("LVM vg0-root"));
  EXPECT_THAT(shared_layers({}, other), IsEmpty());
}

TEST_F(InUse, ZfsIsKnownByWhatLiesFurtherIn) {
  std::string begin(256_KiB, '\0');
  begin.replace(128_KiB, 8, std::string_view("\x0c\xb1\xba\0\0\0\0\0", 8));
  machine_.file("dev/vda5", begin);
  machine_.file("sys/block/vda/vda5/size", "2048\n");
  EXPECT_EQ(parts_of(machine_.root(), "vda")[4].content, "ZFS");
}

}  // namespace
}  // namespace curlingiron
