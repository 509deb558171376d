// Partition tables for tests, written from the specification, not by the parser's code.
#pragma once

#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "formats/gpt.h"

namespace curlingiron {

inline constexpr Guid kEfiSystem = {0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11,
                                    0xba, 0x4b, 0x00, 0xa0, 0xc9, 0x3e, 0xc9, 0x3b};
inline constexpr Guid kDiskGuid = {0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66,
                                   0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff};
inline constexpr char kDiskGuidText[] = "00112233-4455-6677-8899-aabbccddeeff";

inline ByteVector make_mbr(uint32_t signature, std::vector<MbrPartition> partitions) {
  ByteWriter out;
  out.zeros(440);
  out.le32(signature);
  out.le16(0);
  partitions.resize(4);
  for (const MbrPartition& partition : partitions) {
    out.u8(partition.active ? 0x80 : 0);
    out.zeros(3);
    out.u8(partition.type);
    out.zeros(3);
    out.le32(partition.first_sector);
    out.le32(partition.sector_count);
  }
  out.le16(0xAA55);
  return std::move(out).bytes();
}

struct GptFields {
  uint64_t sectors = 100'000;
  uint32_t entry_count = 128;
  uint32_t entry_size = 128;
  uint32_t entries_crc = 0;
};

inline ByteVector make_gpt_header(uint32_t sector, const GptFields& fields) {
  auto header = [&](uint32_t crc) {
    ByteWriter out;
    out.append("EFI PART");
    out.le32(0x00010000);
    out.le32(92);
    out.le32(crc);
    out.le32(0);
    out.le64(1);
    out.le64(fields.sectors - 1);
    out.le64(34);
    out.le64(fields.sectors - 34);
    out.append(kDiskGuid);
    out.le64(2);
    out.le32(fields.entry_count);
    out.le32(fields.entry_size);
    out.le32(fields.entries_crc);
    return std::move(out).bytes();
  };
  ByteVector bytes = header(crc32(header(0)));
  bytes.resize(sector);
  return bytes;
}

// The protective MBR, the header and the entries of a disk.
inline ByteVector make_gpt_of(uint32_t sector, uint64_t sectors,
                              const std::vector<GptPartition>& partitions) {
  ByteWriter entries;
  for (const GptPartition& partition : partitions) {
    entries.append(partition.type);
    entries.append(partition.id);
    entries.le64(partition.first_sector);
    entries.le64(partition.last_sector);
    entries.le64(partition.attributes);
    for (char c : partition.name) entries.le16(static_cast<uint8_t>(c));
    entries.zeros(72 - 2 * partition.name.size());
  }
  entries.zeros(128 * 128 - entries.size());

  GptFields fields;
  fields.sectors = sectors;
  fields.entries_crc = crc32(entries.bytes());
  ByteWriter out;
  out.append(make_mbr(0, {{0xEE, false, 1, 0xffffffff}}));
  out.zeros(sector - out.size());
  out.append(make_gpt_header(sector, fields));
  out.append(entries.bytes());
  return std::move(out).bytes();
}

// The same with one partition, whose name is not ASCII.
inline ByteVector make_gpt(uint32_t sector, uint64_t sectors) {
  ByteWriter entries;
  entries.append(kEfiSystem);
  entries.append(kDiskGuid);
  entries.le64(40);
  entries.le64(99);
  entries.le64(0);
  for (char16_t unit : std::u16string_view(u"EFI \u2603 System")) entries.le16(unit);
  entries.zeros(128 * 128 - entries.size());

  GptFields fields;
  fields.sectors = sectors;
  fields.entries_crc = crc32(entries.bytes());
  ByteWriter out;
  out.append(make_mbr(0, {{0xEE, false, 1, 0xffffffff}}));
  out.zeros(sector - out.size());
  out.append(make_gpt_header(sector, fields));
  out.append(entries.bytes());
  return std::move(out).bytes();
}

}  // namespace curlingiron
