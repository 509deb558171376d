#include "image/put.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <map>

#include "base/log.h"
#include "base/text.h"
#include "base/units.h"
#include "formats/superblock.h"
#include "sys/block_device.h"
#include "sys/file.h"
#include "sys/loop.h"
#include "sys/volume.h"

namespace curlingiron {
namespace {

// The superblock of each lies in it.
constexpr uint64_t kSuperblocks = 128_KiB;

enum class Keeps { NamesOnly, OwnersAndModes };

struct KnownFileSystem {
  std::string_view name;  // formats/superblock.h
  const char* type;       // the kernel's name of it
  const char* options;
  Keeps keeps;
};
constexpr KnownFileSystem kKnown[] = {
    // The image may ask for a panic at the first error that is found in it.
    {"ext4", "ext4", "errors=remount-ro", Keeps::OwnersAndModes},
    // The running system may have been made of the same image.
    {"XFS", "xfs", "nouuid", Keeps::OwnersAndModes},
    {"Btrfs", "btrfs", "", Keeps::OwnersAndModes},
    {"FAT", "vfat", "utf8", Keeps::NamesOnly},
};

Result<const KnownFileSystem*> known_file_system(ConstBytes begin) {
  std::optional<FileSystem> found = find_file_system(begin);
  for (const KnownFileSystem& known : kKnown) {
    if (found && found->name == known.name) return &known;
  }
  return Error(concat("holds ", found ? found->name : "no file system that is known",
                      "; files can be put into ext2, ext3, ext4, XFS, Btrfs and FAT"));
}

bool is_in(ConstBytes head, const Partition& partition) {
  return partition.offset < head.size() &&
         head.size() - partition.offset >= std::min(kSuperblocks, partition.size);
}

// What the disk begins with once the image is on it.
ByteVector head_on_disk(ConstBytes head, const DiskLayout& layout) {
  ByteVector bytes(head.begin(), head.end());
  for (const DiskPatch& patch : layout.patches) {
    if (patch.offset >= bytes.size()) continue;
    size_t size = std::min(patch.bytes.size(), bytes.size() - static_cast<size_t>(patch.offset));
    std::copy_n(patch.bytes.begin(), size, bytes.begin() + static_cast<ptrdiff_t>(patch.offset));
  }
  return bytes;
}

Result<void> check_driver(const Partition& partition) {
  // Each, so that all that are there are loaded while a failure costs nothing.
  std::vector<std::string> types = file_systems_for(partition);
  std::vector<std::string> missing;
  for (const std::string& type : types) {
    if (!TRY_CONTEXT(partition.describe(), has_file_system(type))) missing.push_back(type);
  }
  if (missing.size() == types.size()) {
    return Error(concat(partition.describe(), ": the kernel has no driver for its file system (",
                        join(types, ", "), ")"));
  }
  // By these types it can be a FAT, and hardly ever is.
  if (partition.use == Partition::Use::Root || partition.use == Partition::Use::Linux) {
    std::erase(missing, "vfat");
  }
  if (!missing.empty()) {
    log_warning(concat(partition.describe(), ": the kernel has no driver for ", join(missing, ", "),
                       "; should its file system be that, nothing can be put into it, and the disk "
                       "stays without a system"));
  }
  return {};
}

// What a FAT cannot hold (fs/fat/namei_vfat.c).
Result<void> check_for_fat(const Put& put) {
  constexpr std::string_view kNoCharacters = "*?<>|\":\\";
  for (const PutEntry& entry : put.entries) {
    std::string_view name = entry.path.empty() ? put.name : entry.path;
    name.remove_prefix(name.rfind('/') + 1);
    std::string shown = printable(name, 60);
    if (entry.kind == PutEntry::Kind::Link) {
      return Error(
          concat(shown, ": a symbolic link, which a FAT cannot hold; put what it leads to"));
    }
    bool refused = name.find_first_of(kNoCharacters) != std::string_view::npos ||
                   std::ranges::any_of(name, [](char c) { return static_cast<uint8_t>(c) < ' '; });
    if (refused) return Error(concat("\"", shown, "\": a name that a FAT cannot hold; rename it"));
  }
  return {};
}

// Where it goes: a file goes into a directory that is there, a directory fills the one that is.
std::string destination_of(const Put& put,
                           const std::function<bool(const std::string&)>& is_directory) {
  std::string destination(put.path);
  bool into = destination.back() == '/';
  if (!into && put.is_file() && is_directory(destination)) {
    destination += '/';
    into = true;
  }
  if (into) destination += put.name;
  return destination;
}

std::string path_of(const PutEntry& entry, const std::string& destination) {
  return entry.path.empty() ? destination : concat(destination, "/", entry.path);
}

Result<void> for_each_parent(const std::string& path,
                             const std::function<Result<void>(const std::string&)>& use) {
  for (size_t slash = path.find('/', 1); slash != std::string::npos;
       slash = path.find('/', slash + 1)) {
    TRY(use(path.substr(0, slash)));
  }
  return {};
}

// What is put into one file system, as far as one put is sure to be in another's way.
class ExpectedPaths {
 public:
  Result<void> add(const Put& put, ReplaceFiles replace) {
    std::string destination = destination_of(put, [&](const std::string& path) {
      auto found = known_.find(path);
      return found != known_.end() && found->second.kind == Kind::Directory;
    });
    TRY(for_each_parent(destination, [&](const std::string& path) {
      return enter(path, {Kind::Directory}, replace);
    }));
    // The image may have a directory there.
    bool is_open = put.is_file() && destination == put.path;
    for (const PutEntry& entry : put.entries) {
      Known known{entry.kind, is_open ? put.name : ""};
      TRY(enter(path_of(entry, destination), known, replace));
    }
    return {};
  }

 private:
  using Kind = PutEntry::Kind;
  struct Known {
    Kind kind;
    std::string_view name = {};  // of one that goes into a directory if that is what is there
  };

  Result<void> enter(const std::string& path, Known next, ReplaceFiles replace) {
    auto [place, is_new] = known_.emplace(path, next);
    Known& known = place->second;
    bool may_be_directory = known.kind != Kind::File || !known.name.empty();
    if (next.kind == Kind::Directory && may_be_directory) {
      known = {Kind::Directory};
      return {};
    }
    bool both_into = !next.name.empty() && may_be_directory && next.name != known.name;
    if (is_new || both_into) return {};
    if (next.kind == Kind::Directory || known.kind == Kind::Directory) {
      return Error(concat(printable(path),
                          " is put as a file, and is a directory for another --put; change one"));
    }
    if (replace == ReplaceFiles::Yes) return {};
    return Error(concat(printable(path),
                        " is put twice; leave one out, or give --force-put for the last one"));
  }

  std::map<std::string, Known> known_;
};

// What cannot work, whatever is in the file systems.
Result<void> check_puts(const PutOrder& order, const std::vector<Partition>& places) {
  std::map<unsigned, uint64_t> bytes;  // by the partition's number
  std::map<unsigned, ExpectedPaths> paths;
  for (size_t i = 0; i < places.size(); ++i) {
    const Partition& place = places[i];
    const Put& put = order.puts[i];
    if (place.is_fat()) TRY_CONTEXT(place.describe(), check_for_fat(put));
    bytes[place.number] += put.bytes();
    TRY_CONTEXT(place.describe(), paths[place.number].add(put, order.replace));
  }
  for (const Partition& place : places) {
    if (bytes[place.number] <= place.size) continue;
    return Error(concat(place.describe(), ": has ", format_size(place.size), ", and ",
                        format_size(bytes[place.number]), " are to be put into it"));
  }
  return {};
}

std::vector<Partition> each_once(const std::vector<Partition>& places) {
  std::vector<Partition> once;
  for (const Partition& place : places) {
    if (std::ranges::find(once, place.number, &Partition::number) == once.end()) {
      once.push_back(place);
    }
  }
  return once;
}

// One put into a file system.
class Placement {
 public:
  Placement(const UniqueFd& root, ReplaceFiles replace, Keeps keeps)
      : root_(root), replace_(replace), keeps_(keeps) {}

  // Paths are absolute: this thread's root directory is the file system.
  Result<void> place(const Put& put) const {
    std::string destination =
        destination_of(put, [&](const std::string& path) { return is_directory(path); });
    TRY(for_each_parent(destination, [&](const std::string& path) -> Result<void> {
      TRY(make_directory_at(path));
      return {};
    }));
    for (const PutEntry& entry : put.entries) {
      TRY(place(entry, path_of(entry, destination), put));
    }
    return {};
  }

 private:
  static Error in_the_way(const std::string& path, std::string_view why) {
    return Error(concat(printable(path, path.size()), ": ", why));
  }

  bool is_directory(const std::string& path) const {
    Result<FileStatus> status = file_status(root_, path);
    return status.ok() && status.value().type == FileType::Directory;
  }

  // True: it was not there before.
  Result<bool> make_directory_at(const std::string& path) const {
    if (is_directory(path)) return false;
    if (Result<FileStatus> there = file_status(root_, path, FollowLinks::No); there.ok()) {
      bool leads_nowhere =
          there.value().type == FileType::SymbolicLink && !file_status(root_, path).ok();
      return in_the_way(path, leads_nowhere ? "is a link that leads to nothing in this file system"
                                            : "is there, and no directory");
    }
    TRY(make_directory(root_, path));
    TRY(set_permissions(root_, path, 0755));
    return true;
  }

  // Nothing is there any more, or all of it stays.
  Result<void> make_room(const std::string& at) const {
    Result<FileStatus> status = file_status(root_, at, FollowLinks::No);
    if (!status.ok()) {
      if (status.error().code() == ENOENT) return {};
      return status.error();
    }
    if (status.value().type == FileType::Directory) {
      return in_the_way(at, "is a directory, in the place of which no file can be put");
    }
    if (replace_ == ReplaceFiles::No) {
      return in_the_way(at, "exists already; --force-put replaces what is there");
    }
    return remove_file(root_, at);
  }

  Result<void> place(const PutEntry& entry, const std::string& at, const Put& put) const {
    if (entry.kind == PutEntry::Kind::Directory) {
      if (!TRY(make_directory_at(at))) return {};
    } else {
      TRY(make_room(at));
      TRY(entry.kind == PutEntry::Kind::Link
              ? make_link(root_, at, std::string(as_text(entry.bytes)))
              : create_file(root_, at, entry.bytes));
    }
    if (keeps_ == Keeps::NamesOnly) return {};
    TRY(set_owner(root_, at, put.uid, put.gid));
    // After the owner, whose change takes set-id bits away. A link has no mode.
    if (entry.kind == PutEntry::Kind::Link) return {};
    return set_permissions(root_, at, entry.mode);
  }

  const UniqueFd& root_;
  ReplaceFiles replace_;
  Keeps keeps_;
};

// Subvolumes of a Btrfs, by name, that lie at its top: a new system may mount one of them alone.
std::vector<std::string> subvolumes_of(const UniqueFd& root) {
  constexpr uint64_t kSubvolumeInode = 256;  // BTRFS_FIRST_FREE_OBJECTID
  std::vector<std::string> found;
  Result<std::vector<std::string>> names = list_directory(root, ".");
  if (!names.ok()) return found;
  for (const std::string& name : names.value()) {
    Result<FileStatus> status = file_status(root, name, FollowLinks::No);
    if (status.ok() && status.value().inode == kSubvolumeInode) {
      found.push_back(printable(name, 40));
    }
  }
  return found;
}

// Its configuration begins with comments. What the image has in its place may be a pipe, which
// would never end.
bool has_selinux(const UniqueFd& root) {
  constexpr const char* kConfig = "etc/selinux/config";
  Result<FileStatus> status = file_status(root, kConfig);
  if (!status.ok() || status.value().type != FileType::Regular) return false;
  Result<std::string> config = read_text(root, kConfig);
  if (!config.ok()) return false;
  return config.value().find("\nSELINUX=enforcing") != std::string::npos ||
         config.value().find("\nSELINUX=permissive") != std::string::npos;
}

}  // namespace

std::vector<std::string> file_systems_for(const Partition& partition) {
  std::vector<std::string> types;
  for (const KnownFileSystem& known : kKnown) {
    if (!partition.is_fat() || known.name == "FAT") types.emplace_back(known.type);
  }
  return types;
}

Result<std::vector<Partition>> place_puts(const PutOrder& order, ConstBytes head,
                                          const DiskLayout& layout, const Disk& disk) {
  ByteVector placed = head_on_disk(head, layout);
  std::vector<Partition> partitions = TRY(list_partitions(placed, disk.logical_sector));
  // What is ours is not the image's.
  if (layout.seed_offset) {
    std::erase_if(partitions,
                  [&](const Partition& part) { return part.offset == *layout.seed_offset; });
  }
  std::vector<Partition> places;
  for (const Put& put : order.puts) {
    Partition place = TRY(choose_partition(partitions, put.partition));
    if (place.offset == 0 || place.offset > disk.size || place.size > disk.size - place.offset) {
      return Error(concat(place.describe(), ": lies outside of the disk, or on its table"));
    }
    if (is_in(placed, place)) {
      ConstBytes begin = ConstBytes(placed).subspan(static_cast<size_t>(place.offset));
      TRY_CONTEXT(place.describe(), known_file_system(begin));
    }
    if (place.use == Partition::Use::Bare) {
      return Error(concat(place.describe(),
                          ": by its type it has no file system; name the partition that the files "
                          "are for"));
    }
    places.push_back(std::move(place));
  }
  TRY(check_puts(order, places));
  return places;
}

Result<PutStep> PutStep::prepare(ConstBytes archive, ConstBytes head, const DiskLayout& layout,
                                 const Disk& disk, const std::string& path) {
  PutStep step;
  step.order_ = TRY(parse_put_order(archive));
  step.places_ = TRY(place_puts(step.order_, head, layout, disk));
  TRY(LoopDevice::check_available());
  for (const Partition& place : each_once(step.places_)) TRY(check_driver(place));
  step.disk_ = TRY_CONTEXT(path, open_path(path, O_RDWR));
  return step;
}

Result<PutReport> PutStep::run(const UnbootableImage&) const {
  PutReport report{order_.files(), order_.bytes(), {}};
  for (const Partition& place : each_once(places_)) {
    TRY_CONTEXT(place.describe(), run_on(place, report));
  }
  return report;
}

Result<void> PutStep::run_on(const Partition& partition, PutReport& report) const {
  // The writer goes past the cache, what is mounted does not.
  TRY(drop_cache(disk_));
  ByteVector begin(static_cast<size_t>(std::min(kSuperblocks, partition.size)));
  TRY(pread_exact(disk_, begin, partition.offset));
  const KnownFileSystem& known = *TRY(known_file_system(begin));
  if (find_file_system(begin)->has_errors) {
    report.notes.push_back(concat(partition.describe(), ": its ", known.name,
                                  " says of itself that it has errors: check the image with fsck"));
  }
  LoopDevice loop = TRY(LoopDevice::attach(disk_, partition.offset, partition.size));
  auto fill = [&](const UniqueFd& root) -> Result<void> {
    Placement placement(root, order_.replace, known.keeps);
    for (size_t i = 0; i < order_.puts.size(); ++i) {
      if (places_[i].number == partition.number) TRY(placement.place(order_.puts[i]));
    }
    std::vector<std::string> subvolumes;
    if (known.name == "Btrfs") subvolumes = subvolumes_of(root);
    if (!subvolumes.empty()) {
      report.notes.push_back(concat(
          partition.describe(), ": its Btrfs has subvolumes (", join(subvolumes, ", "),
          "): a system that mounts one of them finds in it what was put below that name, and "
          "nothing else"));
    }
    if (has_selinux(root)) {
      report.notes.push_back(concat(partition.describe(),
                                    ": its system uses SELinux, and the files have no labels "
                                    "before it relabels them"));
    }
    return {};
  };
  Result<void> filled = with_volume({loop.path(), known.type, known.options}, fill);
  if (!filled.ok() && filled.error().code() == EROFS) {
    filled =
        Error(concat(filled.error().message(),
                     "; the image's maker meant it so, or it is damaged: try fsck on the image"),
              EROFS);
  }
  // After a failure, too: nothing is to come out of the cache onto what is then cleared.
  auto release = [&]() -> Result<void> {
    TRY(loop.detach());
    TRY(sync_file(disk_));
    return drop_cache(disk_);
  };
  Result<void> released = release();
  return filled.ok() ? released : filled;
}

}  // namespace curlingiron
