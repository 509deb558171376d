#include "net/join/name_servers.h"

#include <algorithm>
#include <utility>

namespace curlingiron {

std::vector<NameServer> name_servers_of(const Interface& interface, const NetworkConfig& config,
                                        Time time) {
  std::vector<NameServer> servers;
  auto add = [&](NameServer server) {
    bool known = std::any_of(servers.begin(), servers.end(), [&](const NameServer& other) {
      return other.address == server.address && other.port == server.port;
    });
    if (!known) servers.push_back(std::move(server));
  };
  for (const NameServerConfig& server : config.nameservers) {
    bool here = server.device.empty() || server.device == interface.plan().name;
    // What a server gave the running system is not asked while it gives something else.
    bool current = server.origin == Origin::Static || interface.has_set(server.origin);
    if (here && current) add({server.address, interface.link().name, server.port});
  }
  for (NameServer& server : interface.name_servers(time)) add(std::move(server));
  return servers;
}

ResolverConfig resolver_of(const Interface& interface, const Interfaces& all,
                           const NetworkConfig& config, Time time) {
  ResolverConfig resolver;
  resolver.servers = name_servers_of(interface, config, time);
  if (resolver.servers.empty()) {
    for (const auto& [index, other] : all.all()) {
      for (NameServer& server : name_servers_of(other, config, time)) {
        resolver.servers.push_back(std::move(server));
      }
    }
  }
  resolver.search = config.search;
  for (std::string& domain : interface.search_domains(time)) {
    resolver.search.push_back(std::move(domain));
  }
  return resolver;
}

}  // namespace curlingiron
