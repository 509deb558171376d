// /curlingiron/modules: what the initramfs carries, ready for /init: each module with its load
// list, and the modalias patterns that lead to it. Written by payload/, read by init/. Text, one
// record a line:
//   release 6.1.0-56-amd64
//   module virtio_net lib/modules/virtio_net.ko net_failover failover
//   alias virtio:d00000001v* virtio_net
//   load af_packet
//   builtin nvme
//   why virtio_net virtio:d00000001v00001AF4
//   why lib/firmware/bnx2/rv2p.fw firmware of bnx2
// "module NAME PATH [DEPENDENCY...]": the dependencies in load order, all of them before NAME.
// "load NAME": loaded at start whatever the hardware. Names are normalised ('-' is '_').
// "builtin NAME": the kernel has it without a module; said only where somebody else than the
// builder starts it with that kernel, and has to know what it drives. /init does not need it. "why
// NAME REASON": for people (`curlingiron inspect why`): what brought a module that no other module
// asks for, or a file (by its path), into the initramfs. /init does not read it. Some dependencies
// are soft (a faster CRC for a CPU that may not be there), so a dependency that the kernel refuses
// is no reason to give up NAME: finit_module(2) of NAME reports what is missing.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "formats/alias_pattern.h"

namespace curlingiron {

struct IndexedModule {
  std::string name;
  std::string path;                       // in the initramfs, relative to /
  std::vector<std::string> dependencies;  // names, in load order
};

struct IndexedAlias {
  std::string pattern;  // fnmatch(3), flags 0
  std::string module;
};

struct IndexedReason {
  std::string name;    // a module, or the path of a file
  std::string reason;  // the rest of the line
};

struct ModuleIndex {
  std::string release;                 // uname -r that the modules are for
  std::vector<IndexedModule> modules;  // sorted by name
  std::vector<IndexedAlias> aliases;
  std::vector<std::string> load;
  std::vector<std::string> builtin;  // sorted
  std::vector<IndexedReason> reasons;
};

// Bounds: 4 MiB of text, 20,000 modules. A dependency, an alias or a load record that names no
// module, a name that is there twice, and a path that leaves the initramfs are errors.
Result<ModuleIndex> parse_module_index(std::string_view text);
std::string format_module_index(const ModuleIndex& index);

// Which modules an alias leads to, prepared once: microseconds a question. Borrows the index, which
// must not change.
class ModuleLookup {
 public:
  explicit ModuleLookup(const ModuleIndex& index);
  // In the index's order; empty: none. A module's name wins over an alias, as in kmod.
  std::vector<std::string> modules_for(std::string_view alias_or_name) const;
  // By normalised name; nullptr: none.
  const IndexedModule* find(std::string_view name) const;

 private:
  const ModuleIndex& index_;
  AliasTable aliases_;
};

}  // namespace curlingiron
