#include "formats/kernel_image.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "formats/kernel_config.h"

namespace curlingiron {
namespace {

using ::testing::HasSubstr;

void put16(ByteVector& bytes, size_t at, unsigned value) {
  bytes[at] = static_cast<uint8_t>(value);
  bytes[at + 1] = static_cast<uint8_t>(value >> 8);
}

// The fields of Documentation/arch/x86/boot.rst.
ByteVector bz_image(std::string_view version = "6.1.0-56-amd64 (a@b) #1 SMP", unsigned flags = 1) {
  ByteVector image(0x4000);
  put16(image, 0x1fe, 0xaa55);
  std::copy_n("HdrS", 4, image.begin() + 0x202);
  put16(image, 0x206, 0x020f);
  put16(image, 0x20e, 0x3000);
  put16(image, 0x236, flags);
  put16(image, 0x238, 2047);
  put16(image, 0x262, 0x3f9);
  std::copy(version.begin(), version.end(), image.begin() + 0x3200);
  return image;
}

TEST(KernelImage, ReadsTheSetupHeader) {
  auto kernel = parse_kernel_image(bz_image());
  ASSERT_TRUE(kernel.ok()) << kernel.error().message();
  EXPECT_EQ(kernel.value().release, "6.1.0-56-amd64");
  EXPECT_EQ(kernel.value().architecture, KernelArchitecture::X86_64);
  EXPECT_EQ(kernel.value().protocol, 0x020f);
  EXPECT_EQ(kernel.value().command_line_size, 2047U);
  EXPECT_EQ(kernel.value().memory_size, 0x3f90000U);
  EXPECT_EQ(parse_kernel_image(bz_image("6.1", 0)).value().architecture,
            KernelArchitecture::X86_32);
}

TEST(KernelImage, NamesArm64) {
  ByteVector image(4096);
  std::copy_n("ARM\x64", 4, image.begin() + 56);
  EXPECT_EQ(parse_kernel_image(image).value().architecture, KernelArchitecture::Arm64);
}

TEST(KernelImage, SaysWhatElseItIs) {
  EXPECT_THAT(parse_kernel_image(as_bytes("\x7f"
                                          "ELF............"))
                  .error()
                  .message(),
              HasSubstr("vmlinuz"));
  EXPECT_THAT(parse_kernel_image(as_bytes("070701000000")).error().message(), HasSubstr("cpio"));
  EXPECT_THAT(parse_kernel_image({}).error().message(), HasSubstr("empty"));
  EXPECT_THAT(parse_kernel_image(as_bytes("hello")).error().message(), HasSubstr("HdrS"));
}

TEST(KernelImage, RefusesBrokenHeaders) {
  ByteVector old = bz_image();
  put16(old, 0x206, 0x0204);
  EXPECT_THAT(parse_kernel_image(old).error().message(), HasSubstr("2.4"));
  ByteVector nowhere = bz_image();
  put16(nowhere, 0x20e, 0xffff);
  EXPECT_FALSE(parse_kernel_image(nowhere).ok());
  EXPECT_FALSE(parse_kernel_image(bz_image("")).ok());
  EXPECT_FALSE(parse_kernel_image(bz_image("../../etc #1")).ok());
  ByteVector image = bz_image();
  for (size_t size = 0; size < 0x3200; ++size) {
    EXPECT_FALSE(parse_kernel_image(ConstBytes(image).first(size)).ok()) << size;
  }
}

TEST(KernelConfig, Values) {
  auto config = KernelConfig::parse(
      "# a comment\nCONFIG_RD_XZ=y\n# CONFIG_RD_LZ4 is not set\n"
      "CONFIG_E1000=m\nCONFIG_HZ=250\nCONFIG_X=\"a=b\"\n");
  ASSERT_TRUE(config.ok());
  EXPECT_TRUE(config.value().built_in("RD_XZ"));
  EXPECT_FALSE(config.value().built_in("E1000"));
  EXPECT_EQ(config.value().value("E1000"), "m");
  EXPECT_EQ(config.value().value("RD_LZ4"), "");
  EXPECT_EQ(config.value().value("X"), "\"a=b\"");
  EXPECT_FALSE(KernelConfig::parse("hello\n").ok());
}

}  // namespace
}  // namespace curlingiron
