// What UEFI's firmware starts: variables Boot#### (UEFI specification 2.10, 3.1.3) with device
// paths (10.3), and their order. Pure: what firmware and other systems have left there is foreign.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "formats/gpt.h"

namespace curlingiron {

// A partition as a device path names it (10.3.5.1, HD()).
struct EfiPartition {
  // Of the partition table: the values of the node.
  enum class Table : uint8_t { Mbr = 1, Gpt = 2 };

  Table table = Table::Gpt;
  uint32_t number = 0;  // as Linux counts
  uint64_t first_sector = 0;
  uint64_t sector_count = 0;
  Guid signature{};        // a GPT's: of the partition; an MBR's: 4 bytes of the disk, then zeros
  bool is_system = false;  // an EFI system partition, by its type; no device path says so

  // As firmware finds it again: by the signature, and in an MBR by its number, too. A signature of
  // zeros names nothing.
  bool is_same_as(const EfiPartition& other) const;
};

// Those of the table in `head`, the first bytes of a disk up to 1 MiB, that firmware goes by: the
// GPT after a protective MBR, else the MBR's four. None where the table is damaged, or elsewhere.
std::vector<EfiPartition> efi_partitions(ConstBytes head, uint32_t logical_sector);

inline constexpr size_t kLargestLoadOption = size_t{64} << 10;

struct EfiLoadOption {
  bool is_active = true;    // firmware passes over others
  std::string description;  // ASCII; other characters as '?'
  // Of the first device path. Nullopt: it names no partition (a network card, a whole disk).
  std::optional<EfiPartition> partition;
  std::string loader;     // "\EFI\BOOT\BOOTX64.EFI"; other characters as '?'; empty: none
  bool has_data = false;  // arguments for what is started
};

// `bytes`: the variable's value. Bounds: kLargestLoadOption. Errors: what ends before its parts do.
Result<EfiLoadOption> parse_load_option(ConstBytes bytes);
// With the short device path that all firmware takes: HD() and the file. `option` has a partition
// and no data, and its texts are ASCII.
ByteVector format_load_option(const EfiLoadOption& option);

// BootOrder: numbers of Boot####. An odd byte at its end is passed over.
std::vector<uint16_t> parse_boot_order(ConstBytes bytes);
ByteVector format_boot_order(const std::vector<uint16_t>& order);

// "Boot000A"; and back: nullopt for any other name.
std::string boot_entry_name(uint16_t number);
std::optional<uint16_t> boot_entry_number(std::string_view name);

}  // namespace curlingiron
