#include "formats/module_index.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/linear_lookup.h"

namespace curlingiron {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr std::string_view kText =
    "release 6.1.0-56-amd64\n"
    "module failover lib/modules/failover.ko\n"
    "module virtio_net lib/modules/virtio_net.ko failover\n"
    "alias virtio:d00000001v* virtio_net\n"
    "alias virtio:d0000000?v* failover\n"
    "alias net_pf_17 failover\n"
    "load failover\n"
    "builtin ahci\n"
    "builtin nvme\n";

TEST(ModuleIndex, RoundTrip) {
  auto index = parse_module_index(kText);
  ASSERT_TRUE(index.ok()) << index.error().message();
  EXPECT_EQ(index.value().release, "6.1.0-56-amd64");
  EXPECT_THAT(index.value().modules[1].dependencies, ElementsAre("failover"));
  EXPECT_THAT(index.value().load, ElementsAre("failover"));
  EXPECT_THAT(index.value().builtin, ElementsAre("ahci", "nvme"));
  EXPECT_EQ(format_module_index(index.value()), kText);
}

TEST(ModuleIndex, ModulesForNamesAndAliases) {
  ModuleIndex index = parse_module_index(kText).value();
  ModuleLookup lookup(index);
  for (const char* word : {"virtio:d00000001v00001AF4", "virtio-net", "virtio_net", "net-pf-17",
                           "virtio:d00000009v00001AF4", "nothing", ""}) {
    EXPECT_EQ(lookup.modules_for(word), test::modules_for(index, word)) << word;
  }
  EXPECT_THAT(lookup.modules_for("virtio:d00000001v00001AF4"),
              ElementsAre("virtio_net", "failover"));
  EXPECT_THAT(lookup.modules_for("virtio-net"), ElementsAre("virtio_net"));
  EXPECT_THAT(lookup.modules_for("net-pf-17"), ElementsAre("failover"));
  EXPECT_THAT(lookup.modules_for("pci:x"), IsEmpty());
  ASSERT_NE(lookup.find("failover"), nullptr);
  EXPECT_EQ(lookup.find("failover")->path, "lib/modules/failover.ko");
  EXPECT_EQ(lookup.find("nothing"), nullptr);
}

TEST(ModuleIndex, RefusesWhatDoesNotFitTogether) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "no release"},
      {"release a\nrelease b\n", "second release"},
      {"release a\nmodule x p y\n", "names the module y"},
      {"release a\nalias p x\n", "names the module x"},
      {"release a\nload x\n", "names the module x"},
      {"release a\nmodule x p\nmodule x q\n", "twice"},
      {"release a\nmodule x /etc/x.ko\n", "leaves the initramfs"},
      {"release a\nmodule x lib/../../x.ko\n", "leaves the initramfs"},
      {"release a\nmodule x\n", "line 2"},
      {"release a\nwhat ever\n", "line 2"},
  };
  for (const auto& [text, message] : cases) {
    auto index = parse_module_index(text);
    ASSERT_FALSE(index.ok()) << text;
    EXPECT_THAT(index.error().message(), HasSubstr(message));
  }
  EXPECT_FALSE(parse_module_index(std::string((4U << 20) + 1, '\n')).ok());
}

}  // namespace
}  // namespace curlingiron
