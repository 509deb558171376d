// The text files that depmod(8) and the kernel's build leave in lib/modules/RELEASE. Blank lines
// and lines that begin with '#' are skipped. Names are normalised ('-' is '_'); paths are relative
// to lib/modules/RELEASE. Bound: 64 MiB of text.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace curlingiron {

inline constexpr size_t kMaxModulesText = size_t{64} << 20;

// "kernel/drivers/net/virtio_net.ko.xz" -> "virtio_net". Without ".ko" in its last part: an error.
Result<std::string> module_name_of_path(std::string_view path);

// modules.dep: "PATH: PATH...". The dependencies are transitive, the last is to be loaded first.
struct DependencyLine {
  std::string path;
  std::vector<std::string> dependencies;
};
Result<std::vector<DependencyLine>> parse_modules_dep(std::string_view text);

// modules.alias: "alias PATTERN MODULE".
struct AliasLine {
  std::string pattern;
  std::string module;
};
Result<std::vector<AliasLine>> parse_modules_alias(std::string_view text);

// modules.softdep: "softdep MODULE pre: NAME... post: NAME...". A NAME may be an alias; names
// before "pre:" or "post:" are ignored, as kmod does. A line per module or several, in file order.
struct SoftDependencyLine {
  std::string module;
  std::vector<std::string> pre;
  std::vector<std::string> post;
};
Result<std::vector<SoftDependencyLine>> parse_modules_softdep(std::string_view text);

// modules.weakdep (kmod 33): "weakdep MODULE NAME...": wanted in an initramfs, not loaded before.
struct WeakDependencyLine {
  std::string module;
  std::vector<std::string> wanted;
};
Result<std::vector<WeakDependencyLine>> parse_modules_weakdep(std::string_view text);

// modules.builtin: a path a line; the names.
Result<std::vector<std::string>> parse_modules_builtin(std::string_view text);

// modules.builtin.modinfo: NUL-terminated "MODULE.KEY=VALUE"; only the aliases are of use here.
Result<std::vector<AliasLine>> parse_builtin_aliases(ConstBytes bytes);

}  // namespace curlingiron
