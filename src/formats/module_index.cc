#include "formats/module_index.h"

#include <algorithm>

#include "base/text.h"
#include "base/units.h"
#include "formats/payload_layout.h"

namespace curlingiron {
namespace {

constexpr size_t kMaxIndexedModules = 20'000;

const IndexedModule* find_module(const ModuleIndex& index, std::string_view normal_name) {
  auto at = std::lower_bound(
      index.modules.begin(), index.modules.end(), normal_name,
      [](const IndexedModule& module, std::string_view name) { return module.name < name; });
  return at != index.modules.end() && at->name == normal_name ? &*at : nullptr;
}

Result<void> parse_record(std::string_view line, ModuleIndex& index) {
  std::vector<std::string_view> words = split_blank(line);
  std::string_view kind = words[0];
  if (kind == "release" && words.size() == 2) {
    if (!index.release.empty()) return Error("a second release");
    index.release = std::string(words[1]);
    return {};
  }
  if (kind == "module" && words.size() >= 3) {
    if (index.modules.size() == kMaxIndexedModules) return Error("too many modules");
    if (!is_plain_path(words[2])) return Error("the path leaves the initramfs");
    IndexedModule module{normalize_module_name(words[1]), std::string(words[2]), {}};
    for (std::string_view name : std::span(words).subspan(3)) {
      module.dependencies.push_back(normalize_module_name(name));
    }
    index.modules.push_back(std::move(module));
    return {};
  }
  if (kind == "alias" && words.size() == 3) {
    index.aliases.push_back({normalize_module_name(words[1]), normalize_module_name(words[2])});
    return {};
  }
  if (kind == "load" && words.size() == 2) {
    index.load.push_back(normalize_module_name(words[1]));
    return {};
  }
  if (kind == "builtin" && words.size() == 2) {
    if (index.builtin.size() == kMaxIndexedModules) return Error("too many modules");
    index.builtin.push_back(normalize_module_name(words[1]));
    return {};
  }
  if (kind == "why" && words.size() >= 3) {
    size_t reason = static_cast<size_t>(words[2].data() - line.data());
    index.reasons.push_back({std::string(words[1]), std::string(line.substr(reason))});
    return {};
  }
  return Error("not a record of the module index");
}

Result<void> check_references(const ModuleIndex& index) {
  auto require = [&](const std::string& name, std::string_view who) -> Result<void> {
    if (find_module(index, name) != nullptr) return {};
    return Error(concat(who, " names the module ", printable(name, 60), ", which is not there"));
  };
  if (index.release.empty()) return Error("no release");
  for (size_t i = 0; i < index.modules.size(); ++i) {
    const IndexedModule& module = index.modules[i];
    if (i > 0 && module.name == index.modules[i - 1].name) {
      return Error(concat("the module ", printable(module.name, 60), " is there twice"));
    }
    for (const std::string& name : module.dependencies) TRY(require(name, module.name));
  }
  for (const IndexedAlias& alias : index.aliases) TRY(require(alias.module, "an alias"));
  for (const std::string& name : index.load) TRY(require(name, "a load record"));
  return {};
}

}  // namespace

Result<ModuleIndex> parse_module_index(std::string_view text) {
  if (text.size() > kModuleIndexFile.largest) return Error("module index: larger than 4 MiB");
  ModuleIndex index;
  uint64_t number = 0;
  for (std::string_view line : split(text, '\n')) {
    ++number;
    if (trim(line).empty()) continue;
    if (Result<void> record = parse_record(line, index); !record.ok()) {
      return record.error().with_context(concat("module index, line ", number));
    }
  }
  std::sort(index.modules.begin(), index.modules.end(),
            [](const IndexedModule& a, const IndexedModule& b) { return a.name < b.name; });
  std::sort(index.builtin.begin(), index.builtin.end());
  TRY_CONTEXT("module index", check_references(index));
  return index;
}

std::string format_module_index(const ModuleIndex& index) {
  std::string text = concat("release ", index.release, "\n");
  for (const IndexedModule& module : index.modules) {
    text += concat("module ", module.name, " ", module.path);
    for (const std::string& name : module.dependencies) text += concat(" ", name);
    text += '\n';
  }
  for (const IndexedAlias& alias : index.aliases) {
    text += concat("alias ", alias.pattern, " ", alias.module, "\n");
  }
  for (const std::string& name : index.load) text += concat("load ", name, "\n");
  for (const std::string& name : index.builtin) text += concat("builtin ", name, "\n");
  for (const IndexedReason& reason : index.reasons) {
    text += concat("why ", reason.name, " ", reason.reason, "\n");
  }
  return text;
}

ModuleLookup::ModuleLookup(const ModuleIndex& index) : index_(index) {
  for (uint32_t i = 0; i < index.aliases.size(); ++i) aliases_.add(index.aliases[i].pattern, i);
}

std::vector<std::string> ModuleLookup::modules_for(std::string_view alias_or_name) const {
  std::string normal = normalize_module_name(alias_or_name);
  if (find_module(index_, normal) != nullptr) return {normal};
  std::vector<std::string> names;
  for (uint32_t i : aliases_.find(normal)) {
    const std::string& module = index_.aliases[i].module;
    if (std::find(names.begin(), names.end(), module) == names.end()) names.push_back(module);
  }
  return names;
}

const IndexedModule* ModuleLookup::find(std::string_view name) const {
  return find_module(index_, name);
}

}  // namespace curlingiron
