// Which kernel modules a machine needs: modaliases -> modules -> their dependencies, in load order.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "sys/fd.h"

namespace curlingiron {

// What depmod left in lib/modules/RELEASE, parsed (modules.dep, .alias, .softdep, .builtin,
// .builtin.modinfo, .symbols is not needed). Names are normalised.
class ModuleTree {
 public:
  // `root` holds lib/modules/RELEASE (or usr/lib/modules/RELEASE). A missing modules.dep or
  // modules.alias is an error that names the file and `depmod -b`.
  static Result<ModuleTree> load(const UniqueFd& root, const std::string& release);
  // Releases found below root.
  static Result<std::vector<std::string>> releases(const UniqueFd& root);

  const std::string& release() const { return release_; }
  // Module names for a modalias or a module name, in modules.alias order. Empty: unknown. Builtin
  // modules resolve to nothing to load, but are known: see is_builtin.
  std::vector<std::string> resolve(std::string_view alias_or_name) const;
  bool is_builtin(std::string_view name) const;
  // True when something, loadable or built in, answers to this modalias.
  bool covers(std::string_view alias) const;
  // Path relative to lib/modules/RELEASE ("kernel/drivers/net/virtio_net.ko.xz"); empty: not a
  // module.
  std::string_view path_of(std::string_view name) const;

 private:
  friend class Closure;
  // Private members are the implementer's to define.
};

}  // namespace curlingiron
