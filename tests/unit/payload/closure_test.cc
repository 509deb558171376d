#include "payload/closure.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "payload/driver_rules.h"
#include "support/module_tree.h"

namespace curlingiron {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

class ModuleTreeTest : public ::testing::Test {
 protected:
  ModuleTreeTest() { test::fill_module_tree(files_); }
  ModuleTree load() { return ModuleTree::load(files_.root(), test::kRelease).value(); }
  std::string base() const { return std::string("lib/modules/") + test::kRelease + "/"; }

  test::FileTree files_;
};

TEST_F(ModuleTreeTest, ResolvesNamesAndAliases) {
  ModuleTree tree = load();
  EXPECT_THAT(tree.resolve("pci:v0000ACMEd00000001sv1sd2bc02sc00i00"), ElementsAre("nic"));
  EXPECT_THAT(tree.resolve("acme-phy"), ElementsAre("acme_phy"));
  EXPECT_THAT(tree.resolve("crc"), ElementsAre("crc_generic", "crc_fast"));
  EXPECT_THAT(tree.resolve("platform:gone"), IsEmpty());
  EXPECT_THAT(tree.resolve("unix"), IsEmpty());
  EXPECT_TRUE(tree.is_builtin("built-in-nic"));
  EXPECT_TRUE(tree.covers("pci:v0000ACMEd00000009sv1"));
  EXPECT_TRUE(tree.covers("unix"));
  EXPECT_FALSE(tree.covers("platform:gone"));
  EXPECT_EQ(tree.path_of("acme-hba"), "kernel/drivers/scsi/acme-hba.ko");
  EXPECT_EQ(tree.path_of("unix"), "");
}

TEST_F(ModuleTreeTest, LoadOrderHasSoftAndHardDependencies) {
  ModuleTree tree = load();
  // The circle of nic and acme_phy ends; "missing" is ignored, as modprobe does.
  EXPECT_THAT(tree.load_order_before("nic"),
              ElementsAre("acme_phy", "crc_generic", "crc_fast", "base", "core"));
  EXPECT_THAT(tree.wanted_after("nic"), ElementsAre("helper"));
  EXPECT_THAT(tree.wanted_beside("nic"),
              ElementsAre("weak", "acme_phy", "crc_generic", "crc_fast"));
}

// A softdep that itself needs the module cannot be loaded before it, but must be there.
TEST_F(ModuleTreeTest, SoftdepsDoNotTearHardDependencies) {
  files_.write(base() + "modules.softdep", "softdep base pre: core\n");
  ModuleTree tree = load();
  EXPECT_THAT(tree.load_order_before("nic"), ElementsAre("base", "core"));
  EXPECT_THAT(tree.load_order_before("base"), IsEmpty());
  EXPECT_THAT(close_over(tree, std::vector<std::string>{"base"}).modules,
              ElementsAre("base", "core"));
}

TEST_F(ModuleTreeTest, ClosureLoadsInItsOrder) {
  ModuleTree tree = load();
  std::vector<std::string> roots = {"nic", "sd_mod"};
  Closure closure = close_over(tree, roots);
  EXPECT_THAT(closure.modules,
              UnorderedElementsAre("nic", "acme_phy", "crc_generic", "crc_fast", "base", "core",
                                   "helper", "weak", "sd_mod", "scsi_mod"));
  EXPECT_THAT(closure.load_after, ElementsAre("helper"));
  auto position = [&](std::string_view name) {
    return std::find(closure.modules.begin(), closure.modules.end(), name) -
           closure.modules.begin();
  };
  EXPECT_LT(position("base"), position("core"));
  EXPECT_LT(position("core"), position("nic"));
  EXPECT_LT(position("scsi_mod"), position("sd_mod"));
}

TEST_F(ModuleTreeTest, FindsUsrLibModules) {
  test::FileTree other;
  test::fill_module_tree(other, "usr/lib/modules");
  EXPECT_EQ(ModuleTree::load(other.root(), test::kRelease).value().directory(),
            "usr/lib/modules/6.1.0-test");
  EXPECT_THAT(ModuleTree::releases(other.root()).value(), ElementsAre(test::kRelease));
}

TEST_F(ModuleTreeTest, SaysWhatIsMissing) {
  EXPECT_THAT(ModuleTree::load(files_.root(), "5.10").error().message(), HasSubstr("(6.1.0-test)"));
  EXPECT_FALSE(ModuleTree::load(files_.root(), "../..").ok());
  EXPECT_FALSE(ModuleTree::load(files_.root(), "").ok());
  for (const char* file :
       {"modules.softdep", "modules.weakdep", "modules.builtin", "modules.builtin.modinfo"}) {
    test::FileTree tree;
    test::fill_module_tree(tree);
    tree.remove(base() + file);
    EXPECT_TRUE(ModuleTree::load(tree.root(), test::kRelease).ok()) << file;
  }
}

TEST_F(ModuleTreeTest, RefusesADependencyWithoutALine) {
  files_.write(base() + "modules.dep", "kernel/a.ko: kernel/b.ko\n");
  EXPECT_THAT(ModuleTree::load(files_.root(), test::kRelease).error().message(),
              HasSubstr("kernel/b.ko"));
}

}  // namespace
}  // namespace curlingiron
