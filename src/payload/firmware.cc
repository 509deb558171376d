#include "payload/firmware.h"

#include <algorithm>

#include "base/text.h"
#include "formats/alias_pattern.h"
#include "payload/module_file.h"
#include "sys/file.h"

namespace curlingiron {
namespace {

constexpr std::string_view kTops[] = {"lib/firmware", "usr/lib/firmware"};
constexpr std::string_view kEndings[] = {"", ".zst", ".xz"};

std::string_view without_ending(std::string_view name) {
  for (std::string_view ending : kEndings) {
    if (!ending.empty() && name.ends_with(ending)) {
      return name.substr(0, name.size() - ending.size());
    }
  }
  return name;
}

// The names, relative to lib/firmware, that a glob stands for.
std::vector<std::string> expand(const UniqueFd& root, const std::vector<std::string>& folders,
                                std::string_view pattern) {
  if (pattern.find_first_of("*?[") == std::string_view::npos) return {std::string(pattern)};
  size_t slash = pattern.rfind('/');
  std::string_view folder = slash == std::string_view::npos ? "" : pattern.substr(0, slash + 1);
  std::string_view last = pattern.substr(folder.size());
  std::vector<std::string> names;
  for (const std::string& top : folders) {
    Result<std::vector<std::string>> entries = list_directory(root, concat(top, "/", folder));
    if (!entries.ok()) continue;
    for (const std::string& entry : entries.value()) {
      std::string_view name = without_ending(entry);
      if (matches_alias_pattern(last, name)) names.push_back(concat(folder, name));
    }
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

}  // namespace

std::vector<std::string> firmware_folders(const std::string& release) {
  std::vector<std::string> folders;
  for (const std::string& below : {concat("/updates/", release), std::string("/updates"),
                                   concat("/", release), std::string()}) {
    for (std::string_view top : kTops) folders.push_back(concat(top, below));
  }
  return folders;
}

Result<std::vector<FirmwareFile>> find_firmware(const UniqueFd& root, const std::string& release,
                                                std::string_view pattern) {
  std::vector<FirmwareFile> found;
  if (!is_plain_path(pattern)) return found;
  std::vector<std::string> folders = firmware_folders(release);
  auto load = [&](const std::string& name) -> Result<void> {
    for (const std::string& folder : folders) {
      for (std::string_view ending : kEndings) {
        std::string path = concat(folder, "/", name, ending);
        Result<FileStatus> status = file_status(root, path);
        if (!status.ok() || status.value().type != FileType::Regular) continue;
        found.push_back({name, TRY(read_plain_file(root, path))});
        return {};
      }
    }
    return {};
  };
  for (const std::string& name : expand(root, folders, pattern)) TRY(load(name));
  return found;
}

}  // namespace curlingiron
