#include "sys/nics.h"

#include "base/text.h"
#include "sys/file.h"

namespace curlingiron {
namespace {

std::string sysfs(std::string_view interface, std::string_view attribute) {
  return concat("sys/class/net/", interface, '/', attribute);
}

}  // namespace

bool is_physical(const UniqueFd& root, std::string_view interface) {
  return exists(root, sysfs(interface, "device")) && !is_wireless(root, interface);
}

bool is_wireless(const UniqueFd& root, std::string_view interface) {
  return exists(root, sysfs(interface, "wireless")) || exists(root, sysfs(interface, "phy80211"));
}

std::string driver_of(const UniqueFd& root, std::string_view interface) {
  Result<std::string> link = read_link(root, sysfs(interface, "device/driver"));
  if (!link.ok()) return {};
  return link.value().substr(link.value().rfind('/') + 1);
}

}  // namespace curlingiron
