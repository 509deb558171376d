#include "sys/memory.h"

#include <malloc.h>

#include <algorithm>
#include <optional>
#include <string_view>

#include "base/text.h"
#include "sys/file.h"

namespace curlingiron {
namespace {

// Of "inactive_file 4096" and the like.
std::optional<uint64_t> field_in(const UniqueFd& root, const std::string& path,
                                 std::string_view name) {
  Result<std::string> text = read_text(root, path);
  if (!text.ok()) return std::nullopt;
  for (std::string_view line : split(text.value(), '\n')) {
    std::vector<std::string_view> words = split_blank(line);
    if (words.size() < 2 || words[0] != name) continue;
    Result<uint64_t> number = parse_u64(words[1]);
    if (number.ok()) return number.value();
  }
  return std::nullopt;
}

// "MemTotal:  997756 kB"
std::optional<uint64_t> memory_of(const UniqueFd& root, std::string_view name) {
  std::optional<uint64_t> kibibytes = field_in(root, "proc/meminfo", name);
  return kibibytes ? std::optional(*kibibytes << 10) : std::nullopt;
}

std::optional<uint64_t> number_in(const UniqueFd& root, const std::string& path) {
  Result<std::string> line = read_line(root, path);
  if (!line.ok()) return std::nullopt;
  Result<uint64_t> number = parse_u64(line.value());
  return number.ok() ? std::optional(number.value()) : std::nullopt;
}

// Where limits of a control group stand, and under which names.
struct GroupFiles {
  std::string_view base;
  std::string_view limit, used, reclaimable;
};

// What the groups leave that this process is in: a service, a container (cgroups(7);
// Documentation/admin-guide/cgroup-v2.rst, and cgroup-v1/memory.rst).
uint64_t left_by_groups(const UniqueFd& root) {
  constexpr GroupFiles kSecond = {"sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"};
  constexpr GroupFiles kFirst = {"sys/fs/cgroup/memory", "memory.limit_in_bytes",
                                 "memory.usage_in_bytes", "total_inactive_file"};
  uint64_t left = UINT64_MAX;
  Result<std::string> groups = read_text(root, "proc/self/cgroup");
  if (!groups.ok()) return left;
  for (std::string_view line : split(groups.value(), '\n')) {
    // "0::/system.slice/x.service", "4:memory:/docker/1f2e"
    std::vector<std::string_view> fields = split(line, ':');
    if (fields.size() < 3 || (!fields[1].empty() && fields[1] != "memory")) continue;
    const GroupFiles& files = fields[1].empty() ? kSecond : kFirst;
    std::string path(fields[2]);
    for (;;) {
      while (path.ends_with('/')) path.pop_back();
      std::string folder = concat(files.base, path, "/");
      std::optional<uint64_t> limit = number_in(root, concat(folder, files.limit));
      std::optional<uint64_t> used = number_in(root, concat(folder, files.used));
      if (limit && used) {
        std::optional<uint64_t> reclaimable =
            field_in(root, concat(folder, "memory.stat"), files.reclaimable);
        uint64_t needed = *used - std::min(*used, reclaimable.value_or(0));
        left = std::min(left, *limit - std::min(*limit, needed));
      }
      size_t slash = path.rfind('/');
      if (slash == std::string::npos) break;
      path.resize(slash);
    }
  }
  return left;
}

}  // namespace

void give_large_blocks_back() { ::mallopt(M_MMAP_THRESHOLD, 1 << 20); }

uint64_t total_memory() {
  Result<UniqueFd> root = open_root("/");
  return root.ok() ? memory_of(root.value(), "MemTotal:").value_or(UINT64_MAX) : UINT64_MAX;
}

uint64_t available_memory() {
  Result<UniqueFd> root = open_root("/");
  if (!root.ok()) return UINT64_MAX;
  uint64_t available = memory_of(root.value(), "MemAvailable:").value_or(UINT64_MAX);
  return std::min(available, left_by_groups(root.value()));
}

uint64_t available_memory_with_swap() {
  Result<UniqueFd> root = open_root("/");
  if (!root.ok()) return UINT64_MAX;
  std::optional<uint64_t> available = memory_of(root.value(), "MemAvailable:");
  return available ? *available + memory_of(root.value(), "SwapFree:").value_or(0) : UINT64_MAX;
}

}  // namespace curlingiron
