#include "host/qemu.h"

#include <gtest/gtest.h>

namespace curlingiron {
namespace {

MachineDisk disk_of(const std::string& text) {
  Result<MachineDisk> disk = parse_machine_disk(text);
  return disk.ok() ? disk.value() : MachineDisk{disk.error().message()};
}

TEST(Qemu, aDiskMayBeFollowedByItsModel) {
  EXPECT_EQ(disk_of("disk.img").file, "disk.img");
  EXPECT_EQ(disk_of("disk.img").model, DiskModel::VirtioBlk);
  EXPECT_EQ(disk_of("disk.img:nvme").file, "disk.img");
  EXPECT_EQ(disk_of("disk.img:nvme").model, DiskModel::Nvme);
  // A colon in a name is one that no model follows.
  EXPECT_EQ(disk_of("a:b.img").file, "a:b.img");
  EXPECT_EQ(disk_of("a:b.img:usb").file, "a:b.img");
}

TEST(Qemu, aFirmwareIsOneOfThree) {
  EXPECT_EQ(parse_firmware("secure-boot").value(), Firmware::SecureBoot);
  Result<Firmware> unknown = parse_firmware("coreboot");
  ASSERT_FALSE(unknown.ok());
  EXPECT_EQ(unknown.error().message(), "\"coreboot\" is none of bios, uefi, secure-boot");
}

// What is shown can be typed.
TEST(Qemu, aCommandIsShownAsAShellTakesIt) {
  EXPECT_EQ(format_command({"qemu", "-m", "512M"}), "qemu -m 512M");
  EXPECT_EQ(format_command({"qemu", "console=ttyS0 a=b", "it's", ""}),
            "qemu 'console=ttyS0 a=b' 'it'\\''s' ''");
  EXPECT_EQ(format_command({"a;b", "$HOME", "*"}), "'a;b' '$HOME' '*'");
}

}  // namespace
}  // namespace curlingiron
