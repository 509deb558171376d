#include "net/join/router_state.h"

#include <algorithm>

namespace curlingiron {
namespace {

constexpr size_t kMostAnnounced = 16;  // name servers, and domains, that routers may name

}  // namespace

// `what` holds for so long from now on, and no longer where that is 0.
template <typename T>
void RouterState::learn(std::vector<Announced<T>>& known, const Ipv6& from, const T& what,
                        std::optional<Duration> lifetime, Time time) {
  std::erase_if(known, [&](const Announced<T>& old) { return !old.holds(time); });
  auto same = [&](const Announced<T>& old) { return old.what == what && old.router == from; };
  auto old = std::find_if(known.begin(), known.end(), same);
  if (lifetime && *lifetime <= 0s) {
    if (old != known.end()) known.erase(old);
    return;
  }
  std::optional<Time> until;
  if (lifetime) until = time + *lifetime;
  // Where it was: an order that changes with each message would begin every question anew.
  if (old != known.end()) {
    old->until = until;
  } else if (known.size() < kMostAnnounced) {
    known.push_back({what, from, until});
  }
}

void RouterState::hear(const Ipv6& from, const RouterAdvertisement& advertised, Time time) {
  heard_ = true;
  if (advertised.router_lifetime > 0s) {
    gateway_ = from;
  } else if (gateway_ == from) {
    gateway_.reset();
  }
  for (const AdvertisedServer& server : advertised.nameservers) {
    learn(servers_, from, server.address, server.lifetime, time);
  }
  for (const AdvertisedDomain& domain : advertised.domains) {
    learn(domains_, from, domain.name, domain.lifetime, time);
  }
}

std::vector<Ipv6> RouterState::name_servers(Time time) const {
  std::vector<Ipv6> servers;
  for (const Announced<Ipv6>& server : servers_) {
    if (server.holds(time)) servers.push_back(server.what);
  }
  return servers;
}

std::vector<std::string> RouterState::search_domains(Time time) const {
  std::vector<std::string> domains;
  for (const Announced<std::string>& domain : domains_) {
    if (domain.holds(time)) domains.push_back(domain.what);
  }
  return domains;
}

}  // namespace curlingiron
