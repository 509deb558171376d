// Which kernel modules a machine needs: modaliases -> modules -> their dependencies, in load order.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/result.h"
#include "formats/alias_pattern.h"
#include "formats/module_index.h"
#include "formats/modules_text.h"
#include "sys/fd.h"

namespace curlingiron {

// What depmod left in lib/modules/RELEASE, parsed (modules.dep, .alias, .softdep, .weakdep,
// .builtin, .builtin.modinfo); where modules.dep or modules.alias is missing, what depmod would
// leave, read from the modules themselves. Names are normalised.
class ModuleTree {
 public:
  // `root` holds lib/modules/RELEASE (or usr/lib/modules/RELEASE). A release that is not there is
  // an error that names those that are.
  static Result<ModuleTree> load(const UniqueFd& root, const std::string& release);
  // Releases found below root, sorted; none is no error.
  static Result<std::vector<std::string>> releases(const UniqueFd& root);

  const std::string& release() const { return release_; }
  // Where the modules are, relative to root: "lib/modules/RELEASE".
  const std::string& directory() const { return directory_; }
  // Module names for a modalias or a module name, in modules.alias order; a name wins over an
  // alias. Empty: unknown. Builtin modules resolve to nothing to load, but are known: see
  // is_builtin.
  std::vector<std::string> resolve(std::string_view alias_or_name) const;
  bool is_builtin(std::string_view name) const;
  std::vector<std::string> builtin() const;  // names, sorted
  // True when something, loadable or built in, answers to this modalias or name.
  bool covers(std::string_view alias_or_name) const;
  // Path relative to directory() ("kernel/drivers/net/virtio_net.ko.xz"); empty: not a module.
  std::string_view path_of(std::string_view name) const;
  // Loadable modules with an alias that fits one of the patterns ("pci:v00001AF4*"), which are
  // matched against the text of the alias, wildcards and all. In the tree's order.
  std::vector<std::string> modules_with_alias(std::span<const std::string_view> patterns) const;
  // The patterns that lead to any of these modules, in modules.alias order.
  std::vector<IndexedAlias> aliases_of(const std::unordered_set<std::string>& names) const;

  // What must be loaded before `name`, in load order: its dependencies and softdeps "pre", and
  // theirs. modprobe --show-depends prints the same set, except that kmod reads only the first of
  // several softdep lines of a module.
  std::vector<std::string> load_order_before(const std::string& name) const;
  // Softdeps "post" of `name`, resolved: to be loaded too.
  std::vector<std::string> wanted_after(const std::string& name) const;
  // Weakdeps of `name` (to be there, not to be loaded) and its softdeps "pre", resolved: a circle
  // may have kept one of these from being loaded before.
  std::vector<std::string> wanted_beside(const std::string& name) const;

 private:
  struct Module {
    std::string name;
    std::string path;
    std::vector<uint32_t> dependencies;  // as in modules.dep: the last is loaded first
    std::vector<std::string> soft_before;
    std::vector<std::string> soft_after;
    std::vector<std::string> weak;
  };
  enum class Visit : uint8_t { Not, Begun, Done };
  struct Alias {
    std::string pattern;
    std::string module;
  };

  Result<void> take_dependencies(std::vector<DependencyLine> lines);
  void take_aliases(std::vector<AliasLine> lines);
  void take_soft_dependencies(std::vector<SoftDependencyLine> soft,
                              std::vector<WeakDependencyLine> weak);
  Result<void> read_builtin(const UniqueFd& directory);
  std::vector<std::string> resolve_all(const std::vector<std::string>& names) const;
  void visit(uint32_t module, std::vector<Visit>& visits, std::vector<std::string>& order) const;

  std::string release_;
  std::string directory_;
  std::vector<Module> modules_;
  std::unordered_map<std::string, uint32_t> by_name_;
  std::vector<Alias> aliases_;
  AliasTable alias_table_;  // values: indexes into aliases_
  std::unordered_set<std::string> builtin_;
  AliasTable builtin_aliases_;
};

// Everything that loading `roots` (names of modules in the tree) may need.
struct Closure {
  // In an order in which each can be loaded after those before it.
  std::vector<std::string> modules;
  // Softdeps "post" of any of them.
  std::vector<std::string> load_after;
};
Closure close_over(const ModuleTree& tree, std::span<const std::string> roots);

}  // namespace curlingiron
