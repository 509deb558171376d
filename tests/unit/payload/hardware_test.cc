#include "payload/hardware.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/module_tree.h"

namespace curlingiron {
namespace {

using ::testing::ElementsAre;

TEST(HardwareModaliases, FilesUeventsAndPhys) {
  test::FileTree tree;
  tree.write("sys/devices/pci0000:00/0000:00:01.0/modalias", "pci:v1\n");
  tree.write("sys/devices/pci0000:00/0000:00:01.0/virtio0/modalias", "virtio:d1\n");
  tree.write("sys/devices/pci0000:00/0000:00:02.0/modalias", "pci:v1\n");
  tree.write("sys/devices/pci0000:00/mmc0/mmc0:1/uevent", "DRIVER=x\nMODALIAS=mmc:block\nA=b\n");
  tree.write("sys/devices/pci0000:00/mdio/phy0/phy_id", "0x001cc916\n");
  tree.write("sys/devices/pci0000:00/mdio/phy1/phy_id", "0x00000000\n");
  tree.write("sys/devices/platform/empty/modalias", "\n");
  tree.write("sys/devices/platform/odd/modalias",
             "bad\x01"
             "alias\n");
  tree.link("sys/devices/platform/loop", "..");
  auto found = hardware_modaliases(tree.root());
  ASSERT_TRUE(found.ok()) << found.error().message();
  EXPECT_THAT(found.value(), ElementsAre("mdio:00000000000111001100100100010110", "mmc:block",
                                         "pci:v1", "virtio:d1"));
}

TEST(HardwareModaliases, NoSysfsIsAnError) {
  test::FileTree tree;
  EXPECT_FALSE(hardware_modaliases(tree.root()).ok());
}

TEST(HardwareModaliases, DepthIsBounded) {
  test::FileTree tree;
  std::string path = "sys/devices";
  for (int i = 0; i < 40; ++i) path += "/d";
  tree.write(path + "/modalias", "deep:x\n");
  tree.write("sys/devices/d/modalias", "near:x\n");
  EXPECT_THAT(hardware_modaliases(tree.root()).value(), ElementsAre("near:x"));
}

}  // namespace
}  // namespace curlingiron
