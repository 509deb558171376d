#include "net/nics.h"

#include "base/address.h"
#include "base/text.h"
#include "sys/file.h"
#include "sys/netlink.h"

namespace curlingiron {
namespace {

std::string sysfs(std::string_view interface, std::string_view attribute) {
  return concat("sys/class/net/", interface, '/', attribute);
}

}  // namespace

bool is_physical(const UniqueFd& root, std::string_view interface) {
  return exists(root, sysfs(interface, "device")) && !exists(root, sysfs(interface, "wireless")) &&
         !exists(root, sysfs(interface, "phy80211"));
}

std::string driver_of(const UniqueFd& root, std::string_view interface) {
  Result<std::string> link = read_link(root, sysfs(interface, "device/driver"));
  if (!link.ok()) return {};
  return link.value().substr(link.value().rfind('/') + 1);
}

Result<std::vector<Nic>> list_nics(const UniqueFd& root) {
  std::vector<std::string> names =
      TRY_CONTEXT("/sys/class/net", list_directory(root, "sys/class/net"));
  std::vector<Link> links;
  if (Result<RouteSocket> routes = RouteSocket::open(); routes.ok()) {
    if (Result<std::vector<Link>> list = routes.value().links(); list.ok()) {
      links = std::move(list).value();
    }
  }
  std::vector<Nic> nics;
  for (const std::string& name : names) {
    Result<std::string> type = read_line(root, sysfs(name, "type"));
    bool ethernet = type.ok() && type.value() == "1";  // ARPHRD_ETHER
    if (!ethernet || !is_physical(root, name)) continue;
    Nic nic;
    nic.name = name;
    nic.driver = driver_of(root, name);
    if (Result<std::string> mac = read_line(root, sysfs(name, "address")); mac.ok()) {
      nic.mac = to_lower(mac.value());
    }
    if (Result<std::string> index = read_line(root, sysfs(name, "ifindex")); index.ok()) {
      if (Result<uint32_t> number = parse_u32(index.value()); number.ok()) {
        nic.index = static_cast<int>(number.value());
      }
    }
    // Unreadable (EINVAL) while the link is down.
    Result<std::string> carrier = read_line(root, sysfs(name, "carrier"));
    nic.carrier = carrier.ok() && carrier.value() == "1";
    for (const Link& link : links) {
      bool same = link.name == name && link.index == nic.index;
      if (same && link.permanent_mac) nic.mac = format_mac(*link.permanent_mac);
    }
    nics.push_back(std::move(nic));
  }
  return nics;
}

}  // namespace curlingiron
