#include "formats/fat_reader.h"

#include <algorithm>
#include <array>

#include "base/text.h"
#include "base/units.h"
#include "formats/little_endian.h"

namespace curlingiron {
namespace {

constexpr size_t kEntry = 32;  // of a directory
constexpr size_t kMostDirectory = 65536 * kEntry;
constexpr uint32_t kMost12 = 4084;  // clusters
constexpr uint32_t kMost16 = 65524;
constexpr uint32_t kMost32 = 0x0ffffff5;

constexpr uint8_t kDeleted = 0xe5;
constexpr uint8_t kLabel = 0x08;
constexpr uint8_t kDirectory = 0x10;
constexpr uint8_t kLongName = 0x0f;

constexpr size_t kUnitsPerEntry = 13;  // characters of a long name
constexpr size_t kMostParts = 20;

bool is_power_of_2(uint64_t value) { return value != 0 && (value & (value - 1)) == 0; }

void add_character(std::string& text, uint16_t unit) {
  text += unit >= ' ' && unit <= '~' ? static_cast<char>(unit) : '?';
}

// A long name stands in several entries before the one that it belongs to, its last part first.
class LongName {
 public:
  void forget() {
    next_ = 0;
    is_whole_ = false;
  }

  void take(ConstBytes entry) {
    constexpr uint8_t kFirst = 0x40;
    constexpr size_t kOffsets[kUnitsPerEntry] = {1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30};
    size_t part = entry[0] & 0x3fu;
    if ((entry[0] & kFirst) != 0) {
      forget();
      next_ = part <= kMostParts ? part : 0;
      sum_ = entry[13];
      text_.clear();
    }
    if (part == 0 || part != next_ || entry[13] != sum_) return forget();
    std::string units;
    for (size_t offset : kOffsets) {
      auto unit = static_cast<uint16_t>(entry[offset] | entry[offset + 1] << 8);
      if (unit == 0) break;
      add_character(units, unit);
    }
    text_.insert(0, units);
    is_whole_ = --next_ == 0;
  }

  // Nullopt: there is none, or it belongs to another entry.
  std::optional<std::string> of(ConstBytes short_name) {
    bool was_whole = is_whole_;
    uint8_t sum = 0;
    for (uint8_t c : short_name) sum = static_cast<uint8_t>((sum >> 1 | sum << 7) + c);
    forget();
    return was_whole && sum == sum_ ? std::optional(text_) : std::nullopt;
  }

 private:
  std::string text_;
  size_t next_ = 0;  // the part that is to come
  uint8_t sum_ = 0;
  bool is_whole_ = false;
};

// "BOOTX64.EFI" of "BOOTX64 EFI".
std::string as_name(ConstBytes short_name) {
  auto trimmed = [](ConstBytes part) {
    std::string text;
    for (uint8_t c : part) add_character(text, c);
    return text.substr(0, text.find_last_not_of(' ') + 1);
  };
  std::string name = trimmed(short_name.first(8));
  std::string extension = trimmed(short_name.subspan(8));
  return extension.empty() ? name : concat(name, ".", extension);
}

std::vector<FatEntry> parse_directory(ConstBytes bytes) {
  std::vector<FatEntry> found;
  LongName long_name;
  for (; bytes.size() >= kEntry; bytes = bytes.subspan(kEntry)) {
    ConstBytes entry = bytes.first(kEntry);
    if (entry[0] == 0) break;
    uint8_t attributes = entry[11];
    if (entry[0] == kDeleted) {
      long_name.forget();
    } else if ((attributes & 0x3f) == kLongName) {
      long_name.take(entry);
    } else if ((attributes & kLabel) != 0) {
      long_name.forget();
    } else {
      ConstBytes short_name = entry.first(11);
      FatEntry file;
      file.name = long_name.of(short_name).value_or(as_name(short_name));
      file.is_directory = (attributes & kDirectory) != 0;
      file.cluster = static_cast<uint32_t>(little_endian(entry.subspan(20, 2)) << 16 |
                                           little_endian(entry.subspan(26, 2)));
      file.size = static_cast<uint32_t>(little_endian(entry.subspan(28, 4)));
      found.push_back(std::move(file));
    }
  }
  return found;
}

}  // namespace

Result<FatReader::Layout> FatReader::read_layout(BootSector sector) {
  auto field = [&](size_t offset, size_t size) {
    return little_endian(sector.subspan(offset, size));
  };
  uint64_t sector_size = field(11, 2);
  uint64_t per_cluster = field(13, 1);
  uint64_t reserved = field(14, 2);
  uint64_t tables = field(16, 1);
  uint64_t root_entries = field(17, 2);
  uint64_t sectors = field(19, 2);
  uint64_t table_sectors = field(22, 2);
  // What decides is what Linux and EDK2 go by: many a small FAT32 has fewer clusters than the
  // specification wants.
  bool is_32 = table_sectors == 0;
  Layout layout;
  if (is_32) {
    table_sectors = field(36, 4);
    layout.root_cluster = static_cast<uint32_t>(field(44, 4));
  }
  if (sectors == 0) sectors = field(32, 4);
  bool sound = is_power_of_2(sector_size) && sector_size >= 512 && sector_size <= 4096 &&
               is_power_of_2(per_cluster) && reserved != 0 && tables != 0 && table_sectors != 0 &&
               sector[510] == 0x55 && sector[511] == 0xaa;
  if (!sound) return Error("no FAT file system");
  uint64_t root = reserved + tables * table_sectors;
  uint64_t root_sectors = is_32 ? 0 : round_up(root_entries * kEntry, sector_size) / sector_size;
  uint64_t data = root + root_sectors;
  if (data >= sectors) return Error("a FAT file system without room for data");
  uint64_t clusters = (sectors - data) / per_cluster;
  if (clusters > (is_32 ? kMost32 : kMost16)) return Error("a FAT file system that is too large");
  layout.cluster_size = static_cast<uint32_t>(sector_size * per_cluster);
  layout.table = reserved * sector_size;
  layout.root = root * sector_size;
  layout.root_size = root_sectors * sector_size;
  layout.data = data * sector_size;
  layout.clusters = static_cast<uint32_t>(clusters);
  layout.bits = is_32 ? 32 : clusters <= kMost12 ? 12 : 16;
  if ((uint64_t{layout.clusters} + 2) * layout.bits > table_sectors * sector_size * 8) {
    return Error("a FAT file system whose table is too small");
  }
  return layout;
}

Result<FatReader> FatReader::open(Read read) {
  std::array<uint8_t, kBootSector> sector{};
  TRY(read(0, sector));
  return FatReader(std::move(read), TRY(read_layout(sector)));
}

Result<uint32_t> FatReader::next_cluster(uint32_t cluster) const {
  std::array<uint8_t, 4> bytes{};
  uint64_t offset = uint64_t{cluster} * layout_.bits / 8;
  TRY(read_(layout_.table + offset, MutableBytes(bytes).first(layout_.bits == 32 ? 4 : 2)));
  auto link = static_cast<uint32_t>(little_endian(bytes));
  if (layout_.bits == 32) return link & 0x0fffffff;
  if (layout_.bits == 16) return link & 0xffff;
  return (cluster % 2 == 0 ? link : link >> 4) & 0x0fff;
}

Result<ByteVector> FatReader::read_directory(uint32_t cluster) const {
  ByteVector bytes;
  if (cluster == 0 && layout_.root_size != 0) {
    bytes.resize(std::min<uint64_t>(layout_.root_size, kMostDirectory));
    TRY(read_(layout_.root, bytes));
    return bytes;
  }
  if (cluster == 0) cluster = layout_.root_cluster;
  // A chain that goes in a circle ends here, too.
  while (cluster >= 2 && cluster - 2 < layout_.clusters && bytes.size() < kMostDirectory) {
    size_t filled = bytes.size();
    bytes.resize(filled + layout_.cluster_size);
    TRY(read_(layout_.data + uint64_t{cluster - 2} * layout_.cluster_size,
              MutableBytes(bytes).subspan(filled)));
    cluster = TRY(next_cluster(cluster));
  }
  return bytes;
}

Result<std::vector<FatEntry>> FatReader::list(std::string_view path) const {
  uint32_t cluster = 0;
  if (!path.empty()) {
    for (std::string_view name : split(path, '/')) {
      std::vector<FatEntry> entries = parse_directory(TRY(read_directory(cluster)));
      auto found = std::ranges::find_if(entries, [&](const FatEntry& entry) {
        return entry.is_directory && equal_ignoring_case(entry.name, name);
      });
      if (found == entries.end()) {
        return Error(concat(printable(path), ": no such directory in its FAT file system"));
      }
      cluster = found->cluster;
    }
  }
  return parse_directory(TRY(read_directory(cluster)));
}

}  // namespace curlingiron
