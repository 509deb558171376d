// A small root with a kernel's modules, made for one test and removed after it.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "base/bytes.h"
#include "support/elf_module.h"
#include "sys/fd.h"
#include "sys/file.h"

namespace curlingiron::test {

class FileTree {
 public:
  FileTree() : directory_(TemporaryDirectory::create().value()) {}
  const std::string& path() const { return directory_.path(); }
  UniqueFd root() const { return open_root(path()).value(); }

  void write(const std::string& name, ConstBytes bytes) const {
    std::filesystem::path file = std::filesystem::path(path()) / name;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()),
               static_cast<std::streamsize>(bytes.size()));
  }
  void write(const std::string& name, std::string_view text) const { write(name, as_bytes(text)); }
  void link(const std::string& name, const std::string& target) const {
    std::filesystem::path file = std::filesystem::path(path()) / name;
    std::filesystem::create_directories(file.parent_path());
    std::filesystem::create_symlink(target, file);
  }
  void remove(const std::string& name) const {
    std::filesystem::remove_all(std::filesystem::path(path()) / name);
  }

 private:
  TemporaryDirectory directory_;
};

inline constexpr char kRelease[] = "6.1.0-test";

// net/: nic needs core, softly phy and a CRC; storage/: hba needs scsi; and a few others.
inline void fill_module_tree(const FileTree& tree, const std::string& top = "lib/modules") {
  std::string base = top + "/" + kRelease + "/";
  tree.write(base + "modules.dep",
             "kernel/drivers/net/ethernet/acme/nic.ko: kernel/drivers/net/core.ko "
             "kernel/lib/base.ko\n"
             "kernel/drivers/net/core.ko: kernel/lib/base.ko\n"
             "kernel/lib/base.ko:\n"
             "kernel/drivers/net/phy/acme-phy.ko:\n"
             "kernel/crypto/crc-generic.ko:\n"
             "kernel/arch/x86/crypto/crc-fast.ko:\n"
             "kernel/drivers/scsi/scsi_mod.ko:\n"
             "kernel/drivers/scsi/sd_mod.ko: kernel/drivers/scsi/scsi_mod.ko\n"
             "kernel/drivers/scsi/acme-hba.ko: kernel/drivers/scsi/scsi_mod.ko\n"
             "kernel/drivers/gpu/drm/acme-gpu.ko: kernel/lib/base.ko\n"
             "kernel/drivers/net/ethernet/acme/helper.ko:\n"
             "kernel/drivers/net/ethernet/acme/weak.ko:\n"
             "kernel/net/packet/af_packet.ko:\n"
             "updates/dkms/vendor-nic.ko:\n");
  tree.write(base + "modules.alias",
             "# Aliases\n"
             "alias pci:v0000ACMEd00000001sv*sd*bc*sc*i* nic\n"
             "alias pci:v0000ACMEd00000002sv*sd*bc*sc*i* acme_hba\n"
             "alias pci:v0000ACMEd00000003sv*sd*bc*sc*i* acme_gpu\n"
             "alias pci:v0000ACMEd00000004sv*sd*bc*sc*i* vendor_nic\n"
             "alias crc crc_generic\n"
             "alias crc crc_fast\n"
             "alias scsi:t-0x00* sd_mod\n"
             "alias net-pf-17 af_packet\n"
             "alias platform:gone not_there\n");
  tree.write(base + "modules.softdep",
             "softdep nic pre: acme-phy crc missing post: helper\n"
             "softdep acme_phy pre: nic\n");
  tree.write(base + "modules.weakdep", "weakdep nic weak\n");
  tree.write(base + "modules.builtin", "kernel/net/unix/unix.ko\nkernel/drivers/built-in-nic.ko\n");
  using namespace std::string_literals;
  tree.write(base + "modules.builtin.modinfo",
             "built_in_nic.license=GPL\0built_in_nic.alias=pci:v0000ACMEd00000009sv*\0"s);
  for (const auto& [path, more] : std::initializer_list<std::pair<std::string, std::string>>{
           {"kernel/drivers/net/ethernet/acme/nic",
            "firmware=acme/nic.bin\0firmware=acme/no.bin\0"s},
           {"kernel/drivers/net/core", ""},
           {"kernel/lib/base", ""},
           {"kernel/drivers/net/phy/acme-phy", ""},
           {"kernel/crypto/crc-generic", ""},
           {"kernel/arch/x86/crypto/crc-fast", ""},
           {"kernel/drivers/scsi/scsi_mod", ""},
           {"kernel/drivers/scsi/sd_mod", ""},
           {"kernel/drivers/scsi/acme-hba", ""},
           {"kernel/drivers/net/ethernet/acme/helper", ""},
           {"kernel/drivers/net/ethernet/acme/weak", ""},
           {"kernel/net/packet/af_packet", ""}}) {
    std::string name = path.substr(path.rfind('/') + 1);
    tree.write(base + path + ".ko", make_plain_module(name, kRelease, more));
  }
  // A module from elsewhere, and one of a place without a rule, are known by what they call.
  tree.write(base + "updates/dkms/vendor-nic.ko",
             make_plain_module("vendor_nic", kRelease, "", {"alloc_etherdev_mqs"}));
  tree.write(base + "kernel/drivers/gpu/drm/acme-gpu.ko",
             make_plain_module("acme_gpu", kRelease, "", {"drm_dev_register"}));
  tree.write("lib/firmware/acme/nic.bin", "firmware");
  tree.write("boot/config-" + std::string(kRelease),
             "CONFIG_BLK_DEV_INITRD=y\nCONFIG_RD_XZ=y\nCONFIG_RD_GZIP=y\nCONFIG_RD_ZSTD=y\n"
             "CONFIG_XZ_DEC_X86=y\n");
}

// A program, as far as its header goes.
inline ByteVector make_program() {
  ByteVector program = make_elf_module({EM_X86_64, {}, {}});
  program[16] = ET_EXEC;
  program.resize(8192, 0x90);
  return program;
}

}  // namespace curlingiron::test
