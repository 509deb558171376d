#include "formats/ld_so_conf.h"

#include <elf.h>

#include <algorithm>

#include "base/text.h"

namespace curlingiron {
namespace {

constexpr std::string_view kCacheMagic = "glibc-ld.so.cache1.1";
constexpr size_t kCacheHeader = 48;
constexpr size_t kCacheEntry = 24;
constexpr uint8_t kLittleEndian = 2;

// What an entry says of its machine (glibc, sysdeps/generic/ldconfig.h): FLAG_ELF_LIBC6, and the
// ABI where a machine has several.
uint32_t cache_flags(uint16_t machine) {
  constexpr uint32_t kElfLibc6 = 0x0003;
  switch (machine) {
    case EM_X86_64: return kElfLibc6 | 0x0300;
    case EM_AARCH64: return kElfLibc6 | 0x0a00;
    case EM_PPC64: return kElfLibc6 | 0x0500;
  }
  return 0;
}

// Negative, zero or positive: the order of names that the loader's binary search relies on, where
// runs of digits are numbers ("libx.so.9" before "libx.so.10").
int compare_names(std::string_view a, std::string_view b) {
  size_t i = 0;
  size_t j = 0;
  auto take_number = [](std::string_view text, size_t& at) {
    uint32_t value = 0;
    // The loader's int would overflow after 9 digits; no such names are known.
    for (; at < text.size() && is_digit(text[at]); ++at) {
      value = value * 10 + static_cast<uint32_t>(text[at] - '0');
    }
    return static_cast<int64_t>(value);
  };
  while (i < a.size()) {
    if (is_digit(a[i])) {
      if (j == b.size() || !is_digit(b[j])) return 1;
      int64_t difference = take_number(a, i) - take_number(b, j);
      if (difference != 0) return difference < 0 ? -1 : 1;
    } else {
      if (j == b.size()) return 1;
      if (is_digit(b[j])) return -1;
      if (a[i] != b[j]) return a[i] < b[j] ? -1 : 1;
      ++i;
      ++j;
    }
  }
  return j == b.size() ? 0 : -1;
}

}  // namespace

std::vector<LdSoConfLine> parse_ld_so_conf(std::string_view text) {
  std::vector<LdSoConfLine> lines;
  for (std::string_view line : split(text, '\n')) {
    line = trim(line.substr(0, line.find('#')));
    std::vector<std::string_view> words = split_blank(line);
    if (words.empty()) continue;
    if (words[0] == "include") {
      for (size_t i = 1; i < words.size(); ++i) {
        lines.push_back({LdSoConfWord::Include, std::string(words[i])});
      }
      continue;
    }
    // "/usr/lib=libc5": the kind of library, which no longer means anything.
    std::string_view directory = trim(line.substr(0, line.find('=')));
    if (directory.starts_with("/")) {
      lines.push_back({LdSoConfWord::Directory, std::string(directory)});
    }
  }
  return lines;
}

ByteVector format_ld_so_cache(std::vector<CachedLibrary> libraries) {
  std::erase_if(libraries,
                [](const CachedLibrary& library) { return cache_flags(library.machine) == 0; });
  // Descending: so the loader searches.
  std::sort(libraries.begin(), libraries.end(), [](const CachedLibrary& a, const CachedLibrary& b) {
    int order = compare_names(a.name, b.name);
    return order != 0 ? order > 0 : a.name > b.name;
  });
  ByteWriter out;
  ByteWriter strings;
  size_t strings_at = kCacheHeader + libraries.size() * kCacheEntry;
  size_t strings_size = 0;
  for (const CachedLibrary& library : libraries) {
    strings_size += library.name.size() + library.path.size() + 2;
  }
  out.append(kCacheMagic);
  out.le32(static_cast<uint32_t>(libraries.size()));
  out.le32(static_cast<uint32_t>(strings_size));
  out.u8(kLittleEndian);
  out.zeros(kCacheHeader - out.size());
  // Offsets count from the beginning of the file.
  auto put_text = [&](std::string_view text) {
    auto offset = static_cast<uint32_t>(strings_at + strings.size());
    strings.append(text);
    strings.u8(0);
    return offset;
  };
  for (const CachedLibrary& library : libraries) {
    out.le32(cache_flags(library.machine));
    out.le32(put_text(library.name));
    out.le32(put_text(library.path));
    out.zeros(4 + 8);  // OS version, hardware capabilities: any
  }
  out.append(strings.bytes());
  return std::move(out).bytes();
}

}  // namespace curlingiron
