#include "formats/efi_load_option.h"

#include <algorithm>

#include "base/text.h"
#include "formats/little_endian.h"
#include "formats/partition_type.h"

namespace curlingiron {
namespace {

constexpr uint32_t kActive = 1;

// Nodes of a device path: type and subtype in one, as they follow each other.
constexpr uint16_t kHardDrive = 0x0104;
constexpr uint16_t kFilePath = 0x0404;
constexpr uint16_t kEnd = 0xff7f;
constexpr uint16_t kEndOfInstance = 0x017f;  // another device path follows
constexpr size_t kOptionHeader = 6;
constexpr size_t kNodeHeader = 4;
constexpr size_t kHardDriveBytes = 42;

constexpr uint8_t kMbrSignature = 1;
constexpr uint8_t kGuidSignature = 2;

// UTF-16, up to its NUL or the end.
std::string read_text(ConstBytes bytes) {
  std::string text;
  for (; bytes.size() >= 2; bytes = bytes.subspan(2)) {
    uint64_t unit = little_endian(bytes.first(2));
    if (unit == 0) break;
    text += unit >= ' ' && unit <= '~' ? static_cast<char>(unit) : '?';
  }
  return text;
}

void write_text(ByteWriter& out, std::string_view text) {
  for (char c : text) out.le16(static_cast<uint8_t>(c));
  out.le16(0);
}

// Nullopt: cut off, or of a kind that names no partition for good.
std::optional<EfiPartition> read_hard_drive(ConstBytes node) {
  if (node.size() < kHardDriveBytes) return std::nullopt;
  EfiPartition partition;
  partition.number = static_cast<uint32_t>(little_endian(node.subspan(4, 4)));
  partition.first_sector = little_endian(node.subspan(8, 8));
  partition.sector_count = little_endian(node.subspan(16, 8));
  std::ranges::copy(node.subspan(24, 16), partition.signature.begin());
  uint8_t table = node[40];
  uint8_t kind = node[41];
  if (table == static_cast<uint8_t>(EfiPartition::Table::Mbr) && kind == kMbrSignature) {
    partition.table = EfiPartition::Table::Mbr;
    std::fill(partition.signature.begin() + 4, partition.signature.end(), uint8_t{0});
    return partition;
  }
  bool is_gpt = table == static_cast<uint8_t>(EfiPartition::Table::Gpt) && kind == kGuidSignature;
  return is_gpt ? std::optional(partition) : std::nullopt;
}

// A file's path may be cut into several nodes, at its backslashes.
void add_to_path(std::string& path, std::string_view part) {
  if (!path.empty() && !path.ends_with('\\') && !part.starts_with('\\')) path += '\\';
  path += part;
}

// The first device path of those that are packed in there. False: it has no end.
bool read_device_path(ConstBytes paths, EfiLoadOption& option) {
  while (paths.size() >= kNodeHeader) {
    uint64_t kind = little_endian(paths.first(2));
    size_t size = little_endian(paths.subspan(2, 2));
    if (size < kNodeHeader || size > paths.size()) return false;
    ConstBytes node = paths.first(size);
    if (kind == kEnd || kind == kEndOfInstance) return true;
    if (kind == kHardDrive && !option.partition) option.partition = read_hard_drive(node);
    if (kind == kFilePath) add_to_path(option.loader, read_text(node.subspan(kNodeHeader)));
    paths = paths.subspan(size);
  }
  return false;
}

}  // namespace

bool EfiPartition::is_same_as(const EfiPartition& other) const {
  if (table != other.table || signature != other.signature || all_zero(signature)) return false;
  return table == Table::Gpt || number == other.number;
}

std::vector<EfiPartition> efi_partitions(ConstBytes head, uint32_t logical_sector) {
  std::vector<EfiPartition> found;
  Result<Mbr> mbr = parse_mbr(head.first(std::min(head.size(), kMbrBytes)));
  if (!mbr.ok()) return found;
  if (mbr.value().is_protective()) {
    Result<std::vector<GptPartition>> gpt = find_gpt_partitions(head, logical_sector);
    if (!gpt.ok()) return found;
    for (const GptPartition& partition : gpt.value()) {
      found.push_back({EfiPartition::Table::Gpt, partition.number, partition.first_sector,
                       partition.last_sector - partition.first_sector + 1, partition.id,
                       partition.type == kEfiSystemType});
    }
    return found;
  }
  Guid signature{};
  put_le32(signature, 0, mbr.value().signature);
  uint32_t number = 0;
  for (const MbrPartition& partition : mbr.value().partitions) {
    ++number;
    if (partition.type == 0) continue;
    found.push_back({EfiPartition::Table::Mbr, number, partition.first_sector,
                     partition.sector_count, signature, partition.type == kMbrEfiSystemType});
  }
  return found;
}

Result<EfiLoadOption> parse_load_option(ConstBytes bytes) {
  if (bytes.size() > kLargestLoadOption) {
    return Error(concat("of ", bytes.size(), " bytes: no boot entry"));
  }
  if (bytes.size() < kOptionHeader) return Error("cut off");
  EfiLoadOption option;
  option.is_active = (bytes[0] & kActive) != 0;
  size_t paths = little_endian(bytes.subspan(4, 2));
  bytes = bytes.subspan(kOptionHeader);
  option.description = read_text(bytes);
  size_t text = 2 * (option.description.size() + 1);
  if (text > bytes.size() || paths > bytes.size() - text) return Error("cut off");
  if (!read_device_path(bytes.subspan(text, paths), option)) {
    return Error("its device path has no end");
  }
  option.has_data = bytes.size() != text + paths;
  return option;
}

ByteVector format_load_option(const EfiLoadOption& option) {
  const EfiPartition& partition = *option.partition;
  bool is_gpt = partition.table == EfiPartition::Table::Gpt;
  ByteWriter paths;
  paths.le16(kHardDrive);
  paths.le16(kHardDriveBytes);
  paths.le32(partition.number);
  paths.le64(partition.first_sector);
  paths.le64(partition.sector_count);
  paths.append(partition.signature);
  paths.u8(static_cast<uint8_t>(partition.table));
  paths.u8(is_gpt ? kGuidSignature : kMbrSignature);
  paths.le16(kFilePath);
  paths.le16(static_cast<uint16_t>(kNodeHeader + 2 * (option.loader.size() + 1)));
  write_text(paths, option.loader);
  paths.le16(kEnd);
  paths.le16(kNodeHeader);

  ByteWriter out;
  out.le32(option.is_active ? kActive : 0);
  out.le16(static_cast<uint16_t>(paths.size()));
  write_text(out, option.description);
  out.append(paths.bytes());
  return std::move(out).bytes();
}

std::vector<uint16_t> parse_boot_order(ConstBytes bytes) {
  std::vector<uint16_t> order;
  for (; bytes.size() >= 2; bytes = bytes.subspan(2)) {
    order.push_back(static_cast<uint16_t>(little_endian(bytes.first(2))));
  }
  return order;
}

ByteVector format_boot_order(const std::vector<uint16_t>& order) {
  ByteWriter out;
  for (uint16_t number : order) out.le16(number);
  return std::move(out).bytes();
}

std::string boot_entry_name(uint16_t number) {
  static constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string name = "Boot";
  for (int shift = 12; shift >= 0; shift -= 4) name += kDigits[number >> shift & 0xf];
  return name;
}

std::optional<uint16_t> boot_entry_number(std::string_view name) {
  constexpr std::string_view kBoot = "Boot";
  if (!name.starts_with(kBoot)) return std::nullopt;
  Result<uint64_t> number = parse_hex_u64(name.substr(kBoot.size()));
  // Written again: lower-case digits make another variable, and "BootCurrent" none of these.
  if (!number.ok() || number.value() > 0xffff) return std::nullopt;
  auto found = static_cast<uint16_t>(number.value());
  return boot_entry_name(found) == name ? std::optional(found) : std::nullopt;
}

}  // namespace curlingiron
