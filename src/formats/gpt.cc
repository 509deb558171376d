#include "formats/gpt.h"

#include <algorithm>

#include "base/text.h"

namespace curlingiron {
namespace {

constexpr std::string_view kGptSignature = "EFI PART";
constexpr size_t kSmallestGptHeader = 92;
constexpr size_t kSmallestGptEntry = 128;
constexpr size_t kHeaderCrcOffset = 16;
constexpr size_t kMbrSignatureOffset = 440;
constexpr uint16_t kMbrMark = 0xAA55;

constexpr std::array<uint32_t, 256> make_crc_table() {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1) != 0 ? 0xEDB88320u : 0);
    table[i] = value;
  }
  return table;
}

constexpr std::array<uint32_t, 256> kCrcTable = make_crc_table();

uint32_t crc_feed(uint32_t state, ConstBytes bytes) {
  for (uint8_t byte : bytes) state = (state >> 8) ^ kCrcTable[(state ^ byte) & 0xff];
  return state;
}

Result<Guid> read_guid(ByteReader& in) {
  ConstBytes bytes = TRY(in.take(16));
  Guid guid{};
  std::copy(bytes.begin(), bytes.end(), guid.begin());
  return guid;
}

bool is_unset(const Guid& guid) { return all_zero(guid); }

bool has_gpt_at(ConstBytes head, size_t offset) {
  return head.size() >= offset + kGptSignature.size() &&
         as_text(head.subspan(offset, kGptSignature.size())) == kGptSignature;
}

}  // namespace

uint32_t crc32(ConstBytes bytes) { return ~crc_feed(~uint32_t{0}, bytes); }

std::string format_guid(const Guid& guid) {
  std::string text;
  for (size_t i = 0; i < guid.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    text += to_hex(ConstBytes(guid).subspan(kGuidOrder[i], 1));
  }
  return text;
}

bool Mbr::is_protective() const {
  return std::any_of(partitions.begin(), partitions.end(),
                     [](const MbrPartition& p) { return p.type == kProtectiveType; });
}

Result<Mbr> parse_mbr(ConstBytes sector) {
  ByteReader in(sector);
  TRY(in.skip(kMbrSignatureOffset));
  Mbr mbr;
  mbr.signature = TRY(in.le32());
  TRY(in.skip(2));
  for (MbrPartition& partition : mbr.partitions) {
    uint8_t status = TRY(in.u8());
    // A file system's boot sector has code here. Partition tables have 0x00 or 0x80.
    if ((status & 0x7f) != 0) return Error("no partition table: not an MBR's status byte");
    partition.active = status == 0x80;
    TRY(in.skip(3));  // cylinder, head, sector
    partition.type = TRY(in.u8());
    TRY(in.skip(3));
    partition.first_sector = TRY(in.le32());
    partition.sector_count = TRY(in.le32());
  }
  if (TRY(in.le16()) != kMbrMark) return Error("no partition table: the 0xAA55 mark is missing");
  return mbr;
}

Result<GptHeader> parse_gpt_header(ConstBytes sector) {
  ByteReader in(sector);
  if (as_text(TRY(in.take(kGptSignature.size()))) != kGptSignature) {
    return Error("no GPT: the signature is missing");
  }
  TRY(in.skip(4));  // revision
  uint32_t size = TRY(in.le32());
  uint32_t crc = TRY(in.le32());
  if (size < kSmallestGptHeader || size > sector.size()) {
    return Error(concat("the GPT header claims a size of ", size, " bytes"));
  }
  static constexpr uint8_t kZeroCrc[4] = {};
  ConstBytes header = sector.first(size);
  uint32_t actual = crc_feed(~uint32_t{0}, header.first(kHeaderCrcOffset));
  actual = crc_feed(actual, kZeroCrc);
  actual = ~crc_feed(actual, header.subspan(kHeaderCrcOffset + sizeof kZeroCrc));
  if (actual != crc) return Error("the GPT header's checksum is wrong");

  GptHeader result;
  TRY(in.skip(4));  // reserved
  result.own_sector = TRY(in.le64());
  result.other_sector = TRY(in.le64());
  result.first_usable = TRY(in.le64());
  result.last_usable = TRY(in.le64());
  result.disk = TRY(read_guid(in));
  result.entries_sector = TRY(in.le64());
  result.entry_count = TRY(in.le32());
  result.entry_size = TRY(in.le32());
  result.entries_crc = TRY(in.le32());
  if (result.entry_size < kSmallestGptEntry || result.entry_size % 8 != 0 ||
      result.entries_bytes() > kMostGptEntryBytes) {
    return Error(
        concat("the GPT claims ", result.entry_count, " entries of ", result.entry_size, " bytes"));
  }
  return result;
}

Result<std::vector<GptPartition>> parse_gpt_entries(const GptHeader& header, ConstBytes bytes) {
  if (bytes.size() != header.entries_bytes()) return Error("the GPT's entries are truncated");
  if (crc32(bytes) != header.entries_crc) return Error("the GPT entries' checksum is wrong");
  std::vector<GptPartition> partitions;
  ByteReader table(bytes);
  for (unsigned number = 1; !table.at_end(); ++number) {
    ByteReader in(TRY(table.take(header.entry_size)));
    GptPartition partition;
    partition.number = number;
    partition.type = TRY(read_guid(in));
    if (is_unset(partition.type)) continue;
    partition.id = TRY(read_guid(in));
    partition.first_sector = TRY(in.le64());
    partition.last_sector = TRY(in.le64());
    if (partition.last_sector < partition.first_sector) {
      return Error("a GPT entry ends before it begins");
    }
    partition.attributes = TRY(in.le64());
    for (int i = 0; i < 36; ++i) {
      uint16_t unit = TRY(in.le16());  // UTF-16
      if (unit == 0) break;
      partition.name += unit >= ' ' && unit <= '~' ? static_cast<char>(unit) : '?';
    }
    partitions.push_back(std::move(partition));
  }
  return partitions;
}

Result<std::vector<GptPartition>> find_gpt_partitions(ConstBytes head, uint32_t logical_sector) {
  ByteReader in(head);
  TRY(in.skip(logical_sector));
  GptHeader header = TRY(parse_gpt_header(TRY(in.take(logical_sector))));
  if (logical_sector == 0 || header.entries_sector > head.size() / logical_sector) {
    return Error("the GPT's entries lie elsewhere");
  }
  ByteReader entries(head);
  TRY(entries.skip(static_cast<size_t>(header.entries_sector) * logical_sector));
  return parse_gpt_entries(header, TRY(entries.take(static_cast<size_t>(header.entries_bytes()))));
}

std::optional<uint32_t> find_gpt_sector_size(ConstBytes head) {
  for (uint32_t size : {512u, 4096u}) {
    if (has_gpt_at(head, size)) return size;
  }
  return std::nullopt;
}

std::string partition_table_id(ConstBytes head, uint32_t logical_sector) {
  if (logical_sector != 0 && head.size() >= uint64_t{logical_sector} * 2) {
    Result<GptHeader> gpt = parse_gpt_header(head.subspan(logical_sector, logical_sector));
    if (gpt.ok()) return format_guid(gpt.value().disk);
  }
  Result<Mbr> mbr = parse_mbr(head.first(std::min(head.size(), kMbrBytes)));
  if (!mbr.ok() || mbr.value().signature == 0 || mbr.value().is_protective()) return {};
  uint32_t signature = mbr.value().signature;
  std::array<uint8_t, 4> bytes{};
  for (unsigned i = 0; i < 4; ++i) bytes[i] = static_cast<uint8_t>(signature >> (24 - 8 * i));
  return to_hex(bytes);
}

ByteVector format_gpt_header(const GptHeader& header, uint32_t logical_sector) {
  auto fields = [&](uint32_t crc) {
    ByteWriter out;
    out.append(kGptSignature);
    out.le32(0x00010000);  // revision 1.0
    out.le32(kSmallestGptHeader);
    out.le32(crc);
    out.le32(0);
    out.le64(header.own_sector);
    out.le64(header.other_sector);
    out.le64(header.first_usable);
    out.le64(header.last_usable);
    out.append(header.disk);
    out.le64(header.entries_sector);
    out.le32(header.entry_count);
    out.le32(header.entry_size);
    out.le32(header.entries_crc);
    return std::move(out).bytes();
  };
  ByteVector sector = fields(crc32(fields(0)));
  sector.resize(logical_sector);
  return sector;
}

Result<ByteVector> format_gpt_entries(const std::vector<GptPartition>& partitions, uint32_t count) {
  constexpr size_t kMostName = 36;
  if (partitions.size() > count) return Error(concat("more than ", count, " partitions"));
  ByteWriter out;
  for (const GptPartition& partition : partitions) {
    bool plain = std::ranges::all_of(partition.name, [](char c) { return c >= ' ' && c <= '~'; });
    if (partition.name.size() > kMostName || !plain) {
      return Error(concat("\"", printable(partition.name, 40),
                          "\": a partition's name has 36 characters at most, of ASCII"));
    }
    out.append(partition.type);
    out.append(partition.id);
    out.le64(partition.first_sector);
    out.le64(partition.last_sector);
    out.le64(partition.attributes);
    for (char c : partition.name) out.le16(static_cast<uint8_t>(c));
    out.zeros(2 * (kMostName - partition.name.size()));
  }
  out.zeros((count - partitions.size()) * kSmallestGptEntry);
  return std::move(out).bytes();
}

ByteVector format_protective_mbr(uint64_t disk_sectors, ConstBytes boot_code) {
  ByteWriter out;
  out.append(boot_code.first(std::min(boot_code.size(), kMbrSignatureOffset)));
  out.zeros(446 - out.size());
  out.u8(0);
  out.append(ConstBytes(std::array<uint8_t, 3>{0x00, 0x02, 0x00}));  // cylinder, head, sector
  out.u8(kProtectiveType);
  out.append(ConstBytes(std::array<uint8_t, 3>{0xff, 0xff, 0xff}));
  out.le32(1);
  out.le32(static_cast<uint32_t>(std::min<uint64_t>(disk_sectors - 1, 0xffffffff)));
  out.zeros(48);
  out.le16(kMbrMark);
  return std::move(out).bytes();
}

}  // namespace curlingiron
