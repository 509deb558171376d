#include "host/inspect.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>

#include "base/log.h"
#include "base/text.h"
#include "base/units.h"
#include "io/random.h"
#include "payload/initramfs_diff.h"
#include "payload/initramfs_image.h"
#include "payload/initramfs_reasons.h"
#include "payload/initramfs_shares.h"
#include "sys/file.h"

namespace curlingiron {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kLongestPath = 4096;
constexpr size_t kMostChains = 20;
constexpr size_t kMostLines = 20;
// In the tree of --size, what takes less than one part in 200 is summed up; but the largest ten of
// a directory that takes one in 20 are shown, and a few entries are not worth it.
constexpr uint64_t kSmall = 200;
constexpr uint64_t kLarge = 20;
constexpr size_t kLargest = 10;
constexpr size_t kFew = 6;

void print(std::string_view text) { std::fwrite(text.data(), 1, text.size(), stdout); }

void print_line(std::string_view line) {
  print(line);
  print("\n");
}

void print_json(const Json& json) {
  // File names are foreign bytes: what is no UTF-8 is replaced.
  print_line(json.dump(2, ' ', false, Json::error_handler_t::replace));
}

std::string shown(std::string_view path) { return printable(path, kLongestPath); }

std::string padded(std::string_view text, size_t width) {
  std::string spaces(text.size() < width ? width - text.size() : 0, ' ');
  return concat(spaces, text);
}

std::string_view packing(Format format) {
  return format == Format::Raw ? "not compressed" : format_name(format);
}

struct EntryType {
  mode_t type;
  char letter;  // of ls -l
  std::string_view name;
};
constexpr EntryType kEntryTypes[] = {
    {S_IFREG, '-', "file"},         {S_IFDIR, 'd', "directory"},
    {S_IFLNK, 'l', "symlink"},      {S_IFCHR, 'c', "character device"},
    {S_IFBLK, 'b', "block device"}, {S_IFIFO, 'p', "fifo"},
    {S_IFSOCK, 's', "socket"},
};

const EntryType* type_of(uint32_t mode) {
  for (const EntryType& type : kEntryTypes) {
    if ((mode & S_IFMT) == type.type) return &type;
  }
  return nullptr;
}

// "drwxr-xr-x", as ls(1) has it.
std::string mode_text(uint32_t mode) {
  const EntryType* type = type_of(mode);
  std::string text(1, type == nullptr ? '?' : type->letter);
  for (int shift = 6; shift >= 0; shift -= 3) {
    text += (mode >> shift & 4) != 0 ? 'r' : '-';
    text += (mode >> shift & 2) != 0 ? 'w' : '-';
    text += (mode >> shift & 1) != 0 ? 'x' : '-';
  }
  auto mark = [&](uint32_t bit, size_t at, char with, char without) {
    if ((mode & bit) != 0) text[at] = text[at] == 'x' ? with : without;
  };
  mark(S_ISUID, 3, 's', 'S');
  mark(S_ISGID, 6, 's', 'S');
  mark(S_ISVTX, 9, 't', 'T');
  return text;
}

bool is_device(uint32_t mode) { return S_ISCHR(mode) || S_ISBLK(mode); }

std::string octal(uint32_t value) {
  char text[16];
  std::snprintf(text, sizeof text, "%04o", value);
  return text;
}

Result<std::unique_ptr<FileRandomSource>> open_image(const std::string& path) {
  UniqueFd root = TRY(open_root("/"));
  UniqueFd fd = TRY_CONTEXT(path, open_path(path, O_RDONLY));
  std::string real = TRY_CONTEXT(path, real_path(path));
  if (TRY(file_status(root, real)).type == FileType::Directory) {
    return Error(concat(path, ": a directory; inspect takes an initramfs"));
  }
  return FileRandomSource::open(std::move(fd)).with_context(path);
}

// -- the list

struct Listing {
  std::vector<ImageArchive> archives;
  std::vector<ImageEntry> entries;
  uint64_t size = 0;
  uint64_t trailing_padding = 0;
  uint64_t boot_config = 0;
  uint64_t unpacked = 0;
};

Result<Listing> read_listing(RandomSource& file) {
  Listing listing;
  InitramfsReader reader(file);
  for (;;) {
    std::optional<ImageEntry> entry = TRY(reader.next());
    if (!entry) break;
    listing.entries.push_back(std::move(*entry));
  }
  listing.archives = reader.archives();
  listing.size = file.size();
  listing.trailing_padding = reader.trailing_padding();
  listing.boot_config = reader.boot_config_size();
  for (const ImageArchive& archive : listing.archives) listing.unpacked += archive.unpacked_size;
  return listing;
}

Json to_json(const ImageEntry& entry) {
  const EntryType* type = type_of(entry.mode);
  Json json = {{"path", entry.path},
               {"type", type == nullptr ? "unknown" : std::string(type->name)},
               {"mode", octal(entry.mode & 07777)},
               {"size", entry.size},
               {"uid", entry.uid},
               {"gid", entry.gid}};
  if (S_ISLNK(entry.mode)) json["target"] = entry.target;
  if (is_device(entry.mode)) {
    json["device"] = concat(entry.device_major, ":", entry.device_minor);
  }
  return json;
}

Json to_json(const Listing& listing, const std::string& file) {
  Json archives = Json::array();
  for (const ImageArchive& archive : listing.archives) {
    bool raw = archive.format == Format::Raw;
    archives.push_back({{"compression", raw ? "none" : std::string(format_name(archive.format))},
                        {"offset", archive.offset},
                        {"bytes", archive.packed_size},
                        {"unpacked", archive.unpacked_size},
                        {"zeros_before", archive.padding_before},
                        {"entries", Json::array()}});
  }
  for (const ImageEntry& entry : listing.entries) {
    archives[entry.archive]["entries"].push_back(to_json(entry));
  }
  return {{"file", file},
          {"bytes", listing.size},
          {"unpacked", listing.unpacked},
          {"archives", archives},
          {"zeros_after", listing.trailing_padding},
          {"boot_config", listing.boot_config}};
}

std::string size_column(const ImageEntry& entry) {
  return is_device(entry.mode) ? concat(entry.device_major, ", ", entry.device_minor)
                               : concat(entry.size);
}

void print_archive(const ImageArchive& archive, size_t number) {
  print("\n");
  if (archive.padding_before != 0) {
    print_line(concat(plural(archive.padding_before, "byte", "bytes"), " of zeros"));
  }
  print_line(concat("archive ", number, " at byte ", archive.offset, ": ", packing(archive.format),
                    ", ", archive.packed_size, " bytes (", format_size(archive.packed_size), "), ",
                    format_size(archive.unpacked_size), " unpacked, ",
                    plural(archive.entries, "entry", "entries")));
}

void print_listing(const Listing& listing, const std::string& file) {
  print_line(concat(file, ": ", listing.size, " bytes (", format_size(listing.size), "), ",
                    plural(listing.archives.size(), "archive", "archives"), ", ",
                    plural(listing.entries.size(), "entry", "entries"), ", ",
                    format_size(listing.unpacked), " unpacked"));
  size_t owner_width = 0;
  size_t size_width = 0;
  for (const ImageEntry& entry : listing.entries) {
    owner_width = std::max(owner_width, concat(entry.uid, "/", entry.gid).size());
    size_width = std::max(size_width, size_column(entry).size());
  }
  size_t at = 0;
  for (size_t i = 0; i < listing.archives.size(); ++i) {
    print_archive(listing.archives[i], i + 1);
    for (; at < listing.entries.size() && listing.entries[at].archive == i; ++at) {
      const ImageEntry& entry = listing.entries[at];
      std::string target =
          S_ISLNK(entry.mode) ? concat(" -> ", shown(entry.target)) : std::string();
      print_line(concat(mode_text(entry.mode), " ",
                        padded(concat(entry.uid, "/", entry.gid), owner_width), " ",
                        padded(size_column(entry), size_width), " ", shown(entry.path), target));
    }
  }
  if (listing.trailing_padding != 0) {
    print_line(concat("\n", plural(listing.trailing_padding, "byte", "bytes"), " of zeros"));
  }
  if (listing.boot_config != 0) {
    print_line(concat("\nboot configuration at the end: ", listing.boot_config, " bytes"));
  }
}

Result<void> list(const InspectOptions& options) {
  std::unique_ptr<FileRandomSource> file = TRY(open_image(options.file));
  Listing listing = TRY_CONTEXT(options.file, read_listing(*file));
  if (options.json) {
    print_json(to_json(listing, options.file));
  } else {
    print_listing(listing, options.file);
  }
  return {};
}

// -- the sizes

// A directory, or a file; of parts that are no entries, such as the names, too.
struct SizeNode {
  std::string name;
  uint64_t packed = 0;
  uint64_t unpacked = 0;
  uint64_t files = 0;
  std::map<std::string, SizeNode> children;
};

void add_share(SizeNode& root, const PackedShare& share) {
  SizeNode* node = &root;
  auto count = [&] {
    node->packed += share.packed;
    node->unpacked += share.unpacked;
    ++node->files;
  };
  count();
  for (std::string_view part : split(share.path, '/')) {
    SizeNode& child = node->children[std::string(part)];
    child.name = std::string(part);
    node = &child;
    count();
  }
}

void add_rest(SizeNode& root, const char* name, uint64_t packed) {
  if (packed == 0) return;
  SizeNode& node = root.children[name];
  node.name = name;
  node.packed = packed;
  root.packed += packed;
}

SizeNode make_tree(const ImageShares& shares, const std::string& file) {
  SizeNode root;
  root.name = file;
  for (const PackedShare& share : shares.entries) add_share(root, share);
  add_rest(root, "(names, modes, directories)", shares.names);
  add_rest(root, "(zeros around the archives)", shares.padding);
  add_rest(root, "(boot configuration)", shares.boot_config);
  return root;
}

void print_node(uint64_t packed, uint64_t unpacked, uint64_t total, size_t depth,
                const std::string& name) {
  char share[32];
  double percent =
      total == 0 ? 0 : 100.0 * static_cast<double>(packed) / static_cast<double>(total);
  std::snprintf(share, sizeof share, "%5.1f%%", percent);
  print_line(concat(share, " ", padded(format_size(packed), 10), " ",
                    padded(unpacked == 0 ? "" : format_size(unpacked), 10), "  ",
                    std::string(2 * depth, ' '), name));
}

std::vector<const SizeNode*> by_size(const SizeNode& node) {
  std::vector<const SizeNode*> children;
  for (const auto& [key, child] : node.children) children.push_back(&child);
  std::stable_sort(children.begin(), children.end(),
                   [](const SizeNode* a, const SizeNode* b) { return a->packed > b->packed; });
  return children;
}

// How many of the children, largest first, have lines of their own.
size_t lines_of(const SizeNode& node, const std::vector<const SizeNode*>& children,
                uint64_t total) {
  if (node.packed < total / kSmall) return 0;
  size_t most = static_cast<size_t>(
      std::count_if(children.begin(), children.end(),
                    [&](const SizeNode* child) { return child->packed >= total / kSmall; }));
  if (node.packed >= total / kLarge) most = std::max(most, std::min(children.size(), kLargest));
  // One alone needs no summing up.
  return children.size() <= std::max(kFew, most + 1) ? children.size() : most;
}

void print_tree(const SizeNode& node, uint64_t total, size_t depth, const std::string& above) {
  // A directory that holds nothing but another one is shown with it.
  std::string name = concat(above, shown(node.name));
  if (depth != 0 && node.children.size() == 1) {
    const SizeNode& only = node.children.begin()->second;
    if (only.packed == node.packed && only.files == node.files) {
      return print_tree(only, total, depth, name + "/");
    }
  }
  std::vector<const SizeNode*> children = by_size(node);
  size_t lines = lines_of(node, children, total);
  if (!children.empty() && depth != 0) name += "/";
  if (!children.empty() && lines == 0) {
    name += concat(" (", plural(node.files, "file", "files"), ")");
  }
  print_node(node.packed, node.unpacked, total, depth, name);
  if (lines == 0) return;
  SizeNode rest;
  for (size_t i = 0; i < children.size(); ++i) {
    if (i < lines) {
      print_tree(*children[i], total, depth + 1, "");
    } else {
      rest.packed += children[i]->packed;
      rest.unpacked += children[i]->unpacked;
      rest.files += std::max<uint64_t>(children[i]->files, 1);
    }
  }
  if (rest.files != 0) {
    print_node(rest.packed, rest.unpacked, total, depth + 1,
               concat("(", plural(rest.files, "smaller file", "smaller files"), ")"));
  }
}

Json to_json(const ImageShares& shares, const std::string& file) {
  std::vector<PackedShare> sorted = shares.entries;
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const PackedShare& a, const PackedShare& b) { return a.packed > b.packed; });
  Json entries = Json::array();
  for (const PackedShare& share : sorted) {
    entries.push_back({{"path", share.path},
                       {"bytes", share.packed},
                       {"unpacked", share.unpacked},
                       {"archive", share.archive}});
  }
  return {{"file", file},          {"bytes", shares.total},   {"entries", entries},
          {"names", shares.names}, {"zeros", shares.padding}, {"boot_config", shares.boot_config}};
}

Result<void> show_sizes(const InspectOptions& options) {
  std::unique_ptr<FileRandomSource> file = TRY(open_image(options.file));
  ImageShares shares = TRY_CONTEXT(options.file, measure_shares(*file));
  if (options.json) {
    print_json(to_json(shares, options.file));
    return {};
  }
  print_line(concat(padded("share", 6), " ", padded("packed", 10), " ", padded("unpacked", 10)));
  print_tree(make_tree(shares, options.file), shares.total, 0, "");
  return {};
}

// -- the reasons

Result<void> explain(const InspectOptions& options) {
  std::unique_ptr<FileRandomSource> file = TRY(open_image(options.file));
  InitramfsReasons reasons = TRY_CONTEXT(options.file, InitramfsReasons::read(*file));
  Json subjects = Json::array();
  std::set<std::string> unexplained;
  for (const std::string& subject : TRY_CONTEXT(options.file, reasons.resolve(options.name))) {
    std::vector<ReasonChain> chains = TRY_CONTEXT(options.file, reasons.chains(subject));
    if (options.json) {
      Json all = Json::array();
      for (const ReasonChain& chain : chains) {
        Json steps = Json::array();
        for (const ReasonStep& step : chain.steps) {
          steps.push_back({{"relation", step.relation}, {"name", step.name}});
        }
        all.push_back({{"steps", steps},
                       {"root", chain.root.empty() ? Json() : Json(chain.root)},
                       {"text", sentence(chain)}});
      }
      subjects.push_back({{"name", subject}, {"path", reasons.path_of(subject)}, {"chains", all}});
      continue;
    }
    for (size_t i = 0; i < std::min(chains.size(), kMostChains); ++i) {
      const ReasonChain& chain = chains[i];
      if (chain.root.empty()) {
        unexplained.insert(chain.steps.empty() ? subject : chain.steps.back().name);
      }
      if (chain.root.empty() && chain.steps.empty()) continue;
      print_line(concat(shown(subject), ": ", sentence(chain)));
    }
    if (chains.size() > kMostChains) {
      print_line(concat(shown(subject), ": and ", chains.size() - kMostChains,
                        " more chains; --json shows them"));
    }
  }
  if (options.json) {
    print_json({{"file", options.file}, {"subjects", subjects}});
  } else if (unexplained.size() == 1) {
    print_line(concat("what brought ", shown(*unexplained.begin()), " in, the image does not say"));
  } else if (!unexplained.empty()) {
    print_line("what brought these in, the image does not say");
  }
  return {};
}

// -- the differences

std::string what_changed(const ChangedEntry& changed) {
  const ImageEntry& a = changed.first.entry;
  const ImageEntry& b = changed.second.entry;
  std::vector<std::string> parts;
  if (((a.mode ^ b.mode) & (S_IFMT | 07777)) != 0) {
    parts.push_back(concat(mode_text(a.mode), " -> ", mode_text(b.mode)));
  }
  if (a.uid != b.uid || a.gid != b.gid) {
    parts.push_back(concat("owner ", a.uid, "/", a.gid, " -> ", b.uid, "/", b.gid));
  }
  if (S_ISLNK(a.mode) && S_ISLNK(b.mode) && a.target != b.target) {
    parts.push_back(concat("leads to ", shown(a.target), " -> ", shown(b.target)));
  } else if (is_device(a.mode) && is_device(b.mode) && changed.content) {
    parts.push_back(concat("device ", a.device_major, ":", a.device_minor, " -> ", b.device_major,
                           ":", b.device_minor));
  } else if (a.size != b.size) {
    parts.push_back(concat(a.size, " -> ", b.size, " bytes"));
  } else if (changed.content) {
    parts.push_back(concat("other content, ", a.size, " bytes"));
  }
  return join(parts, ", ");
}

void print_lines(const ChangedEntry& changed) {
  for (size_t i = 0; i < std::min(changed.lines.size(), kMostLines); ++i) {
    const LineChange& change = changed.lines[i];
    print_line(concat("    ", change.added ? "+ " : "- ", printable(change.line)));
  }
  if (changed.lines.size() > kMostLines) {
    print_line(concat("    and ", changed.lines.size() - kMostLines, " more lines"));
  }
}

void print_diff(const ImageDiff& diff, const InspectOptions& options, uint64_t first_size,
                uint64_t second_size) {
  if (diff.equal()) {
    print_line(concat("the same ", plural(diff.same, "entry", "entries"), " in both"));
    return;
  }
  auto size_of = [](const DiffEntry& entry) {
    return S_ISREG(entry.entry.mode) ? concat(" (", format_size(entry.entry.size), ")")
                                     : std::string();
  };
  print_line(concat("--- ", options.file, ": ", first_size, " bytes"));
  print_line(concat("+++ ", options.other, ": ", second_size, " bytes"));
  for (const DiffEntry& entry : diff.only_first) {
    print_line(concat("- ", shown(entry.path), size_of(entry)));
  }
  for (const DiffEntry& entry : diff.only_second) {
    print_line(concat("+ ", shown(entry.path), size_of(entry)));
  }
  for (const ChangedEntry& changed : diff.changed) {
    print_line(concat("! ", shown(changed.first.path), ": ", what_changed(changed)));
    print_lines(changed);
  }
  print_line(concat(diff.only_first.size(), " only in the first, ", diff.only_second.size(),
                    " only in the second, ", diff.changed.size(), " changed, ", diff.same,
                    " the same"));
}

Json to_json(const ImageDiff& diff, const InspectOptions& options, uint64_t first_size,
             uint64_t second_size) {
  auto entries = [](const std::vector<DiffEntry>& list) {
    Json json = Json::array();
    for (const DiffEntry& entry : list) {
      json.push_back(to_json(entry.entry));
      json.back()["path"] = entry.path;
    }
    return json;
  };
  Json changed = Json::array();
  for (const ChangedEntry& change : diff.changed) {
    Json lines = Json::array();
    for (const LineChange& line : change.lines) {
      lines.push_back(concat(line.added ? "+" : "-", line.line));
    }
    changed.push_back({{"path", change.first.path},
                       {"first", to_json(change.first.entry)},
                       {"second", to_json(change.second.entry)},
                       {"content", change.content},
                       {"lines", lines}});
  }
  return {{"equal", diff.equal()},
          {"first", {{"file", options.file}, {"bytes", first_size}}},
          {"second", {{"file", options.other}, {"bytes", second_size}}},
          {"only_first", entries(diff.only_first)},
          {"only_second", entries(diff.only_second)},
          {"changed", changed},
          {"same", diff.same}};
}

// True when they are equal.
Result<bool> compare(const InspectOptions& options) {
  std::unique_ptr<FileRandomSource> first = TRY(open_image(options.file));
  std::unique_ptr<FileRandomSource> second = TRY(open_image(options.other));
  ImageDiff diff = TRY(diff_images(*first, *second, options.file, options.other));
  if (options.json) {
    print_json(to_json(diff, options, first->size(), second->size()));
  } else {
    print_diff(diff, options, first->size(), second->size());
  }
  return diff.equal();
}

int status_of(const Result<void>& result) {
  if (result.ok()) return kExitDone;
  log_error(result.error().message());
  return kExitFailed;
}

}  // namespace

int inspect(const InspectOptions& options) {
  switch (options.task) {
    case InspectTask::List: return status_of(list(options));
    case InspectTask::Size: return status_of(show_sizes(options));
    case InspectTask::Why: return status_of(explain(options));
    case InspectTask::Diff: break;
  }
  Result<bool> equal = compare(options);
  if (equal.ok()) return equal.value() ? kExitDone : kExitFailed;
  log_error(equal.error().message());
  return kExitTrouble;
}

}  // namespace curlingiron
