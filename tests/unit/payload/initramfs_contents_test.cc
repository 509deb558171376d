#include "payload/initramfs_contents.h"

#include <gtest/gtest.h>

#include "base/text.h"
#include "formats/cpio.h"
#include "payload/ca_bundle.h"
#include "support/certificates.h"
#include "support/module_tree.h"

namespace curlingiron {
namespace {

class InitramfsContentsTest : public ::testing::Test {
 protected:
  InitramfsContentsTest() {
    test::fill_module_tree(files_);
    plan_.init = test::make_program();
    plan_.release = test::kRelease;
    plan_.modaliases = {"pci:v0000ACMEd00000001sv1sd2bc02sc00i00"};
    plan_.settings.config = "src=https://example.org/\n";
    plan_.settings.network = "link eth0\n";
    plan_.settings.ca_bundle = compact_ca_bundle(test::bytes_of(test::kRootCertificate)).value();
    plan_.settings.client_certificate = test::bytes_of("client");
    plan_.effort = Effort::Fast;
  }
  InitramfsContents read(ConstBytes initramfs) {
    Result<InitramfsContents> contents = read_initramfs_contents(initramfs);
    EXPECT_TRUE(contents.ok()) << contents.error().message();
    return contents.ok() ? std::move(contents).value() : InitramfsContents{};
  }

  test::FileTree files_;
  InitramfsPlan plan_;
};

TEST_F(InitramfsContentsTest, IsWhatWasPutIn) {
  for (Compression compression :
       {Compression::None, Compression::Gzip, Compression::Xz, Compression::Zstd}) {
    plan_.compression = compression;
    Initramfs built = build_initramfs(files_.root(), plan_).value();
    InitramfsContents contents = read(built.bytes);
    EXPECT_EQ(contents.settings.config, plan_.settings.config);
    EXPECT_EQ(contents.settings.network, plan_.settings.network);
    EXPECT_EQ(contents.settings.ca_bundle, plan_.settings.ca_bundle);
    EXPECT_EQ(contents.settings.client_certificate, plan_.settings.client_certificate);
    EXPECT_EQ(contents.index.release, test::kRelease);
    EXPECT_EQ(contents.index.modules.size(), built.index.modules.size());
  }
}

// Whoever starts it puts settings of his own behind the others, and may do so again.
TEST_F(InitramfsContentsTest, SettingsAreReplacedAsAWhole) {
  plan_.compression = Compression::Xz;
  ByteVector bytes = build_initramfs(files_.root(), plan_).value().bytes;
  for (const char* config : {"src=https://other/\n", "dst=only\n"}) {
    InitramfsSettings other;
    other.config = config;
    bytes = replace_settings(bytes, other).value();
    EXPECT_EQ(bytes.size() % 4, 0U);
    InitramfsContents contents = read(bytes);
    EXPECT_EQ(contents.settings.config, config);
    EXPECT_EQ(contents.settings.network, "");
    EXPECT_TRUE(contents.settings.ca_bundle.empty());
    EXPECT_TRUE(contents.settings.client_certificate.empty());
    EXPECT_EQ(contents.index.release, test::kRelease);
  }
}

TEST_F(InitramfsContentsTest, AnothersIsNone) {
  CpioWriter cpio;
  ASSERT_TRUE(cpio.add_directory("etc").ok());
  ASSERT_TRUE(cpio.add_file("etc/passwd", 0644, test::bytes_of("root")).ok());
  Result<InitramfsContents> contents = read_initramfs_contents(std::move(cpio).finish());
  ASSERT_FALSE(contents.ok());
  EXPECT_EQ(contents.error().message(),
            "an initramfs, but none of curlingiron's; make one with curlingiron build");
  EXPECT_FALSE(read_initramfs_contents(test::bytes_of("no archive")).ok());
}

}  // namespace
}  // namespace curlingiron
