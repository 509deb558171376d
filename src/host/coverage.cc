#include "host/coverage.h"

#include <algorithm>

#include "base/text.h"
#include "sys/file.h"

namespace curlingiron {

Result<std::vector<std::string>> bound_modules(const UniqueFd& root, const std::string& device) {
  std::vector<std::string> modules;
  std::string path = device;
  while (path.size() > std::string_view("sys/devices").size()) {
    // DEVICE/driver/module is a link to /sys/module/NAME; a built-in driver has none.
    Result<std::string> target = read_link(root, concat(path, "/driver/module"));
    if (target.ok()) {
      std::string name = target.value().substr(target.value().rfind('/') + 1);
      if (std::find(modules.begin(), modules.end(), name) == modules.end()) modules.push_back(name);
    }
    size_t slash = path.rfind('/');
    if (slash == std::string::npos) break;
    path.resize(slash);
  }
  return modules;
}

Result<void> check_covered(const std::string& what, const std::vector<std::string>& needed,
                           const std::vector<std::string>& included) {
  std::string missing;
  for (const std::string& name : needed) {
    if (std::find(included.begin(), included.end(), name) != included.end()) continue;
    missing += concat(missing.empty() ? "" : ", ", name);
  }
  if (missing.empty()) return {};
  return Error(concat(what, ": its driver ", missing,
                      " is not among the modules found under /lib/modules; install the complete "
                      "package of the running kernel, then try again"));
}

}  // namespace curlingiron
