#include "host/coverage.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "sys/file.h"

namespace curlingiron {
namespace {

TEST(Coverage, EveryDriverUpTheTreeIsFound) {
  TemporaryDirectory directory = TemporaryDirectory::create().value();
  std::filesystem::path sys = directory.path() + "/sys";
  std::filesystem::path pci = sys / "devices/pci0000:00/0000:00:03.0";
  std::filesystem::create_directories(pci / "virtio0/block/vda");
  for (const char* name : {"virtio_pci", "virtio_blk"}) {
    std::filesystem::create_directories(sys / "module" / name);
    std::filesystem::create_directories(sys / "bus/drivers" / name);
    std::filesystem::create_directory_symlink(sys / "module" / name,
                                              sys / "bus/drivers" / name / "module");
  }
  // A driver that is built in has no module link.
  std::filesystem::create_directories(sys / "bus/drivers/builtin");
  std::filesystem::create_directory_symlink(sys / "bus/drivers/virtio_blk", pci / "virtio0/driver");
  std::filesystem::create_directory_symlink(sys / "bus/drivers/virtio_pci", pci / "driver");
  std::filesystem::create_directory_symlink(sys / "bus/drivers/builtin",
                                            sys / "devices/pci0000:00/driver");

  UniqueFd root = open_root(directory.path()).value();
  std::vector<std::string> modules =
      bound_modules(root, "sys/devices/pci0000:00/0000:00:03.0/virtio0").value();
  EXPECT_EQ(modules, (std::vector<std::string>{"virtio_blk", "virtio_pci"}));

  EXPECT_TRUE(check_covered("vda", modules, {"virtio_pci", "x", "virtio_blk"}).ok());
  Result<void> gap = check_covered("vda", modules, {"virtio_blk"});
  ASSERT_FALSE(gap.ok());
  EXPECT_NE(gap.error().message().find("vda"), std::string::npos);
  EXPECT_NE(gap.error().message().find("virtio_pci"), std::string::npos);
}

}  // namespace
}  // namespace curlingiron
