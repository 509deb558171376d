#include "formats/fat.h"

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string_view>

#include "base/text.h"
#include "base/units.h"

namespace curlingiron {
namespace {

constexpr size_t kEntry = 32;  // of a directory
constexpr size_t kShortName = 11;
constexpr size_t kLongestName = 255;
constexpr size_t kUnitsPerEntry = 13;  // characters of a long name
constexpr size_t kMostPerDirectory = 65536;
constexpr size_t kRootEntries = 512;
constexpr uint32_t kReserved = 1;  // sectors: the boot sector
constexpr uint32_t kFats = 2;
constexpr uint64_t kFewest16 = 4085;  // clusters
constexpr uint64_t kMost16 = 65524;
constexpr uint8_t kLabel = 0x08;
constexpr uint8_t kDirectory = 0x10;
constexpr uint8_t kArchive = 0x20;
constexpr uint8_t kLongName = 0x0f;
constexpr uint16_t kFirstDay = 1 << 5 | 1;  // 1980-01-01
constexpr uint64_t kMostBytes = 1_GiB;

uint64_t divide_up(uint64_t value, uint64_t by) { return (value + by - 1) / by; }

bool is_short_character(char c) {
  return (c >= 'A' && c <= 'Z') || is_digit(c) ||
         std::string_view("$%'-_@~`!(){}^#&").find(c) != std::string_view::npos;
}

char upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; }

std::string to_upper(std::string_view text) {
  std::string result(text);
  std::ranges::transform(result, result.begin(), upper);
  return result;
}

Result<void> check_name(std::string_view name) {
  bool strange = std::ranges::any_of(name, [](char c) {
    auto code = static_cast<unsigned char>(c);
    return code < 0x20 || code >= 0x7f ||
           std::string_view("\"*/:<>?\\|").find(c) != std::string_view::npos;
  });
  bool bad = name.empty() || name == "." || name == ".." || name.size() > kLongestName ||
             name.ends_with('.') || name.ends_with(' ');
  if (bad || strange) {
    return Error(concat("\"", printable(name, 60), "\": no name that FAT can hold in ASCII"));
  }
  return {};
}

// "BOOTX64 EFI" of "BOOTX64.EFI"; nullopt where the name is not one of these.
std::optional<std::string> as_short(std::string_view name) {
  size_t dot = std::min(name.rfind('.'), name.size());
  std::string_view base = name.substr(0, dot);
  std::string_view extension = name.substr(std::min(dot + 1, name.size()));
  bool fits = !base.empty() && base.size() <= 8 && extension.size() <= 3 &&
              std::ranges::all_of(base, is_short_character) &&
              std::ranges::all_of(extension, is_short_character);
  if (!fits) return std::nullopt;
  std::string result(kShortName, ' ');
  std::ranges::copy(base, result.begin());
  std::ranges::copy(extension, result.begin() + 8);
  return result;
}

// "META-D~1   ": the one that stands beside a long name, and that nobody else has.
std::string alias_of(std::string_view name, const std::set<std::string>& taken) {
  size_t dot = std::min(name.rfind('.'), name.size());
  auto kept = [](std::string_view part, size_t most) {
    std::string text;
    for (char c : part) {
      if (c == ' ' || c == '.') continue;
      c = upper(c);
      text += is_short_character(c) ? c : '_';
    }
    text.resize(std::min(text.size(), most));
    return text;
  };
  std::string base = kept(name.substr(0, dot), 6);
  std::string extension = kept(name.substr(std::min(dot + 1, name.size())), 3);
  for (unsigned number = 1;; ++number) {
    std::string tail = concat("~", number);
    std::string result = concat(base.substr(0, 8 - tail.size()), tail);
    result.resize(8, ' ');
    result += extension;
    result.resize(kShortName, ' ');
    if (!taken.contains(result)) return result;
  }
}

std::string padded(std::string_view label) {
  std::string text(label);
  text.resize(kShortName, ' ');
  return text;
}

struct Node {
  std::string name;
  std::string short_name;  // 11 bytes, as on the disk
  bool is_long = false;    // needs entries for its name
  bool is_directory = false;
  ConstBytes bytes;
  std::vector<std::unique_ptr<Node>> children;
  std::map<std::string, Node*> by_name;  // in upper case
  uint16_t cluster = 0;                  // 0: none
  uint64_t size = 0;                     // in clusters' bytes: of a directory, its entries

  size_t entries() const {
    size_t long_entries = is_long ? divide_up(name.size(), kUnitsPerEntry) : 0;
    return 1 + long_entries;
  }
};

Result<Node*> add_child(Node& parent, std::string_view name, bool directory) {
  TRY(check_name(name));
  std::string key = to_upper(name);
  auto there = parent.by_name.find(key);
  if (there != parent.by_name.end()) {
    Node* node = there->second;
    if (directory && node->is_directory && node->name == name) return node;
    return Error(concat("\"", printable(name, 60), "\": FAT does not tell it from \"",
                        printable(node->name, 60), "\""));
  }
  auto node = std::make_unique<Node>();
  node->name = std::string(name);
  node->is_directory = directory;
  Node* added = node.get();
  parent.by_name[key] = added;
  parent.children.push_back(std::move(node));
  return added;
}

Result<void> add_file(Node& root, const FatFile& file) {
  std::vector<std::string_view> parts = split(file.path, '/');
  Node* parent = &root;
  for (size_t i = 0; i + 1 < parts.size(); ++i) parent = TRY(add_child(*parent, parts[i], true));
  Node* node = TRY(add_child(*parent, parts.back(), false));
  node->bytes = file.bytes;
  node->size = file.bytes.size();
  return {};
}

// Names that are short as they are come first: an alias must not take one of them.
void name_children(Node& parent) {
  std::set<std::string> taken;
  for (const std::unique_ptr<Node>& child : parent.children) {
    std::optional<std::string> name = as_short(child->name);
    child->is_long = !name.has_value();
    if (!name) continue;
    child->short_name = *name;
    taken.insert(*name);
  }
  for (const std::unique_ptr<Node>& child : parent.children) {
    if (child->is_long) {
      child->short_name = alias_of(child->name, taken);
      taken.insert(child->short_name);
    }
    if (child->is_directory) name_children(*child);
  }
}

size_t entries_in(const Node& directory, size_t own) {
  size_t count = own;
  for (const std::unique_ptr<Node>& child : directory.children) count += child->entries();
  return count;
}

// How a volume of that size is laid out.
struct Geometry {
  uint32_t sector = 512;
  uint32_t per_cluster = 1;  // sectors
  uint32_t fat = 0;          // sectors, from here on
  uint32_t root = 0;
  uint32_t total = 0;
  uint64_t clusters = 0;
  unsigned bits = 12;

  uint64_t cluster_size() const { return uint64_t{sector} * per_cluster; }
  uint64_t root_sector() const { return kReserved + uint64_t{kFats} * fat; }
  uint64_t data_sector() const { return root_sector() + root; }
};

// The type follows from the number of clusters, and that from the size of the table, which depends
// on the type: each is tried, and the one that agrees with itself is taken.
std::optional<Geometry> geometry_of(uint64_t sectors, uint32_t sector, uint32_t per_cluster) {
  for (unsigned bits : {12u, 16u}) {
    Geometry geometry;
    geometry.sector = sector;
    geometry.per_cluster = per_cluster;
    geometry.bits = bits;
    geometry.total = static_cast<uint32_t>(sectors);
    geometry.root = static_cast<uint32_t>(divide_up(kRootEntries * kEntry, sector));
    // The table for as many clusters as there would be without a table is large enough.
    uint64_t fixed = kReserved + geometry.root;
    if (sectors <= fixed) continue;
    uint64_t most = (sectors - fixed) / per_cluster;
    geometry.fat = static_cast<uint32_t>(divide_up(divide_up((most + 2) * bits, 8), sector));
    if (sectors <= geometry.data_sector()) continue;
    geometry.clusters = (sectors - geometry.data_sector()) / per_cluster;
    if (geometry.clusters == 0 || geometry.clusters > kMost16) continue;
    if ((geometry.clusters < kFewest16 ? 12 : 16) == bits) return geometry;
  }
  return std::nullopt;
}

// Small clusters while there are few of them.
Result<Geometry> choose_geometry(uint64_t size, uint32_t sector) {
  constexpr uint64_t kMany = 16384;
  constexpr uint64_t kLargestCluster = 32_KiB;
  std::optional<Geometry> chosen;
  for (uint32_t per_cluster = 1; uint64_t{per_cluster} * sector <= kLargestCluster;
       per_cluster *= 2) {
    std::optional<Geometry> geometry = geometry_of(size / sector, sector, per_cluster);
    if (!geometry) continue;
    chosen = geometry;
    if (geometry->clusters <= kMany) break;
  }
  if (!chosen) return Error(concat("no FAT fits into ", format_size(size)));
  return *chosen;
}

class Writer {
 public:
  Writer(const FatVolume& volume, const Geometry& geometry)
      : volume_(volume), geometry_(geometry), out_(uint64_t{geometry.total} * geometry.sector) {
    chain_ = {0xfff8, kEnd};  // the medium is fixed
  }

  Result<ByteVector> write(Node& root) {
    TRY(place_children(root));
    write_directory(root, nullptr);
    write_boot_sector();
    write_tables();
    return std::move(out_);
  }

 private:
  static constexpr uint16_t kEnd = 0xffff;  // of a chain

  Result<void> take_clusters(Node& node, uint64_t bytes) {
    uint64_t count = divide_up(bytes, geometry_.cluster_size());
    if (count == 0) return {};
    if (chain_.size() - 2 + count > geometry_.clusters) {
      return Error(concat("what it is to hold does not fit into ",
                          format_size(uint64_t{geometry_.total} * geometry_.sector)));
    }
    node.cluster = static_cast<uint16_t>(chain_.size());
    for (uint64_t i = 1; i < count; ++i) chain_.push_back(static_cast<uint16_t>(chain_.size() + 1));
    chain_.push_back(kEnd);
    return {};
  }

  Result<void> place(Node& directory, size_t entries) {
    if (entries > kMostPerDirectory) return Error("too many files in one directory");
    directory.size = entries * kEntry;
    // A directory has a cluster, even an empty one.
    return take_clusters(directory, std::max<uint64_t>(directory.size, 1));
  }

  Result<void> place_children(Node& parent) {
    for (const std::unique_ptr<Node>& child : parent.children) {
      if (child->is_directory) {
        TRY(place(*child, entries_in(*child, 2)));
        TRY(place_children(*child));
      } else {
        TRY(take_clusters(*child, child->size));
        if (child->cluster != 0) std::ranges::copy(child->bytes, at_cluster(child->cluster));
      }
    }
    return {};
  }

  ByteVector::iterator at_sector(uint64_t sector) {
    return out_.begin() + static_cast<ptrdiff_t>(sector * geometry_.sector);
  }
  ByteVector::iterator at_cluster(uint16_t cluster) {
    return at_sector(geometry_.data_sector() + uint64_t{cluster - 2u} * geometry_.per_cluster);
  }

  static void add_entry(ByteWriter& out, std::string_view name, uint8_t attributes,
                        uint16_t cluster, uint64_t size) {
    out.append(name);
    out.u8(attributes);
    out.zeros(4);  // case, and the time it was made
    out.le16(kFirstDay);
    out.le16(kFirstDay);
    out.le16(0);
    out.le16(0);
    out.le16(kFirstDay);
    out.le16(cluster);
    out.le32(static_cast<uint32_t>(size));
  }

  // The last part of the name comes first.
  static void add_long_name(ByteWriter& out, const Node& node) {
    uint8_t sum = 0;
    for (char c : node.short_name) {
      sum = static_cast<uint8_t>((sum >> 1 | sum << 7) + static_cast<uint8_t>(c));
    }
    size_t count = divide_up(node.name.size(), kUnitsPerEntry);
    for (size_t part = count; part != 0; --part) {
      ByteWriter units;
      for (size_t i = (part - 1) * kUnitsPerEntry; i < part * kUnitsPerEntry; ++i) {
        bool inside = i < node.name.size();
        units.le16(inside                  ? static_cast<uint8_t>(node.name[i])
                   : i == node.name.size() ? 0
                                           : 0xffff);
      }
      ConstBytes text = units.bytes();
      out.u8(static_cast<uint8_t>(part | (part == count ? 0x40 : 0)));
      out.append(text.first(10));
      out.u8(kLongName);
      out.u8(0);
      out.u8(sum);
      out.append(text.subspan(10, 12));
      out.le16(0);
      out.append(text.subspan(22, 4));
    }
  }

  void write_directory(const Node& node, const Node* parent) {
    ByteWriter out;
    if (parent == nullptr) {
      if (!volume_.label.empty()) {
        add_entry(out, padded(volume_.label), kLabel, 0, 0);
      }
    } else {
      // The root has no number of its own here.
      add_entry(out, padded("."), kDirectory, node.cluster, 0);
      add_entry(out, padded(".."), kDirectory, parent->cluster, 0);
    }
    for (const std::unique_ptr<Node>& child : node.children) {
      if (child->is_long) add_long_name(out, *child);
      add_entry(out, child->short_name, child->is_directory ? kDirectory : kArchive, child->cluster,
                child->is_directory ? 0 : child->size);
    }
    std::ranges::copy(out.bytes(), parent == nullptr ? at_sector(geometry_.root_sector())
                                                     : at_cluster(node.cluster));
    for (const std::unique_ptr<Node>& child : node.children) {
      if (child->is_directory) write_directory(*child, &node);
    }
  }

  void write_boot_sector() {
    ByteWriter out;
    out.append(ConstBytes(std::array<uint8_t, 3>{0xeb, 0x3c, 0x90}));  // over what follows
    out.append("MSWIN4.1");                                            // what all drivers accept
    out.le16(static_cast<uint16_t>(geometry_.sector));
    out.u8(static_cast<uint8_t>(geometry_.per_cluster));
    out.le16(kReserved);
    out.u8(kFats);
    out.le16(kRootEntries);
    bool few = geometry_.total < 65536;
    out.le16(few ? static_cast<uint16_t>(geometry_.total) : 0);
    out.u8(0xf8);
    out.le16(static_cast<uint16_t>(geometry_.fat));
    out.le16(32);  // sectors per track, and heads: of no use today
    out.le16(64);
    out.le32(volume_.hidden_sectors);
    out.le32(few ? 0 : geometry_.total);
    out.u8(0x80);
    out.u8(0);
    out.u8(0x29);
    out.le32(volume_.serial);
    out.append(padded(volume_.label.empty() ? "NO NAME" : volume_.label));
    out.append(geometry_.bits == 16 ? "FAT16   " : "FAT12   ");
    std::ranges::copy(out.bytes(), out_.begin());
    // At byte 510 whatever the sector's size.
    out_[510] = 0x55;
    out_[511] = 0xaa;
  }

  void write_tables() {
    for (uint32_t copy = 0; copy < kFats; ++copy) {
      MutableBytes fat = MutableBytes(out_).subspan(
          (kReserved + uint64_t{copy} * geometry_.fat) * geometry_.sector,
          uint64_t{geometry_.fat} * geometry_.sector);
      for (size_t i = 0; i < chain_.size(); ++i) set_link(fat, i, chain_[i]);
    }
  }

  void set_link(MutableBytes fat, size_t i, uint16_t value) const {
    if (geometry_.bits == 16) {
      fat[2 * i] = static_cast<uint8_t>(value);
      fat[2 * i + 1] = static_cast<uint8_t>(value >> 8);
      return;
    }
    // Two links share three bytes.
    size_t at = i + i / 2;
    if (i % 2 == 0) {
      fat[at] = static_cast<uint8_t>(value);
      fat[at + 1] = static_cast<uint8_t>((fat[at + 1] & 0xf0) | (value >> 8 & 0x0f));
    } else {
      fat[at] = static_cast<uint8_t>((fat[at] & 0x0f) | (value & 0x0f) << 4);
      fat[at + 1] = static_cast<uint8_t>(value >> 4);
    }
  }

  const FatVolume& volume_;
  Geometry geometry_;
  ByteVector out_;
  std::vector<uint16_t> chain_;  // by cluster: the next one
};

// Bytes that a volume needs at least, a little more than it does.
uint64_t size_for(const Node& directory, uint64_t cluster, size_t own) {
  uint64_t size = round_up(entries_in(directory, own) * kEntry, cluster);
  for (const std::unique_ptr<Node>& child : directory.children) {
    size += child->is_directory ? size_for(*child, cluster, 2) : round_up(child->size, cluster);
  }
  return size;
}

// The larger a volume, the larger its clusters, and what they leave unused.
Result<uint64_t> smallest_size(const Node& root, uint32_t sector) {
  for (uint64_t cluster = std::max<uint64_t>(2_KiB, sector);; cluster *= 2) {
    uint64_t data = size_for(root, cluster, 1);
    // Tables of 2 bytes for each.
    uint64_t size = data + data / cluster * 2 * kFats + kRootEntries * kEntry + 64_KiB;
    size = round_up(size, 64_KiB);
    if (size > kMostBytes) return size;
    Geometry geometry = TRY(choose_geometry(size, sector));
    if (geometry.cluster_size() <= cluster) return size;
  }
}

Result<void> check_label(std::string_view label) {
  bool fits = label.size() <= kShortName &&
              std::ranges::all_of(label, [](char c) { return is_short_character(c) || c == ' '; });
  if (fits) return {};
  return Error(concat("label \"", printable(label, 40),
                      "\": it has 11 upper-case letters, digits and signs at most"));
}

}  // namespace

Result<ByteVector> make_fat(const FatVolume& volume) {
  if (volume.sector != 512 && volume.sector != 4096) {
    return Error(concat("sectors of ", volume.sector, " bytes are none of FAT's"));
  }
  TRY(check_label(volume.label));
  Node root;
  for (const FatFile& file : volume.files) TRY_CONTEXT(file.path, add_file(root, file));
  name_children(root);

  uint64_t size = volume.size != 0 ? volume.size : TRY(smallest_size(root, volume.sector));
  if (size % volume.sector != 0) return Error("a volume ends with a sector");
  if (size > kMostBytes) return Error(concat(format_size(size), " are too much for one FAT here"));
  Geometry geometry = TRY(choose_geometry(size, volume.sector));
  size_t entries = entries_in(root, volume.label.empty() ? 0 : 1);
  if (entries > kRootEntries) {
    return Error(concat("its root has ", entries, " entries, and ", kRootEntries,
                        " fit: put files into directories"));
  }
  return Writer(volume, geometry).write(root);
}

}  // namespace curlingiron
