#include "payload/firmware.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "payload/compress.h"
#include "support/module_tree.h"

namespace curlingiron {
namespace {

using ::testing::IsEmpty;

std::string contents(const std::vector<FirmwareFile>& files) {
  std::string text;
  for (const FirmwareFile& file : files) {
    text += file.name + "=" + std::string(as_text(file.bytes)) + ";";
  }
  return text;
}

TEST(Firmware, SearchesAsTheKernelDoes) {
  test::FileTree tree;
  UniqueFd root = tree.root();
  auto find = [&](std::string_view pattern) {
    return contents(find_firmware(root, "6.1", pattern).value());
  };
  EXPECT_EQ(find("a.bin"), "");
  tree.write("usr/lib/firmware/a.bin", "usr");
  EXPECT_EQ(find("a.bin"), "a.bin=usr;");
  tree.write("lib/firmware/a.bin", "top");
  EXPECT_EQ(find("a.bin"), "a.bin=top;");
  tree.write("lib/firmware/6.1/a.bin", "release");
  EXPECT_EQ(find("a.bin"), "a.bin=release;");
  tree.write("lib/firmware/updates/a.bin", "updates");
  EXPECT_EQ(find("a.bin"), "a.bin=updates;");
  tree.write("lib/firmware/updates/6.1/a.bin", "both");
  EXPECT_EQ(find("a.bin"), "a.bin=both;");
}

TEST(Firmware, UnpacksAndExpandsGlobs) {
  test::FileTree tree;
  UniqueFd root = tree.root();
  ByteVector xz =
      compress(as_bytes("packed"), Compression::Xz, Effort::Fast, Contents::Modules).value();
  tree.write("lib/firmware/x/one-1.fw.xz", xz);
  tree.write("lib/firmware/x/one-2.fw", "plain");
  tree.write("lib/firmware/x/two.fw", "other");
  EXPECT_EQ(contents(find_firmware(root, "6.1", "x/one-*.fw").value()),
            "x/one-1.fw=packed;x/one-2.fw=plain;");
}

TEST(Firmware, StaysBelowItsFolder) {
  test::FileTree tree;
  tree.write("lib/secret", "no");
  tree.write("lib/firmware/a", "yes");
  UniqueFd root = tree.root();
  EXPECT_THAT(find_firmware(root, "6.1", "../secret").value(), IsEmpty());
  EXPECT_THAT(find_firmware(root, "6.1", "/etc/passwd").value(), IsEmpty());
}

}  // namespace
}  // namespace curlingiron
