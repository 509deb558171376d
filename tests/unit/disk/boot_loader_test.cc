#include "disk/boot_loader.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "formats/fat.h"
#include "unit/disk/machine.h"

namespace curlingiron {
namespace {

// Or the error.
std::string found(std::vector<std::string> files, std::string_view architecture = "x64") {
  static const ByteVector kProgram(100, 1);
  FatVolume volume;
  for (std::string& file : files) {
    bool empty = file.ends_with(" empty");
    if (empty) file.resize(file.size() - 6);
    volume.files.push_back({std::move(file), empty ? ConstBytes() : ConstBytes(kProgram)});
  }
  ByteVector image = make_fat(volume).value();
  FatReader reader =
      FatReader::open([&](uint64_t offset, MutableBytes into) -> Result<void> {
        if (offset + into.size() > image.size()) return Error("past the end");
        std::copy_n(image.begin() + static_cast<ptrdiff_t>(offset), into.size(), into.begin());
        return {};
      }).value();
  Result<std::string> loader = find_boot_loader(reader, architecture);
  return loader.ok() ? loader.value() : loader.error().message();
}

TEST(BootLoader, TheRemovablePathComesFirst) {
  EXPECT_EQ(found({"EFI/debian/shimx64.efi", "EFI/BOOT/BOOTX64.EFI", "EFI/BOOT/fbx64.efi"}),
            "\\EFI\\BOOT\\BOOTX64.EFI");
  EXPECT_EQ(found({"efi/Boot/bootx64.efi"}), "\\EFI\\Boot\\bootx64.efi");
}

TEST(BootLoader, ElseTheVendorsOwn) {
  EXPECT_EQ(found({"EFI/debian/grubx64.efi", "EFI/debian/shimx64.efi"}),
            "\\EFI\\debian\\shimx64.efi");
  EXPECT_EQ(found({"EFI/BOOT/fbx64.efi", "EFI/a/grubx64.efi", "EFI/b/shimx64.efi"}),
            "\\EFI\\b\\shimx64.efi");
  EXPECT_EQ(found({"EFI/systemd/systemd-bootx64.efi", "EFI/Linux/linux.efi"}),
            "\\EFI\\systemd\\systemd-bootx64.efi");
  EXPECT_EQ(found({"EFI/A vendor/grubx64.efi"}), "\\EFI\\A vendor\\grubx64.efi");
}

TEST(BootLoader, OfThisFirmwareOnly) {
  std::vector<std::string> files = {"EFI/BOOT/BOOTIA32.EFI", "EFI/BOOT/BOOTAA64.EFI",
                                    "EFI/debian/grubx64.efi"};
  EXPECT_EQ(found(files), "\\EFI\\debian\\grubx64.efi");
  EXPECT_EQ(found(files, "ia32"), "\\EFI\\BOOT\\BOOTIA32.EFI");
}

TEST(BootLoader, WhatIsNoLoader) {
  constexpr std::string_view kNone = "no boot loader for this firmware is in it";
  EXPECT_EQ(found({"EFI/BOOT/BOOTX64.EFI empty", "EFI/Linux/linux.efi"}), kNone);
  EXPECT_EQ(found({"EFI/BOOT/BOOTX64.EFI/x", "EFI/shimx64.efi"}), kNone);
  EXPECT_EQ(found({"startup.nsh"}), "EFI: no such directory in its FAT file system");
}

TEST(BootLoader, Architecture) {
  Machine machine;
  EXPECT_EQ(firmware_architecture(machine.root()), "x64");
  machine.file("sys/firmware/efi/fw_platform_size", "64\n");
  EXPECT_EQ(firmware_architecture(machine.root()), "x64");
  machine.file("sys/firmware/efi/fw_platform_size", "32\n");
  EXPECT_EQ(firmware_architecture(machine.root()), "ia32");
}

}  // namespace
}  // namespace curlingiron
