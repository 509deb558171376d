#include "host/coverage.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "sys/file.h"

namespace curlingiron {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// A disk of virtio behind a PCI bridge whose driver is built in; and a mouse's worth of others.
class CoverageTest : public ::testing::Test {
 protected:
  CoverageTest() : directory_(TemporaryDirectory::create().value()) {
    std::filesystem::create_directories(sys() /
                                        "devices/pci0000:00/0000:00:03.0/virtio0/block/vda");
    bind("devices/pci0000:00/0000:00:03.0", "virtio_pci", "pci:v00001AF4d00001001sv1");
    bind("devices/pci0000:00/0000:00:03.0/virtio0", "virtio_blk", "virtio:d00000002v00001AF4");
    // A driver that is built in has no module link.
    std::filesystem::create_directories(sys() / "bus/drivers/builtin");
    std::filesystem::create_directory_symlink(sys() / "bus/drivers/builtin",
                                              sys() / "devices/pci0000:00/driver");
    index_.release = "6.1";
    index_.modules = {{"virtio", "lib/modules/virtio.ko", {}},
                      {"virtio_blk", "lib/modules/virtio_blk.ko", {"virtio"}},
                      {"virtio_pci", "lib/modules/virtio_pci.ko", {"virtio"}}};
    index_.aliases = {{"pci:v00001AF4d*", "virtio_pci"}, {"virtio:d00000002v*", "virtio_blk"}};
  }
  std::filesystem::path sys() const { return directory_.path() + "/sys"; }
  void bind(const std::string& device, const std::string& module, const std::string& modalias) {
    std::filesystem::create_directories(sys() / "module" / module);
    std::filesystem::create_directories(sys() / "bus/drivers" / module);
    std::filesystem::create_directory_symlink(sys() / "module" / module,
                                              sys() / "bus/drivers" / module / "module");
    std::filesystem::create_directory_symlink(sys() / "bus/drivers" / module,
                                              sys() / device / "driver");
    std::ofstream(sys() / device / "uevent") << "DRIVER=x\nMODALIAS=" << modalias << "\n";
  }
  std::vector<DrivenDevice> chain() const {
    UniqueFd root = open_root(directory_.path()).value();
    return driven_devices(root, "sys/devices/pci0000:00/0000:00:03.0/virtio0").value();
  }
  std::string verdict() const {
    Result<void> covered = check_covered("/dev/vda", chain(), index_, made_);
    return covered.ok() ? "covered" : covered.error().message();
  }

  TemporaryDirectory directory_;
  ModuleIndex index_;
  MadeWhere made_ = MadeWhere::Here;
};

TEST_F(CoverageTest, EveryDriverUpTheTreeIsFound) {
  std::vector<std::string> seen;
  for (const DrivenDevice& device : chain()) {
    seen.push_back(device.module + " " + device.modaliases.at(0));
  }
  EXPECT_THAT(seen, ElementsAre("virtio_blk virtio:d00000002v00001AF4",
                                "virtio_pci pci:v00001AF4d00001001sv1"));
  UniqueFd root = open_root(directory_.path()).value();
  EXPECT_FALSE(driven_devices(root, "etc").ok());
  EXPECT_EQ(verdict(), "covered");
}

TEST_F(CoverageTest, AModuleThatIsNotThere) {
  index_.modules.pop_back();
  index_.aliases.erase(index_.aliases.begin());
  EXPECT_THAT(verdict(), HasSubstr("/dev/vda: its driver virtio_pci (of 0000:00:03.0) is not in"));
  EXPECT_THAT(verdict(), HasSubstr("lib/modules/6.1"));
  EXPECT_THAT(verdict(), HasSubstr("pci:v00001AF4d00001001sv1"));
}

TEST_F(CoverageTest, AModuleThatNothingWouldLoad) {
  index_.aliases.erase(index_.aliases.begin());
  EXPECT_THAT(verdict(), HasSubstr("virtio_pci"));
  EXPECT_THAT(verdict(), HasSubstr("bound by hand"));
  // Loaded at start, or needed by one that is.
  index_.load = {"virtio_pci"};
  EXPECT_EQ(verdict(), "covered");
  index_.load.clear();
  index_.modules[1].dependencies = {"virtio", "virtio_pci"};
  EXPECT_EQ(verdict(), "covered");
}

TEST_F(CoverageTest, WhatThePayloadsKernelHoldsItself) {
  made_ = MadeWhere::Elsewhere;
  index_.modules.clear();
  index_.aliases.clear();
  EXPECT_THAT(verdict(), HasSubstr("is not in the payload for kernel"));
  EXPECT_THAT(verdict(), HasSubstr("--module virtio_"));
  index_.builtin = {"virtio_blk"};
  EXPECT_THAT(verdict(), HasSubstr("virtio_pci"));
  index_.builtin = {"virtio_blk", "virtio_pci"};
  EXPECT_EQ(verdict(), "covered");
}

TEST_F(CoverageTest, AnAliasThatLeadsToAnotherDriver) {
  index_.modules.push_back({"virtio_scsi", "lib/modules/virtio_scsi.ko", {}});
  index_.aliases[1].module = "virtio_scsi";
  EXPECT_THAT(verdict(), HasSubstr("virtio_blk"));
}

}  // namespace
}  // namespace curlingiron
