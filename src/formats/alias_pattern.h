// Module names and modalias patterns: how the kernel's user space (kmod) compares them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace curlingiron {

// "virtio-net" -> "virtio_net": '-' equals '_', except inside [...] (kmod's alias_normalize).
std::string normalize_module_name(std::string_view name);

// fnmatch(3) with flags 0 in the C locale: '*', '?', "[a-f]", "[!x]", '\' quotes. Character classes
// such as [:alpha:] are not known (no modalias has one). Linear in text for every '*'.
bool matches_alias_pattern(std::string_view pattern, std::string_view text);

// Many patterns, asked often: a pattern is found by what stands before its first wildcard, so a
// question costs one hash lookup per distinct length of such a prefix, whatever the table's size.
class AliasTable {
 public:
  // `value` is the caller's: an index, usually. The pattern is normalised.
  void add(std::string_view pattern, uint32_t value);
  // The values of all patterns that match, in the order they were added. `alias` is normalised.
  std::vector<uint32_t> find(std::string_view alias) const;

 private:
  struct Entry {
    std::string pattern;
    uint32_t value = 0;
  };
  std::vector<Entry> entries_;
  std::unordered_map<std::string, std::vector<uint32_t>> by_prefix_;
  std::vector<size_t> prefix_lengths_;  // sorted, distinct
};

}  // namespace curlingiron
