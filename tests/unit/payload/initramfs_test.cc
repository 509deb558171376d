#include "payload/initramfs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <sstream>

#include "base/text.h"
#include "formats/cpio.h"
#include "payload/ca_bundle.h"
#include "payload/module_file.h"
#include "support/certificates.h"
#include "support/module_tree.h"

namespace curlingiron {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class InitramfsTest : public ::testing::Test {
 protected:
  InitramfsTest() {
    test::fill_module_tree(files_);
    plan_.init = test::make_program();
    plan_.release = test::kRelease;
    plan_.modaliases = {
        "pci:v0000ACMEd00000001sv1sd2bc02sc00i00", "pci:v0000ACMEd00000002sv1sd2bc01sc00i00",
        "pci:v0000ACMEd00000003sv1sd2bc03sc00i00", "pci:v0000ACMEd00000004sv1sd2bc02sc00i00"};
    plan_.settings.config = "curlingiron.src=https://example.org/\n";
    plan_.settings.ca_bundle = compact_ca_bundle(test::bytes_of(test::kRootCertificate)).value();
    plan_.effort = Effort::Fast;
  }
  std::string error() {
    auto built = build_initramfs(files_.root(), plan_);
    return built.ok() ? "built" : built.error().message();
  }
  std::string base() const { return std::string("lib/modules/") + test::kRelease + "/"; }

  test::FileTree files_;
  InitramfsPlan plan_;
};

struct Listed {
  std::string path;
  uint32_t mode;
  std::string data;
};

std::vector<Listed> list(ConstBytes archive) {
  std::vector<Listed> found;
  CpioReader reader(archive);
  for (;;) {
    auto entry = reader.next();
    EXPECT_TRUE(entry.ok());
    if (!entry.ok() || !entry.value().has_value()) return found;
    found.push_back({std::string(entry.value()->path), entry.value()->mode,
                     std::string(as_text(entry.value()->data))});
  }
}

std::string listing(ConstBytes archive) {
  std::ostringstream text;
  for (const Listed& entry : list(archive)) {
    text << std::oct << entry.mode << std::dec << ' ' << entry.data.size() << ' ' << entry.path
         << '\n';
  }
  return text.str();
}

std::string file_text(const std::vector<Listed>& entries, std::string_view path) {
  for (const Listed& entry : entries) {
    if (entry.path == path) return entry.data;
  }
  ADD_FAILURE() << path << " is missing";
  return {};
}

TEST_F(InitramfsTest, GoldenListing) {
  plan_.compression = Compression::None;
  auto built = build_initramfs(files_.root(), plan_);
  ASSERT_TRUE(built.ok()) << built.error().message();
  std::vector<Listed> entries = list(built.value().bytes);
  std::ifstream golden("golden/initramfs.txt");
  std::string expected{std::istreambuf_iterator<char>(golden), {}};
  EXPECT_EQ(listing(built.value().bytes) + file_text(entries, "curlingiron/modules"), expected);
  EXPECT_EQ(file_text(entries, "lib/firmware/acme/nic.bin"), "firmware");
  EXPECT_EQ(file_text(entries, "curlingiron/config"), plan_.settings.config);
  EXPECT_EQ(file_text(entries, "init"), as_text(plan_.init));
  EXPECT_THAT(built.value().warnings, ElementsAre(HasSubstr("acme/no.bin")));
}

TEST_F(InitramfsTest, EveryCompressionUnpacksToTheSame) {
  plan_.compression = Compression::None;
  std::string plain = listing(build_initramfs(files_.root(), plan_).value().bytes);
  for (Compression compression : {Compression::Xz, Compression::Zstd, Compression::Gzip}) {
    plan_.compression = compression;
    auto once = build_initramfs(files_.root(), plan_);
    ASSERT_TRUE(once.ok());
    EXPECT_EQ(build_initramfs(files_.root(), plan_).value().bytes, once.value().bytes);
    ByteVector unpacked;
    size_t at = 0;
    for (const InitramfsSegment& segment : once.value().segments) {
      ByteVector part(
          once.value().bytes.begin() + static_cast<ptrdiff_t>(at),
          once.value().bytes.begin() + static_cast<ptrdiff_t>(at + segment.packed_size));
      at += segment.packed_size;
      Result<ByteVector> archive = decompress_whole(part, 1U << 24);
      while (!archive.ok() && part.back() == 0) {
        part.pop_back();
        archive = decompress_whole(part, 1U << 24);
      }
      ASSERT_TRUE(archive.ok()) << archive.error().message();
      unpacked.insert(unpacked.end(), archive.value().begin(), archive.value().end());
    }
    EXPECT_EQ(at, once.value().bytes.size());
    EXPECT_EQ(listing(unpacked), plain) << compression_name(compression);
    EXPECT_EQ(once.value().segments.size(), compression == Compression::Xz ? 2U : 1U);
  }
}

TEST_F(InitramfsTest, WithoutTheFilterInTheKernelThereIsOneArchive) {
  files_.write("boot/config-6.1.0-test", "CONFIG_BLK_DEV_INITRD=y\nCONFIG_RD_XZ=y\n");
  EXPECT_EQ(build_initramfs(files_.root(), plan_).value().segments.size(), 1U);
  files_.remove("boot/config-6.1.0-test");
  EXPECT_EQ(build_initramfs(files_.root(), plan_).value().segments.size(), 1U);
}

TEST_F(InitramfsTest, NamedModules) {
  plan_.modaliases.clear();
  plan_.modules = {"acme-hba", "unix", "helper"};
  auto built = build_initramfs(files_.root(), plan_);
  ASSERT_TRUE(built.ok()) << built.error().message();
  EXPECT_THAT(built.value().modules,
              ElementsAre("af_packet", "scsi_mod", "acme_hba", "helper", "sd_mod"));
  plan_.modules = {"no-such-module"};
  EXPECT_THAT(error(), HasSubstr("no-such-module: no such module"));
}

TEST_F(InitramfsTest, TheNetworkComesWithItsModules) {
  plan_.settings.network = "link eth0\nlink eth0.5 vlan 5 on eth0\n";
  plan_.links = {{"acme_phy", "VLAN of the network"}};
  plan_.compression = Compression::None;
  auto built = build_initramfs(files_.root(), plan_);
  ASSERT_TRUE(built.ok()) << built.error().message();
  EXPECT_EQ(file_text(list(built.value().bytes), "curlingiron/network"), plan_.settings.network);
  EXPECT_THAT(built.value().modules, Contains("acme_phy"));
  EXPECT_THAT(built.value().index.load, Not(Contains("acme_phy")));  // when the link is made
  plan_.links = {{"bonding", "bond of the network"}};
  EXPECT_THAT(error(), HasSubstr("bond of the network: bonding: no such module for kernel"));
}

TEST_F(InitramfsTest, TheFirmwaresEntriesNeedAModuleWhereItIsOne) {
  plan_.modaliases.clear();
  plan_.for_uefi = true;
  // Built into the kernel, or none.
  EXPECT_THAT(build_initramfs(files_.root(), plan_).value().modules, ElementsAre("af_packet"));
  files_.write(base() + "modules.dep",
               "kernel/net/packet/af_packet.ko:\nkernel/fs/efivarfs/efivarfs.ko:\n");
  files_.write(base() + "modules.alias", "alias fs-efivarfs efivarfs\n");
  files_.write(base() + "kernel/fs/efivarfs/efivarfs.ko",
               test::make_plain_module("efivarfs", test::kRelease, ""));
  Initramfs built = build_initramfs(files_.root(), plan_).value();
  EXPECT_THAT(built.modules, ElementsAre("af_packet", "efivarfs"));
  // When it is mounted, the kernel asks for it.
  EXPECT_THAT(built.index.load, Not(Contains("efivarfs")));
  ASSERT_EQ(built.index.aliases.size(), 1u);
  EXPECT_EQ(built.index.aliases[0].pattern, "fs_efivarfs");
  plan_.for_uefi = false;
  EXPECT_THAT(build_initramfs(files_.root(), plan_).value().modules, ElementsAre("af_packet"));
}

TEST_F(InitramfsTest, FileSystemsComeOnlyWhereTheyAreMounted) {
  std::string dep = base() + "modules.dep";
  std::string lines = read_text(files_.root(), dep).value();
  files_.write(dep, as_bytes(lines + "kernel/fs/ext4/ext4.ko:\nkernel/fs/fat/vfat.ko:\n"
                                     "kernel/fs/nls/nls_ascii.ko:\n"));
  for (const char* path : {"fs/ext4/ext4", "fs/fat/vfat", "fs/nls/nls_ascii", "block/loop"}) {
    std::string name = std::string(path).substr(std::string(path).rfind('/') + 1);
    files_.write(concat(base(), "kernel/", std::string(path), ".ko"),
                 test::make_plain_module(name, test::kRelease));
  }
  auto without = build_initramfs(files_.root(), plan_);
  ASSERT_TRUE(without.ok()) << without.error().message();
  EXPECT_THAT(without.value().modules, Not(Contains("ext4")));

  plan_.file_systems = {{{"ext4", "xfs"}, "--put into partition 1"},
                        {{"vfat"}, "--put into partition 2"}};
  EXPECT_THAT(error(), HasSubstr("--put into partition 1: loop: no such module"));
  files_.write(dep, as_bytes(read_text(files_.root(), dep).value() + "kernel/block/loop.ko:\n"));
  auto built = build_initramfs(files_.root(), plan_);
  ASSERT_TRUE(built.ok()) << built.error().message();
  for (const char* name : {"loop", "ext4", "vfat", "nls_ascii"}) {
    EXPECT_THAT(built.value().modules, Contains(name));
  }
  EXPECT_THAT(built.value().index.load, Contains("loop"));
  EXPECT_THAT(built.value().index.load, Not(Contains("ext4")));  // when it is mounted

  plan_.file_systems.push_back({{"xfs", "btrfs"}, "--put into partition 3"});
  EXPECT_THAT(error(), HasSubstr("--put into partition 3: kernel"));
  EXPECT_THAT(error(), HasSubstr("has none of xfs, btrfs"));
}

TEST_F(InitramfsTest, OmitsWhatNothingElseNeeds) {
  plan_.omit = {"nic"};
  auto built = build_initramfs(files_.root(), plan_);
  ASSERT_TRUE(built.ok()) << built.error().message();
  EXPECT_THAT(built.value().modules, Not(Contains("nic")));
  EXPECT_THAT(built.value().modules, Not(Contains("core")));
  EXPECT_THAT(built.value().modules, Contains("acme_hba"));
  plan_.omit = {"scsi-mod"};
  EXPECT_THAT(error(), HasSubstr("scsi_mod: cannot be left out, as acme_hba needs it"));
  plan_.omit = {"no-such-module"};
  EXPECT_THAT(error(), HasSubstr("no-such-module: no such module"));
}

TEST_F(InitramfsTest, NamedFirmware) {
  plan_.compression = Compression::None;
  files_.write("lib/firmware/other/a.bin", "A");
  files_.write("lib/firmware/other/b.bin", "B");
  plan_.firmware = {"other/*.bin"};
  auto entries = list(build_initramfs(files_.root(), plan_).value().bytes);
  EXPECT_EQ(file_text(entries, "lib/firmware/other/b.bin"), "B");
  plan_.firmware = {"other/c.bin"};
  EXPECT_THAT(error(), HasSubstr("other/c.bin: no such firmware; looked in lib/firmware/updates"));
}

TEST_F(InitramfsTest, ExtrasComeAlong) {
  plan_.compression = Compression::None;
  plan_.extras = {{"bin", S_IFDIR | 0755, {}, "parent"},
                  {"bin/tool", S_IFREG | 0755, test::bytes_of("tool"), "--add /bin/tool"},
                  {"etc", S_IFDIR | 0755, {}, "parent"},  // is there already
                  {"etc/with blank", S_IFREG | 0600, test::bytes_of("x"), "--add /etc"},
                  {"usr/bin", S_IFLNK | 0777, test::bytes_of("../bin"), "--add /usr/bin"}};
  auto built = build_initramfs(files_.root(), plan_);
  ASSERT_TRUE(built.ok()) << built.error().message();
  auto entries = list(built.value().bytes);
  EXPECT_EQ(file_text(entries, "bin/tool"), "tool");
  EXPECT_EQ(file_text(entries, "usr/bin"), "../bin");
  EXPECT_THAT(file_text(entries, "curlingiron/modules"),
              HasSubstr("why bin/tool --add /bin/tool\n"));
  EXPECT_TRUE(parse_module_index(file_text(entries, "curlingiron/modules")).ok());
  plan_.extras = {{"init", S_IFREG | 0755, test::bytes_of("other"), "--add"}};
  EXPECT_THAT(error(), HasSubstr("init"));
}

TEST_F(InitramfsTest, ProfilesAddToTheHardware) {
  plan_.modaliases.clear();
  plan_.profiles = {Profile::Server};
  auto built = build_initramfs(files_.root(), plan_);
  ASSERT_TRUE(built.ok()) << built.error().message();
  // By what it calls; the others of the tree call nothing.
  EXPECT_THAT(built.value().modules, ElementsAre("af_packet", "vendor_nic"));
}

TEST_F(InitramfsTest, TheIndexTellsWhy) {
  ModuleIndex index = build_initramfs(files_.root(), plan_).value().index;
  std::vector<std::string> reasons;
  for (const IndexedReason& reason : index.reasons)
    reasons.push_back(concat(reason.name, ": ", reason.reason));
  EXPECT_THAT(
      reasons,
      ElementsAre("af_packet: always", "nic: pci:v0000ACMEd00000001sv1sd2bc02sc00i00",
                  "acme_hba: pci:v0000ACMEd00000002sv1sd2bc01sc00i00",
                  "vendor_nic: pci:v0000ACMEd00000004sv1sd2bc02sc00i00",
                  "sd_mod: companion of acme_hba", "lib/firmware/acme/nic.bin: firmware of nic"));
}

TEST_F(InitramfsTest, RefusesAnInitThatWouldPanic) {
  plan_.init.clear();
  EXPECT_THAT(error(), HasSubstr("/init"));
  plan_.init = test::bytes_of("#!/bin/sh\n");
  EXPECT_THAT(error(), HasSubstr("script"));
  plan_.init = test::make_program();
  plan_.init[18] = 183;
  EXPECT_THAT(error(), HasSubstr("aarch64"));
}

TEST_F(InitramfsTest, RefusesModulesOfAnotherRelease) {
  files_.write(base() + "kernel/lib/base.ko", test::make_plain_module("base", "6.1.0-other"));
  EXPECT_THAT(error(), HasSubstr("is for kernel 6.1.0-other, not for 6.1.0-test"));
  plan_.release = "5.10";
  EXPECT_THAT(error(), HasSubstr("no modules of kernel 5.10"));
}

TEST_F(InitramfsTest, RefusesADamagedModule) {
  files_.write(base() + "kernel/lib/base.ko", "not a module");
  EXPECT_THAT(error(), HasSubstr("kernel/lib/base.ko"));
  files_.remove(base() + "kernel/lib/base.ko");
  EXPECT_THAT(error(), HasSubstr("kernel/lib/base.ko"));
}

TEST_F(InitramfsTest, RefusesWhatTheKernelCannotUnpack) {
  plan_.compression = Compression::Zstd;
  files_.write("boot/config-6.1.0-test", "CONFIG_BLK_DEV_INITRD=y\nCONFIG_RD_XZ=y\n");
  EXPECT_THAT(error(), HasSubstr("CONFIG_RD_ZSTD is not set"));
  plan_.compression = Compression::None;
  EXPECT_EQ(error(), "built");
  files_.write("boot/config-6.1.0-test", "CONFIG_RD_XZ=y\n");
  EXPECT_THAT(error(), HasSubstr("CONFIG_BLK_DEV_INITRD"));
}

TEST_F(InitramfsTest, KeepsSignaturesWhereTheyAreEnforced) {
  plan_.compression = Compression::None;
  ByteVector module = test::make_plain_module("base", test::kRelease, "author=somebody");
  files_.write(base() + "kernel/lib/base.ko", module);
  auto entries = list(build_initramfs(files_.root(), plan_).value().bytes);
  EXPECT_THAT(file_text(entries, "lib/modules/base.ko"), Not(HasSubstr("author")));
  plan_.signatures = Signatures::Keep;
  entries = list(build_initramfs(files_.root(), plan_).value().bytes);
  EXPECT_EQ(file_text(entries, "lib/modules/base.ko"), as_text(module));
  plan_.signatures = Signatures::Strip;
  files_.write("boot/config-6.1.0-test", "CONFIG_BLK_DEV_INITRD=y\nCONFIG_MODULE_SIG_FORCE=y\n");
  entries = list(build_initramfs(files_.root(), plan_).value().bytes);
  EXPECT_EQ(file_text(entries, "lib/modules/base.ko"), as_text(module));
}

TEST_F(InitramfsTest, SummaryNamesTheParts) {
  std::string text = summarize(build_initramfs(files_.root(), plan_).value());
  for (const char* part : {"/init", "kernel modules", "CA bundle", "index and settings",
                           "packed: modules and settings"}) {
    EXPECT_THAT(text, HasSubstr(part));
  }
}

}  // namespace
}  // namespace curlingiron
