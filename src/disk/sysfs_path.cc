#include "disk/sysfs_path.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "base/text.h"
#include "sys/file.h"

namespace curlingiron {
namespace {

bool is_hex(std::string_view text) { return parse_hex_u64(text).ok(); }

// The number after `prefix` when that is all there is.
std::optional<uint64_t> number_after(std::string_view text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return std::nullopt;
  Result<uint64_t> number = parse_u64(text.substr(prefix.size()));
  if (!number.ok()) return std::nullopt;
  return number.value();
}

// "0000:00:1f.2"
bool is_pci_function(std::string_view text) {
  std::vector<std::string_view> parts = split(text, ':');
  if (parts.size() != 3) return false;
  std::vector<std::string_view> last = split(parts[2], '.');
  return parts[0].size() >= 4 && is_hex(parts[0]) && parts[1].size() == 2 && is_hex(parts[1]) &&
         last.size() == 2 && is_hex(last[0]) && is_hex(last[1]);
}

// "pci0000:00"
bool is_pci_root(std::string_view text) {
  if (!text.starts_with("pci")) return false;
  std::vector<std::string_view> parts = split(text.substr(3), ':');
  return parts.size() == 2 && is_hex(parts[0]) && is_hex(parts[1]);
}

struct ScsiAddress {
  std::string_view channel;
  std::string_view target;
  std::string_view lun;
};

// "2:0:1:0": host, channel, target, LUN
std::optional<ScsiAddress> parse_scsi_address(std::string_view text) {
  std::vector<std::string_view> parts = split(text, ':');
  if (parts.size() != 4) return std::nullopt;
  for (std::string_view part : parts) {
    if (!parse_u64(part).ok()) return std::nullopt;
  }
  return ScsiAddress{parts[1], parts[2], parts[3]};
}

// "1-2.4" is a device on port 2.4 of a USB bus, "1-2.4:1.0" its interface.
bool is_usb_device(std::string_view text) {
  size_t dash = text.find('-');
  return dash != std::string_view::npos && dash != 0 && dash + 1 < text.size() &&
         text.find_first_not_of("0123456789") == dash &&
         text.find_first_not_of("0123456789.:", dash + 1) == std::string_view::npos;
}

// How many of `prefix`N beside this one in `folder` have a smaller number: the kernel numbers hosts
// in the order of discovery, but those of one device are always found in the same order.
uint64_t rank_beside(const UniqueFd& root, const std::string& folder, std::string_view prefix,
                     uint64_t number) {
  Result<std::vector<std::string>> names = list_directory(root, folder);
  if (!names.ok()) return 0;
  return static_cast<uint64_t>(
      std::count_if(names.value().begin(), names.value().end(), [&](const std::string& name) {
        std::optional<uint64_t> other = number_after(name, prefix);
        return other && *other < number;
      }));
}

bool is_discovery_order(std::string_view name) {
  static constexpr std::string_view kFolders[] = {"devices", "nvme", "nvme-subsystem", "mmc_host"};
  if (std::find(std::begin(kFolders), std::end(kFolders), name) != std::end(kFolders)) return true;
  // "mmc0:aaaa" is the card in the slot: there is one.
  if (name.starts_with("mmc") && name.find(':') != std::string_view::npos) return true;
  static constexpr std::string_view kNumbered[] = {"virtio", "usb", "nvme-subsys", "session"};
  for (std::string_view prefix : kNumbered) {
    if (number_after(name, prefix)) return true;
  }
  static constexpr std::string_view kScsi[] = {"target", "port-", "expander-", "phy-"};
  for (std::string_view prefix : kScsi) {
    if (name.starts_with(prefix) && name.size() > prefix.size() &&
        parse_u64(name.substr(prefix.size(), 1)).ok()) {
      return true;
    }
  }
  return false;
}

}  // namespace

std::string stable_path(const UniqueFd& root, const std::string& device_path,
                        std::string_view nsid) {
  std::vector<std::string> words;
  std::string folder = "sys";  // of the component
  uint64_t host = 0;
  bool is_ata = false;
  bool is_transport =
      false;  // SAS or FC: the port's world wide name counts, not the target's number

  // The name that a port has everywhere, or nothing.
  auto add_port = [&](std::string_view word, const std::string& attribute) {
    Result<std::string> name = read_line(root, attribute);
    if (!name.ok() || name.value().empty()) return;
    words.push_back(concat(word, "-", name.value()));
    is_transport = true;
  };

  for (std::string_view name : split(device_path, '/')) {
    if (name.empty()) continue;
    std::string here = concat(folder, "/", name);
    if (is_pci_root(name) || is_discovery_order(name)) {
      // Nothing lasting.
    } else if (is_pci_function(name)) {
      if (!words.empty() && words.back().starts_with("pci-")) words.pop_back();  // a bridge
      words.push_back(concat("pci-", name));
    } else if (std::optional<uint64_t> ata = number_after(name, "ata")) {
      is_ata = true;
      Result<std::string> port = read_line(root, concat(here, "/ata_port/", name, "/port_no"));
      uint64_t rank = rank_beside(root, folder, "ata", *ata) + 1;
      words.push_back(port.ok() ? concat("ata-", port.value()) : concat("ata-", rank));
    } else if (std::optional<uint64_t> number = number_after(name, "host")) {
      host = rank_beside(root, folder, "host", *number);
    } else if (name.starts_with("end_device-")) {
      add_port("sas", concat(here, "/sas_device/", name, "/sas_address"));
    } else if (name.starts_with("rport-")) {
      add_port("fc", concat(here, "/fc_remote_ports/", name, "/port_name"));
    } else if (std::optional<ScsiAddress> scsi = parse_scsi_address(name)) {
      if (is_transport) {
        words.push_back(concat("lun-", scsi->lun));
      } else if (!is_ata || scsi->channel != "0" || scsi->target != "0" || scsi->lun != "0") {
        words.push_back(
            concat("scsi-", host, ":", scsi->channel, ":", scsi->target, ":", scsi->lun));
      }
    } else if (is_usb_device(name)) {
      // A device behind a hub hangs below the hub: only the last has all the ports in its name, and
      // the interface follows it.
      if (!words.empty() && words.back().starts_with("usb-")) words.pop_back();
      words.push_back(concat("usb-0:", name.substr(name.find('-') + 1)));
    } else if (number_after(name, "nvme")) {
      words.push_back(concat("nvme-", nsid.empty() ? std::string_view("1") : nsid));
    } else if (std::optional<uint64_t> mmc = number_after(name, "mmc")) {
      words.push_back(concat("mmc-", rank_beside(root, folder, "mmc", *mmc)));
    } else {
      words.emplace_back(name);
    }
    folder = std::move(here);
  }
  return join(words, "-");
}

}  // namespace curlingiron
