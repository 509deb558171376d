// Over every module of a real kernel, where CURLINGIRON_MODULES_ROOT names a directory that holds
// lib/modules/RELEASE with depmod's files. tests/golden/closure.py drives the first of them.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <map>

#include "base/text.h"
#include "formats/elf.h"
#include "formats/modules_text.h"
#include "payload/closure.h"
#include "payload/module_file.h"
#include "support/elf_module.h"
#include "support/module_tree.h"

namespace curlingiron {
namespace {

class RealModules : public ::testing::Test {
 protected:
  void SetUp() override {
    const char* path = std::getenv("CURLINGIRON_MODULES_ROOT");
    if (path == nullptr) GTEST_SKIP() << "CURLINGIRON_MODULES_ROOT is not set";
    root_ = open_root(path).value();
    releases_ = ModuleTree::releases(root_).value();
    ASSERT_FALSE(releases_.empty()) << path;
  }

  std::vector<std::string> modules_of(const ModuleTree& tree) const {
    std::string text =
        read_text(root_, concat(tree.directory(), "/modules.dep"), kMaxModulesText).value();
    std::vector<std::string> names;
    std::vector<DependencyLine> lines = parse_modules_dep(text).value();
    for (const DependencyLine& line : lines) {
      names.push_back(module_name_of_path(line.path).value());
    }
    return names;
  }

  UniqueFd root_;
  std::vector<std::string> releases_;
};

// "RELEASE MODULE: FIRST SECOND ... : OTHER ...": what is loaded before it, in order, and what else
// its closure holds (softdeps "post" and what they need), as paths.
TEST_F(RealModules, WritesClosures) {
  const char* out = std::getenv("CURLINGIRON_CLOSURES");
  if (out == nullptr) GTEST_SKIP() << "CURLINGIRON_CLOSURES is not set";
  std::ofstream file(out);
  for (const std::string& release : releases_) {
    ModuleTree tree = ModuleTree::load(root_, release).value();
    for (const std::string& name : modules_of(tree)) {
      file << release << ' ' << name << ':';
      std::vector<std::string> before = tree.load_order_before(name);
      for (const std::string& module : before) file << ' ' << tree.path_of(module);
      file << " :";
      Closure closure = close_over(tree, std::vector<std::string>{name});
      for (const std::string& module : closure.modules) {
        bool known = module == name || std::count(before.begin(), before.end(), module) != 0;
        if (!known) file << ' ' << tree.path_of(module);
      }
      file << '\n';
    }
  }
  ASSERT_TRUE(file.good());
}

// One line for each line "RELEASE ALIAS" of the questions: the modules that it resolves to, in
// order. tests/golden/aliases.py drives it.
TEST_F(RealModules, AnswersAliases) {
  const char* questions = std::getenv("CURLINGIRON_ALIAS_QUESTIONS");
  const char* answers = std::getenv("CURLINGIRON_ALIAS_ANSWERS");
  if (questions == nullptr || answers == nullptr) {
    GTEST_SKIP() << "CURLINGIRON_ALIAS_QUESTIONS and CURLINGIRON_ALIAS_ANSWERS are not set";
  }
  std::map<std::string, ModuleTree> trees;
  std::ifstream in(questions);
  std::ofstream out(answers);
  std::string release;
  std::string alias;
  while (in >> release >> alias) {
    auto tree = trees.find(release);
    if (tree == trees.end()) {
      tree = trees.emplace(release, ModuleTree::load(root_, release).value()).first;
    }
    for (const std::string& name : tree->second.resolve(alias)) out << ' ' << name;
    out << '\n';
  }
  ASSERT_TRUE(out.good());
}

// What the kernel would have in memory is the same with and without stripping, for every module.
TEST_F(RealModules, StrippedModulesAreTheSameInMemory) {
  for (const std::string& release : releases_) {
    ModuleTree tree = ModuleTree::load(root_, release).value();
    uint64_t before = 0;
    uint64_t after = 0;
    for (const std::string& name : modules_of(tree)) {
      std::string path = concat(tree.directory(), "/", tree.path_of(name));
      ByteVector module = read_plain_file(root_, path).value();
      Result<ByteVector> stripped = strip_module(module);
      ASSERT_TRUE(stripped.ok()) << path << ": " << stripped.error().message();
      auto full = test::load_elf_module(module);
      auto small = test::load_elf_module(stripped.value());
      ASSERT_TRUE(full.has_value() && small.has_value()) << path;
      for (const auto& [section, bytes] : *small) {
        if (section == ".modinfo#0") continue;
        ASSERT_TRUE(full->contains(section)) << path << " " << section;
        ASSERT_TRUE(full->at(section) == bytes) << path << " " << section;
      }
      before += module.size();
      after += stripped.value().size();
    }
    std::printf("%s: %llu bytes, stripped %llu\n", release.c_str(),
                static_cast<unsigned long long>(before), static_cast<unsigned long long>(after));
  }
}

}  // namespace
}  // namespace curlingiron
