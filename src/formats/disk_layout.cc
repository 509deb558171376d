#include "formats/disk_layout.h"

#include <algorithm>

#include "base/text.h"
#include "base/units.h"
#include "formats/little_endian.h"
#include "formats/partition_type.h"

namespace curlingiron {
namespace {

constexpr size_t kMbrEntries = 446;
constexpr size_t kMbrEntryBytes = 16;
constexpr size_t kMbrCount = 4;
constexpr size_t kMbrMark = 510;
constexpr uint8_t kFat16Type = 0x0E;  // addressed by LBA
constexpr uint64_t kMostMbrSectors = 0xffffffff;

// What is larger has another's name only.
constexpr uint64_t kLargestSeed = 16_MiB;

// Partitions that nothing gains by growing, though they may end last.
struct Fixed {
  Guid gpt;
  uint8_t mbr;  // 0: an MBR has none
  std::string_view name;
};
constexpr Fixed kFixed[] = {
    {kBiosBootType, 0, "boot code (BIOS boot)"},
    {kEfiSystemType, kMbrEfiSystemType, "the EFI system partition"},
    {kSwapType, kMbrSwapType, "swap"},
};

// What is said where it was to grow.
std::string stays_small(unsigned slot, std::string_view what) {
  return concat("partition ", slot + 1, " ends last, but is ", what,
                ": it does not grow, and neither does what comes before it");
}

constexpr std::string_view kWithoutSeed =
    "; --no-seed goes without one, and --put puts files into the image's own file systems";

Error no_place(std::string_view why) {
  return Error(concat("the seed has no place: ", why, kWithoutSeed));
}

// In sectors; `end` is the first one after it.
struct Extent {
  unsigned slot = 0;
  uint64_t begin = 0;
  uint64_t end = 0;
};

// Of those that overlap, the first two in the disk's order.
std::optional<std::pair<unsigned, unsigned>> overlapping(std::vector<Extent> parts) {
  std::ranges::sort(parts, {}, &Extent::begin);
  for (size_t i = 1; i < parts.size(); ++i) {
    if (parts[i].begin < parts[i - 1].end) return std::pair(parts[i - 1].slot, parts[i].slot);
  }
  return std::nullopt;
}

std::string overlap_note(std::string_view table, std::pair<unsigned, unsigned> both) {
  return concat("the partition table (", table, ") stays as the image has it: its partitions ",
                both.first + 1, " and ", both.second + 1, " overlap");
}

// What is left of the disk for a seed and a last partition that grows, in sectors.
class Room {
 public:
  // `limit`: the first sector that no partition may have.
  Room(const LayoutWish& wish, const std::vector<Extent>& parts, uint64_t limit)
      : wish_(wish), limit_(limit), seed_begin_(limit) {
    if (!parts.empty()) last_ = *std::ranges::max_element(parts, {}, &Extent::end);
  }

  Result<void> place_seed() {
    if (wish_.seed_size == 0) return {};
    uint64_t used = last_ ? last_->end * wish_.sector : kSeedAlignment;
    uint64_t least = round_up(used, kSeedAlignment) + wish_.seed_size;
    uint64_t end = limit_ * wish_.sector;
    if (least > end) {
      return Error(concat("the disk has no room for the seed of ", format_size(wish_.seed_size),
                          " after the last partition: ", least - end,
                          " bytes are missing; use a larger disk, a smaller image or --no-seed"));
    }
    seed_begin_ = (end - wish_.seed_size) / kSeedAlignment * kSeedAlignment / wish_.sector;
    return {};
  }

  bool has_seed() const { return wish_.seed_size != 0; }
  uint64_t seed_begin() const { return seed_begin_; }
  uint64_t seed_end() const { return seed_begin_ + wish_.seed_size / wish_.sector; }
  const std::optional<Extent>& last() const { return last_; }

  // Where the last partition ends when it has grown: at a whole MiB.
  uint64_t grown_end() const {
    uint64_t step = kSeedAlignment / wish_.sector;
    return std::max(last_->end, seed_begin_ / step * step);
  }

  DiskLayout::LastPartition describe_last(uint64_t end, bool may_grow) const {
    uint64_t sector = wish_.sector;
    return {.number = last_->slot + 1,
            .offset = last_->begin * sector,
            .size_before = (last_->end - last_->begin) * sector,
            .size = (end - last_->begin) * sector,
            .free_after = may_grow && seed_begin_ > end ? (seed_begin_ - end) * sector : 0};
  }

 private:
  const LayoutWish& wish_;
  uint64_t limit_;
  uint64_t seed_begin_;
  std::optional<Extent> last_;
};

// --- GPT -----------------------------------------------------------------------------------------

class GptEditor {
 public:
  GptEditor(ConstBytes head, const LayoutWish& wish) : head_(head), wish_(wish) {}

  Result<DiskLayout> run() && {
    layout_.table = DiskLayout::Table::Gpt;
    if (Result<void> sound = read(); !sound.ok()) {
      if (wish_.seed_size != 0) return no_place(sound.error().message());
      layout_.notes.push_back(sound.error().message());
      return std::move(layout_);
    }
    Room room = room_for_last();
    TRY(room.place_seed());
    grow(room);
    if (room.has_seed()) TRY(enter_seed(room));
    layout_.backup_moves = header_.other_sector != disk_sectors() - 1;
    changes_ = layout_.backup_moves || wish_.seed_size != 0 ||
               header_.last_usable > last_usable() || (layout_.last && layout_.last->grows());
    make_patches();
    return std::move(layout_);
  }

 private:
  uint64_t disk_sectors() const { return wish_.disk_size / wish_.sector; }
  uint64_t entry_sectors() const {
    return round_up(header_.entries_bytes(), wish_.sector) / wish_.sector;
  }
  uint64_t backup_entries() const { return disk_sectors() - 1 - entry_sectors(); }
  uint64_t last_usable() const { return backup_entries() - 1; }

  static Error stays(std::string_view why) {
    return Error(concat("the partition table (GPT) stays as the image has it: ", why));
  }

  // An error says why the table has to stay as it is.
  Result<void> read() {
    uint64_t sector = wish_.sector;
    if (head_.size() < 2 * sector) return stays("it is cut off");
    Result<GptHeader> header = parse_gpt_header(head_.subspan(sector, sector));
    if (!header.ok()) return stays(concat("it is damaged (", header.error().message(), ")"));
    header_ = header.value();
    if (header_.own_sector != 1) return stays("it is damaged (it is not where it says)");
    if (header_.entry_count == 0) return stays("it has room for no partition");
    if (header_.first_usable > header_.last_usable || header_.first_usable >= disk_sectors()) {
      return stays("it is damaged (it leaves partitions no place)");
    }
    uint64_t begin = header_.entries_sector;
    uint64_t needed = entry_sectors();
    if (begin < 2 || begin > head_.size() / sector || needed > head_.size() / sector - begin) {
      return stays("its entries are not in the first MiB");
    }
    ConstBytes table = head_.subspan(begin * sector, needed * sector);
    entries_.assign(table.begin(), table.end());
    if (crc32(ConstBytes(entries_).first(header_.entries_bytes())) != header_.entries_crc) {
      return stays("it is damaged (its entries' checksum is wrong)");
    }
    // 3: as many sectors for the entries once more, and the two headers.
    if (disk_sectors() < begin + 2 * needed + 3) return stays("the disk is too small for another");
    TRY(check_mbr());
    return read_parts();
  }

  // The MBR protects the GPT and says nothing else.
  Result<void> check_mbr() const {
    bool protects = false;
    bool has_others = false;
    for (size_t i = 0; i < kMbrCount; ++i) {
      uint8_t type = head_[kMbrEntries + i * kMbrEntryBytes + 4];
      protects |= type == kProtectiveType;
      has_others |= type != 0 && type != kProtectiveType;
    }
    if (!protects || !has(head_, kMbrMark, "\x55\xaa")) {
      return stays("its MBR does not say that there is one");
    }
    if (has_others) return stays("it is a hybrid of GPT and MBR, which must say the same");
    return {};
  }

  size_t count() const { return header_.entry_count; }
  MutableBytes entry(size_t slot) {
    return MutableBytes(entries_).subspan(slot * header_.entry_size, header_.entry_size);
  }
  bool is_used(size_t slot) { return !all_zero(entry(slot).first(16)); }

  Result<void> read_parts() {
    for (size_t slot = 0; slot < count(); ++slot) {
      if (!is_used(slot)) continue;
      ByteReader in(entry(slot));
      TRY(in.skip(32));
      uint64_t first = TRY(in.le64());
      uint64_t last = TRY(in.le64());
      bool is_old_seed = is_seed(slot, first, last);
      if (wish_.seed_size != 0 && is_old_seed) {
        std::ranges::fill(entry(slot), uint8_t{0});
        layout_.notes.push_back(
            concat("partition ", slot + 1, ", a seed that the image brings, is replaced"));
        continue;
      }
      if (first > last) return stays(concat("partition ", slot + 1, " ends before it begins"));
      uint64_t least = std::max(header_.first_usable, header_.entries_sector + entry_sectors());
      if (first < least || last > last_usable()) {
        return stays(concat("partition ", slot + 1, " lies outside of what a table can hold here"));
      }
      parts_.push_back({static_cast<unsigned>(slot), first, last + 1});
      if (is_old_seed) old_seed_ = parts_.back();
    }
    if (auto both = overlapping(parts_)) return Error(overlap_note("GPT", *both));
    return {};
  }

  // One of ours: what only has its name is not taken away.
  bool is_seed(size_t slot, uint64_t first, uint64_t last) {
    if (!std::ranges::equal(entry(slot).first(16), kBasicDataType)) return false;
    if (last < first || last - first >= kLargestSeed / wish_.sector) return false;
    ConstBytes name = entry(slot).subspan(56, 72);
    for (size_t i = 0; i < name.size() / 2; ++i) {
      char expected = i < kSeedPartitionName.size() ? kSeedPartitionName[i] : '\0';
      if (name[2 * i] != static_cast<uint8_t>(expected) || name[2 * i + 1] != 0) return false;
      if (expected == '\0') break;
    }
    return true;
  }

  // A seed that stays, as no other is wanted, is where the last partition ends at the latest.
  Room room_for_last() {
    std::vector<Extent> parts = parts_;
    uint64_t limit = last_usable() + 1;
    if (old_seed_) {
      std::erase_if(parts, [&](const Extent& part) { return part.slot == old_seed_->slot; });
      bool comes_last = std::ranges::all_of(
          parts, [&](const Extent& part) { return part.end <= old_seed_->begin; });
      if (comes_last) limit = old_seed_->begin;
      if (comes_last && wish_.grow) {
        layout_.notes.push_back(
            concat("partition ", old_seed_->slot + 1,
                   ", a seed that the image brings, stays, and nothing grows past it; a seed of "
                   "your own replaces it"));
      }
    }
    return Room(wish_, parts, limit);
  }

  void grow(const Room& room) {
    if (!room.last()) {
      if (wish_.grow) layout_.notes.emplace_back("there is no partition that could grow");
      return;
    }
    unsigned slot = room.last()->slot;
    const Fixed* fixed = std::ranges::find_if(kFixed, [&](const Fixed& kind) {
      return std::ranges::equal(kind.gpt, entry(slot).first(kind.gpt.size()));
    });
    bool may_grow = fixed == std::end(kFixed);
    if (wish_.grow && !may_grow) layout_.notes.push_back(stays_small(slot, fixed->name));
    uint64_t end = wish_.grow && may_grow ? room.grown_end() : room.last()->end;
    if (end != room.last()->end) put_le64(entry(slot), 40, end - 1);
    layout_.last = room.describe_last(end, may_grow);
  }

  Result<void> enter_seed(const Room& room) {
    // After all that are there: numbers that the image's boot loader may know stay free.
    size_t slot = count();
    while (slot > 0 && !is_used(slot - 1)) --slot;
    if (slot == count()) {
      slot = 0;
      while (slot < count() && is_used(slot)) ++slot;
    }
    if (slot == count()) {
      return no_place("all entries of the partition table are in use");
    }
    MutableBytes place = entry(slot);
    std::ranges::fill(place, uint8_t{0});
    std::ranges::copy(kBasicDataType, place.begin());
    std::ranges::copy(wish_.seed_id, place.begin() + 16);
    put_le64(place, 32, room.seed_begin());
    put_le64(place, 40, room.seed_end() - 1);
    for (size_t i = 0; i < kSeedPartitionName.size(); ++i) {
      place[56 + 2 * i] = static_cast<uint8_t>(kSeedPartitionName[i]);
    }
    layout_.seed_offset = room.seed_begin() * wish_.sector;
    layout_.seed_number = static_cast<unsigned>(slot) + 1;
    return {};
  }

  // A header as the image has it, revision and reserved bytes too, but for what changes.
  ByteVector header(uint64_t own, uint64_t other, uint64_t entries) const {
    ConstBytes old = head_.subspan(wish_.sector, wish_.sector);
    ByteVector bytes(old.begin(), old.end());
    ByteReader in(old);
    (void)in.skip(12);
    uint32_t size = in.le32().value();  // judged by parse_gpt_header()
    put_le32(bytes, 16, 0);
    put_le64(bytes, 24, own);
    put_le64(bytes, 32, other);
    if (changes_) put_le64(bytes, 48, last_usable());
    put_le64(bytes, 72, entries);
    put_le32(bytes, 88, crc32(ConstBytes(entries_).first(header_.entries_bytes())));
    put_le32(bytes, 16, crc32(ConstBytes(bytes).first(size)));
    return bytes;
  }

  ByteVector protective_mbr() const {
    ByteVector bytes(head_.begin(), head_.begin() + wish_.sector);
    for (size_t i = 0; i < kMbrCount; ++i) {
      size_t at = kMbrEntries + i * kMbrEntryBytes;
      if (bytes[at + 4] != kProtectiveType) continue;
      put_le32(bytes, at + 12,
               static_cast<uint32_t>(std::min<uint64_t>(disk_sectors() - 1, kMostMbrSectors)));
    }
    return bytes;
  }

  void make_patches() {
    uint64_t sector = wish_.sector;
    uint64_t last = disk_sectors() - 1;
    auto add = [&](uint64_t at, ByteVector bytes) {
      layout_.patches.push_back({at * sector, std::move(bytes)});
    };
    if (changes_) {
      add(0, protective_mbr());
      add(1, header(1, last, header_.entries_sector));
      add(header_.entries_sector, entries_);
    }
    if (layout_.backup_moves) remove_old_backup();
    // In any case: the image may be shorter than its table says, and its last bytes are not known.
    add(backup_entries(), entries_);
    add(last, header(last, 1, backup_entries()));
  }

  // In the image it was at the end of a disk: in the middle of this one it would only be taken for
  // what it is not any more.
  void remove_old_backup() {
    uint64_t at = header_.other_sector;
    bool in_a_partition = std::ranges::any_of(
        parts_, [&](const Extent& part) { return at >= part.begin && at < part.end; });
    bool apart = at >= header_.entries_sector + entry_sectors() && at < backup_entries();
    if (in_a_partition || !apart) return;
    if (layout_.seed_offset && at * wish_.sector >= *layout_.seed_offset) return;
    layout_.patches.push_back({at * wish_.sector, ByteVector(wish_.sector)});
  }

  ConstBytes head_;
  const LayoutWish& wish_;
  GptHeader header_;
  ByteVector entries_;  // whole sectors
  std::vector<Extent> parts_;
  std::optional<Extent> old_seed_;  // one of them, that stays
  bool changes_ = false;            // the table, not its backup alone
  DiskLayout layout_;
};

// --- MBR -----------------------------------------------------------------------------------------

class MbrEditor {
 public:
  MbrEditor(ConstBytes head, Mbr mbr, const LayoutWish& wish)
      : sector_(head.begin(), head.begin() + wish.sector), mbr_(mbr), wish_(wish) {}

  Result<DiskLayout> run() && {
    layout_.table = DiskLayout::Table::Mbr;
    if (Result<void> sound = read(); !sound.ok()) {
      if (wish_.seed_size != 0) return no_place(sound.error().message());
      layout_.notes.push_back(sound.error().message());
      return std::move(layout_);
    }
    uint64_t limit = std::min(wish_.disk_size / wish_.sector, kMostMbrSectors);
    Room room(wish_, parts_, limit);
    TRY(room.place_seed());
    grow(room);
    if (room.has_seed()) TRY(enter_seed(room));
    if (changed_) layout_.patches.push_back({0, std::move(sector_)});
    return std::move(layout_);
  }

 private:
  static Error stays(std::string_view why) {
    return Error(concat("the partition table (MBR) stays as the image has it: ", why));
  }

  Result<void> read() {
    for (unsigned slot = 0; slot < kMbrCount; ++slot) {
      const MbrPartition& part = mbr_.partitions[slot];
      if (part.type == 0) continue;
      uint64_t end = uint64_t{part.first_sector} + part.sector_count;
      if (part.first_sector == 0) {
        return stays(concat("partition ", slot + 1,
                            " begins at the table itself, as on a disk that is a CD, too"));
      }
      if (part.sector_count == 0) return stays(concat("partition ", slot + 1, " has no sectors"));
      if (end > wish_.disk_size / wish_.sector) {
        return stays(concat("partition ", slot + 1, " lies outside of the disk"));
      }
      parts_.push_back({slot, part.first_sector, end});
    }
    if (auto both = overlapping(parts_)) return Error(overlap_note("MBR", *both));
    return {};
  }

  void grow(const Room& room) {
    if (!room.last()) return;
    unsigned slot = room.last()->slot;
    const MbrPartition& part = mbr_.partitions[slot];
    const Fixed* fixed = std::ranges::find_if(
        kFixed, [&](const Fixed& kind) { return kind.mbr != 0 && kind.mbr == part.type; });
    bool may_grow = fixed == std::end(kFixed) && !part.is_extended();
    if (wish_.grow && !may_grow) {
      layout_.notes.push_back(part.is_extended() ? concat("partition ", slot + 1,
                                                          " is extended: it "
                                                          "and what lies in it do not grow")
                                                 : stays_small(slot, fixed->name));
    }
    if (wish_.grow && wish_.disk_size / wish_.sector > kMostMbrSectors) {
      layout_.notes.push_back(concat("an MBR names no more than ",
                                     format_size(kMostMbrSectors * wish_.sector),
                                     ": the rest of the disk stays free"));
    }
    uint64_t end = wish_.grow && may_grow ? room.grown_end() : room.last()->end;
    if (end != room.last()->end) enter(slot, part.type, room.last()->begin, end);
    layout_.last = room.describe_last(end, may_grow);
  }

  Result<void> enter_seed(const Room& room) {
    for (unsigned slot = 0; slot < kMbrCount; ++slot) {
      if (mbr_.partitions[slot].type != 0) continue;
      enter(slot, kFat16Type, room.seed_begin(), room.seed_end());
      layout_.seed_offset = room.seed_begin() * wish_.sector;
      layout_.seed_number = slot + 1;
      return {};
    }
    return no_place("all four entries of the partition table are in use");
  }

  void enter(unsigned slot, uint8_t type, uint64_t begin, uint64_t end) {
    MutableBytes place = MutableBytes(sector_).subspan(kMbrEntries + slot * kMbrEntryBytes);
    constexpr uint8_t kBeyond[] = {0xfe, 0xff, 0xff};  // cylinder, head, sector: see the LBA
    if (place[4] == 0) std::ranges::copy(kBeyond, place.begin() + 1);
    place[4] = type;
    std::ranges::copy(kBeyond, place.begin() + 5);
    put_le32(place, 8, static_cast<uint32_t>(begin));
    put_le32(place, 12, static_cast<uint32_t>(end - begin));
    changed_ = true;
  }

  ByteVector sector_;
  Mbr mbr_;
  const LayoutWish& wish_;
  std::vector<Extent> parts_;
  bool changed_ = false;
  DiskLayout layout_;
};

}  // namespace

Result<DiskLayout> plan_disk_layout(ConstBytes head, const LayoutWish& wish) {
  // Some images carry a table for each size of sectors.
  if (has(head, wish.sector, "EFI PART")) return GptEditor(head, wish).run();
  Result<Mbr> mbr = parse_mbr(head.first(std::min(head.size(), kMbrBytes)));
  bool has_parts = mbr.ok() && head.size() >= wish.sector &&
                   std::ranges::any_of(mbr.value().partitions,
                                       [](const MbrPartition& part) { return part.type != 0; });
  if (has_parts && !mbr.value().is_protective()) return MbrEditor(head, mbr.value(), wish).run();
  DiskLayout layout;
  if (has_parts) {
    layout.notes.emplace_back(
        "the partition table stays as the image has it: its MBR stands for a GPT that is missing");
    if (wish.seed_size != 0) return no_place(layout.notes[0]);
  } else if (wish.seed_size != 0) {
    return no_place("the image has no partition table that could name it");
  } else if (wish.grow) {
    layout.notes.emplace_back("the image has no partition table: nothing grows");
  }
  return layout;
}

}  // namespace curlingiron
