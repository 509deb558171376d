#include "disk/disk_names.h"

#include <optional>

#include "base/text.h"
#include "disk/vpd.h"
#include "sys/file.h"

namespace curlingiron {
namespace {

constexpr size_t kLargestVpdPage = size_t{64} << 10;

std::string attribute(const UniqueFd& root, const std::string& path) {
  Result<std::string> line = read_line(root, path);
  return line.ok() ? std::move(line).value() : std::string();
}

// The USB device above a SCSI disk: the nearest folder on the way up that has a vendor id.
std::optional<std::string> usb_device_above(const UniqueFd& root, std::string path) {
  for (;;) {
    std::string folder = concat("sys/", path);
    if (exists(root, concat(folder, "/idVendor"))) return folder;
    size_t slash = path.rfind('/');
    if (slash == std::string::npos) return std::nullopt;
    path.resize(slash);
  }
}

void add_id(DiskNames& names, std::string_view bus, std::string_view id) {
  if (!id.empty()) names.by_ids.push_back(normal_id(concat(bus, "-", id)));
}

// "MODEL_SERIAL"; nothing where either is missing, as it would not set disks apart.
std::string model_and_serial(const DiskNames& names) {
  if (names.model.empty() || names.serial.empty()) return {};
  return concat(names.model, "_", names.serial);
}

void name_nvme(const UniqueFd& root, const std::string& folder, DiskNames& names) {
  std::string id = model_and_serial(names);
  std::string nsid = attribute(root, concat(folder, "/nsid"));
  add_id(names, "nvme", id);
  if (!id.empty() && !nsid.empty()) add_id(names, "nvme", concat(id, "_", nsid));
  add_id(names, "nvme", names.wwid);
  if (names.wwid.starts_with("eui.")) add_id(names, "wwn", names.wwid);
}

void name_scsi(const UniqueFd& root, const std::string& folder, const std::string& device_path,
               DiskNames& names) {
  std::string vendor = attribute(root, concat(folder, "/device/vendor"));
  bool is_ata = vendor == "ATA";
  std::vector<Designator> designators;
  if (Result<ByteVector> page =
          read_file(root, concat(folder, "/device/vpd_pg83"), kLargestVpdPage);
      page.ok()) {
    Result<std::vector<Designator>> parsed = parse_device_identification(page.value());
    if (parsed.ok()) designators = std::move(parsed).value();
  }

  std::string vendor_and_model = concat(vendor, "_", names.model);
  std::vector<std::string> scsi_ids;
  std::string wwn;
  for (const Designator& designator : designators) {
    std::string text = printable(trim(as_text(designator.value)), designator.value.size());
    switch (designator.kind) {
      case Designator::Kind::Naa:
        scsi_ids.push_back("3" + to_hex(designator.value));
        wwn = "0x" + to_hex(designator.value);
        break;
      case Designator::Kind::Eui64: scsi_ids.push_back("2" + to_hex(designator.value)); break;
      case Designator::Kind::T10: {
        scsi_ids.push_back("1" + text);
        // The inquiry's model is cut to 16 characters; libata has the whole one here.
        Result<AtaNames> ata = parse_ata_names(designator.value);
        if (is_ata && ata.ok()) {
          names.model = ata.value().model;
          if (names.serial.empty()) names.serial = ata.value().serial;
        }
        break;
      }
      case Designator::Kind::VendorSpecific:
        if (designator.is_text) scsi_ids.push_back(concat("0", vendor_and_model, "_", text));
        break;
      case Designator::Kind::Other: break;
    }
  }
  if (wwn.empty() && names.wwid.starts_with("naa.")) {
    wwn = "0x" + names.wwid.substr(4);
    scsi_ids.push_back("3" + names.wwid.substr(4));
  }
  if (!names.serial.empty()) scsi_ids.push_back(concat("S", vendor_and_model, "_", names.serial));

  if (is_ata) add_id(names, "ata", model_and_serial(names));
  if (std::optional<std::string> usb = usb_device_above(root, device_path)) {
    std::string serial = attribute(root, concat(*usb, "/serial"));
    // The disk's own, where it has one, is the better: a reader's slots share this.
    if (names.serial.empty()) names.serial = printable(serial, serial.size());
    // The instance is the last two numbers of the SCSI address: target and LUN.
    std::vector<std::string_view> address =
        split(std::string_view(device_path).substr(device_path.rfind('/') + 1), ':');
    std::string instance =
        address.size() == 4 ? concat(address[2], ":", address[3]) : std::string("0:0");
    if (!serial.empty()) {
      add_id(names, "usb", concat(vendor_and_model, "_", serial, "-", instance));
    }
  }
  for (const std::string& id : scsi_ids) add_id(names, "scsi", id);
  add_id(names, "wwn", wwn);
}

}  // namespace

std::string normal_id(std::string_view id) {
  static constexpr std::string_view kPlain = "#+-.:=@_";  // udev's, beside letters and digits
  std::string result;
  for (char c : trim(id)) {
    bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                 kPlain.find(c) != std::string_view::npos;
    if (!plain) c = '_';
    if (c != '_' || result.empty() || result.back() != '_') result += c;
  }
  return result;
}

DiskNames read_disk_names(const UniqueFd& root, const std::string& name,
                          const std::string& device_path) {
  std::string folder = concat("sys/block/", name);
  DiskNames names;
  names.model = attribute(root, concat(folder, "/device/model"));
  names.wwid = attribute(root, concat(folder, "/wwid"));  // NVMe
  if (names.wwid.empty()) names.wwid = attribute(root, concat(folder, "/device/wwid"));
  names.serial = attribute(root, concat(folder, "/serial"));  // virtio
  if (names.serial.empty()) names.serial = attribute(root, concat(folder, "/device/serial"));
  if (names.serial.empty()) {
    Result<ByteVector> page = read_file(root, concat(folder, "/device/vpd_pg80"), kLargestVpdPage);
    Result<std::string> serial = page.ok() ? parse_unit_serial(page.value()) : page.error();
    if (serial.ok()) names.serial = std::move(serial).value();
  }

  if (name.starts_with("nvme")) {
    name_nvme(root, folder, names);
  } else if (name.starts_with("vd")) {
    add_id(names, "virtio", names.serial);
  } else if (name.starts_with("mmcblk")) {
    names.model = attribute(root, concat(folder, "/device/name"));
    add_id(names, "mmc", model_and_serial(names));
  } else if (exists(root, concat(folder, "/device/vendor"))) {
    name_scsi(root, folder, device_path, names);
  }
  return names;
}

}  // namespace curlingiron
