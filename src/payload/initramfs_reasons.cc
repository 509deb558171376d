#include "payload/initramfs_reasons.h"

#include <fnmatch.h>
#include <sys/stat.h>

#include <algorithm>
#include <deque>
#include <set>

#include "base/text.h"
#include "formats/alias_pattern.h"
#include "formats/elf.h"
#include "formats/elf_dynamic.h"
#include "formats/modules_text.h"
#include "formats/payload_layout.h"
#include "payload/module_file.h"

namespace curlingiron {
namespace {

// modules.dep of a whole kernel is 1 MiB.
constexpr uint64_t kMaxText = 16_MiB;
constexpr uint64_t kMaxProgram = 256_MiB;
// What a question may bring: more, nobody reads.
constexpr size_t kMaxReached = 2'000;
constexpr size_t kMaxChains = 200;

std::string_view file_name(std::string_view path) { return path.substr(path.rfind('/') + 1); }

bool is_modules_dep(std::string_view path) {
  return path.find("lib/modules/") != std::string_view::npos && file_name(path) == "modules.dep";
}

// Names of modules, one a line, that a program of the initramfs loads at start: initramfs-tools'
// and systemd's (modules-load.d(5)).
bool is_module_list(std::string_view path) {
  return path == "conf/modules" ||
         (path.find("/modules-load.d/") != std::string_view::npos && path.ends_with(".conf"));
}

std::optional<std::string> module_of_path(std::string_view path) {
  if (path.find("lib/modules/") == std::string_view::npos) return std::nullopt;
  Result<std::string> name = module_name_of_path(path);
  if (!name.ok()) return std::nullopt;
  return std::move(name).value();
}

std::string directory_of(std::string_view path) {
  size_t slash = path.rfind('/');
  return std::string(path.substr(0, slash == std::string_view::npos ? 0 : slash));
}

std::string root_phrase(std::string_view reason) {
  bool one_word = reason.find(' ') == std::string_view::npos;
  if (reason == "always") return "is in every initramfs of build";
  if (reason.starts_with("profile ")) return concat("belongs to ", reason);
  if (reason.ends_with(" of the network")) return concat("is for a ", reason);
  if (reason.starts_with("--")) return concat("was asked for by ", reason);
  if (one_word && reason.find(':') != std::string_view::npos) return concat("drives ", reason);
  return concat("is there for this reason: ", reason);
}

// The symlink's target as a plain path, ".." resolved by name alone.
std::string link_target(const std::string& link, std::string_view target) {
  std::vector<std::string> parts;
  std::string base = target.starts_with("/") ? std::string() : directory_of(link);
  std::string whole = concat(base, "/", target);
  for (std::string_view part : split(whole, '/')) {
    if (part.empty() || part == ".") continue;
    if (part != "..") {
      parts.emplace_back(part);
    } else if (!parts.empty()) {
      parts.pop_back();
    }
  }
  return join(parts, "/");
}

}  // namespace

Result<InitramfsReasons> InitramfsReasons::read(RandomSource& image) {
  InitramfsReasons reasons(image);
  TRY(reasons.read_names());
  return reasons;
}

Result<void> InitramfsReasons::read_names() {
  // Every image may have these (Documentation/filesystems/ramfs-rootfs-initramfs.rst).
  static constexpr Place kKernelPlaces[] = {
      {kInitPath, "is the program that the kernel starts"},
      {"dev/console", "is what the kernel opens as the first program's console"},
  };
  // Ours has them wherever it was built (formats/payload_layout.h).
  static constexpr Place kPlaces[] = {
      {kConfigFile.path, "holds the settings given to build"},
      {kModuleIndexFile.path, "is the index of the modules, which has all this"},
      {kCaBundleFile.path, "holds the authorities that servers' certificates are verified with"},
      {kClientCertificateFile.path, "is the client's certificate, of --cert"},
      {kSeedFile.path, "is what is handed to the new system"},
      {kPutFile.path, "holds the files of --put for the new system"},
  };
  std::optional<std::string> index;
  std::vector<std::string> dependency_texts;
  std::vector<std::pair<std::string, std::string>> lists;
  InitramfsReader reader(image_);
  for (;;) {
    std::optional<ImageEntry> entry = TRY(reader.next());
    if (!entry) break;
    std::string path(plain_path(entry->path));
    if (path.empty()) continue;
    modes_[path] = entry->mode;
    if (S_ISLNK(entry->mode)) links_[path] = entry->target;
    if (!S_ISREG(entry->mode)) continue;
    if (std::optional<std::string> module = module_of_path(path)) {
      modules_.emplace(*module, path);
      module_at_.emplace(path, *module);
    }
    bool wanted = path == kModuleIndexFile.path || is_modules_dep(path) || is_module_list(path);
    if (!wanted) continue;
    ByteVector data = TRY_CONTEXT(printable(path), reader.read_data(kMaxText));
    std::string text(as_text(data));
    if (path == kModuleIndexFile.path) {
      index = std::move(text);
    } else if (is_modules_dep(path)) {
      dependency_texts.push_back(std::move(text));
    } else {
      lists.emplace_back(path, std::move(text));
    }
  }
  add_places(kKernelPlaces);
  ours_ = index.has_value();
  if (index) {
    add_places(kPlaces);
    return add_index(*index).with_context(concat("/", kModuleIndexFile.path));
  }
  for (const std::string& text : dependency_texts) {
    TRY_CONTEXT("modules.dep in the image", add_modules_dep(text));
  }
  for (const auto& [path, text] : lists) add_module_list(text, path);
  return {};
}

Result<void> InitramfsReasons::add_index(std::string_view text) {
  ModuleIndex index = TRY(parse_module_index(text));
  for (const IndexedModule& module : index.modules) {
    modules_[module.name] = module.path;
    module_at_[module.path] = module.name;
  }
  dependencies_ = std::move(index.modules);
  for (const IndexedReason& why : index.reasons) {
    std::string subject =
        why.name.find('/') == std::string::npos ? normalize_module_name(why.name) : why.name;
    if (!is_subject(subject)) subject = why.name;
    // "needed by /bin/busybox": the last word is another subject, those before say how.
    size_t blank = why.reason.rfind(' ');
    std::string last(plain_path(
        std::string_view(why.reason).substr(blank == std::string::npos ? 0 : blank + 1)));
    if (!modules_.contains(last)) last = subject_of_path(last);
    bool relation = blank != std::string::npos && !why.reason.starts_with("--") &&
                    !why.reason.starts_with("profile ") && is_subject(last) && last != subject;
    if (relation) {
      nodes_[subject].parents.push_back({why.reason.substr(0, blank), last});
    } else {
      nodes_[subject].roots.push_back(root_phrase(why.reason));
    }
  }
  for (const std::string& name : index.load) {
    Node& node = nodes_[name];
    if (node.roots.empty() && node.parents.empty()) {
      node.roots.push_back("is loaded at start, whatever the hardware");
    }
  }
  return {};
}

void InitramfsReasons::add_places(std::span<const Place> places) {
  for (const Place& place : places) {
    std::string path(place.path);
    if (modes_.contains(path)) nodes_[path].roots.push_back(std::string(place.reason));
  }
}

Result<void> InitramfsReasons::add_modules_dep(std::string_view text) {
  for (const DependencyLine& line : TRY(parse_modules_dep(text))) {
    Result<std::string> name = module_name_of_path(line.path);
    if (!name.ok() || !modules_.contains(name.value())) continue;
    IndexedModule module{name.value(), modules_[name.value()], {}};
    for (const std::string& path : line.dependencies) {
      Result<std::string> other = module_name_of_path(path);
      if (other.ok() && modules_.contains(other.value())) {
        module.dependencies.push_back(std::move(other).value());
      }
    }
    dependencies_.push_back(std::move(module));
  }
  return {};
}

void InitramfsReasons::add_module_list(std::string_view text, const std::string& path) {
  for (std::string_view line : split(text, '\n')) {
    std::vector<std::string_view> words = split_blank(line);
    if (words.empty() || words[0].starts_with("#") || words[0].starts_with(";")) continue;
    std::string name = normalize_module_name(words[0]);
    if (modules_.contains(name)) {
      nodes_[name].roots.push_back(concat("is loaded at start by ", path));
    }
  }
}

bool InitramfsReasons::is_subject(const std::string& name) const {
  return modules_.contains(name) || modes_.contains(name);
}

std::string InitramfsReasons::subject_of_path(const std::string& path) const {
  auto module = module_at_.find(path);
  return module == module_at_.end() ? path : module->second;
}

std::string InitramfsReasons::path_of(const std::string& subject) const {
  auto module = modules_.find(subject);
  return module == modules_.end() ? subject : module->second;
}

Result<std::vector<std::string>> InitramfsReasons::resolve(std::string_view name) const {
  std::string path(plain_path(name));
  while (path.ends_with("/")) path.pop_back();
  if (modes_.contains(path)) return std::vector<std::string>{subject_of_path(path)};
  std::string module = normalize_module_name(name);
  if (modules_.contains(module)) return std::vector<std::string>{module};
  std::vector<std::string> found;
  for (const auto& [other, mode] : modes_) {
    bool matches = path.find('/') == std::string::npos
                       ? file_name(other) == path
                       : other.ends_with(path) && other[other.size() - path.size() - 1] == '/';
    if (matches) found.push_back(subject_of_path(other));
  }
  std::sort(found.begin(), found.end());
  found.erase(std::unique(found.begin(), found.end()), found.end());
  if (!found.empty()) return found;

  std::vector<std::string_view> candidates;
  for (const auto& [other, at] : modules_) candidates.push_back(other);
  for (const auto& [other, mode] : modes_) candidates.push_back(file_name(other));
  std::string_view part = file_name(path);
  std::optional<std::string_view> near = nearest(module, candidates);
  if (!near) near = nearest(part, candidates);
  std::string hint;
  if (near) {
    hint = concat("; did you mean ", printable(*near), "?");
  } else {
    // Names that hold it, such as "virtio".
    std::set<std::string_view> holding;
    for (std::string_view candidate : candidates) {
      if (!part.empty() && (candidate.find(part) != std::string_view::npos ||
                            candidate.find(module) != std::string_view::npos)) {
        holding.insert(candidate);
      }
    }
    std::vector<std::string> shown;
    for (std::string_view candidate : holding) {
      if (shown.size() < 8) shown.push_back(printable(candidate));
    }
    if (!shown.empty()) hint = concat("; there are ", join(shown, ", "));
    if (holding.size() > shown.size()) hint += ", ...";
  }
  return Error(concat(printable(name), ": neither a module nor a file of this image", hint));
}

// A dependency list holds all that must be loaded before, in order: what stands between is left
// out. Those that are needed by others of them are not needed directly.
std::vector<ReasonStep> InitramfsReasons::parents_of(const std::string& subject) const {
  std::vector<ReasonStep> parents;
  if (auto node = nodes_.find(subject); node != nodes_.end()) parents = node->second.parents;
  if (!modules_.contains(subject)) return parents;
  std::set<std::string_view> users;
  for (const IndexedModule& module : dependencies_) {
    const std::vector<std::string>& needs = module.dependencies;
    if (std::find(needs.begin(), needs.end(), subject) != needs.end()) users.insert(module.name);
  }
  for (const IndexedModule& module : dependencies_) {
    if (!users.contains(module.name) || module.name == subject) continue;
    bool through_another = std::any_of(
        module.dependencies.begin(), module.dependencies.end(),
        [&](const std::string& other) { return other != module.name && users.contains(other); });
    if (!through_another) parents.push_back({"needed by", module.name});
  }
  return parents;
}

std::vector<std::string> InitramfsReasons::roots_of(const std::string& subject) const {
  auto node = nodes_.find(subject);
  if (node != nodes_.end() && !node->second.roots.empty()) return node->second.roots;
  if (node != nodes_.end() && !node->second.parents.empty()) return {};
  if (auto link = links_.find(subject); link != links_.end()) {
    return {concat("is a symlink to ", link->second)};
  }
  auto mode = modes_.find(path_of(subject));
  if (mode == modes_.end() || !S_ISDIR(mode->second)) return {};
  std::string prefix = subject + "/";
  uint64_t inside = 0;
  for (auto at = modes_.lower_bound(prefix); at != modes_.end() && at->first.starts_with(prefix);
       ++at) {
    ++inside;
  }
  if (inside == 0 && ours_) return {"is a place for what /init mounts or writes"};
  return {concat("is a directory with ", inside, inside == 1 ? " entry" : " entries")};
}

Result<std::vector<ReasonChain>> InitramfsReasons::chains(const std::string& subject) {
  if (!ours_ && !modules_.contains(subject)) {
    if (subject.find("lib/firmware/") != std::string::npos) {
      TRY(read_firmware_of_modules());
    } else {
      TRY(read_libraries());
    }
  }
  struct Reached {
    std::string name;
    ReasonStep step;  // from `below`
    size_t below;
  };
  std::vector<Reached> reached = {{subject, {}, 0}};
  std::set<std::string> seen = {subject};
  std::vector<ReasonChain> chains;
  for (size_t i = 0; i < std::min(reached.size(), kMaxReached); ++i) {
    if (chains.size() == kMaxChains) break;
    std::vector<ReasonStep> parents = parents_of(reached[i].name);
    std::vector<std::string> roots = roots_of(reached[i].name);
    std::sort(parents.begin(), parents.end(),
              [](const ReasonStep& a, const ReasonStep& b) { return a.name < b.name; });
    if (!roots.empty() || parents.empty()) {
      ReasonChain chain;
      for (size_t at = i; at != 0; at = reached[at].below) chain.steps.push_back(reached[at].step);
      std::reverse(chain.steps.begin(), chain.steps.end());
      chain.root = roots.empty() ? "" : roots.front();
      if (roots.size() > 1) chain.root += concat(", and ", roots.size() - 1, " more");
      chains.push_back(std::move(chain));
    }
    for (const ReasonStep& parent : parents) {
      if (seen.insert(parent.name).second) reached.push_back({parent.name, parent, i});
    }
  }
  // A circle of needs without a root.
  if (chains.empty()) chains.emplace_back();
  return chains;
}

Result<void> InitramfsReasons::read_libraries() {
  if (libraries_read_) return {};
  libraries_read_ = true;
  std::map<std::string, std::vector<std::string>> by_file_name;
  for (const auto& [path, mode] : modes_)
    by_file_name[std::string(file_name(path))].push_back(path);
  InitramfsReader reader(image_);
  for (;;) {
    std::optional<ImageEntry> entry = TRY(reader.next());
    if (!entry) break;
    std::string path(plain_path(entry->path));
    bool program = (entry->mode & 0111) != 0 || path.find(".so") != std::string::npos;
    if (!S_ISREG(entry->mode) || !program || entry->size > kMaxProgram) continue;
    ByteVector data = TRY_CONTEXT(printable(path), reader.read_data(kMaxProgram));
    if (!is_elf(data)) continue;
    Result<ElfDynamic> dynamic = read_elf_dynamic(data);
    if (!dynamic.ok()) continue;  // of another machine, or damaged: nothing is learnt of it
    auto needs = [&](std::string_view name, const char* relation) {
      for (const std::string& found : by_file_name[std::string(file_name(name))]) {
        if (found != path) nodes_[found].parents.push_back({relation, path});
      }
    };
    for (const std::string& name : dynamic.value().needed) needs(name, "needed by");
    if (!dynamic.value().interpreter.empty()) {
      needs(dynamic.value().interpreter, "the interpreter of");
    }
  }
  // libx.so.1 -> libx.so.1.2
  for (const auto& [link, target] : links_) {
    if (link.find(".so") == std::string::npos) continue;
    std::string file = link_target(link, target);
    if (!modes_.contains(file)) {
      for (const std::string& found : by_file_name[std::string(file_name(target))]) file = found;
    }
    if (modes_.contains(file)) nodes_[file].parents.push_back({"the file behind", link});
  }
  return {};
}

Result<void> InitramfsReasons::read_firmware_of_modules() {
  if (firmware_read_) return {};
  firmware_read_ = true;
  std::vector<std::pair<std::string, std::string>> files;  // name below lib/firmware, path
  constexpr std::string_view kFolder = "lib/firmware/";
  for (const auto& [path, mode] : modes_) {
    size_t at = path.find(kFolder);
    if (at == std::string::npos || S_ISDIR(mode)) continue;
    std::string name = path.substr(at + kFolder.size());
    for (std::string_view suffix : {".xz", ".zst"}) {
      if (name.ends_with(suffix)) name.resize(name.size() - suffix.size());
    }
    files.emplace_back(std::move(name), path);
  }
  InitramfsReader reader(image_);
  for (;;) {
    std::optional<ImageEntry> entry = TRY(reader.next());
    if (!entry) break;
    auto module = module_at_.find(std::string(plain_path(entry->path)));
    if (module == module_at_.end() || !S_ISREG(entry->mode)) continue;
    ByteVector data = TRY_CONTEXT(printable(entry->path), reader.read_data(kMaxModuleSize));
    Result<ByteVector> plain = decompress_whole(std::move(data), kMaxModuleSize);
    if (!plain.ok()) continue;  // damaged: nothing is learnt of it
    Result<ModuleInfo> info = read_module_info(plain.value());
    if (!info.ok()) continue;
    for (const std::string& pattern : info.value().firmware) {
      for (const auto& [name, path] : files) {
        if (::fnmatch(pattern.c_str(), name.c_str(), 0) != 0) continue;
        nodes_[path].parents.push_back({"firmware of", module->second});
      }
    }
  }
  return {};
}

std::string sentence(const ReasonChain& chain) {
  std::string text;
  for (const ReasonStep& step : chain.steps) {
    if (!text.empty()) text += ", ";
    text += concat(printable(step.relation), " ", printable(step.name));
  }
  if (chain.root.empty()) return text;
  if (!text.empty()) text += ", which ";
  return text + printable(chain.root, 400);
}

}  // namespace curlingiron
