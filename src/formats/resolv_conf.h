// /etc/resolv.conf (resolv.conf(5)) and /etc/hosts (hosts(5)): what they say of names.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/address.h"

namespace curlingiron {

inline constexpr size_t kMostNameServers = 8;

struct ResolvConf {
  struct Server {
    IpAddress address;
    std::string zone;  // of "fe80::1%eth0": the interface; empty: none
    bool operator==(const Server&) const = default;
  };
  std::vector<Server> servers;      // at most kMostNameServers, in order, each once
  std::vector<std::string> search;  // at most kMostSearchDomains; the last search or domain line's
};

// What cannot be read is passed over, as every resolver does; the option ndots, too: it is 1.
ResolvConf parse_resolv_conf(std::string_view text);

// The addresses that a hosts file gives `host`, compared without case; at most kMostDnsAddresses.
std::vector<IpAddress> addresses_in_hosts(std::string_view text, std::string_view host);

}  // namespace curlingiron
