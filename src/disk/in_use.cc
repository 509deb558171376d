#include "disk/in_use.h"

#include <algorithm>
#include <string_view>

#include "base/bytes.h"
#include "base/text.h"
#include "sys/file.h"

namespace curlingiron {
namespace {

constexpr size_t kMountTable = size_t{4} << 20;

struct Part {
  std::string name;    // "sda1"
  std::string folder;  // below the root: "sys/block/sda/sda1"
  std::string number;  // "8:1"
};

// The disk itself and its partitions.
std::vector<Part> parts_of(const UniqueFd& root, const std::string& name) {
  std::string disk = concat("sys/block/", name);
  if (!exists(root, disk)) disk = concat("sys/class/block/", name);  // a partition
  std::vector<Part> parts;
  auto add = [&](std::string part, std::string folder) {
    Result<std::string> number = read_line(root, concat(folder, "/dev"));
    parts.push_back({std::move(part), std::move(folder), number.ok() ? number.value() : ""});
  };
  add(name, disk);
  Result<std::vector<std::string>> children = list_directory(root, disk);
  if (!children.ok()) return parts;
  for (const std::string& child : children.value()) {
    std::string folder = concat(disk, "/", child);
    if (exists(root, concat(folder, "/partition"))) add(child, folder);
  }
  return parts;
}

// /proc writes a blank in a path as "\040", and so on (proc_pid_mountinfo(5)).
std::string unescape_octal(std::string_view text) {
  std::string result;
  for (size_t i = 0; i < text.size(); ++i) {
    auto digit = [&](size_t at) { return text[at] >= '0' && text[at] <= '7'; };
    if (text[i] == '\\' && i + 3 < text.size() && digit(i + 1) && digit(i + 2) && digit(i + 3)) {
      int value = (text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0');
      result += static_cast<char>(value);
      i += 3;
    } else {
      result += text[i];
    }
  }
  return result;
}

}  // namespace

std::vector<std::string> uses_of(const UniqueFd& root, const std::string& name) {
  std::vector<Part> parts = parts_of(root, name);
  std::vector<std::string> uses;
  auto add = [&](std::string use) {
    if (std::find(uses.begin(), uses.end(), use) == uses.end()) uses.push_back(std::move(use));
  };

  // 36 35 98:0 /root /mount/point rw,noatime shared:1 - ext4 /dev/sda1 rw
  if (Result<std::string> table = read_text(root, "proc/self/mountinfo", kMountTable); table.ok()) {
    for (std::string_view line : split(table.value(), '\n')) {
      std::vector<std::string_view> fields = split_blank(line);
      auto dash = std::find(fields.begin(), fields.end(), "-");
      if (fields.size() < 6 || fields.end() - dash < 3) continue;
      for (const Part& part : parts) {
        // btrfs shows a device number of its own: then the source's name decides.
        if (fields[2] == part.number || dash[2] == concat("/dev/", part.name)) {
          add(concat(part.name, " is mounted on ", printable(unescape_octal(fields[4]))));
        }
      }
    }
  }
  if (Result<std::string> table = read_text(root, "proc/swaps"); table.ok()) {
    for (std::string_view line : split(table.value(), '\n')) {
      std::vector<std::string_view> fields = split_blank(line);
      for (const Part& part : parts) {
        if (!fields.empty() && fields[0] == concat("/dev/", part.name)) {
          add(concat(part.name, " is swap"));
        }
      }
    }
  }
  for (const Part& part : parts) {
    Result<std::vector<std::string>> holders =
        list_directory(root, concat(part.folder, "/holders"));
    if (!holders.ok()) continue;
    for (const std::string& holder : holders.value()) {
      add(concat(part.name, " is held by ", holder));
    }
  }
  return uses;
}

std::vector<std::string> uses_of_file(const UniqueFd& root, const std::string& path) {
  std::vector<std::string> uses;
  if (Result<std::string> table = read_text(root, "proc/swaps"); table.ok()) {
    for (std::string_view line : split(table.value(), '\n')) {
      std::vector<std::string_view> fields = split_blank(line);
      if (!fields.empty() && unescape_octal(fields[0]) == path)
        uses.push_back(concat(path, " is swap"));
    }
  }
  Result<std::vector<std::string>> names = list_directory(root, "sys/block");
  if (!names.ok()) return uses;
  for (const std::string& name : names.value()) {
    if (!name.starts_with("loop")) continue;
    Result<std::string> behind = read_line(root, concat("sys/block/", name, "/loop/backing_file"));
    if (behind.ok() && behind.value() == path) uses.push_back(concat(path, " is behind ", name));
  }
  return uses;
}

}  // namespace curlingiron
