#include "payload/driver_rules.h"

#include <fcntl.h>

#include <algorithm>

#include "base/text.h"
#include "formats/elf.h"
#include "payload/module_file.h"
#include "payload/parallel.h"

namespace curlingiron {
namespace {

enum class Belongs { No, Yes };

struct PathRule {
  std::string_view prefix;
  Belongs belongs;
};

// The longest prefix that fits decides; where none fits, what the module calls.
constexpr PathRule kPathRules[] = {
    // Storage: controllers and disks, not tapes, optical drives and enclosures.
    {"drivers/ata/", Belongs::Yes},
    {"drivers/block/", Belongs::Yes},
    {"drivers/message/fusion/", Belongs::Yes},
    {"drivers/mmc/", Belongs::Yes},
    {"drivers/nvdimm/", Belongs::Yes},
    {"drivers/acpi/nfit/", Belongs::Yes},
    {"drivers/nvme/host/", Belongs::Yes},
    {"drivers/scsi/", Belongs::Yes},
    {"drivers/scsi/ch.", Belongs::No},
    {"drivers/scsi/osst.", Belongs::No},
    {"drivers/scsi/scsi_debug.", Belongs::No},
    {"drivers/scsi/ses.", Belongs::No},
    {"drivers/scsi/sg.", Belongs::No},
    {"drivers/scsi/sr_mod.", Belongs::No},
    {"drivers/scsi/st.", Belongs::No},
    {"drivers/block/floppy.", Belongs::No},
    {"drivers/staging/", Belongs::No},
    {"drivers/ufs/", Belongs::Yes},
    // Network: wired.
    {"drivers/net/ethernet/", Belongs::Yes},
    {"drivers/net/fjes/", Belongs::Yes},
    {"drivers/net/hyperv/", Belongs::Yes},
    {"drivers/net/mdio/", Belongs::Yes},
    {"drivers/net/pcs/", Belongs::Yes},
    {"drivers/net/phy/", Belongs::Yes},
    {"drivers/net/usb/", Belongs::Yes},
    {"drivers/net/virtio_net.", Belongs::Yes},
    {"drivers/net/vmxnet3/", Belongs::Yes},
    {"drivers/net/xen-netfront.", Belongs::Yes},
    // Buses that the above are found on.
    {"drivers/hv/", Belongs::Yes},
    {"drivers/hv/hv_balloon.", Belongs::No},
    {"drivers/hv/hv_utils.", Belongs::No},
    {"drivers/pci/", Belongs::Yes},
    {"drivers/pci/hotplug/", Belongs::No},
    {"drivers/usb/common/", Belongs::Yes},
    {"drivers/usb/core/", Belongs::Yes},
    {"drivers/usb/dwc2/", Belongs::Yes},
    {"drivers/usb/dwc3/", Belongs::Yes},
    {"drivers/usb/host/", Belongs::Yes},
    {"drivers/usb/storage/", Belongs::Yes},
    {"drivers/virtio/", Belongs::Yes},
    {"drivers/virtio/virtio_balloon.", Belongs::No},
    {"drivers/virtio/virtio_input.", Belongs::No},
    {"drivers/virtio/virtio_mem.", Belongs::No},
    {"drivers/xen/", Belongs::Yes},
    {"drivers/xen/xen-evtchn.", Belongs::No},
    {"drivers/xen/xen-gntalloc.", Belongs::No},
    {"drivers/xen/xen-gntdev.", Belongs::No},
    // Entropy: TLS waits for it.
    {"drivers/char/hw_random/", Belongs::Yes},
};

// DHCP needs packet sockets; the other two are built into most kernels.
constexpr std::string_view kAlways[] = {"af_packet", "unix", "ipv6"};

// FAT's names are read by the code pages that the kernel was built to take; ext4's quotas, where
// the file system has them, by a format of their own.
struct MountRule {
  std::string_view file_system;
  std::string_view needed;
};
constexpr MountRule kMountRules[] = {
    {"ext4", "quota_v2"}, {"vfat", "nls_ascii"},     {"vfat", "nls_cp437"},
    {"vfat", "nls_utf8"}, {"vfat", "nls_iso8859-1"},
};

// "Where a module of this place or name is, that one is wanted too."
struct CompanionRule {
  std::string_view path_prefix;
  std::string_view companion;
};
constexpr CompanionRule kCompanions[] = {
    // Disks behind SCSI hosts announce themselves once the host is up.
    {"drivers/ata/", "sd_mod"},
    {"drivers/message/fusion/", "sd_mod"},
    {"drivers/scsi/", "sd_mod"},
    {"drivers/ufs/", "sd_mod"},
    {"drivers/usb/storage/", "sd_mod"},
    {"drivers/usb/storage/usb-storage.", "uas"},
    {"drivers/usb/storage/uas.", "usb_storage"},
    // The card's modalias (mmc:block) is in uevents only.
    {"drivers/mmc/host/", "mmc_block"},
    {"drivers/nvdimm/", "nd_pmem"},
    {"drivers/acpi/nfit/", "nd_pmem"},
    // The Ethernet half of an adapter that is InfiniBand, too; and virtio's source of entropy.
    {"drivers/net/ethernet/mellanox/mlx4/mlx4_core.", "mlx4_en"},
    // PHYs are asked for by an id that is read when the MAC's driver starts.
    {"drivers/net/ethernet/adi/adin1110.", "adin1100"},
    {"drivers/net/ethernet/agere/et131x.", "et1011c"},
    {"drivers/net/ethernet/broadcom/tg3.", "broadcom"},
    {"drivers/net/ethernet/microchip/lan743x.", "microchip"},
    {"drivers/net/ethernet/microchip/lan743x.", "microchip_t1"},
    {"drivers/net/ethernet/realtek/r8169.", "realtek"},
    {"drivers/net/ethernet/stmicro/stmmac/", "marvell"},
    {"drivers/net/ethernet/stmicro/stmmac/", "mxl_gpy"},
    {"drivers/net/ethernet/stmicro/stmmac/", "realtek"},
    {"drivers/net/usb/asix.", "ax88796b"},
    {"drivers/net/usb/lan78xx.", "microchip"},
    {"drivers/net/usb/smsc75xx.", "smsc"},
    {"drivers/net/usb/smsc95xx.", "smsc"},
};

// Where the kernel's own tree begins; distributions and DKMS mirror it, or do not, below others.
constexpr std::string_view kTrees[] = {"kernel/", "updates/", "extra/", "weak-updates/"};

// "kernel/drivers/net/x.ko" -> "drivers/net/x.ko".
std::string_view below_tree(std::string_view path) {
  for (std::string_view tree : kTrees) {
    if (path.starts_with(tree)) return path.substr(tree.size());
  }
  return path;
}

// "A module that calls this is that." A '*' at the end stands for any rest.
struct RoleRule {
  std::string_view symbol;
  bool Roles::*role;
};
constexpr RoleRule kRoleRules[] = {
    {"__alloc_ei_netdev", &Roles::nic},
    {"alloc_etherdev_mqs", &Roles::nic},
    {"devm_alloc_etherdev_mqs", &Roles::nic},
    {"eth_type_trans", &Roles::nic},
    {"stmmac_dvr_probe", &Roles::nic},
    {"usbnet_probe", &Roles::nic},
    {"__blk_alloc_disk", &Roles::disk},
    {"__blk_mq_alloc_disk", &Roles::disk},
    {"ahci_*", &Roles::disk},
    {"ata_host_*", &Roles::disk},
    {"ata_pci_*", &Roles::disk},
    {"blk_mq_alloc_disk", &Roles::disk},
    {"device_add_disk", &Roles::disk},
    {"iscsi_host_alloc", &Roles::disk},
    {"mmc_add_host", &Roles::disk},
    {"nvme_init_ctrl", &Roles::disk},
    {"scsi_add_host_with_dma", &Roles::disk},
    {"scsi_esp_register", &Roles::disk},
    {"sdhci_*", &Roles::disk},
    {"ufshcd_init", &Roles::disk},
    {"ufshcd_pltfrm_init", &Roles::disk},
    {"usb_stor_probe1", &Roles::disk},
    {"pci_create_root_bus", &Roles::bus},
    {"pci_host_probe", &Roles::bus},
    {"pci_scan_root_bus_bridge", &Roles::bus},
    {"register_virtio_device", &Roles::bus},
    {"usb_add_hcd", &Roles::bus},
    {"usb_hcd_pci_probe", &Roles::bus},
    {"fc_attach_transport", &Roles::opt_in},
    {"iscsi_host_alloc", &Roles::opt_in},
    {"iscsi_register_transport", &Roles::opt_in},
    {"libfc_host_alloc", &Roles::opt_in},
    {"alloc_can_err_skb", &Roles::foreign},
    {"alloc_hdlcdev", &Roles::foreign},
    {"cfg80211_*", &Roles::foreign},
    {"drm_*", &Roles::foreign},
    {"ib_register_device", &Roles::foreign},
    {"ieee80211_*", &Roles::foreign},
    {"lib80211_*", &Roles::foreign},
    {"rvt_*", &Roles::foreign},
    {"input_register_device", &Roles::foreign},
    {"snd_*", &Roles::foreign},
    {"usb_cdc_wdm_register", &Roles::foreign},
    {"usb_gadget_*", &Roles::foreign},
    {"wiphy_*", &Roles::foreign},
    {"wireless_send_event", &Roles::foreign},
};

// nullptr: no rule fits.
const PathRule* rule_of_place(std::string_view path) {
  std::string_view place = below_tree(path);
  const PathRule* best = nullptr;
  for (const PathRule& rule : kPathRules) {
    if (!place.starts_with(rule.prefix)) continue;
    if (best == nullptr || rule.prefix.size() > best->prefix.size()) best = &rule;
  }
  return best;
}

// Which machines a profile is for. A module is in when one of its aliases fits one of `aliases`,
// its roles are wanted and it is not among `without`; or by its name.
struct ProfileRule {
  Profile profile;
  std::string_view name;
  std::span<const std::string_view> aliases;  // as in modules.alias, '*' and '?' of ours in them
  std::span<const std::string_view> modules;
  std::span<const std::string_view> without;
  bool opt_in;  // with Fibre Channel and iSCSI adapters
};

// Every hypervisor and cloud.
constexpr std::string_view kVmAliases[] = {
    "virtio:*",
    "vmbus:*",
    "xen:*",
    "pci:v00001414*",  // Microsoft
    "pci:v000015AD*",  // VMware
    "pci:v00001AE0*",  // Google
    "pci:v00001AF4*",  // virtio
    "pci:v00001D0F*",  // Amazon
    "pci:v00005853*",  // Xen
    "pci:v000080EE*",  // VirtualBox
    // Programming interfaces that are the same whoever emulates them: AHCI, NVMe, UHCI, OHCI, EHCI,
    // xHCI, USB storage.
    "pci:v*d*sv*sd*bc01sc06i01*",
    "pci:v*d*sv*sd*bc01sc08i02*",
    "pci:v*d*sv*sd*bc0Csc03i[0123]0*",
    "usb:*ic08*",
};
constexpr std::string_view kVmModules[] = {
    // The disks of Azure and of Hyper-V's second generation: a Fibre Channel adapter, too, as its
    // calls say, and so in no profile by its role.
    "hv_storvsc",  //
    "hv_vmbus", "virtio_mmio", "virtio_rng",
    // What the hypervisor has to say to the installer (init/open_settings.h).
    "qemu_fw_cfg",
    // No hardware asks for VLANs.
    "8021q",
    // The disk controllers and cards of old that hypervisors imitate.
    "am53c974", "ata_piix", "BusLogic", "megaraid_sas", "mptsas", "mptspi", "sym53c8xx",  //
    "8139cp", "8139too", "e1000", "e1000e", "igb", "ne2k_pci", "pcnet32", "tulip",
    // Slices of real cards that clouds hand to their guests.
    "iavf", "idpf", "igbvf", "ixgbevf"};

// Machines of metal too, in racks and on desks.
constexpr std::string_view kServerAliases[] = {"acpi*:*", "mmc:*",   "pci:*",    "scsi:*",
                                               "usb:*",   "vmbus:*", "virtio:*", "xen:*"};
constexpr std::string_view kServerModules[] = {"hv_storvsc", "hv_vmbus", "mlx4_core", "virtio_mmio",
                                               "virtio_rng",
                                               // Nor for bonds.
                                               "8021q", "bonding"};
// What makes the payload a third larger and is hardly met: host mode and "all" have them.
constexpr std::string_view kServerWithout[] = {
    // Adapters that were built in small numbers, or that compute rather than transfer.
    "bna", "cxgb", "cxgb3", "cxgb4", "cxgb4vf", "enic", "hinic", "liquidio", "liquidio_vf",
    "mtip32xx", "myri10ge", "netxen_nic", "nfp", "niu", "qlcnic", "s2io", "sfc_falcon", "sfc_siena",
    "snic", "tehuti",
    // On boards that are no servers.
    "dwmac_intel", "stmmac_pci", "ufshcd_pci",
    // Parallel SCSI, PATA RAID and RAID adapters of before 2008.
    "3w_9xxx", "3w_sas", "3w_xxxx", "a100u2w", "advansys", "aic79xx", "aic7xxx", "aic94xx",
    "atp870u", "dc395x", "dmx3191d", "esas2r", "initio", "ipr", "ips", "megaraid", "megaraid_mbox",
    "myrb", "myrs", "pmcraid", "qla1280", "stex", "wd719x",
    // Cards of before 2005, on PCI.
    "3c59x", "acenic", "amd8111e", "b44", "cassini", "de2104x", "dl2k", "dmfe", "epic100", "et131x",
    "fealnx", "hamachi", "ixgb", "jme", "ksz884x", "natsemi", "ns83820", "r6040", "sc92031",
    "sis190", "sis900", "skge", "smsc9420", "starfire", "sundance", "sungem", "sunhme", "tlan",
    "typhoon", "uli526x", "via_velocity", "winbond_840", "xircom_cb", "yellowfin",
    // Readers of memory cards and scanners behind USB.
    "microtek", "ums_alauda", "ums_cypress", "ums_datafab", "ums_eneub6250", "ums_freecom",
    "ums_isd200", "ums_jumpshot", "ums_karma", "ums_realtek", "ums_sddr09", "ums_sddr55",
    "ums_usbat", "ushc", "vub300"};

constexpr std::string_view kEverything[] = {"*:*"};

constexpr ProfileRule kProfileRules[] = {
    {Profile::Vm, "vm", kVmAliases, kVmModules, {}, false},
    {Profile::Server, "server", kServerAliases, kServerModules, kServerWithout, false},
    {Profile::All, "all", kEverything, kServerModules, {}, true},
};

const ProfileRule& rule_of(Profile profile) {
  return *std::find_if(std::begin(kProfileRules), std::end(kProfileRules),
                       [&](const ProfileRule& rule) { return rule.profile == profile; });
}

template <typename Names>
bool contains(const Names& names, std::string_view name) {
  return std::find(std::begin(names), std::end(names), name) != std::end(names);
}

bool fits(std::string_view pattern, std::string_view symbol) {
  if (!pattern.ends_with('*')) return pattern == symbol;
  return symbol.starts_with(pattern.substr(0, pattern.size() - 1));
}

Result<Roles> roles_of_module(const UniqueFd& modules_directory, const std::string& path) {
  ByteVector module = TRY(read_plain_file(modules_directory, path));
  return roles_of(TRY_CONTEXT(path, imported_symbols(module)));
}

}  // namespace

Roles roles_of(std::span<const std::string_view> imported_symbols) {
  Roles roles;
  for (std::string_view symbol : imported_symbols) {
    for (const RoleRule& rule : kRoleRules) {
      if (fits(rule.symbol, symbol)) roles.*rule.role = true;
    }
  }
  return roles;
}

Result<bool> belongs_in_installer(const UniqueFd& modules_directory, std::string_view path) {
  if (const PathRule* rule = rule_of_place(path)) return rule->belongs == Belongs::Yes;
  return TRY(roles_of_module(modules_directory, std::string(path))).wanted();
}

Result<Profile> parse_profile(std::string_view name) {
  for (const ProfileRule& rule : kProfileRules) {
    if (rule.name == name) return rule.profile;
  }
  return Error(concat("\"", printable(name, 40),
                      "\" is no profile; choose host, vm, server, all or "
                      "none"));
}

std::string_view profile_name(Profile profile) { return rule_of(profile).name; }

Result<std::vector<std::string>> profile_modules(const UniqueFd& root, const ModuleTree& tree,
                                                 Profile profile) {
  const ProfileRule& rule = rule_of(profile);
  std::vector<std::string> candidates;
  for (const std::string& name : tree.modules_with_alias(rule.aliases)) {
    const PathRule* place = rule_of_place(tree.path_of(name));
    bool ruled_out = place != nullptr && place->belongs == Belongs::No;
    if (!ruled_out && !contains(rule.without, name)) candidates.push_back(name);
  }
  UniqueFd directory =
      TRY_CONTEXT(tree.directory(), open_at(root, tree.directory(), O_RDONLY | O_DIRECTORY));
  std::vector<Roles> roles(candidates.size());
  TRY_CONTEXT(
      tree.directory(), for_each_in_parallel(candidates.size(), [&](size_t i) -> Result<void> {
        roles[i] = TRY(roles_of_module(directory, std::string(tree.path_of(candidates[i]))));
        return {};
      }));
  std::vector<std::string> chosen;
  for (size_t i = 0; i < candidates.size(); ++i) {
    if (roles[i].wanted() && (rule.opt_in || !roles[i].opt_in)) chosen.push_back(candidates[i]);
  }
  for (std::string_view name : rule.modules) {
    std::string normal = normalize_module_name(name);
    if (!tree.path_of(normal).empty() && !contains(chosen, normal)) chosen.push_back(normal);
  }
  return chosen;
}

std::vector<std::string> always_needed(const ModuleTree& tree) {
  std::vector<std::string> names;
  for (std::string_view name : kAlways) {
    if (!tree.path_of(name).empty()) names.emplace_back(name);
  }
  return names;
}

std::vector<std::string_view> needed_to_mount(std::string_view file_system) {
  std::vector<std::string_view> needed;
  for (const MountRule& rule : kMountRules) {
    if (rule.file_system == file_system) needed.push_back(rule.needed);
  }
  return needed;
}

std::vector<Companion> companions_of(const ModuleTree& tree, std::span<const std::string> modules) {
  std::vector<Companion> companions;
  for (const std::string& module : modules) {
    std::string_view place = below_tree(tree.path_of(module));
    for (const CompanionRule& rule : kCompanions) {
      if (!place.starts_with(rule.path_prefix) || tree.path_of(rule.companion).empty()) continue;
      companions.push_back({std::string(rule.companion), module});
    }
  }
  return companions;
}

}  // namespace curlingiron
