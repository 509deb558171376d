#include "sys/memory.h"

#include <optional>
#include <string_view>

#include "base/text.h"
#include "sys/file.h"

namespace curlingiron {
namespace {

std::optional<uint64_t> memory_of(std::string_view name) {
  Result<UniqueFd> root = open_root("/");
  if (!root.ok()) return std::nullopt;
  Result<std::string> text = read_text(root.value(), "proc/meminfo");
  if (!text.ok()) return std::nullopt;
  for (std::string_view line : split(text.value(), '\n')) {
    std::vector<std::string_view> words = split_blank(line);
    if (words.size() != 3 || words[0] != name) continue;
    Result<uint64_t> kibibytes = parse_u64(words[1]);
    if (kibibytes.ok()) return kibibytes.value() << 10;
  }
  return std::nullopt;
}

}  // namespace

uint64_t total_memory() { return memory_of("MemTotal:").value_or(UINT64_MAX); }
uint64_t available_memory() { return memory_of("MemAvailable:").value_or(UINT64_MAX); }

uint64_t available_memory_with_swap() {
  std::optional<uint64_t> available = memory_of("MemAvailable:");
  return available ? *available + memory_of("SwapFree:").value_or(0) : UINT64_MAX;
}

}  // namespace curlingiron
