// The running system's way out, where the installer could not find it by DHCP.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "net/nics.h"
#include "sys/fd.h"
#include "sys/netlink.h"

namespace curlingiron {

// What the kernel knows of IPv4, as far as the way out goes.
struct Ipv4State {
  std::vector<AssignedAddress> addresses;
  std::vector<Route> routes;
};
Result<Ipv4State> read_ipv4_state();

// The value of `ip=` that gives /init the address of the NIC the default route leaves by; nullopt
// when that address is leased (it has a lifetime), when there is no default route, or when it
// leaves by something that is not among `nics` (a bridge, a bond, a VLAN). Pure.
std::optional<std::string> static_ip_setting(const Ipv4State& state, const std::vector<Nic>& nics,
                                             const std::vector<std::string>& nameservers);

// Addresses of the servers in etc/resolv.conf below `root`; those of systemd-resolved behind its
// stub (127.0.0.53); loopback ones left out.
std::vector<std::string> system_nameservers(const UniqueFd& root);

}  // namespace curlingiron
