#include "init/inventory.h"

#include <algorithm>
#include <iterator>

#include "base/text.h"
#include "base/units.h"
#include "formats/alias_pattern.h"
#include "sys/file.h"
#include "sys/uevent.h"

namespace curlingiron {
namespace {

constexpr size_t kMostListed = 8;     // disks or NICs on the line that lists what was found
constexpr size_t kMostExplained = 4;  // devices in a message
constexpr size_t kLongestName = 48;   // of what a disk says about itself

constexpr std::string_view kBuses[] = {"pci",  "virtio", "vmbus",    "xen", "usb",
                                       "scsi", "mmc",    "platform", "acpi"};

// Device: is one, or is what one shows itself on. Bus: others are found behind it; that nothing is
// there proves nothing. Perhaps: many kinds of devices call themselves so.
enum class Hint { Device, Bus, Perhaps };

struct AliasRule {
  std::string_view pattern;
  Kind kind;
  Hint hint;
};

// PCI classes: PCI Code and ID Assignment; USB classes: usb.org's defined class codes; virtio
// types: virtio 1.2, 5; VMBus GUIDs: Linux, include/linux/hyperv.h; SCSI types: SPC-5.
constexpr AliasRule kRules[] = {
    {"pci:v*bc01sc*", Kind::Disk, Hint::Device},    // mass storage
    {"pci:v*bc0Csc04*", Kind::Disk, Hint::Device},  // Fibre Channel
    {"pci:v*bc08sc05*", Kind::Disk, Hint::Device},  // SD host controller
    {"virtio:d00000002v*", Kind::Disk, Hint::Device},
    {"virtio:d00000008v*", Kind::Disk, Hint::Device},                      // SCSI host
    {"vmbus:d96361baa104294db60572e2ffb1dc7f", Kind::Disk, Hint::Device},  // SCSI
    {"vmbus:32264132cb86a2449b5c50d1417354f5", Kind::Disk, Hint::Device},  // IDE
    {"vmbus:4acc9b2f6900f34ab76b6fd0be528cda", Kind::Disk, Hint::Device},  // Fibre Channel
    {"xen:vbd", Kind::Disk, Hint::Device},
    {"xen:vscsi", Kind::Disk, Hint::Device},
    {"usb:*ic08*", Kind::Disk, Hint::Device},
    {"scsi:t-0x00*", Kind::Disk, Hint::Device},
    {"scsi:t-0x0e*", Kind::Disk, Hint::Device},
    {"scsi:t-0x14*", Kind::Disk, Hint::Device},
    {"mmc:block", Kind::Disk, Hint::Device},
    {"acpi*:PNP0D40:*", Kind::Disk, Hint::Device},  // SD host controller
    {"pci:v*bc02sc*", Kind::Nic, Hint::Device},
    {"pci:v*bc0Csc06*", Kind::Nic, Hint::Device},  // InfiniBand
    {"virtio:d00000001v*", Kind::Nic, Hint::Device},
    {"vmbus:635161f83edfc546913ff2d2f965ed0e", Kind::Nic, Hint::Device},
    {"xen:vif", Kind::Nic, Hint::Device},
    {"usb:*ic02isc06*", Kind::Nic, Hint::Device},      // CDC Ethernet
    {"usb:*ic02isc0D*", Kind::Nic, Hint::Device},      // CDC NCM
    {"usb:*ic02isc02ipFF*", Kind::Nic, Hint::Device},  // RNDIS
    {"usb:*icE0isc01ip03*", Kind::Nic, Hint::Device},  // RNDIS, too
    {"usb:*icFFisc*", Kind::Nic, Hint::Perhaps},       // vendor specific
};
// What both kinds are found behind.
constexpr std::string_view kBusPatterns[] = {
    "pci:v*bc0Csc03i[0123]*",          // USB host controller
    "acpi*:VMBUS:*", "acpi*:VMBus:*",  // Hyper-V
    "acpi*:LNRO0005:*",                // virtio-mmio
};

struct Device {
  std::string path;  // below /sys
  std::string modalias;
  std::string driver;  // that has it; empty: none
  Hint hint = Hint::Device;

  std::string_view name() const {
    return std::string_view(path).substr(path.rfind('/') + 1);  // npos + 1 is 0
  }
};

// "../../../devices/pci0000:00/0000:00:04.0" -> "devices/pci0000:00/0000:00:04.0"
std::string place_of(const UniqueFd& root, const std::string& link) {
  Result<std::string> target = read_link(root, link);
  if (!target.ok()) return {};
  std::string_view path = target.value();
  while (path.starts_with("../")) path.remove_prefix(3);
  return std::string(path);
}

std::string driver_of(const UniqueFd& root, const std::string& path) {
  std::string driver = place_of(root, concat("sys/", path, "/driver"));
  return driver.substr(driver.rfind('/') + 1);
}

std::string attribute(const UniqueFd& root, const std::string& path) {
  Result<std::string> line = read_line(root, path);
  return line.ok() ? std::move(line).value() : std::string();
}

// A card's modalias is in its uevent alone.
std::string modalias_of(const UniqueFd& root, const std::string& path) {
  std::string modalias = attribute(root, concat("sys/", path, "/modalias"));
  return modalias.empty() ? read_uevent_modalias(root, concat("sys/", path, "/uevent")) : modalias;
}

bool any_at_or_below(std::span<const std::string> paths, std::string_view above) {
  return std::any_of(paths.begin(), paths.end(),
                     [&](const std::string& path) { return is_at_or_below(path, above); });
}

// Where the entries of a sysfs class hang, below /sys; without those that no hardware is behind.
std::vector<std::string> places_of_class(const UniqueFd& root, const std::string& directory) {
  Result<std::vector<std::string>> names = list_directory(root, directory);
  std::vector<std::string> places;
  if (!names.ok()) return places;
  for (const std::string& name : names.value()) {
    std::string place = place_of(root, concat(directory, "/", name));
    if (!place.empty() && !place.starts_with("devices/virtual/")) places.push_back(place);
  }
  return places;
}

bool classify(Kind kind, Device& device) {
  for (const AliasRule& rule : kRules) {
    if (rule.kind != kind || !matches_alias_pattern(rule.pattern, device.modalias)) continue;
    device.hint = rule.hint;
    return true;
  }
  device.hint = Hint::Bus;
  return std::any_of(
      std::begin(kBusPatterns), std::end(kBusPatterns),
      [&](std::string_view pattern) { return matches_alias_pattern(pattern, device.modalias); });
}

std::vector<Device> devices_of(const UniqueFd& root, Kind kind) {
  std::vector<Device> devices;
  for (std::string_view bus : kBuses) {
    std::string directory = concat("sys/bus/", bus, "/devices");
    Result<std::vector<std::string>> names = list_directory(root, directory);
    if (!names.ok()) continue;
    for (const std::string& name : names.value()) {
      Device device;
      device.path = place_of(root, concat(directory, "/", name));
      if (device.path.empty()) continue;
      device.modalias = modalias_of(root, device.path);
      if (device.modalias.empty() || !classify(kind, device)) continue;
      device.driver = driver_of(root, device.path);
      devices.push_back(std::move(device));
    }
  }
  return devices;
}

// Those that have nothing to show, without what is only the way to another of them.
std::vector<Device> fruitless(const std::vector<Device>& all,
                              std::span<const std::string> results) {
  auto has_result = [&](const Device& device) {
    if (device.hint != Hint::Bus) return any_at_or_below(results, device.path);
    // The kernel shows ACPI's devices on two buses, and a driver takes one of the two.
    return std::any_of(all.begin(), all.end(), [&](const Device& other) {
      return other.modalias == device.modalias && !other.driver.empty();
    });
  };
  std::vector<Device> devices;
  std::remove_copy_if(all.begin(), all.end(), std::back_inserter(devices), has_result);
  std::vector<Device> deepest;
  for (const Device& device : devices) {
    bool leads_to_another = std::any_of(devices.begin(), devices.end(), [&](const Device& other) {
      return other.path != device.path && is_at_or_below(other.path, device.path);
    });
    if (!leads_to_another) deepest.push_back(device);
  }
  bool certain = std::any_of(deepest.begin(), deepest.end(),
                             [](const Device& device) { return device.hint != Hint::Perhaps; });
  if (certain) {
    std::erase_if(deepest, [](const Device& device) { return device.hint == Hint::Perhaps; });
  }
  return deepest;
}

std::string explain(const Device& device, Kind kind, const DriverAnswer& answer) {
  std::string name = printable(device.name(), kLongestName);
  if (!device.driver.empty()) {
    std::string_view result = kind == Kind::Disk ? "no disk" : "no network interface";
    return concat(printable(device.driver, kLongestName), " has ", name, " but shows ", result);
  }
  if (!answer.failure.empty()) return concat(name, " has no driver: ", answer.failure);
  if (!answer.modules.empty()) {
    return concat(join(answer.modules, ", "), " did not take ", name,
                  "; the kernel's messages may say why");
  }
  return concat("no driver in this initramfs for ", printable(device.modalias), " at ", name);
}

std::string word(std::string_view text) {
  std::string result = printable(text, kLongestName);
  std::replace(result.begin(), result.end(), ' ', '_');
  return result;
}

// The nearest one above that is not just what every disk of its bus has.
std::string controller_driver(const UniqueFd& root, std::string path) {
  while (path.find('/') != std::string::npos) {
    std::string driver = driver_of(root, path);
    if (!driver.empty() && driver != "sd" && driver != "mmcblk") return driver;
    path.resize(path.rfind('/'));
  }
  return {};
}

std::string describe_disk(const UniqueFd& root, const Disk& disk) {
  std::string text = disk.name;
  if (!disk.model.empty()) text += concat(" ", word(disk.model));
  if (!disk.serial.empty()) text += concat(" serial=", word(disk.serial));
  text += concat(" ", format_size(disk.size));
  std::string driver = controller_driver(root, disk.device_path);
  if (!driver.empty()) text += concat(" (", word(driver), ")");
  return text;
}

std::string describe_nic(const UniqueFd& root, const std::string& name) {
  std::string folder = concat("sys/class/net/", name);
  std::string text = concat(name, " ", word(attribute(root, concat(folder, "/address"))));
  std::string driver = place_of(root, concat(folder, "/device/driver"));
  driver = driver.substr(driver.rfind('/') + 1);
  if (!driver.empty()) text += concat(" (", word(driver), ")");
  // carrier cannot be read while the interface is down.
  std::string carrier = attribute(root, concat(folder, "/carrier"));
  text += carrier == "1" ? " up" : carrier == "0" ? " no link" : " down";
  return text;
}

std::string list(const std::vector<std::string>& items, size_t limit) {
  if (items.empty()) return "none";
  std::string text = join(std::span(items).first(std::min(items.size(), limit)), ", ");
  if (items.size() > limit) text += concat(" and ", items.size() - limit, " more");
  return text;
}

}  // namespace

std::string describe_hardware(const UniqueFd& root, std::span<const Disk> disks) {
  std::vector<std::string> disk_items;
  for (const Disk& disk : disks) disk_items.push_back(describe_disk(root, disk));
  std::vector<std::string> nic_items;
  if (Result<std::vector<std::string>> names = list_directory(root, "sys/class/net"); names.ok()) {
    for (const std::string& name : names.value()) {
      bool hardware = exists(root, concat("sys/class/net/", name, "/device"));
      if (hardware) nic_items.push_back(describe_nic(root, name));
    }
  }
  return concat("disks: ", list(disk_items, kMostListed), "; nics: ", list(nic_items, kMostListed));
}

std::string explain_missing(const UniqueFd& root, Kind kind, std::span<const Disk> disks,
                            const AskDrivers& ask) {
  std::vector<std::string> results;
  if (kind == Kind::Disk) {
    for (const Disk& disk : disks) results.push_back(disk.device_path);
  } else {
    results = places_of_class(root, "sys/class/net");
  }
  std::vector<Device> devices = fruitless(devices_of(root, kind), results);
  if (devices.empty()) return {};

  std::vector<std::string> reasons;
  bool lacks_driver = false;
  for (const Device& device : devices) {
    DriverAnswer answer = ask(device.modalias);
    lacks_driver = lacks_driver || (device.driver.empty() && answer.modules.empty());
    std::string reason = explain(device, kind, answer);
    // One cause (no signatures, say) is reported once.
    if (std::find(reasons.begin(), reasons.end(), reason) == reasons.end()) {
      reasons.push_back(std::move(reason));
    }
  }
  size_t named = std::min(reasons.size(), kMostExplained);
  std::string text = join(std::span(reasons).first(named), "; ");
  if (reasons.size() > named) text += concat("; and ", reasons.size() - named, " more");
  if (lacks_driver) {
    text +=
        "; build with --profile server, with --module NAME (modprobe -R MODALIAS names it), or on "
        "that machine";
  }
  return text;
}

bool storage_on_its_way(const UniqueFd& root) {
  std::vector<std::string> blocks = places_of_class(root, "sys/block");
  std::vector<Device> devices = devices_of(root, Kind::Disk);
  return std::any_of(devices.begin(), devices.end(), [&](const Device& device) {
    return device.modalias.starts_with("usb:") && !device.driver.empty() &&
           !any_at_or_below(blocks, device.path);
  });
}

}  // namespace curlingiron
