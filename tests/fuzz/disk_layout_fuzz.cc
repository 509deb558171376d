// The first seven bytes are the wish, the rest is an image's head: what is planned for the disk
// lies on it, spares every partition that stays, and leaves a table that is whole and asks for
// nothing more.
#include <algorithm>
#include <cstdlib>

#include "formats/disk_layout.h"
#include "formats/gpt.h"

using namespace curlingiron;

namespace {

constexpr size_t kWishBytes = 7;
constexpr size_t kHead = 128 * 1024;
constexpr size_t kLargestInput = 64 * 1024;
constexpr std::string_view kBasicData = "ebd0a0a2-b9e5-4433-87c0-68b6b72699c7";
constexpr uint64_t kLargestSeed = uint64_t{16} << 20;

void expect(bool holds) {
  if (!holds) std::abort();
}

uint64_t le(ConstBytes bytes, size_t offset, size_t count) {
  uint64_t value = 0;
  for (size_t i = count; i > 0; --i) value = value << 8 | bytes[offset + i - 1];
  return value;
}

void put_le32(ByteVector& bytes, size_t offset, uint32_t value) {
  for (size_t i = 0; i < 4; ++i) bytes[offset + i] = static_cast<uint8_t>(value >> (8 * i));
}

// Checksums stop mutations: these fit again.
void repair(ByteVector& head, uint32_t sector) {
  uint64_t begin = le(head, sector + 72, 8);
  uint64_t size = le(head, sector + 80, 4) * le(head, sector + 84, 4);
  uint64_t header_size = le(head, sector + 12, 4);
  if (begin > head.size() / sector || size > head.size() - begin * sector) return;
  if (header_size < 92 || header_size > sector) return;
  put_le32(head, sector + 88, crc32(ConstBytes(head).subspan(begin * sector, size)));
  put_le32(head, sector + 16, 0);
  put_le32(head, sector + 16, crc32(ConstBytes(head).subspan(sector, header_size)));
}

struct Part {
  uint64_t begin = 0;  // sectors
  uint64_t end = 0;
  bool is_seed = false;
};

std::vector<Part> parts_of(ConstBytes head, uint32_t sector, DiskLayout::Table table) {
  std::vector<Part> parts;
  if (table == DiskLayout::Table::Gpt) {
    Result<std::vector<GptPartition>> partitions = find_gpt_partitions(head, sector);
    expect(partitions.ok());
    for (const GptPartition& part : partitions.value()) {
      bool is_seed = part.name == kSeedPartitionName && format_guid(part.type) == kBasicData &&
                     part.last_sector - part.first_sector < kLargestSeed / sector;
      parts.push_back({part.first_sector, part.last_sector + 1, is_seed});
    }
  } else {
    Mbr mbr = parse_mbr(head.first(512)).value();
    for (const MbrPartition& part : mbr.partitions) {
      if (part.type == 0) continue;
      parts.push_back({part.first_sector, uint64_t{part.first_sector} + part.sector_count, false});
    }
  }
  std::ranges::sort(parts, {}, &Part::begin);
  return parts;
}

void check_patches(const DiskLayout& layout, const LayoutWish& wish) {
  uint64_t end = 0;
  for (const DiskPatch& patch : layout.patches) {
    expect(patch.offset >= end && patch.offset % wish.sector == 0);
    expect(!patch.bytes.empty() && patch.bytes.size() % wish.sector == 0);
    end = patch.end();
  }
  expect(end <= wish.disk_size);
}

// The backup is whole, and at the disk's end.
void check_backup(const DiskLayout& layout, const LayoutWish& wish) {
  uint64_t last = wish.disk_size / wish.sector - 1;
  const DiskPatch& patch = layout.patches.back();
  expect(patch.offset == last * wish.sector && patch.bytes.size() == wish.sector);
  GptHeader backup = parse_gpt_header(patch.bytes).value();
  expect(backup.own_sector == last && backup.other_sector == 1);
  const DiskPatch& entries = layout.patches[layout.patches.size() - 2];
  expect(entries.offset == backup.entries_sector * wish.sector && entries.end() <= patch.offset);
  expect(backup.last_usable * wish.sector < entries.offset);
  expect(parse_gpt_entries(backup, ConstBytes(entries.bytes).first(backup.entries_bytes())).ok());
}

void check_parts(const DiskLayout& layout, const LayoutWish& wish, const std::vector<Part>& before,
                 const std::vector<Part>& after) {
  uint64_t end = 0;
  for (const Part& part : after) {
    expect(part.begin >= end);
    end = part.end;
  }
  expect(end * wish.sector <= wish.disk_size);
  uint64_t seed_end = layout.seed_offset ? *layout.seed_offset + wish.seed_size : 0;
  if (layout.seed_offset) {
    expect(*layout.seed_offset % kSeedAlignment == 0);
    expect(std::ranges::any_of(after, [&](const Part& part) {
      return part.begin * wish.sector == *layout.seed_offset && part.end * wish.sector == seed_end;
    }));
  }
  for (const Part& old : before) {
    auto now = std::ranges::find(after, old.begin, &Part::begin);
    bool stays = now != after.end() && now->end >= old.end && now->is_seed == old.is_seed;
    if (!stays) {
      expect(old.is_seed && layout.seed_offset);  // replaced
      continue;
    }
    expect(now->end == old.end || (wish.grow && !old.is_seed));
    bool replaced = old.is_seed && old.begin * wish.sector == layout.seed_offset;
    for (const DiskPatch& patch : layout.patches) {
      expect(replaced || patch.end() <= old.begin * wish.sector ||
             patch.offset >= old.end * wish.sector);
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < kWishBytes || size > kLargestInput) return 0;
  ConstBytes input(data, size);
  LayoutWish wish;
  wish.sector = (data[0] & 1) != 0 ? 4096 : 512;
  wish.grow = (data[0] & 2) != 0;
  wish.seed_size = (data[0] & 4) != 0 ? (1 + data[1] % 16) * kSeedAlignment : 0;
  wish.seed_id.fill(0x5d);
  // Of half a sector, too: a file's size is anything.
  wish.disk_size = le(input, 2, 5) * 256;
  ByteVector head(kHead);
  std::ranges::copy(input.subspan(kWishBytes), head.begin());
  if ((data[0] & 8) != 0) repair(head, wish.sector);

  Result<DiskLayout> planned = plan_disk_layout(head, wish);
  if (!planned.ok()) {
    expect(wish.seed_size != 0);  // all else stays as it is
    return 0;
  }
  const DiskLayout& layout = planned.value();
  check_patches(layout, wish);
  expect(layout.seed_offset.has_value() == (wish.seed_size != 0));
  if (layout.patches.empty()) return 0;

  expect(layout.table != DiskLayout::Table::None);
  std::vector<Part> before = parts_of(head, wish.sector, layout.table);
  ByteVector patched = head;
  for (const DiskPatch& patch : layout.patches) {
    if (patch.offset >= patched.size()) continue;
    size_t count = std::min<size_t>(patch.bytes.size(), patched.size() - patch.offset);
    std::copy_n(patch.bytes.begin(), count, patched.begin() + static_cast<ptrdiff_t>(patch.offset));
  }
  if (layout.table == DiskLayout::Table::Gpt) check_backup(layout, wish);
  check_parts(layout, wish, before, parts_of(patched, wish.sector, layout.table));

  // In an MBR a seed has no name by which it could be known again: another is one more.
  if (layout.table == DiskLayout::Table::Mbr && layout.seed_offset) return 0;
  DiskLayout again = plan_disk_layout(patched, wish).value();
  expect(again.table == layout.table && !again.backup_moves);
  // Of a seed it says that it is replaced.
  expect(again.notes == layout.notes || wish.seed_size != 0);
  expect(again.seed_offset == layout.seed_offset && again.seed_number == layout.seed_number);
  expect(again.last.has_value() == layout.last.has_value());
  if (layout.last) {
    expect(again.last->number == layout.last->number && again.last->offset == layout.last->offset);
    expect(again.last->size == layout.last->size && again.last->size_before == again.last->size);
  }
  // A seed is entered anew, as it was; and a GPT's backup, of which the image's end is not known.
  constexpr size_t kBackup = 2;
  size_t most = layout.table == DiskLayout::Table::Gpt ? kBackup : 0;
  expect(again.patches.size() <= most || wish.seed_size != 0);
  for (const DiskPatch& patch : again.patches) {
    expect(std::ranges::any_of(layout.patches, [&](const DiskPatch& first) {
      return first.offset == patch.offset && first.bytes == patch.bytes;
    }));
  }
  return 0;
}
