// What is read from the modules themselves, against what depmod(8) wrote, for the real kernels of
// CURLINGIRON_MODULES_ROOT (see real_modules_test.cc).
#include <fcntl.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <set>

#include "base/text.h"
#include "payload/closure.h"
#include "payload/depmod.h"

namespace curlingiron {
namespace {

using Sets = std::map<std::string, std::set<std::string>>;

// depmod writes all that a module needs, the modules only what each needs itself.
Sets transitive(const ModuleTables& tables) {
  Sets direct;
  for (const DependencyLine& line : tables.dependencies) {
    direct[line.path].insert(line.dependencies.begin(), line.dependencies.end());
  }
  Sets all;
  for (const auto& [path, needs] : direct) {
    std::vector<std::string> todo(needs.begin(), needs.end());
    while (!todo.empty()) {
      std::string next = todo.back();
      todo.pop_back();
      if (!all[path].insert(next).second) continue;
      todo.insert(todo.end(), direct[next].begin(), direct[next].end());
    }
    all[path];
  }
  return all;
}

Sets aliases(const ModuleTables& tables) {
  Sets all;
  for (const AliasLine& line : tables.aliases) all[line.module].insert(line.pattern);
  return all;
}

Sets soft(const ModuleTables& tables) {
  Sets all;
  for (const SoftDependencyLine& line : tables.soft) {
    for (const std::string& name : line.pre) all[line.module].insert("pre " + name);
    for (const std::string& name : line.post) all[line.module].insert("post " + name);
  }
  return all;
}

TEST(RealDepmod, TheModulesTellTheSame) {
  const char* path = std::getenv("CURLINGIRON_MODULES_ROOT");
  if (path == nullptr) GTEST_SKIP() << "CURLINGIRON_MODULES_ROOT is not set";
  UniqueFd root = open_root(path).value();
  std::vector<std::string> releases = ModuleTree::releases(root).value();
  for (const std::string& release : releases) {
    std::string place = ModuleTree::load(root, release).value().directory();
    UniqueFd directory = open_at(root, place, O_RDONLY | O_DIRECTORY).value();
    ModuleTables depmods = read_module_tables(directory).value();
    ModuleTables ours = scan_modules(directory).value();
    EXPECT_EQ(ours.dependencies.size(), depmods.dependencies.size());
    EXPECT_GT(ours.dependencies.size(), 3000U) << release;
    EXPECT_EQ(transitive(ours), transitive(depmods)) << release;
    EXPECT_EQ(aliases(ours), aliases(depmods)) << release;
    EXPECT_EQ(soft(ours), soft(depmods)) << release;
    // Which of several drivers comes first is told by the order of aliases.
    std::map<std::string, std::vector<std::string>> order;
    for (const AliasLine& line : depmods.aliases) order[line.pattern].push_back(line.module);
    for (const AliasLine& line : ours.aliases) {
      std::vector<std::string>& modules = order[line.pattern];
      ASSERT_FALSE(modules.empty()) << line.pattern;
      EXPECT_EQ(modules.front(), line.module) << line.pattern;
      modules.erase(modules.begin());
    }
  }
}

}  // namespace
}  // namespace curlingiron
