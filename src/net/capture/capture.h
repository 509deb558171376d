// The network of the running system as a config that makes it again in another kernel: straight
// from the kernel, whatever set it up (NetworkManager, networkd, ifupdown, a hand).
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "formats/network_config.h"
#include "formats/resolv_conf.h"
#include "sys/fd.h"
#include "sys/nics.h"
#include "sys/route_socket.h"

namespace curlingiron {

// What the kernel knows.
struct KernelNetwork {
  std::vector<Link> links;
  std::vector<AssignedAddress> addresses;
  std::vector<Route> routes;
  std::vector<Rule> rules;
  std::vector<Neighbour> neighbours;
  std::vector<int> nics;      // indexes of the links that are network cards
  std::vector<int> wireless;  // … and of those that are radios
};

// What is written down of name servers.
struct ResolverFiles {
  ResolvConf resolv_conf;              // etc/resolv.conf
  ResolvConf resolved;                 // of systemd-resolved, behind its stub
  std::map<int, ResolvConf> per_link;  // of networkd and systemd-resolved, by interface index
};

struct CapturedNetwork {
  NetworkConfig config;            // `captured`
  std::vector<std::string> notes;  // for the user: what was left out or taken as something else
};

// The network cards, members of bonds and ports of bridges among them; not the lower half of a
// synthetic one (Hyper-V, failover). Pure.
std::vector<Link> cards_of(const KernelNetwork& state);

// Pure. A bridge is taken as its port: what it has goes to the card (bond, VLAN) behind it. Links
// that no card carries (containers' bridges, tunnels) are left out with all that hangs on them.
// What the kernel makes by itself when an address is added is left out, too.
CapturedNetwork config_of(const KernelNetwork& state, const ResolverFiles& files);

Result<KernelNetwork> read_kernel_network(const UniqueFd& root, NicRule rule = NicRule::Physical);
// Missing files are fine.
ResolverFiles read_resolver_files(const UniqueFd& root);
Result<CapturedNetwork> capture_network(const UniqueFd& root, NicRule rule = NicRule::Physical);

// For people, a few lines: each device with its addresses and how it came to them, and the routes
// out.
std::string describe_network(const NetworkConfig& config);

}  // namespace curlingiron
