// What depmod(8) knows of a directory of modules.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "formats/modules_text.h"
#include "sys/fd.h"

namespace curlingiron {

struct ModuleTables {
  std::vector<DependencyLine> dependencies;
  std::vector<AliasLine> aliases;
  std::vector<SoftDependencyLine> soft;
  std::vector<WeakDependencyLine> weak;
};

// Of lib/modules/RELEASE: from the files that depmod wrote; where modules.dep or modules.alias is
// missing, from the modules.
Result<ModuleTables> read_module_tables(const UniqueFd& directory);

// From the modules, as depmod would: one in updates/ goes before one of the same name elsewhere;
// modules.order decides the order of aliases. No module at all, and one that cannot be read, is an
// error that names it. Bounds: 50,000 modules, 16 levels of directories.
Result<ModuleTables> scan_modules(const UniqueFd& directory);

// A file that only some versions of kmod or of the kernel write; empty where it is not there.
Result<std::string> read_text_if_there(const UniqueFd& directory, const std::string& name);

}  // namespace curlingiron
