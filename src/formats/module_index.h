// /curlingiron/modules: what the initramfs carries, ready for /init: each module with its load
// list, and the modalias patterns that lead to it. Written by payload/, read by init/. Text, one
// record a line:
//   release 6.1.0-56-amd64
//   module virtio_net lib/modules/virtio_net.ko net_failover failover
//   alias virtio:d00000001v* virtio_net
//   load af_packet
// "module NAME PATH [DEPENDENCY...]": the dependencies in load order, all of them before NAME.
// "load NAME": loaded at start whatever the hardware. Names are normalised ('-' is '_').
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.h"

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

struct ModuleIndex {
  std::string release;                 // uname -r that the modules are for
  std::vector<IndexedModule> modules;  // sorted by name
  std::vector<IndexedAlias> aliases;
  std::vector<std::string> load;
};

// Bounds: 4 MiB of text, 20,000 modules. A dependency or alias that names no module is an error.
Result<ModuleIndex> parse_module_index(std::string_view text);
std::string format_module_index(const ModuleIndex& index);

// "virtio-net" -> "virtio_net": '-' equals '_', except inside [...] (kmod's alias_normalize).
std::string normalize_module_name(std::string_view name);
// The modules an alias or a module name leads to, in the index's order; empty: none.
std::vector<std::string> modules_for(const ModuleIndex& index, std::string_view alias_or_name);

}  // namespace curlingiron
