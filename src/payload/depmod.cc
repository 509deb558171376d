#include "payload/depmod.h"

#include <algorithm>
#include <cerrno>
#include <optional>
#include <unordered_map>

#include "base/text.h"
#include "formats/alias_pattern.h"
#include "formats/elf.h"
#include "payload/module_file.h"
#include "payload/parallel.h"
#include "sys/file.h"

namespace curlingiron {
namespace {

constexpr size_t kMostModules = 50'000;
constexpr unsigned kDeepest = 16;

// depmod.d(5): "updates" goes before what came with the kernel, unless it is configured otherwise.
constexpr std::string_view kPreferred = "updates/";

bool is_module(std::string_view name) {
  static constexpr std::string_view kEndings[] = {".ko", ".ko.xz", ".ko.zst", ".ko.gz"};
  return std::any_of(std::begin(kEndings), std::end(kEndings),
                     [&](std::string_view ending) { return name.ends_with(ending); });
}

// Directories only, not links: "build" and "source" lead to the kernel's sources.
Result<void> find_modules(const UniqueFd& root, const std::string& directory, unsigned depth,
                          std::vector<std::string>& found) {
  if (depth > kDeepest) return Error(concat(printable(directory), ": too many levels"));
  for (const std::string& name : TRY(list_directory(root, directory.empty() ? "." : directory))) {
    std::string path = directory.empty() ? name : concat(directory, "/", name);
    FileStatus status = TRY(file_status(root, path, FollowLinks::No));
    if (status.type == FileType::Directory) {
      TRY(find_modules(root, path, depth + 1, found));
    } else if (is_module(name)) {
      if (found.size() == kMostModules) return Error("more modules than a kernel has");
      found.push_back(std::move(path));
    }
  }
  return {};
}

std::string without_compression(std::string_view path) {
  return std::string(path.substr(0, path.rfind(".ko") + 3));
}

// The kernel's own order, then by path; of one name the preferred path.
Result<std::vector<std::string>> ordered(const UniqueFd& directory,
                                         std::vector<std::string> paths) {
  std::unordered_map<std::string, size_t> ranks;
  std::string order = TRY(read_text_if_there(directory, "modules.order"));
  for (std::string_view line : split(order, '\n')) {
    if (!trim(line).empty()) ranks.emplace(std::string(trim(line)), ranks.size());
  }
  auto rank = [&](const std::string& path) {
    auto found = ranks.find(without_compression(path));
    return found == ranks.end() ? ranks.size() : found->second;
  };
  std::sort(paths.begin(), paths.end(), [&](const std::string& a, const std::string& b) {
    size_t rank_a = rank(a);
    size_t rank_b = rank(b);
    return rank_a != rank_b ? rank_a < rank_b : a < b;
  });
  std::unordered_map<std::string, size_t> by_name;
  std::vector<std::string> chosen;
  for (std::string& path : paths) {
    auto [found, is_new] = by_name.emplace(TRY(module_name_of_path(path)), chosen.size());
    if (is_new) {
      chosen.push_back(std::move(path));
    } else if (path.starts_with(kPreferred)) {
      chosen[found->second] = std::move(path);
    }
  }
  return chosen;
}

Result<ModuleTables> tables_of(const std::vector<std::string>& paths,
                               const std::vector<ModuleInfo>& infos) {
  std::unordered_map<std::string, const std::string*> by_name;
  for (const std::string& path : paths) by_name.emplace(TRY(module_name_of_path(path)), &path);
  ModuleTables tables;
  // The same lines as depmod's, read by the same parsers.
  std::string soft;
  std::string weak;
  for (size_t i = 0; i < paths.size(); ++i) {
    std::string name = TRY(module_name_of_path(paths[i]));
    DependencyLine line;
    line.path = paths[i];
    for (const std::string& needed : infos[i].depends) {
      auto found = by_name.find(normalize_module_name(needed));
      // Built into the kernel: its symbols are there without a module.
      if (found != by_name.end()) line.dependencies.push_back(*found->second);
    }
    tables.dependencies.push_back(std::move(line));
    for (const std::string& alias : infos[i].aliases) {
      tables.aliases.push_back({normalize_module_name(alias), name});
    }
    for (const std::string& text : infos[i].soft_dependencies) {
      soft += concat("softdep ", name, " ", text, "\n");
    }
    for (const std::string& text : infos[i].weak_dependencies) {
      weak += concat("weakdep ", name, " ", text, "\n");
    }
  }
  tables.soft = TRY(parse_modules_softdep(soft));
  tables.weak = TRY(parse_modules_weakdep(weak));
  return tables;
}

// nullopt: depmod has not written it.
Result<std::optional<std::string>> read_if_there(const UniqueFd& directory,
                                                 const std::string& name) {
  Result<std::string> text = read_text(directory, name, kMaxModulesText);
  if (!text.ok() && text.error().code() == ENOENT) return std::optional<std::string>();
  if (!text.ok()) return text.error();
  return std::optional<std::string>(std::move(text).value());
}

}  // namespace

Result<ModuleTables> scan_modules(const UniqueFd& directory) {
  std::vector<std::string> found;
  TRY(find_modules(directory, "", 0, found));
  if (found.empty()) {
    return Error(
        "holds no modules; install the kernel's package, or name another by build --modules-dir",
        ENOENT);
  }
  std::vector<std::string> paths = TRY(ordered(directory, std::move(found)));
  std::vector<ModuleInfo> infos(paths.size());
  TRY(for_each_in_parallel(paths.size(), [&](size_t i) -> Result<void> {
    ByteVector module = TRY(read_plain_file(directory, paths[i]));
    infos[i] = TRY_CONTEXT(paths[i], read_module_info(module));
    return {};
  }));
  return tables_of(paths, infos);
}

Result<ModuleTables> read_module_tables(const UniqueFd& directory) {
  std::optional<std::string> dependencies = TRY(read_if_there(directory, "modules.dep"));
  std::optional<std::string> aliases = TRY(read_if_there(directory, "modules.alias"));
  if (!dependencies || !aliases) return scan_modules(directory);
  ModuleTables tables;
  tables.dependencies = TRY_CONTEXT("modules.dep", parse_modules_dep(*dependencies));
  tables.aliases = TRY_CONTEXT("modules.alias", parse_modules_alias(*aliases));
  std::string soft = TRY(read_text_if_there(directory, "modules.softdep"));
  tables.soft = TRY_CONTEXT("modules.softdep", parse_modules_softdep(soft));
  std::string weak = TRY(read_text_if_there(directory, "modules.weakdep"));
  tables.weak = TRY_CONTEXT("modules.weakdep", parse_modules_weakdep(weak));
  return tables;
}

Result<std::string> read_text_if_there(const UniqueFd& directory, const std::string& name) {
  return TRY(read_if_there(directory, name)).value_or("");
}

}  // namespace curlingiron
