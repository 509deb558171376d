#include "formats/modules_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace curlingiron {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(ModuleNameOfPath, TakesEveryCompression) {
  for (const char* path :
       {"kernel/net/virtio-net.ko", "virtio_net.ko.xz", "a.b/virtio-net.ko.zst"}) {
    EXPECT_EQ(module_name_of_path(path).value(), "virtio_net") << path;
  }
  for (const char* path : {"", "kernel/net/", "a.ko/b", ".ko", "a.kox", "a.k"}) {
    EXPECT_FALSE(module_name_of_path(path).ok()) << path;
  }
}

TEST(ModulesDep, Lines) {
  auto lines =
      parse_modules_dep("# made by depmod\nkernel/a.ko: kernel/b.ko kernel/c.ko\n\nb.ko:\n");
  ASSERT_TRUE(lines.ok());
  ASSERT_EQ(lines.value().size(), 2U);
  EXPECT_EQ(lines.value()[0].path, "kernel/a.ko");
  EXPECT_THAT(lines.value()[0].dependencies, ElementsAre("kernel/b.ko", "kernel/c.ko"));
  EXPECT_THAT(lines.value()[1].dependencies, IsEmpty());
}

TEST(ModulesDep, SaysWhichLineIsWrong) {
  auto lines = parse_modules_dep("kernel/a.ko:\nnonsense\n");
  ASSERT_FALSE(lines.ok());
  EXPECT_THAT(lines.error().message(), HasSubstr("line 2"));
}

TEST(ModulesAlias, PatternMayHoldBlanks) {
  auto lines =
      parse_modules_alias("alias of:N*T*Cvendor,a b virtio-net\nalias net-pf-17 af_packet\n");
  ASSERT_TRUE(lines.ok());
  EXPECT_EQ(lines.value()[0].pattern, "of:N*T*Cvendor,a b");
  EXPECT_EQ(lines.value()[0].module, "virtio_net");
  EXPECT_EQ(lines.value()[1].pattern, "net_pf_17");
  EXPECT_FALSE(parse_modules_alias("alias x\n").ok());
  EXPECT_FALSE(parse_modules_alias("softdep a b\n").ok());
}

TEST(ModulesSoftdep, PreAndPost) {
  auto lines = parse_modules_softdep(
      "softdep vfio post: a b-c pre: d\nsoftdep cifs gcm\nsoftdep r8169 pre: realtek\n");
  ASSERT_TRUE(lines.ok());
  EXPECT_THAT(lines.value()[0].pre, ElementsAre("d"));
  EXPECT_THAT(lines.value()[0].post, ElementsAre("a", "b_c"));
  EXPECT_THAT(lines.value()[1].pre, IsEmpty());  // as kmod: no "pre:", no dependency
  EXPECT_THAT(lines.value()[2].pre, ElementsAre("realtek"));
}

TEST(ModulesWeakdep, Names) {
  auto lines = parse_modules_weakdep("weakdep ahci a b-c\n");
  ASSERT_TRUE(lines.ok());
  EXPECT_THAT(lines.value()[0].wanted, ElementsAre("a", "b_c"));
}

TEST(ModulesBuiltin, NamesAndAliases) {
  EXPECT_THAT(parse_modules_builtin("kernel/fs/ext4/ext4.ko\nkernel/x/a-b.ko\n").value(),
              ElementsAre("ext4", "a_b"));
  using namespace std::string_literals;
  std::string modinfo = "unix.license=GPL\0unix.alias=net-pf-1\0a.b.alias=c\0"s;
  auto aliases = parse_builtin_aliases(as_bytes(modinfo));
  ASSERT_TRUE(aliases.ok());
  ASSERT_EQ(aliases.value().size(), 1U);
  EXPECT_EQ(aliases.value()[0].pattern, "net_pf_1");
  EXPECT_EQ(aliases.value()[0].module, "unix");
  EXPECT_FALSE(parse_builtin_aliases(as_bytes("nonsense")).ok());
}

}  // namespace
}  // namespace curlingiron
