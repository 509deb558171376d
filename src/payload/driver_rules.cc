#include "payload/driver_rules.h"

#include <algorithm>

namespace curlingiron {
namespace {

enum class Belongs { No, Yes };

struct PathRule {
  std::string_view prefix;
  Belongs belongs;
};

// The longest prefix that fits decides; nothing fits: No.
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

// "pci:v...bc02sc00i00": storage, network, or USB host.
bool is_wanted_pci_class(std::string_view modalias) {
  constexpr std::string_view kClass = "bc02sc00i00";
  if (!modalias.starts_with("pci:") || modalias.size() < kClass.size()) return false;
  std::string_view device_class = modalias.substr(modalias.size() - kClass.size());
  return device_class.starts_with("bc01") || device_class.starts_with("bc02") ||
         device_class.starts_with("bc0Csc03");
}

void add_if_loadable(const ModuleTree& tree, std::string_view name,
                     std::vector<std::string>& names) {
  if (tree.path_of(name).empty()) return;
  if (std::find(names.begin(), names.end(), name) == names.end()) names.emplace_back(name);
}

}  // namespace

bool belongs_in_installer(std::string_view path, std::string_view modalias) {
  std::string_view place = below_tree(path);
  const PathRule* best = nullptr;
  for (const PathRule& rule : kPathRules) {
    if (!place.starts_with(rule.prefix)) continue;
    if (best == nullptr || rule.prefix.size() > best->prefix.size()) best = &rule;
  }
  if (best != nullptr) return best->belongs == Belongs::Yes;
  return !path.starts_with("kernel/") && is_wanted_pci_class(modalias);
}

std::vector<std::string> always_needed(const ModuleTree& tree) {
  std::vector<std::string> names;
  for (std::string_view name : kAlways) add_if_loadable(tree, name, names);
  return names;
}

std::vector<std::string> companions_of(const ModuleTree& tree,
                                       std::span<const std::string> modules) {
  std::vector<std::string> names;
  for (const std::string& module : modules) {
    std::string_view place = below_tree(tree.path_of(module));
    for (const CompanionRule& rule : kCompanions) {
      if (place.starts_with(rule.path_prefix)) add_if_loadable(tree, rule.companion, names);
    }
  }
  return names;
}

}  // namespace curlingiron
