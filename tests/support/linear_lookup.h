// ModuleLookup's answers, found by asking every alias: what its tables are tested against.
#pragma once

#include <algorithm>

#include "formats/module_index.h"

namespace curlingiron::test {

inline std::vector<std::string> modules_for(const ModuleIndex& index, std::string_view word) {
  std::string normal = normalize_module_name(word);
  for (const IndexedModule& module : index.modules) {
    if (module.name == normal) return {normal};
  }
  std::vector<std::string> names;
  for (const IndexedAlias& alias : index.aliases) {
    if (!matches_alias_pattern(alias.pattern, normal)) continue;
    if (std::count(names.begin(), names.end(), alias.module) == 0) names.push_back(alias.module);
  }
  return names;
}

}  // namespace curlingiron::test
