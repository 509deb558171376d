#include "payload/closure.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>

#include "base/text.h"
#include "payload/depmod.h"
#include "sys/file.h"

namespace curlingiron {
namespace {

constexpr std::string_view kModuleDirectories[] = {"lib/modules", "usr/lib/modules"};

}  // namespace

Result<ModuleTree> ModuleTree::load(const UniqueFd& root, const std::string& release) {
  if (release.empty() || release.find('/') != std::string::npos || release.front() == '.') {
    return Error(concat("\"", printable(release), "\" is not a kernel release"));
  }
  ModuleTree tree;
  tree.release_ = release;
  for (std::string_view base : kModuleDirectories) {
    std::string candidate = concat(base, "/", release);
    if (tree.directory_.empty() && file_status(root, candidate).ok()) tree.directory_ = candidate;
  }
  if (tree.directory_.empty()) {
    std::vector<std::string> found = TRY(releases(root));
    std::string there = found.empty() ? "there are none" : join(found, ", ");
    return Error(concat("no modules of kernel ", release, " in lib/modules (", there,
                        "); if the kernel was upgraded since this system started, restart this "
                        "machine and try again; "
                        "those of another kernel are named with build --modules-dir"),
                 ENOENT);
  }
  UniqueFd directory =
      TRY_CONTEXT(tree.directory_, open_at(root, tree.directory_, O_RDONLY | O_DIRECTORY));
  auto read_all = [&]() -> Result<void> {
    ModuleTables tables = TRY(read_module_tables(directory));
    TRY_CONTEXT("modules.dep", tree.take_dependencies(std::move(tables.dependencies)));
    tree.take_aliases(std::move(tables.aliases));
    tree.take_soft_dependencies(std::move(tables.soft), std::move(tables.weak));
    return tree.read_builtin(directory);
  };
  TRY_CONTEXT(tree.directory_, read_all());
  return tree;
}

Result<std::vector<std::string>> ModuleTree::releases(const UniqueFd& root) {
  std::vector<std::string> found;
  for (std::string_view base : kModuleDirectories) {
    Result<std::vector<std::string>> names = list_directory(root, std::string(base));
    if (!names.ok() && (names.error().code() == ENOENT || names.error().code() == ENOTDIR)) {
      continue;
    }
    if (!names.ok()) return names.error();
    for (const std::string& name : names.value()) {
      Result<FileStatus> status = file_status(root, concat(base, "/", name));
      if (status.ok() && status.value().type == FileType::Directory) append_unique(found, name);
    }
  }
  std::sort(found.begin(), found.end());
  return found;
}

Result<void> ModuleTree::take_dependencies(std::vector<DependencyLine> lines) {
  std::unordered_map<std::string_view, uint32_t> by_path;
  for (const DependencyLine& line : lines) {
    Module module;
    module.name = TRY(module_name_of_path(line.path));
    module.path = line.path;
    auto index = static_cast<uint32_t>(modules_.size());
    by_path.emplace(line.path, index);
    // depmod lists a name once: where updates/ and kernel/ both have it, it chose.
    by_name_.emplace(module.name, index);
    modules_.push_back(std::move(module));
  }
  for (size_t i = 0; i < lines.size(); ++i) {
    for (const std::string& path : lines[i].dependencies) {
      auto found = by_path.find(path);
      if (found == by_path.end()) {
        return Error(concat(printable(lines[i].path), " needs ", printable(path),
                            ", which has no line of its own; run depmod again"));
      }
      modules_[i].dependencies.push_back(found->second);
    }
  }
  return {};
}

void ModuleTree::take_aliases(std::vector<AliasLine> lines) {
  for (AliasLine& line : lines) {
    alias_table_.add(line.pattern, static_cast<uint32_t>(aliases_.size()));
    aliases_.push_back({std::move(line.pattern), std::move(line.module)});
  }
}

void ModuleTree::take_soft_dependencies(std::vector<SoftDependencyLine> soft,
                                        std::vector<WeakDependencyLine> weak) {
  for (SoftDependencyLine& line : soft) {
    auto module = by_name_.find(line.module);
    if (module == by_name_.end()) continue;
    for (std::string& name : line.pre) modules_[module->second].soft_before.push_back(name);
    for (std::string& name : line.post) modules_[module->second].soft_after.push_back(name);
  }
  for (WeakDependencyLine& line : weak) {
    auto module = by_name_.find(line.module);
    if (module == by_name_.end()) continue;
    for (std::string& name : line.wanted) modules_[module->second].weak.push_back(name);
  }
}

Result<void> ModuleTree::read_builtin(const UniqueFd& directory) {
  std::string text = TRY(read_text_if_there(directory, "modules.builtin"));
  std::vector<std::string> names = TRY_CONTEXT("modules.builtin", parse_modules_builtin(text));
  builtin_.insert(names.begin(), names.end());
  std::string modinfo = TRY(read_text_if_there(directory, "modules.builtin.modinfo"));
  std::vector<AliasLine> aliases =
      TRY_CONTEXT("modules.builtin.modinfo", parse_builtin_aliases(as_bytes(modinfo)));
  for (const AliasLine& alias : aliases) builtin_aliases_.add(alias.pattern, 0);
  return {};
}

std::vector<std::string> ModuleTree::resolve(std::string_view alias_or_name) const {
  std::string normal = normalize_module_name(alias_or_name);
  if (by_name_.contains(normal)) return {normal};
  // An alias comes before a built-in module of the same name ("crc32"): so does kmod.
  std::vector<std::string> names;
  for (uint32_t alias : alias_table_.find(normal)) {
    const std::string& module = aliases_[alias].module;
    if (by_name_.contains(module)) append_unique(names, module);
  }
  return names;
}

bool ModuleTree::is_builtin(std::string_view name) const {
  return builtin_.contains(normalize_module_name(name));
}

std::vector<std::string> ModuleTree::builtin() const {
  std::vector<std::string> names(builtin_.begin(), builtin_.end());
  std::sort(names.begin(), names.end());
  return names;
}

bool ModuleTree::covers(std::string_view alias_or_name) const {
  return is_builtin(alias_or_name) || !resolve(alias_or_name).empty() ||
         !builtin_aliases_.find(alias_or_name).empty();
}

std::string_view ModuleTree::path_of(std::string_view name) const {
  auto found = by_name_.find(normalize_module_name(name));
  return found == by_name_.end() ? std::string_view() : modules_[found->second].path;
}

std::vector<std::string> ModuleTree::modules_with_alias(
    std::span<const std::string_view> patterns) const {
  std::unordered_set<std::string_view> fitting;
  for (const Alias& alias : aliases_) {
    if (std::any_of(patterns.begin(), patterns.end(), [&](std::string_view pattern) {
          return matches_alias_pattern(pattern, alias.pattern);
        })) {
      fitting.insert(alias.module);
    }
  }
  std::vector<std::string> names;
  for (const Module& module : modules_) {
    if (fitting.contains(module.name)) names.push_back(module.name);
  }
  return names;
}

std::vector<IndexedAlias> ModuleTree::aliases_of(
    const std::unordered_set<std::string>& names) const {
  std::vector<IndexedAlias> found;
  for (const Alias& alias : aliases_) {
    if (names.contains(alias.module)) found.push_back({alias.pattern, alias.module});
  }
  return found;
}

std::vector<std::string> ModuleTree::resolve_all(const std::vector<std::string>& names) const {
  std::vector<std::string> found;
  for (const std::string& name : names) {
    for (const std::string& module : resolve(name)) append_unique(found, module);
  }
  return found;
}

void ModuleTree::visit(uint32_t module, std::vector<Visit>& visits,
                       std::vector<std::string>& order) const {
  if (visits[module] != Visit::Not) return;
  visits[module] = Visit::Begun;
  const Module& m = modules_[module];
  // Softdeps may form circles; hard dependencies, which do not, must not be torn by one.
  auto waits_for_us = [&](uint32_t soft) {
    auto begun = [&](uint32_t other) { return visits[other] == Visit::Begun; };
    const std::vector<uint32_t>& needs = modules_[soft].dependencies;
    return begun(soft) || std::any_of(needs.begin(), needs.end(), begun);
  };
  for (const std::string& name : resolve_all(m.soft_before)) {
    uint32_t soft = by_name_.at(name);
    if (!waits_for_us(soft)) visit(soft, visits, order);
  }
  for (auto dependency = m.dependencies.rbegin(); dependency != m.dependencies.rend();
       ++dependency) {
    visit(*dependency, visits, order);
  }
  visits[module] = Visit::Done;
  order.push_back(m.name);
}

std::vector<std::string> ModuleTree::load_order_before(const std::string& name) const {
  std::vector<std::string> order;
  auto found = by_name_.find(name);
  if (found == by_name_.end()) return order;
  std::vector<Visit> visits(modules_.size(), Visit::Not);
  visit(found->second, visits, order);
  order.pop_back();  // itself
  return order;
}

std::vector<std::string> ModuleTree::wanted_after(const std::string& name) const {
  auto found = by_name_.find(name);
  if (found == by_name_.end()) return {};
  return resolve_all(modules_[found->second].soft_after);
}

std::vector<std::string> ModuleTree::wanted_beside(const std::string& name) const {
  auto found = by_name_.find(name);
  if (found == by_name_.end()) return {};
  const Module& module = modules_[found->second];
  std::vector<std::string> names = resolve_all(module.weak);
  for (const std::string& soft : resolve_all(module.soft_before)) append_unique(names, soft);
  return names;
}

Closure close_over(const ModuleTree& tree, std::span<const std::string> roots) {
  Closure closure;
  std::unordered_set<std::string> seen;
  std::vector<std::string> todo(roots.begin(), roots.end());
  auto add = [&](const std::string& name) {
    if (!seen.insert(name).second) return;
    closure.modules.push_back(name);
    for (const std::string& after : tree.wanted_after(name)) {
      append_unique(closure.load_after, after);
      todo.push_back(after);
    }
    for (const std::string& beside : tree.wanted_beside(name)) todo.push_back(beside);
  };
  for (size_t next = 0; next < todo.size(); ++next) {
    std::string name = todo[next];
    for (const std::string& before : tree.load_order_before(name)) add(before);
    add(name);
  }
  return closure;
}

}  // namespace curlingiron
