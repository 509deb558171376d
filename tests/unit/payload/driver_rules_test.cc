#include "payload/driver_rules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/module_tree.h"

namespace curlingiron {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(DriverRules, PlacesDecideFirst) {
  test::FileTree files;  // empty: a place that a rule names needs no file
  const std::pair<const char*, bool> cases[] = {
      {"kernel/drivers/net/ethernet/intel/e1000/e1000.ko.xz", true},
      {"kernel/drivers/net/virtio_net.ko", true},
      {"kernel/drivers/net/hyperv/hv_netvsc.ko", true},
      {"kernel/drivers/ata/ahci.ko", true},
      {"kernel/drivers/scsi/megaraid/megaraid_sas.ko", true},
      {"kernel/drivers/scsi/sr_mod.ko.zst", false},
      {"kernel/drivers/scsi/st.ko", false},
      {"kernel/drivers/scsi/stex.ko", true},
      {"kernel/drivers/nvme/host/nvme.ko", true},
      {"kernel/drivers/usb/host/xhci-pci.ko", true},
      {"kernel/drivers/virtio/virtio_pci.ko", true},
      {"kernel/drivers/virtio/virtio_balloon.ko", false},
      {"kernel/drivers/char/hw_random/virtio-rng.ko", true},
      {"updates/drivers/net/ethernet/intel/ice/ice.ko", true},
  };
  for (const auto& [path, belongs] : cases) {
    EXPECT_EQ(belongs_in_installer(files.root(), path).value(), belongs) << path;
  }
  EXPECT_THAT(belongs_in_installer(files.root(), "updates/dkms/gone.ko").error().message(),
              HasSubstr("updates/dkms/gone.ko"));
}

TEST(DriverRules, ElsewhereWhatAModuleCallsDecides) {
  test::FileTree files;
  const std::pair<std::vector<std::string>, bool> cases[] = {
      {{"alloc_etherdev_mqs", "printk"}, true},
      {{"ata_host_activate"}, true},
      {{"sdhci_add_host"}, true},
      {{"eth_type_trans", "cfg80211_get_bss"}, false},  // a radio
      {{"alloc_etherdev_mqs", "alloc_hdlcdev"}, false},
      {{"usbnet_probe", "usb_cdc_wdm_register"}, false},  // a modem
      {{"drm_dev_register"}, false},
      {{"eth_type_transparent", "my_alloc_etherdev_mqs"}, false},
      {{}, false},
  };
  for (const auto& [imports, belongs] : cases) {
    files.write("updates/dkms/x.ko", test::make_plain_module("x", "6.1", "", imports));
    EXPECT_EQ(belongs_in_installer(files.root(), "updates/dkms/x.ko").value(), belongs)
        << ::testing::PrintToString(imports);
  }
  files.write("updates/dkms/x.ko", "no module");
  EXPECT_THAT(belongs_in_installer(files.root(), "updates/dkms/x.ko").error().message(),
              HasSubstr("not an ELF file"));
}

// Alias, imports: who takes it.
struct ProfileCase {
  const char* name;
  const char* alias;
  std::vector<std::string> imports;
  bool vm;
  bool server;
  bool all;
};

TEST(DriverRules, ProfilesTakeByAliasAndRole) {
  const ProfileCase kCases[] = {
      {"virtio_disk", "virtio:d00000002v*", {"device_add_disk"}, true, true, true},
      {"virtio_pictures", "virtio:d00000010v*", {"drm_dev_register"}, false, false, false},
      {"amazon_nic", "pci:v00001D0Fd0000EC20sv*sd*bc*sc*i*", {"eth_type_trans"}, true, true, true},
      {"disks_of_a_class", "pci:v*d*sv*sd*bc01sc08i02*", {"nvme_init_ctrl"}, true, true, true},
      {"xhci_like", "pci:v*d*sv*sd*bc0Csc03i30*", {"usb_hcd_pci_probe"}, true, true, true},
      {"server_nic", "pci:v00008086d00001572sv*sd*bc*sc*i*", {"eth_type_trans"}, false, true, true},
      {"server_hba",
       "pci:v00001000d00000097sv*sd*bc*sc*i*",
       {"scsi_add_host_with_dma"},
       false,
       true,
       true},
      {"fibre",
       "pci:v000010DFd0000E300sv*sd*bc*sc*i*",
       {"scsi_add_host_with_dma", "fc_attach_transport"},
       false,
       false,
       true},
      {"isa_card", "pnp:dPNP80d6*", {"eth_type_trans"}, false, false, true},
      {"sound", "pci:v00008086d00002668sv*sd*bc*sc*i*", {"snd_card_new"}, false, false, false},
      {"nfp", "pci:v000019EEd00004000sv*sd*bc*sc*i*", {"eth_type_trans"}, false, false, true},
      {"e1000", "pci:v00008086d0000100Esv*sd*bc*sc*i*", {"eth_type_trans"}, true, true, true},
      {"8021q", "rtnl-link-vlan", {}, true, true, true},
      {"bonding", "rtnl-link-bond", {}, false, true, true},
      {"without_hardware", "net-pf-99", {"eth_type_trans"}, false, false, false},
  };
  test::FileTree files;
  std::string base = std::string("lib/modules/") + test::kRelease + "/";
  std::string dep;
  std::string aliases;
  for (const ProfileCase& c : kCases) {
    std::string path = std::string("kernel/drivers/x/") + c.name + ".ko";
    dep += path + ":\n";
    aliases += std::string("alias ") + c.alias + " " + c.name + "\n";
    files.write(base + path, test::make_plain_module(c.name, test::kRelease, "", c.imports));
  }
  files.write(base + "modules.dep", dep);
  files.write(base + "modules.alias", aliases);
  ModuleTree tree = ModuleTree::load(files.root(), test::kRelease).value();
  auto names = [&](Profile profile) {
    return profile_modules(files.root(), tree, profile).value();
  };
  for (const ProfileCase& c : kCases) {
    EXPECT_THAT(names(Profile::Vm), ::testing::Contains(c.name).Times(c.vm ? 1 : 0)) << c.name;
    EXPECT_THAT(names(Profile::Server), ::testing::Contains(c.name).Times(c.server ? 1 : 0));
    EXPECT_THAT(names(Profile::All), ::testing::Contains(c.name).Times(c.all ? 1 : 0)) << c.name;
  }
  files.write(base + "kernel/drivers/x/virtio_disk.ko", "damaged");
  EXPECT_THAT(profile_modules(files.root(), tree, Profile::Vm).error().message(),
              HasSubstr("virtio_disk.ko"));
}

TEST(DriverRules, ProfileNames) {
  for (Profile profile : {Profile::Vm, Profile::Server, Profile::All}) {
    EXPECT_EQ(parse_profile(profile_name(profile)).value(), profile);
  }
  EXPECT_THAT(parse_profile("desktop").error().message(), HasSubstr("server"));
}

TEST(DriverRules, CompanionsAndAlways) {
  test::FileTree files;
  test::fill_module_tree(files);
  ModuleTree tree = ModuleTree::load(files.root(), test::kRelease).value();
  std::vector<Companion> companions =
      companions_of(tree, std::vector<std::string>{"acme_hba", "nic"});
  ASSERT_EQ(companions.size(), 1U);
  EXPECT_EQ(companions[0].module, "sd_mod");
  EXPECT_EQ(companions[0].of, "acme_hba");
  EXPECT_THAT(companions_of(tree, std::vector<std::string>{"nic"}), IsEmpty());
  EXPECT_THAT(always_needed(tree), ElementsAre("af_packet"));
}

}  // namespace
}  // namespace curlingiron
