#include "payload/depmod.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "payload/closure.h"
#include "payload/parallel.h"
#include "support/module_tree.h"

namespace curlingiron {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using namespace std::string_literals;

class DepmodTest : public ::testing::Test {
 protected:
  void module(const std::string& path, const std::string& modinfo) {
    std::string name = path.substr(path.rfind('/') + 1);
    files_.write(base() + path + ".ko", test::make_plain_module(name, test::kRelease, modinfo));
  }
  std::string base() const { return std::string("lib/modules/") + test::kRelease + "/"; }
  Result<ModuleTree> load() { return ModuleTree::load(files_.root(), test::kRelease); }

  test::FileTree files_;
};

TEST_F(DepmodTest, TheModulesTellWhatDepmodWouldWrite) {
  module("kernel/net/core", "depends=\0"s);
  module("kernel/net/failover-x", "depends=core\0"s);
  module("kernel/drivers/nic",
         "depends=failover-x,built_in,core\0alias=pci:v1d2sv*\0alias=of-x\0softdep=pre: crc "
         "post: helper\0weakdep=extra\0"s);
  module("kernel/crypto/crc32", "alias=crc\0"s);
  module("kernel/drivers/helper", "");
  module("kernel/drivers/extra", "");
  ModuleTree tree = load().value();
  EXPECT_THAT(tree.resolve("pci:v1d2sv3"), ElementsAre("nic"));
  EXPECT_THAT(tree.resolve("of_x"), ElementsAre("nic"));
  EXPECT_THAT(tree.load_order_before("nic"), ElementsAre("crc32", "core", "failover_x"));
  EXPECT_THAT(tree.wanted_after("nic"), ElementsAre("helper"));
  EXPECT_THAT(tree.wanted_beside("nic"), ElementsAre("extra", "crc32"));
}

TEST_F(DepmodTest, DepmodsFilesGoFirst) {
  test::fill_module_tree(files_);
  module("kernel/drivers/unlisted", "");
  EXPECT_EQ(load().value().path_of("unlisted"), "");
  for (const char* file : {"modules.dep", "modules.alias"}) {
    files_.remove(base() + file);
    EXPECT_EQ(load().value().path_of("unlisted"), "kernel/drivers/unlisted.ko") << file;
  }
}

TEST_F(DepmodTest, UpdatesGoBeforeTheKernels) {
  module("kernel/drivers/net/nic", "alias=old\0"s);
  module("updates/dkms/nic", "alias=new\0"s);
  ModuleTree tree = load().value();
  EXPECT_EQ(tree.path_of("nic"), "updates/dkms/nic.ko");
  EXPECT_THAT(tree.resolve("old"), IsEmpty());
  EXPECT_THAT(tree.resolve("new"), ElementsAre("nic"));
}

TEST_F(DepmodTest, TheKernelsOrderDecidesBetweenDrivers) {
  module("kernel/a", "alias=pci:x\0"s);
  module("kernel/b", "alias=pci:x\0"s);
  EXPECT_THAT(load().value().resolve("pci:x"), ElementsAre("a", "b"));
  files_.write(base() + "modules.order", "kernel/b.ko\nkernel/a.ko\n");
  EXPECT_THAT(load().value().resolve("pci:x"), ElementsAre("b", "a"));
}

TEST_F(DepmodTest, NamesTheModuleThatCannotBeRead) {
  module("kernel/good", "");
  ByteVector whole = test::make_plain_module("bad", test::kRelease);
  whole.resize(whole.size() / 2);
  files_.write(base() + "kernel/bad.ko", whole);
  EXPECT_THAT(load().error().message(), HasSubstr("kernel/bad.ko"));
  files_.write(base() + "kernel/bad.ko", "");
  EXPECT_THAT(load().error().message(), HasSubstr("kernel/bad.ko"));
}

TEST_F(DepmodTest, LinksInCirclesAreNotFollowed) {
  module("kernel/good", "");
  files_.link(base() + "build", ".");
  files_.link(base() + "kernel/again", "..");
  EXPECT_EQ(load().value().path_of("good"), "kernel/good.ko");
}

TEST_F(DepmodTest, ADirectoryWithoutModules) {
  files_.write(base() + "modules.builtin", "");
  EXPECT_THAT(load().error().message(), HasSubstr("holds no modules"));
}

TEST(Parallel, EachOnceAndTheFirstErrorOfAll) {
  std::vector<std::atomic<int>> counts(1000);
  EXPECT_TRUE(for_each_in_parallel(counts.size(), [&](size_t i) -> Result<void> {
                ++counts[i];
                return {};
              }).ok());
  for (const std::atomic<int>& count : counts) EXPECT_EQ(count, 1);
  Result<void> failed = for_each_in_parallel(1000, [&](size_t i) -> Result<void> {
    if (i % 100 == 37) return Error("at " + std::to_string(i));
    return {};
  });
  ASSERT_FALSE(failed.ok());
  EXPECT_EQ(failed.error().message(), "at 37");
  EXPECT_TRUE(for_each_in_parallel(0, [](size_t) -> Result<void> { return Error("called"); }).ok());
}

}  // namespace
}  // namespace curlingiron
