#include "payload/hardware.h"

#include <set>

#include "base/text.h"
#include "sys/file.h"
#include "sys/uevent.h"

namespace curlingiron {
namespace {

constexpr size_t kMaxDepth = 32;
constexpr size_t kMaxDirectories = 200'000;
constexpr std::string_view kDevices = "sys/devices";

struct Directory {
  std::string path;
  size_t depth = 0;
};

void add(std::set<std::string>& found, std::string_view alias) {
  if (!alias.empty() && printable(alias, alias.size()) == alias) found.emplace(alias);
}

// A device may go while it is read: what cannot be read is not there.
void read_modalias(const UniqueFd& root, const std::string& path, std::set<std::string>& found) {
  if (Result<std::string> alias = read_line(root, path); alias.ok()) add(found, alias.value());
}

// "0x001cc916" -> "mdio:00000000000111001100100100010110", as phy_device_create asks for it.
void read_phy(const UniqueFd& root, const std::string& path, std::set<std::string>& found) {
  Result<std::string> text = read_line(root, path);
  if (!text.ok() || !text.value().starts_with("0x")) return;
  Result<uint64_t> id = parse_hex_u64(std::string_view(text.value()).substr(2));
  if (!id.ok() || id.value() == 0 || id.value() > 0xffffffff) return;
  std::string alias = "mdio:";
  for (unsigned bit = 32; bit-- > 0;) alias += (id.value() >> bit & 1) != 0 ? '1' : '0';
  add(found, alias);
}

}  // namespace

Result<std::vector<std::string>> hardware_modaliases(const UniqueFd& root) {
  std::set<std::string> found;
  std::vector<Directory> todo = {{std::string(kDevices), 0}};
  size_t visited = 0;
  while (!todo.empty()) {
    Directory directory = std::move(todo.back());
    todo.pop_back();
    Result<std::vector<std::string>> names = list_directory(root, directory.path);
    if (!names.ok()) {
      if (directory.depth == 0) return names.error();
      continue;
    }
    if (++visited > kMaxDirectories) {
      return Error(concat(kDevices, ": more than ", kMaxDirectories, " directories"));
    }
    for (const std::string& name : names.value()) {
      std::string path = concat(directory.path, "/", name);
      Result<FileStatus> status = file_status(root, path, FollowLinks::No);
      if (!status.ok()) continue;
      if (status.value().type == FileType::Directory && directory.depth < kMaxDepth) {
        todo.push_back({std::move(path), directory.depth + 1});
      } else if (status.value().type == FileType::Regular) {
        if (name == "modalias") read_modalias(root, path, found);
        if (name == "uevent") add(found, read_uevent_modalias(root, path));
        if (name == "phy_id") read_phy(root, path, found);
      }
    }
  }
  return std::vector<std::string>(found.begin(), found.end());
}

}  // namespace curlingiron
