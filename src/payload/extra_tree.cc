#include "payload/extra_tree.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

#include "base/text.h"
#include "base/units.h"
#include "formats/payload_layout.h"

namespace curlingiron {
namespace {

constexpr size_t kMaxEntries = 20'000;
constexpr uint64_t kMaxBytes = 1_GiB;
constexpr unsigned kMaxLinks = 40;  // as the kernel
constexpr uint32_t kSetIdBits = S_ISUID | S_ISGID;

// Directories of the initramfs that are never links, whatever the root has there.
constexpr std::string_view kOwnDirectories[] = {kOwnFolder,    "etc", "lib", kFirmwareFolder,
                                                kModuleFolder, "run", "tmp"};

bool is_own_directory(std::string_view target) {
  return std::find(std::begin(kOwnDirectories), std::end(kOwnDirectories), target) !=
         std::end(kOwnDirectories);
}

// What is there is made when the machine runs: nothing of it can be brought.
bool is_runtime(std::string_view target) {
  static constexpr std::string_view kDirectories[] = {"dev", "proc", "run", "sys"};
  return std::any_of(std::begin(kDirectories), std::end(kDirectories),
                     [&](std::string_view directory) { return is_at_or_below(target, directory); });
}

struct TakenPath {
  std::string_view path;
  std::string_view why;
};
// What is not for --add to fill; nullptr when `target` is.
const TakenPath* taken_path(std::string_view target) {
  static constexpr TakenPath kTaken[] = {
      {kInitPath, "is the installer's own program"},
      {kOwnFolder, "holds the installer's own files"},
      {kModuleFolder, "holds the kernel's modules; add some with --module"},
      {kFirmwareFolder, "holds firmware; add some with --firmware"},
      {"dev", "is filled by the kernel"},
      {"proc", "is filled by the kernel"},
      {"sys", "is filled by the kernel"},
  };
  for (const TakenPath& taken : kTaken) {
    if (is_at_or_below(target, taken.path)) return &taken;
  }
  return nullptr;
}

void push_parts(std::vector<std::string>& pending, std::string_view path) {
  std::vector<std::string_view> parts = split(path, '/');
  for (auto part = parts.rbegin(); part != parts.rend(); ++part) {
    if (!part->empty() && *part != ".") pending.emplace_back(*part);
  }
}

Error circle(std::string_view path) {
  return Error(concat(printable(path), ": its links lead in a circle"), ELOOP);
}

Error way_out(std::string_view path) {
  return Error(concat(printable(path), ": leads out of the root directory"));
}

// Messages of sys/file.h begin with the path, which is relative to the root.
Error from_root(const Error& error) { return Error(concat("/", error.message()), error.code()); }

Error not_addable(const std::string& source, FileType type) {
  std::string_view what = type == FileType::BlockDevice || type == FileType::CharacterDevice
                              ? "a device node"
                              : "a socket or a pipe";
  return Error(concat("/", printable(source), ": is ", what,
                      "; only files, directories and symbolic links can be added"));
}

ExtraNode link_node(const std::string& source, std::string_view text) {
  ExtraNode node;
  node.kind = NodeKind::Link;
  node.source = source;
  node.permissions = 0777;
  node.bytes.assign(text.begin(), text.end());
  return node;
}

ExtraNode directory_node(const std::string& source) {
  ExtraNode node;
  node.kind = NodeKind::Directory;
  node.source = source;
  node.permissions = 0755;
  return node;
}

// Who runs them is root anyway; a program that is set-id without need is a risk without use.
uint32_t without_set_id(const FileStatus& status) { return status.permissions & ~kSetIdBits; }

}  // namespace

std::string join_path(const std::string& directory, std::string_view name) {
  return directory.empty() ? std::string(name) : concat(directory, "/", name);
}

std::string parent_path(const std::string& path) {
  size_t slash = path.rfind('/');
  return slash == std::string::npos ? std::string() : path.substr(0, slash);
}

Result<std::optional<FileStatus>> ExtraTree::status(const std::string& source) const {
  Result<FileStatus> status = file_status(root_, source.empty() ? "." : source, FollowLinks::No);
  if (status.ok()) return std::optional(status.value());
  if (status.error().code() == ENOENT || status.error().code() == ENOTDIR) {
    return std::optional<FileStatus>();
  }
  return from_root(status.error());
}

Result<ByteVector> ExtraTree::read(const std::string& source) const {
  // Refused before it fills the memory.
  std::optional<FileStatus> there = TRY(status(source));
  if (there && there->size > kMaxBytes) {
    return Error(concat("/", printable(source), ": larger than the ", format_size(kMaxBytes),
                        " that can be added"));
  }
  Result<ByteVector> bytes = read_file(root_, source, kMaxBytes);
  if (!bytes.ok()) return from_root(bytes.error());
  return bytes;
}

Result<std::optional<std::string>> ExtraTree::resolve(std::string_view path, LastLink last) const {
  std::vector<std::string> pending;
  push_parts(pending, path);
  std::string at;
  unsigned links = 0;
  while (!pending.empty()) {
    std::string part = std::move(pending.back());
    pending.pop_back();
    if (part == "..") {
      if (at.empty()) return way_out(path);
      at = parent_path(at);
      continue;
    }
    std::string child = join_path(at, part);
    std::optional<FileStatus> found = TRY(status(child));
    if (!found) return std::optional<std::string>();
    if (found->type == FileType::SymbolicLink && !(pending.empty() && last == LastLink::Keep)) {
      if (++links > kMaxLinks) return circle(path);
      std::string text = TRY(read_link(root_, child));
      if (text.starts_with("/")) at.clear();
      push_parts(pending, text);
      continue;
    }
    at = std::move(child);
  }
  return std::optional(at);
}

// One walk, part by part of its path.
class ExtraTree::Walker {
 public:
  Walker(const ExtraTree& tree, const Place& from, std::string_view path, OnMissing on_missing)
      : tree_(tree),
        path_(path),
        on_missing_(on_missing),
        at_(path.starts_with("/") ? Place() : from) {
    push_parts(pending_, path);
  }

  Result<Walk> run() && {
    bool last_seen = false;
    while (!pending_.empty()) {
      std::string part = std::move(pending_.back());
      pending_.pop_back();
      if (pending_.empty() && !last_seen) {
        walk_.directory = at_;
        last_seen = true;
      }
      if (TRY(pass(part)) == Goes::Ends) return std::move(walk_);
    }
    walk_.found = Found::Directory;
    walk_.place = std::move(at_);
    walk_.stands_in = stands_in_;
    return std::move(walk_);
  }

 private:
  enum class Goes { On, Ends };

  Result<Goes> pass(std::string_view part) {
    if (part == "..") {
      if (at_.target.empty() || at_.source.empty()) return way_out(path_);
      be_at({parent_path(at_.source), parent_path(at_.target)});
      return Goes::On;
    }
    Place child = {join_path(at_.source, part), join_path(at_.target, part)};
    if (const ExtraNode* node = known(child.target)) return pass_known(*node, std::move(child));
    if (is_own_directory(child.target)) {
      TRY(enter(std::move(child)));
      return Goes::On;
    }
    if (on_missing_ == OnMissing::Stop && is_runtime(child.target)) {
      return end_with(Found::Runtime, std::move(child));
    }
    std::optional<FileStatus> there = TRY(tree_.status(child.source));
    if (stands_in_ && (there || known(child.source) != nullptr)) {
      std::string real = concat("/", child.source);
      walk_.steps.push_back({child.target, link_node(child.source, real), true});
      TRY(follow(real, {}));
      return Goes::On;
    }
    if (there) return pass_of_root(*there, std::move(child));
    if (on_missing_ == OnMissing::Stop) return Goes::Ends;
    take_directory(std::move(child));
    return Goes::On;
  }

  // What the tree, or this walk, has there already.
  Result<Goes> pass_known(const ExtraNode& node, Place child) {
    switch (node.kind) {
      case NodeKind::Link: {
        std::string text(as_text(node.bytes));
        TRY(follow(text, parent_path(node.source)));
        return Goes::On;
      }
      case NodeKind::Directory: TRY(enter(std::move(child))); return Goes::On;
      case NodeKind::File:
        if (!pending_.empty()) return Goes::Ends;
        return end_with(Found::File, {node.source, child.target});
    }
    __builtin_unreachable();
  }

  // What the root has there.
  Result<Goes> pass_of_root(const FileStatus& there, Place child) {
    switch (there.type) {
      case FileType::SymbolicLink: {
        std::string text = TRY(read_link(tree_.root_, child.source));
        walk_.steps.push_back({child.target, link_node(child.source, text), true});
        TRY(follow(text, at_.source));
        return Goes::On;
      }
      case FileType::Directory: take_directory(std::move(child)); return Goes::On;
      case FileType::Regular: {
        if (!pending_.empty()) return Goes::Ends;
        ExtraNode node;
        node.source = child.source;
        node.permissions = without_set_id(there);
        walk_.steps.push_back({child.target, std::move(node), false});
        return end_with(Found::File, std::move(child));
      }
      case FileType::BlockDevice:
      case FileType::CharacterDevice:
      case FileType::Other: return not_addable(child.source, there.type);
    }
    __builtin_unreachable();
  }

  const ExtraNode* known(const std::string& target) const {
    for (const Step& step : walk_.steps) {
      if (step.target == target) return &step.node;
    }
    return tree_.find(target);
  }

  Result<void> follow(std::string_view text, const std::string& source_directory) {
    if (++links_ > kMaxLinks) return circle(path_);
    be_at(text.starts_with("/") ? Place() : Place{source_directory, at_.target});
    push_parts(pending_, text);
    return {};
  }

  // A directory that the initramfs has, whatever the root has there.
  Result<void> enter(Place child) {
    std::optional<FileStatus> there = TRY(tree_.status(child.source));
    std::optional<std::string> real;
    if (there && there->type == FileType::SymbolicLink) {
      real = TRY(tree_.resolve(child.source, LastLink::Follow));
    }
    if (real) child.source = *real;
    be_at(std::move(child));
    stands_in_ = real.has_value();
    return {};
  }

  void take_directory(Place child) {
    walk_.steps.push_back({child.target, directory_node(child.source), true});
    be_at(std::move(child));
  }

  void be_at(Place place) {
    at_ = std::move(place);
    stands_in_ = false;
  }

  Goes end_with(Found found, Place place) {
    walk_.found = found;
    walk_.place = std::move(place);
    return Goes::Ends;
  }

  const ExtraTree& tree_;
  std::string_view path_;
  OnMissing on_missing_;
  Walk walk_;
  Place at_;
  std::vector<std::string> pending_;  // parts, the next one last
  unsigned links_ = 0;
  // The root has a link where the initramfs has the directory at_.target; it leads to at_.source.
  bool stands_in_ = false;
};

Result<ExtraTree::Walk> ExtraTree::walk(const Place& from, std::string_view path,
                                        OnMissing on_missing) const {
  return Walker(*this, from, path, on_missing).run();
}

Result<std::string> ExtraTree::prepare(const std::string& path, const std::string& reason) {
  std::string name = path.substr(path.rfind('/') + 1);
  std::string above = parent_path(path);
  auto make = [&](const std::string& directory) -> Result<Walk> {
    Walk walk = TRY(this->walk({}, concat("/", directory), OnMissing::MakeDirectory));
    if (walk.found != Found::Directory) {
      return Error(concat("/", printable(directory), ": is a file; nothing can lie below it"));
    }
    Walk made = walk;
    TRY(keep(std::move(walk), reason, Inspection::Done));
    return made;
  };
  Walk walk = TRY(make(above));
  std::string target = join_path(walk.place.target, name);
  if (!walk.stands_in || find(target) != nullptr || is_own_directory(target)) return target;
  // What is put into the stand-in belongs where the root's link leads.
  std::string real = join_path(walk.place.source, name);
  ExtraNode link = link_node(real, concat("/", real));
  link.reason = reason;
  TRY(add(target, std::move(link)));
  return join_path(TRY(make(walk.place.source)).place.target, name);
}

Result<ConstBytes> ExtraTree::content(Walk& walk) const {
  if (walk.found != Found::File) return Error("no file");
  if (walk.steps.empty() || walk.steps.back().target != walk.place.target) {
    return ConstBytes(nodes_.at(walk.place.target).bytes);
  }
  Step& step = walk.steps.back();
  if (!step.loaded) step.node.bytes = TRY(read(step.node.source));
  step.loaded = true;
  return ConstBytes(step.node.bytes);
}

Result<void> ExtraTree::keep(Walk walk, const std::string& reason, Inspection inspection) {
  for (Step& step : walk.steps) {
    if (!step.loaded) step.node.bytes = TRY(read(step.node.source));
    bool file = step.node.kind == NodeKind::File;
    step.node.reason = reason;
    TRY(add(step.target, std::move(step.node)));
    if (file && inspection == Inspection::Wanted) uninspected_.insert(step.target);
  }
  return {};
}

Result<void> ExtraTree::take(const Place& place, const std::string& reason, Claim claim) {
  return take(place, reason, claim, false);
}

Result<void> ExtraTree::take(const Place& place, const std::string& reason, Claim claim,
                             bool in_directory) {
  std::optional<FileStatus> there = TRY(status(place.source));
  if (!there) return Error(concat("/", printable(place.source), ": no such file or directory"));
  ExtraNode node;
  node.source = place.source;
  node.permissions = without_set_id(*there);
  node.reason = reason;
  node.claim = claim;
  node.in_directory = in_directory;
  switch (there->type) {
    case FileType::Regular: {
      node.bytes = TRY(read(place.source));
      TRY(add(place.target, std::move(node)));
      uninspected_.insert(place.target);
      return {};
    }
    case FileType::SymbolicLink: {
      std::string text = TRY(read_link(root_, place.source));
      node.kind = NodeKind::Link;
      node.permissions = 0777;
      node.bytes.assign(text.begin(), text.end());
      TRY(add(place.target, std::move(node)));
      uninspected_.insert(place.target);
      return {};
    }
    case FileType::Directory: {
      if (!whole_.insert(place.target).second) return {};
      node.kind = NodeKind::Directory;
      TRY(add(place.target, std::move(node)));
      Result<std::vector<std::string>> names =
          list_directory(root_, place.source.empty() ? "." : place.source);
      if (!names.ok()) return from_root(names.error());
      for (const std::string& name : names.value()) {
        TRY(take({join_path(place.source, name), join_path(place.target, name)}, reason, claim,
                 true));
      }
      return {};
    }
    case FileType::BlockDevice:
    case FileType::CharacterDevice:
    case FileType::Other: break;
  }
  return not_addable(place.source, there->type);
}

Result<void> ExtraTree::count(size_t bytes) {
  bytes_ += bytes;
  if (bytes_ > kMaxBytes || nodes_.size() > kMaxEntries) {
    return Error(concat("what is added is more than ", kMaxEntries, " files or ",
                        format_size(kMaxBytes), "; add less"));
  }
  return {};
}

Result<void> ExtraTree::add(const std::string& target, ExtraNode node) {
  if (const TakenPath* taken = taken_path(target)) {
    return Error(concat("/", printable(target), " (", printable(node.reason), "): /", taken->path,
                        " ", taken->why));
  }
  if (is_own_directory(target) && node.kind != NodeKind::Directory) {
    return Error(concat("/", target, " (", printable(node.reason),
                        "): is a directory of the initramfs itself; add what it leads to"));
  }
  auto existing = nodes_.find(target);
  if (existing == nodes_.end()) {
    TRY(count(node.bytes.size()));
    nodes_.emplace(target, std::move(node));
    return {};
  }
  ExtraNode& old = existing->second;
  if (old.kind == node.kind && old.bytes == node.bytes) {
    if (node.claim == Claim::Named && old.claim == Claim::Implied) old = std::move(node);
    return {};
  }
  if (old.claim == Claim::Named && node.claim == Claim::Implied) return {};
  return Error(concat("/", printable(target), ": is wanted twice, with different content: ",
                      printable(old.reason), ", and ", printable(node.reason)));
}

std::vector<std::string> ExtraTree::take_uninspected() {
  std::vector<std::string> targets(uninspected_.begin(), uninspected_.end());
  uninspected_.clear();
  return targets;
}

const ExtraNode* ExtraTree::find(const std::string& target) const {
  auto found = nodes_.find(target);
  return found == nodes_.end() ? nullptr : &found->second;
}

std::vector<ExtraEntry> ExtraTree::entries() && {
  std::map<std::string, ExtraNode> nodes = std::move(nodes_);
  std::vector<std::pair<std::string, std::string>> parents;
  for (const auto& [target, node] : nodes) {
    for (std::string parent = parent_path(target); !parent.empty(); parent = parent_path(parent)) {
      if (!nodes.contains(parent)) parents.emplace_back(parent, node.reason);
    }
  }
  for (const auto& [target, reason] : parents) {
    ExtraNode node = directory_node(target);
    if (target == "tmp") node.permissions = 01777;
    node.reason = reason;
    nodes.emplace(target, std::move(node));
  }
  std::vector<ExtraEntry> entries;
  for (auto& [target, node] : nodes) {
    uint32_t type = node.kind == NodeKind::File        ? S_IFREG
                    : node.kind == NodeKind::Directory ? S_IFDIR
                                                       : S_IFLNK;
    entries.push_back(
        {target, type | node.permissions, std::move(node.bytes), std::move(node.reason)});
  }
  return entries;
}

}  // namespace curlingiron
