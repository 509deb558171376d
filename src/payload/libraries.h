// What the dynamic loader loads with a program (ld.so(8); musl's manual for its own), found as it
// would find it, without running anything.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "formats/elf_dynamic.h"
#include "payload/extra_tree.h"

namespace curlingiron {

// The order of a search: RPATH of the object and, where these have no RUNPATH, of those that loaded
// it; RUNPATH of the object; /etc/ld.so.conf; the default directories. LD_LIBRARY_PATH never.
//
// Libraries for particular processors (glibc-hwcaps/) are left out: an initramfs may start on
// another processor than it was built on, and a library always has a version for all beside them.
class LibraryLoader {
 public:
  explicit LibraryLoader(ExtraTree& tree) : tree_(tree) {}

  // Brings the interpreter and the libraries of the program or library at `target`. A library that
  // is missing is an error that names it, who needs it, and where it was looked for.
  Result<void> bring_needs(const std::string& target);
  // Afterwards: the loader finds libraries outside its default directories by ld.so.cache only, and
  // which directories these are was decided when it was compiled; so the cache names every library
  // in them and in those of ld.so.conf.
  Result<void> add_cache();

 private:
  struct Loaded;
  class Session;

  Result<ElfDynamic> parse(const std::string& target);
  Result<const std::vector<std::string>*> configured_directories();
  Result<void> read_ld_so_conf(const std::string& path, unsigned depth);
  Result<std::vector<std::string>> expand_glob(const std::string& pattern) const;
  Result<std::vector<std::string>> musl_directories(const std::string& interpreter);

  ExtraTree& tree_;
  std::optional<std::vector<std::string>> configured_;
  std::vector<std::string> read_configurations_;
  bool glibc_ = false;  // a library was found by name for glibc's loader
};

}  // namespace curlingiron
