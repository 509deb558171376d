#include "image/put.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>

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
    {"ext4", "ext4", "", Keeps::OwnersAndModes},
    // The running system may have been made of the same image.
    {"XFS", "xfs", "nouuid", Keeps::OwnersAndModes},
    {"Btrfs", "btrfs", "", Keeps::OwnersAndModes},
    {"FAT", "vfat", "utf8", Keeps::NamesOnly},
};

Result<KnownFileSystem> known_file_system(ConstBytes begin) {
  std::optional<FileSystem> found = find_file_system(begin);
  for (const KnownFileSystem& known : kKnown) {
    if (found && found->name == known.name) return known;
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
  auto there =
      std::ranges::count_if(types, [](const std::string& t) { return has_file_system(t); });
  if (there != 0) return {};
  return Error(concat(partition.describe(), ": the kernel has no driver for its file system (",
                      join(types, ", "), ")"));
}

// One put into the file system that is the root directory of this thread.
class Placement {
 public:
  Placement(const UniqueFd& root, ReplaceFiles replace, Keeps keeps)
      : root_(root), replace_(replace), keeps_(keeps) {}

  Result<void> place(const Put& put) const {
    std::string_view path = put.path.substr(1);
    bool into = put.path.ends_with('/');
    std::string destination(path.substr(0, path.size() - (into && !path.empty() ? 1 : 0)));
    if (into || is_directory(destination)) {
      destination = concat(destination, destination.empty() ? "" : "/", put.name);
    }
    TRY(make_parents(destination));
    for (const PutEntry& entry : put.entries) {
      std::string at =
          entry.path.empty() ? destination : concat(destination, "/", std::string(entry.path));
      TRY_CONTEXT(concat("/", printable(at, at.size())), place(entry, at, put));
    }
    return {};
  }

 private:
  bool is_directory(const std::string& path) const {
    Result<FileStatus> status = file_status(root_, path.empty() ? "." : path);
    return status.ok() && status.value().type == FileType::Directory;
  }

  Result<void> make_parents(const std::string& path) const {
    for (size_t slash = path.find('/'); slash != std::string::npos;
         slash = path.find('/', slash + 1)) {
      std::string parent = path.substr(0, slash);
      if (is_directory(parent)) continue;
      if (exists(root_, parent)) {
        return Error(concat("/", printable(parent, parent.size()),
                            ": is there, and no directory that anything could be put into"));
      }
      TRY(make_directory(root_, parent));
      TRY(set_permissions(root_, parent, 0755));
    }
    return {};
  }

  // Nothing is there any more, or all of it stays.
  Result<void> make_room(const std::string& at) const {
    Result<FileStatus> status = file_status(root_, at, FollowLinks::No);
    if (!status.ok()) {
      return status.error().code() == ENOENT ? Result<void>() : Result<void>(status.error());
    }
    if (status.value().type == FileType::Directory) {
      return Error("is a directory, in the place of which no file can be put", EISDIR);
    }
    if (replace_ == ReplaceFiles::No) {
      return Error("exists already; --force-put replaces what is there", EEXIST);
    }
    return remove_file(root_, at);
  }

  Result<void> place(const PutEntry& entry, const std::string& at, const Put& put) const {
    bool is_directory_already = entry.kind == PutEntry::Kind::Directory && is_directory(at);
    if (is_directory_already) return {};
    if (entry.kind == PutEntry::Kind::Directory) {
      if (exists(root_, at)) return Error("is there, and no directory", ENOTDIR);
      TRY(make_directory(root_, at));
      return own(entry, at, put);
    }
    TRY(make_room(at));
    if (entry.kind == PutEntry::Kind::Link) {
      TRY(make_link(root_, at, std::string(as_text(entry.bytes))));
    } else {
      TRY(create_file(root_, at, entry.bytes));
    }
    return own(entry, at, put);
  }

  Result<void> own(const PutEntry& entry, const std::string& at, const Put& put) const {
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

// Its configuration begins with comments.
bool has_selinux(const UniqueFd& root) {
  Result<std::string> config = read_text(root, "etc/selinux/config");
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
    places.push_back(std::move(place));
  }
  return places;
}

Result<PutStep> PutStep::prepare(ConstBytes archive, ConstBytes head, const DiskLayout& layout,
                                 const Disk& disk, const std::string& path) {
  PutStep step;
  step.order_ = TRY(parse_put_order(archive));
  step.places_ = TRY(place_puts(step.order_, head, layout, disk));
  TRY(LoopDevice::check_available());
  for (const Partition& place : step.places_) TRY(check_driver(place));
  step.disk_ = TRY_CONTEXT(path, open_path(path, O_RDWR));
  return step;
}

Result<PutReport> PutStep::run(const UnbootableImage&) const {
  PutReport report{order_.files(), order_.bytes(), {}};
  std::vector<unsigned> done;
  for (const Partition& place : places_) {
    if (std::ranges::find(done, place.number) != done.end()) continue;
    TRY_CONTEXT(place.describe(), run_on(place, report));
    done.push_back(place.number);
  }
  return report;
}

Result<void> PutStep::run_on(const Partition& partition, PutReport& report) const {
  // The writer goes past the cache, what is mounted does not.
  TRY(drop_cache(disk_));
  ByteVector begin(static_cast<size_t>(std::min(kSuperblocks, partition.size)));
  TRY(pread_exact(disk_, begin, partition.offset));
  KnownFileSystem known = TRY(known_file_system(begin));
  LoopDevice loop = TRY(LoopDevice::attach(disk_, partition.offset, partition.size));
  auto fill = [&](const UniqueFd& root) -> Result<void> {
    Placement placement(root, order_.replace, known.keeps);
    for (size_t i = 0; i < order_.puts.size(); ++i) {
      if (places_[i].number == partition.number) TRY(placement.place(order_.puts[i]));
    }
    if (has_selinux(root)) {
      report.notes.push_back(concat(partition.describe(),
                                    ": its system uses SELinux, and the files have no labels "
                                    "before it relabels them"));
    }
    return {};
  };
  Result<void> filled = with_volume({loop.path(), known.type, known.options}, fill);
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
