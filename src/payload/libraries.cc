#include "payload/libraries.h"

#include <elf.h>
#include <fnmatch.h>

#include <algorithm>
#include <set>

#include "base/text.h"
#include "formats/elf.h"
#include "formats/ld_so_conf.h"

namespace curlingiron {
namespace {

constexpr size_t kMaxObjects = 4096;  // of one program
constexpr unsigned kMaxIncludeDepth = 8;
constexpr size_t kMaxConfigurations = 1000;

struct Platform {
  uint16_t machine;
  std::string_view triplet;  // of Debian's directories
  std::string_view name;     // $PLATFORM (AT_PLATFORM)
};
constexpr Platform kPlatforms[] = {
    {EM_X86_64, "x86_64-linux-gnu", "x86_64"},
    {EM_AARCH64, "aarch64-linux-gnu", "aarch64"},
    {EM_RISCV, "riscv64-linux-gnu", ""},
    {EM_PPC64, "powerpc64le-linux-gnu", ""},
};

std::string_view triplet_of(uint16_t machine) {
  for (const Platform& platform : kPlatforms) {
    if (platform.machine == machine) return platform.triplet;
  }
  return {};
}

// As glibc's loader of Debian and Ubuntu (multiarch), Fedora (lib64) or Arch (lib) has them. It is
// of one kind only, but the others' directories hold nothing for it then.
std::vector<std::string> default_directories(uint16_t machine) {
  std::vector<std::string> directories;
  if (std::string_view triplet = triplet_of(machine); !triplet.empty()) {
    directories.push_back(concat("/lib/", triplet));
    directories.push_back(concat("/usr/lib/", triplet));
  }
  for (const char* directory : {"/lib64", "/usr/lib64", "/lib", "/usr/lib"}) {
    directories.emplace_back(directory);
  }
  return directories;
}

bool is_musl(std::string_view interpreter) {
  return interpreter.substr(interpreter.rfind('/') + 1).starts_with("ld-musl-");
}

// musl's loader is its C library, and takes all these names for itself.
bool is_part_of_musl(std::string_view name) {
  static constexpr std::string_view kParts[] = {"c.",  "pthread.", "rt.",  "m.",
                                                "dl.", "util.",    "xnet."};
  if (!name.starts_with("lib")) return false;
  name.remove_prefix(3);
  return std::any_of(std::begin(kParts), std::end(kParts),
                     [&](std::string_view part) { return name.starts_with(part); });
}

// What $LIB stands for was decided when the loader was compiled; it holds the text.
std::string lib_of_loader(ConstBytes loader, uint16_t machine) {
  std::string_view text = as_text(loader);
  std::string multiarch = concat("lib/", triplet_of(machine));
  for (const std::string& word : {multiarch, std::string("lib64")}) {
    std::string exact = '\0' + word + '\0';
    if (text.find(exact) != std::string_view::npos) return word;
  }
  return "lib";
}

// Replaces $NAME and ${NAME}.
void replace_token(std::string& text, std::string_view name, std::string_view value) {
  for (const std::string& token : {concat("${", name, "}"), concat("$", name)}) {
    for (size_t at = text.find(token); at != std::string::npos;
         at = text.find(token, at + value.size())) {
      text.replace(at, token.size(), value);
    }
  }
}

// The rest of "$ORIGIN/rest" or "${ORIGIN}/rest"; nullopt for other paths.
std::optional<std::string> after_origin(std::string_view path) {
  for (std::string_view token : {"${ORIGIN}", "$ORIGIN"}) {
    if (!path.starts_with(token)) continue;
    std::string_view rest = path.substr(token.size());
    if (rest.empty() || rest.starts_with("/")) return concat(".", rest);
  }
  return std::nullopt;
}

}  // namespace

// An object in the memory of the program: the program itself, a library, the loader.
struct LibraryLoader::Loaded {
  std::string target;
  Place origin;  // $ORIGIN: the directory it was found in
  std::optional<size_t> loaded_by;
  ElfDynamic elf;
  std::vector<std::string> names;  // by which it was asked for
};

// One program being loaded.
class LibraryLoader::Session {
 public:
  Session(LibraryLoader& loader, std::string target)
      : loader_(loader), tree_(loader.tree_), program_(std::move(target)) {}

  Result<void> run() {
    const ExtraNode& node = *tree_.find(program_);
    Loaded program;
    program.target = program_;
    program.origin = {parent_path(node.source), parent_path(program_)};
    program.elf = TRY(loader_.parse(program_));
    if (program.elf.interpreter.empty() && program.elf.needed.empty()) return {};
    std::string interpreter = program.elf.interpreter;
    machine_ = program.elf.kind.machine;
    objects_.push_back(std::move(program));
    if (!interpreter.empty()) TRY(load_interpreter(interpreter));
    // Breadth first, as the loader: what is loaded already satisfies a name, wherever it is from.
    for (size_t i = 0; i < objects_.size(); ++i) {
      std::vector<std::string> needed = objects_[i].elf.needed;
      for (const std::string& name : needed) TRY(load(i, name));
    }
    return {};
  }

 private:
  std::string needed_by(const Loaded& object) const {
    return concat("needed by /", printable(object.target));
  }

  Result<void> load_interpreter(const std::string& path) {
    ExtraTree::Walk walk = TRY(tree_.walk({}, path, OnMissing::Stop));
    if (walk.found != Found::File) {
      return Error(concat("/", printable(program_), ": needs ", printable(path),
                          " to run, which is not there; install it, or add a static program"));
    }
    musl_ = is_musl(path);
    lib_ = lib_of_loader(TRY(tree_.content(walk)), machine_);
    TRY(take_in(std::move(walk), path, 0));
    if (musl_) musl_directories_ = TRY(loader_.musl_directories(path));
    return {};
  }

  bool is_loaded(const std::string& name) {
    if (musl_ && is_part_of_musl(name)) return true;
    for (Loaded& object : objects_) {
      if (std::find(object.names.begin(), object.names.end(), name) != object.names.end()) {
        return true;
      }
      if (object.elf.soname == name) return true;
    }
    return false;
  }

  Result<void> load(size_t by, const std::string& name) {
    if (is_loaded(name)) return {};
    if (objects_.size() == kMaxObjects) return Error("loads more libraries than make sense");
    tried_.clear();
    std::optional<ExtraTree::Walk> walk =
        TRY_CONTEXT(concat("/", printable(objects_[by].target)), find(by, name));
    if (!walk) {
      return Error(concat("/", printable(objects_[by].target), ": needs ", printable(name),
                          ", which is in none of ", join(tried_, ", "),
                          "; install it, or give it with --add FILE:PATH"));
    }
    return take_in(std::move(*walk), name, by);
  }

  Result<void> take_in(ExtraTree::Walk walk, const std::string& name, size_t by) {
    for (Loaded& object : objects_) {
      if (object.target != walk.place.target) continue;
      object.names.push_back(name);
      return {};
    }
    Loaded library;
    library.target = walk.place.target;
    library.origin = walk.directory;
    library.loaded_by = by;
    library.names.push_back(name);
    TRY(tree_.keep(std::move(walk), needed_by(objects_[by]), Inspection::Done));
    library.elf = TRY(loader_.parse(library.target));
    objects_.push_back(std::move(library));
    return {};
  }

  Result<std::optional<ExtraTree::Walk>> find(size_t by, const std::string& name) {
    const Loaded& object = objects_[by];
    if (name.find('/') != std::string::npos) {
      tried_.push_back(printable(name));
      std::string path = expand(name);
      std::optional<std::string> rest = after_origin(path);
      if (!rest && !path.starts_with("/")) return std::optional<ExtraTree::Walk>();
      return usable(TRY(tree_.walk(object.origin, rest.value_or(path), OnMissing::Stop)));
    }
    if (musl_) return find_as_musl(by, name);
    // RPATH is the object's own and that of all that led to it, but not where there is a RUNPATH.
    if (!object.elf.runpath) {
      for (std::optional<size_t> i = by; i; i = objects_[*i].loaded_by) {
        const ElfDynamic& elf = objects_[*i].elf;
        if (!elf.rpath || elf.runpath) continue;
        if (auto found = TRY(search(objects_[*i], *elf.rpath, name))) return found;
      }
    }
    if (object.elf.runpath) {
      if (auto found = TRY(search(object, *object.elf.runpath, name))) return found;
    }
    loader_.glibc_ = true;
    std::vector<std::string> defaults = default_directories(machine_);
    bool no_defaults = object.elf.no_default_directories;
    for (const std::string& directory : *TRY(loader_.configured_directories())) {
      bool is_default = std::find(defaults.begin(), defaults.end(), directory) != defaults.end();
      if (no_defaults && is_default) continue;
      if (auto found = TRY(look_in(object, directory, name))) return found;
    }
    if (no_defaults) return std::optional<ExtraTree::Walk>();
    for (const std::string& directory : defaults) {
      if (auto found = TRY(look_in(object, directory, name))) return found;
    }
    return std::optional<ExtraTree::Walk>();
  }

  // musl takes RUNPATH for RPATH, and both from all that led to the object.
  Result<std::optional<ExtraTree::Walk>> find_as_musl(size_t by, const std::string& name) {
    for (std::optional<size_t> i = by; i; i = objects_[*i].loaded_by) {
      const ElfDynamic& elf = objects_[*i].elf;
      const std::optional<std::string>& path = elf.runpath ? elf.runpath : elf.rpath;
      if (!path) continue;
      if (auto found = TRY(search(objects_[*i], *path, name))) return found;
    }
    for (const std::string& directory : musl_directories_) {
      if (auto found = TRY(look_in(objects_[by], directory, name))) return found;
    }
    return std::optional<ExtraTree::Walk>();
  }

  Result<std::optional<ExtraTree::Walk>> search(const Loaded& owner, std::string_view path,
                                                const std::string& name) {
    for (std::string_view directory : split(path, ':')) {
      if (auto found = TRY(look_in(owner, std::string(directory), name))) return found;
    }
    return std::optional<ExtraTree::Walk>();
  }

  std::string expand(std::string path) const {
    replace_token(path, "LIB", lib_);
    for (const Platform& platform : kPlatforms) {
      if (platform.machine == machine_) replace_token(path, "PLATFORM", platform.name);
    }
    return path;
  }

  Result<std::optional<ExtraTree::Walk>> look_in(const Loaded& owner, const std::string& directory,
                                                 const std::string& name) {
    std::string path = expand(directory);
    std::optional<std::string> rest = after_origin(path);
    // What is relative depends on where the program is started: nothing to rely on.
    if (!rest && !path.starts_with("/")) return std::optional<ExtraTree::Walk>();
    append_unique(tried_, rest ? printable(concat("/", owner.origin.source, rest->substr(1)))
                               : printable(path));
    return usable(
        TRY(tree_.walk(owner.origin, concat(rest.value_or(path), "/", name), OnMissing::Stop)));
  }

  // The loader passes over libraries of other machines. What is no library at all it dies of.
  Result<std::optional<ExtraTree::Walk>> usable(ExtraTree::Walk walk) const {
    if (walk.found != Found::File) return std::optional<ExtraTree::Walk>();
    std::string shown = concat("/", printable(walk.place.source));
    ElfKind kind = TRY_CONTEXT(shown, read_elf_kind(TRY(tree_.content(walk))));
    const ElfKind& wanted = objects_.front().elf.kind;
    if (kind.machine != wanted.machine || kind.is_64_bit != wanted.is_64_bit ||
        kind.little_endian != wanted.little_endian) {
      return std::optional<ExtraTree::Walk>();
    }
    return std::optional(std::move(walk));
  }

  LibraryLoader& loader_;
  ExtraTree& tree_;
  std::string program_;
  uint16_t machine_ = 0;
  bool musl_ = false;
  std::string lib_ = "lib";
  std::vector<std::string> musl_directories_;
  std::vector<Loaded> objects_;
  std::vector<std::string> tried_;  // directories, for the message
};

Result<void> LibraryLoader::bring_needs(const std::string& target) {
  return Session(*this, target).run();
}

Result<ElfDynamic> LibraryLoader::parse(const std::string& target) {
  return read_elf_dynamic(tree_.find(target)->bytes).with_context(concat("/", printable(target)));
}

Result<const std::vector<std::string>*> LibraryLoader::configured_directories() {
  if (!configured_) {
    configured_.emplace();
    TRY(read_ld_so_conf("/etc/ld.so.conf", 0));
  }
  return &*configured_;
}

Result<void> LibraryLoader::read_ld_so_conf(const std::string& path, unsigned depth) {
  std::optional<std::string> real = TRY(tree_.resolve(path, ExtraTree::LastLink::Follow));
  if (!real || depth == kMaxIncludeDepth || read_configurations_.size() == kMaxConfigurations) {
    return {};
  }
  // A file that includes itself is read once.
  if (std::find(read_configurations_.begin(), read_configurations_.end(), *real) !=
      read_configurations_.end()) {
    return {};
  }
  read_configurations_.push_back(*real);
  std::string text = TRY(read_text(tree_.root(), *real));
  for (const LdSoConfLine& line : parse_ld_so_conf(text)) {
    if (line.word == LdSoConfWord::Directory) {
      std::string directory = line.text;
      while (directory.size() > 1 && directory.ends_with("/")) directory.pop_back();
      append_unique(*configured_, directory);
      continue;
    }
    std::string pattern = line.text.starts_with("/")
                              ? line.text
                              : concat(path.substr(0, path.rfind('/') + 1), line.text);
    for (const std::string& file : TRY(expand_glob(pattern))) {
      TRY(read_ld_so_conf(file, depth + 1));
    }
  }
  return {};
}

Result<std::vector<std::string>> LibraryLoader::expand_glob(const std::string& pattern) const {
  std::vector<std::string> paths = {""};
  for (std::string_view part : split(pattern, '/')) {
    if (part.empty()) continue;
    std::string wanted(part);
    bool is_pattern = wanted.find_first_of("*?[") != std::string::npos;
    std::vector<std::string> next;
    for (const std::string& path : paths) {
      if (!is_pattern) {
        next.push_back(concat(path, "/", wanted));
        continue;
      }
      std::optional<std::string> real = TRY(tree_.resolve(path, ExtraTree::LastLink::Follow));
      if (!real) continue;
      Result<std::vector<std::string>> names =
          list_directory(tree_.root(), real->empty() ? "." : *real);
      if (!names.ok()) continue;  // No directory: the pattern matches nothing.
      for (const std::string& name : names.value()) {
        if (::fnmatch(wanted.c_str(), name.c_str(), FNM_PERIOD) == 0) {
          next.push_back(concat(path, "/", name));
        }
      }
    }
    paths = std::move(next);
  }
  return paths;
}

Result<std::vector<std::string>> LibraryLoader::musl_directories(const std::string& interpreter) {
  // "/lib/ld-musl-x86_64.so.1" is configured by "/etc/ld-musl-x86_64.path".
  std::string name = interpreter.substr(interpreter.rfind('/') + 1);
  std::string path = concat("/etc/", name.substr(0, name.find(".so")), ".path");
  ExtraTree::Walk walk = TRY(tree_.walk({}, path, OnMissing::Stop));
  std::string text = "/lib:/usr/local/lib:/usr/lib";
  if (walk.found == Found::File) {
    text = std::string(as_text(TRY(tree_.content(walk))));
    TRY(tree_.keep(std::move(walk), concat("needed by ", printable(interpreter)),
                   Inspection::Done));
  }
  std::replace(text.begin(), text.end(), '\n', ':');
  std::vector<std::string> directories;
  for (std::string_view directory : split(text, ':')) {
    if (directory.starts_with("/")) append_unique(directories, directory);
  }
  return directories;
}

Result<void> LibraryLoader::add_cache() {
  constexpr const char* kCache = "etc/ld.so.cache";
  if (!glibc_ || tree_.find(kCache) != nullptr) return {};
  std::vector<std::string> directories = *TRY(configured_directories());
  for (const Platform& platform : kPlatforms) {
    for (const std::string& directory : default_directories(platform.machine)) {
      append_unique(directories, directory);
    }
  }
  std::vector<CachedLibrary> libraries;
  std::set<std::string> names;
  for (const std::string& directory : directories) {
    ExtraTree::Walk walk = TRY(tree_.walk({}, directory, OnMissing::Stop));
    // Steps to take: not in the initramfs yet, so nothing of it is.
    if (walk.found != Found::Directory || !walk.steps.empty()) continue;
    std::string prefix = walk.place.target + "/";
    const auto& nodes = tree_.nodes();
    for (auto at = nodes.lower_bound(prefix); at != nodes.end() && at->first.starts_with(prefix);
         ++at) {
      std::string name = at->first.substr(prefix.size());
      if (name.find('/') != std::string::npos || name.find(".so") == std::string::npos) continue;
      ExtraTree::Walk file = TRY(tree_.walk({}, concat("/", at->first), OnMissing::Stop));
      if (file.found != Found::File || !file.steps.empty()) continue;
      Result<ElfKind> kind = read_elf_kind(TRY(tree_.content(file)));
      if (!kind.ok() || !kind.value().is_64_bit || !names.insert(name).second) continue;
      libraries.push_back({name, concat(directory, "/", name), kind.value().machine});
    }
  }
  ExtraNode node;
  node.permissions = 0644;
  node.bytes = format_ld_so_cache(std::move(libraries));
  node.reason = "where the dynamic loader finds libraries";
  return tree_.add(kCache, std::move(node));
}

}  // namespace curlingiron
