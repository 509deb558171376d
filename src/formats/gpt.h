// Partition tables: GPT (UEFI specification 2.10, chapter 5.3) and MBR (5.2). Pure; all fields of a
// table are foreign bytes and are checked before use.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace curlingiron {

using Guid = std::array<uint8_t, 16>;  // as on the disk: the first three fields little-endian

// The bytes of a GUID in the order in which people write them.
inline constexpr uint8_t kGuidOrder[] = {3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15};
// "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"
std::string format_guid(const Guid& guid);

inline constexpr size_t kMbrBytes = 512;          // of the first sector, however large it is
inline constexpr uint8_t kProtectiveType = 0xEE;  // the type of an MBR that stands for a GPT

struct MbrPartition {
  uint8_t type = 0;  // 0: unused
  bool active = false;
  uint32_t first_sector = 0;
  uint32_t sector_count = 0;

  // It holds others, in a list of its own.
  bool is_extended() const { return type == 0x05 || type == 0x0f || type == 0x85; }
};

struct Mbr {
  uint32_t signature = 0;  // "disk identifier"; 0: none
  std::array<MbrPartition, 4> partitions;

  // A protective MBR (type 0xEE): the GPT after it is the partition table.
  bool is_protective() const;
};

// `sector`: the first 512 bytes of a disk. A boot sector that has the 0xAA55 mark but no partition
// table (a file system without one) is an error.
Result<Mbr> parse_mbr(ConstBytes sector);

struct GptHeader {
  uint64_t own_sector = 0;
  uint64_t other_sector = 0;  // of the backup, or of the primary in the backup
  uint64_t first_usable = 0;
  uint64_t last_usable = 0;
  Guid disk{};
  uint64_t entries_sector = 0;
  uint32_t entry_count = 0;
  uint32_t entry_size = 0;
  uint32_t entries_crc = 0;

  uint64_t entries_bytes() const { return uint64_t{entry_count} * entry_size; }
};

inline constexpr uint64_t kMostGptEntryBytes = uint64_t{1} << 20;  // 8192 entries of 128 bytes

// `sector`: one logical sector. Checks the signature, the header's CRC-32 and the bounds of its
// fields.
Result<GptHeader> parse_gpt_header(ConstBytes sector);

struct GptPartition {
  Guid type{};
  Guid id{};
  uint64_t first_sector = 0;
  uint64_t last_sector = 0;  // inclusive
  uint64_t attributes = 0;
  std::string name;     // ASCII; other characters as '?'
  unsigned number = 0;  // as Linux counts: its place among the entries, from 1
};

// `bytes`: header.entries_bytes() bytes. Checks their CRC-32; unused entries are left out.
Result<std::vector<GptPartition>> parse_gpt_entries(const GptHeader& header, ConstBytes bytes);

// The partitions of the GPT in `head`, the first bytes of a disk with sectors of that size. Errors:
// no GPT, a damaged one, entries that lie outside `head`.
Result<std::vector<GptPartition>> find_gpt_partitions(ConstBytes head, uint32_t logical_sector);

// The logical sector size that the GPT in `head` was made for: where "EFI PART" stands (512 or
// 4096). Nullopt: no GPT.
std::optional<uint32_t> find_gpt_sector_size(ConstBytes head);

// The GPT's disk GUID, or the MBR's signature as 8 hexadecimal digits, as udev's ID_PART_TABLE_UUID
// has them; empty where there is neither. `head`: at least the first two sectors.
std::string partition_table_id(ConstBytes head, uint32_t logical_sector);

// A header's sector, with its checksum: what is parsed of it is what was given.
ByteVector format_gpt_header(const GptHeader& header, uint32_t logical_sector);
// So many entries of 128 bytes. Errors: more partitions than entries, a name of more than 36
// characters or one that is no ASCII.
Result<ByteVector> format_gpt_entries(const std::vector<GptPartition>& partitions, uint32_t count);
// The first 512 bytes of a disk of so many sectors, with this code in their first 440.
ByteVector format_protective_mbr(uint64_t disk_sectors, ConstBytes boot_code);

// CRC-32 as in zlib and GPT (polynomial 0xEDB88320, reflected).
uint32_t crc32(ConstBytes bytes);

}  // namespace curlingiron
