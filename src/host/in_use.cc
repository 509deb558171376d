#include "host/in_use.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>

#include "base/bytes.h"
#include "base/text.h"
#include "base/units.h"
#include "formats/disk_image.h"
#include "sys/file.h"

namespace curlingiron {
namespace {

constexpr size_t kMountTable = size_t{4} << 20;
constexpr uint64_t kSysfsSector = 512;
// Layers one on the other: encryption on LVM on RAID on a partition is three.
constexpr unsigned kMostLayers = 8;

std::string line_of(const UniqueFd& root, const std::string& path) {
  Result<std::string> line = read_line(root, path);
  return line.ok() ? std::move(line).value() : std::string();
}

// /proc writes a blank in a path as "\040", and so on (proc_pid_mountinfo(5)).
std::string unescape_octal(std::string_view text) {
  std::string result;
  for (size_t i = 0; i < text.size(); ++i) {
    auto digit = [&](size_t at) { return text[at] >= '0' && text[at] <= '7'; };
    if (text[i] == '\\' && i + 3 < text.size() && digit(i + 1) && digit(i + 2) && digit(i + 3)) {
      int value = (text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0');
      result += static_cast<char>(value);
      i += 3;
    } else {
      result += text[i];
    }
  }
  return result;
}

// A disk, a partition or a volume, as the tables of the kernel name it.
struct Block {
  std::string name;                // "dm-0"
  std::string number;              // "253:0"
  std::vector<std::string> paths;  // "/dev/dm-0", "/dev/mapper/vg0-root"
};

// `folder`: in sysfs.
Block block_in(const UniqueFd& root, const std::string& name, const std::string& folder) {
  Block block{name, line_of(root, concat(folder, "/dev")), {concat("/dev/", name)}};
  std::string mapped = line_of(root, concat(folder, "/dm/name"));
  if (!mapped.empty()) block.paths.push_back(concat("/dev/mapper/", mapped));
  return block;
}

Block block_of(const UniqueFd& root, const std::string& name) {
  std::string folder = concat("sys/class/block/", name);
  return block_in(root, name, exists(root, folder) ? folder : concat("sys/block/", name));
}

// The devices of each btrfs that is mounted (/sys/fs/btrfs/UUID/devices).
using Pool = std::vector<Block>;
std::vector<Pool> read_pools(const UniqueFd& root) {
  std::vector<Pool> pools;
  Result<std::vector<std::string>> entries = list_directory(root, "sys/fs/btrfs");
  if (!entries.ok()) return pools;
  for (const std::string& entry : entries.value()) {
    Result<std::vector<std::string>> names =
        list_directory(root, concat("sys/fs/btrfs/", entry, "/devices"));
    if (!names.ok()) continue;  // "features"
    Pool pool;
    for (const std::string& name : names.value()) pool.push_back(block_of(root, name));
    pools.push_back(std::move(pool));
  }
  return pools;
}

// The kernel's tables of mounts, of swap, and of file systems that span devices.
class Tables {
 public:
  explicit Tables(const UniqueFd& root) : pools_(read_pools(root)) {
    Result<std::string> mounts = read_text(root, "proc/self/mountinfo", kMountTable);
    if (mounts.ok()) mounts_ = std::move(mounts).value();
    Result<std::string> swaps = read_text(root, "proc/swaps");
    if (swaps.ok()) swaps_ = std::move(swaps).value();
  }

  // In the order in which they were mounted.
  std::vector<std::string> mounts_of(const Block& block) const {
    std::vector<std::string> points;
    // 36 35 98:0 /root /mount/point rw,noatime shared:1 - ext4 /dev/sda1 rw
    for (std::string_view line : split(mounts_, '\n')) {
      std::vector<std::string_view> fields = split_blank(line);
      auto dash = std::find(fields.begin(), fields.end(), "-");
      if (fields.size() < 6 || fields.end() - dash < 3) continue;
      if (fields[2] != block.number && !is_source(block, dash[1], dash[2])) continue;
      std::string point = printable(unescape_octal(fields[4]));
      if (std::find(points.begin(), points.end(), point) == points.end()) {
        points.push_back(std::move(point));
      }
    }
    return points;
  }

  bool is_swap(const Block& block) const {
    for (std::string_view line : split(swaps_, '\n')) {
      std::vector<std::string_view> fields = split_blank(line);
      if (!fields.empty() && is_path_of(block, fields[0])) return true;
    }
    return false;
  }

  // Of the btrfs that it is one of several devices of: nullptr where it is none.
  const Pool* pool_of(const Block& block) const {
    for (const Pool& pool : pools_) {
      bool member = std::ranges::find(pool, block.name, &Block::name) != pool.end();
      if (member && pool.size() > 1) return &pool;
    }
    return nullptr;
  }

  bool root_is(std::string_view file_system) const {
    std::string_view last;
    for (std::string_view line : split(mounts_, '\n')) {
      std::vector<std::string_view> fields = split_blank(line);
      auto dash = std::find(fields.begin(), fields.end(), "-");
      if (fields.end() - dash >= 3 && fields.size() > 5 && fields[4] == "/") last = dash[1];
    }
    return last == file_system;
  }

 private:
  static bool is_path_of(const Block& block, std::string_view path) {
    return std::find(block.paths.begin(), block.paths.end(), path) != block.paths.end();
  }

  // What shows a device number of its own is known by its source: of btrfs that is one of its
  // devices, of bcachefs all of them ("/dev/sda:/dev/sdb").
  bool is_source(const Block& block, std::string_view file_system, std::string_view source) const {
    for (std::string_view path : split(source, ':')) {
      if (is_path_of(block, path)) return true;
    }
    const Pool* pool = file_system == "btrfs" ? pool_of(block) : nullptr;
    return pool != nullptr &&
           std::ranges::any_of(*pool, [&](const Block& each) { return is_path_of(each, source); });
  }

  std::vector<Pool> pools_;
  std::string mounts_;
  std::string swaps_;
};

enum class VolumeKind { None, Logical, Encrypted, Multipath, Mapped, Raid };

// By the prefix of its UUID a volume of the device mapper says who made it (dm-ioctl.h).
VolumeKind kind_of_volume(const UniqueFd& root, const std::string& name) {
  std::string folder = concat("sys/class/block/", name);
  std::string uuid = line_of(root, concat(folder, "/dm/uuid"));
  if (uuid.starts_with("LVM-")) return VolumeKind::Logical;
  if (uuid.starts_with("CRYPT-")) return VolumeKind::Encrypted;
  if (uuid.starts_with("mpath-")) return VolumeKind::Multipath;
  if (exists(root, concat(folder, "/dm"))) return VolumeKind::Mapped;
  return exists(root, concat(folder, "/md")) ? VolumeKind::Raid : VolumeKind::None;
}

// "LVM vg0-root": what a holder makes of what it holds.
std::string layer_name(const UniqueFd& root, const std::string& name) {
  std::string folder = concat("sys/class/block/", name);
  std::string mapped = printable(line_of(root, concat(folder, "/dm/name")));
  switch (kind_of_volume(root, name)) {
    case VolumeKind::Logical: return concat("LVM ", mapped);
    case VolumeKind::Encrypted: return concat("encrypted ", mapped);
    case VolumeKind::Multipath: return concat("multipath ", mapped);
    case VolumeKind::Mapped: return concat("device mapper ", mapped);
    case VolumeKind::Raid: {
      std::string level = line_of(root, concat(folder, "/md/level"));
      return concat("RAID ", name, level.empty() ? "" : concat(" (", printable(level), ")"));
    }
    case VolumeKind::None: return name;
  }
  __builtin_unreachable();
}

// "Btrfs over vda2 and vdb": a file system that lies on more than one device.
std::string pool_name(const UniqueFd& root, const Pool& pool) {
  std::vector<std::string> names;
  for (const Block& block : pool) {
    std::string mapped =
        printable(line_of(root, concat("sys/class/block/", block.name, "/dm/name")));
    names.push_back(mapped.empty() ? block.name : mapped);
  }
  return concat("Btrfs over ", join(names, " and "));
}

void add_layer(DiskPart& part, std::string& layers, const std::string& layer) {
  layers += concat(layers.empty() ? "" : ", ", layer);
  if (std::ranges::find(part.layers, layer) == part.layers.end()) part.layers.push_back(layer);
}

// Adds to `part` how `block` is used, and what holds it; `layers` lead to it.
void add_uses(const UniqueFd& root, const Tables& tables, const Block& block,
              const std::string& folder, std::string layers, unsigned depth, DiskPart& part) {
  if (const Pool* pool = tables.pool_of(block)) {
    add_layer(part, layers, pool_name(root, *pool));
  }
  auto add = [&](std::string_view use) {
    std::string text = layers.empty() ? std::string(use)
                       : use.empty()  ? layers
                                      : concat(layers, ", ", use);
    if (std::find(part.uses.begin(), part.uses.end(), text) == part.uses.end()) {
      part.uses.push_back(std::move(text));
    }
  };
  std::vector<std::string> mounts = tables.mounts_of(block);
  part.holds_root = part.holds_root || std::ranges::find(mounts, "/") != mounts.end();
  if (!mounts.empty()) add(concat("mounted on ", join(mounts, " and ")));
  bool swap = tables.is_swap(block);
  if (swap) add("swap");
  Result<std::vector<std::string>> holders = list_directory(root, concat(folder, "/holders"));
  bool held = holders.ok() && !holders.value().empty();
  if (!held && mounts.empty() && !swap && !layers.empty()) add("");
  if (!held || depth == kMostLayers) return;
  for (const std::string& holder : holders.value()) {
    std::string with_holder = layers;
    add_layer(part, with_holder, layer_name(root, holder));
    add_uses(root, tables, block_of(root, holder), concat("sys/class/block/", holder), with_holder,
             depth + 1, part);
  }
}

// Whether something in the kernel holds it for itself.
bool is_claimed(const UniqueFd& root, const std::string& name) {
  Result<UniqueFd> device = open_at(root, concat("dev/", name), O_RDONLY | O_NONBLOCK | O_EXCL);
  return !device.ok() && device.error().code() == EBUSY;
}

// What its first bytes say.
std::string content_of(const UniqueFd& root, const std::string& name, uint64_t size) {
  Result<UniqueFd> device = open_at(root, concat("dev/", name), O_RDONLY | O_NONBLOCK);
  if (!device.ok()) return {};
  ByteVector head(std::min<uint64_t>(size, 256_KiB));  // ZFS is known by what follows 128 KiB
  if (!pread_exact(device.value(), head, 0).ok()) return {};
  std::optional<DiskImage> image = find_disk_image(head);
  return image && image->kind == DiskImage::Kind::Volume ? std::string(image->name) : "";
}

uint64_t size_of(const UniqueFd& root, const std::string& folder) {
  Result<uint64_t> sectors = parse_u64(line_of(root, concat(folder, "/size")));
  return sectors.ok() && sectors.value() <= UINT64_MAX / kSysfsSector
             ? sectors.value() * kSysfsSector
             : 0;
}

}  // namespace

std::vector<DiskPart> parts_of(const UniqueFd& root, const std::string& name) {
  std::string disk = concat("sys/block/", name);
  if (!exists(root, disk)) disk = concat("sys/class/block/", name);  // a partition
  Tables tables(root);
  std::vector<DiskPart> parts;
  auto add = [&](const std::string& part_name, const std::string& folder) {
    DiskPart part{part_name, size_of(root, folder), {}, {}, false, {}};
    part.content = content_of(root, part_name, part.size);
    add_uses(root, tables, block_in(root, part_name, folder), folder, "", 0, part);
    // No table says which devices its pools are made of.
    if (part.content == "ZFS" && is_claimed(root, part_name)) {
      part.uses.emplace_back("ZFS pool in use");
      part.holds_root = part.holds_root || tables.root_is("zfs");
    }
    parts.push_back(std::move(part));
  };
  add(name, disk);
  if (parts.front().uses.empty() && parts.front().content.empty()) parts.clear();
  Result<std::vector<std::string>> children = list_directory(root, disk);
  if (!children.ok()) return parts;
  std::vector<std::pair<uint64_t, std::string>> numbered;
  for (const std::string& child : children.value()) {
    Result<uint64_t> number = parse_u64(line_of(root, concat(disk, "/", child, "/partition")));
    if (number.ok()) numbered.emplace_back(number.value(), child);
  }
  std::ranges::sort(numbered);
  for (const auto& [number, child] : numbered) add(child, concat(disk, "/", child));
  return parts;
}

std::vector<std::string> uses_of(const std::vector<DiskPart>& parts) {
  std::vector<std::string> uses;
  for (const DiskPart& part : parts) {
    for (const std::string& use : part.uses) {
      uses.push_back(concat(part.name, is_plain_use(use) ? " is " : ": ", use));
    }
  }
  return uses;
}

bool is_plain_use(std::string_view use) { return use.starts_with("mounted on ") || use == "swap"; }

std::vector<std::string> shared_layers(const std::vector<DiskPart>& parts,
                                       const std::vector<DiskPart>& others) {
  std::vector<std::string> shared;
  for (const DiskPart& part : parts) {
    for (const std::string& layer : part.layers) {
      bool there = std::ranges::any_of(others, [&](const DiskPart& other) {
        return std::ranges::find(other.layers, layer) != other.layers.end();
      });
      if (there && std::ranges::find(shared, layer) == shared.end()) shared.push_back(layer);
    }
  }
  return shared;
}

std::vector<std::string> uses_of_file(const UniqueFd& root, const std::string& path) {
  std::vector<std::string> uses;
  if (Result<std::string> table = read_text(root, "proc/swaps"); table.ok()) {
    for (std::string_view line : split(table.value(), '\n')) {
      std::vector<std::string_view> fields = split_blank(line);
      if (!fields.empty() && unescape_octal(fields[0]) == path)
        uses.push_back(concat(path, " is swap"));
    }
  }
  Result<std::vector<std::string>> names = list_directory(root, "sys/block");
  if (!names.ok()) return uses;
  for (const std::string& name : names.value()) {
    if (!name.starts_with("loop")) continue;
    Result<std::string> behind = read_line(root, concat("sys/block/", name, "/loop/backing_file"));
    if (behind.ok() && behind.value() == path) uses.push_back(concat(path, " is behind ", name));
  }
  return uses;
}

std::string volume_kind(const UniqueFd& root, const std::string& name) {
  switch (kind_of_volume(root, name)) {
    case VolumeKind::Logical: return "a logical volume";
    case VolumeKind::Encrypted: return "an encrypted volume";
    case VolumeKind::Multipath: return "a multipath device";
    case VolumeKind::Mapped: return "a volume of the device mapper";
    case VolumeKind::Raid: return "a RAID";
    case VolumeKind::None: return {};
  }
  __builtin_unreachable();
}

std::vector<std::string> disks_under(const UniqueFd& root, const std::string& name) {
  std::vector<std::string> disks;
  std::vector<std::string> open = {name};
  for (unsigned depth = 0; depth < kMostLayers && !open.empty(); ++depth) {
    std::vector<std::string> next;
    for (const std::string& each : open) {
      Result<std::vector<std::string>> slaves =
          list_directory(root, concat("sys/class/block/", each, "/slaves"));
      if (slaves.ok() && !slaves.value().empty()) {
        next.insert(next.end(), slaves.value().begin(), slaves.value().end());
        continue;
      }
      std::string disk = each;
      if (exists(root, concat("sys/class/block/", each, "/partition"))) {
        // ".../block/sda/sda1"
        Result<std::string> link = read_link(root, concat("sys/class/block/", each));
        std::string_view path = link.ok() ? std::string_view(link.value()) : "";
        path = path.substr(0, std::min(path.rfind('/'), path.size()));
        disk = std::string(path.substr(path.rfind('/') + 1));
      }
      if (std::ranges::find(disks, disk) == disks.end()) disks.push_back(std::move(disk));
    }
    open = std::move(next);
  }
  return disks;
}

}  // namespace curlingiron
