// What the dynamic loader is configured by: ld.so.conf (ldconfig(8)) and ld.so.cache.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace curlingiron {

enum class LdSoConfWord { Directory, Include };
struct LdSoConfLine {
  LdSoConfWord word = LdSoConfWord::Directory;
  std::string text;  // a directory, or a glob(7) relative to the file's own directory
};
// Lines that are neither (hwcap, relative directories) are passed over, as ldconfig does.
std::vector<LdSoConfLine> parse_ld_so_conf(std::string_view text);

// A library as glibc's loader finds it by name.
struct CachedLibrary {
  std::string name;      // "libz.so.1"
  std::string path;      // "/usr/local/lib/libz.so.1"
  uint16_t machine = 0;  // of ELF
};
// The text of /etc/ld.so.cache (glibc 2.2 and later, format "glibc-ld.so.cache1.1", its
// sysdeps/generic/dl-cache.h), reproducible; libraries of machines that are not known here are left
// out. Names must be unique.
ByteVector format_ld_so_cache(std::vector<CachedLibrary> libraries);

}  // namespace curlingiron
