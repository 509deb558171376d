// Names to addresses: DnsLookup with sockets, and what needs no server. Nothing is kept between
// two resolutions.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/result.h"
#include "base/time.h"
#include "formats/dns.h"
#include "net/dns/dns_lookup.h"
#include "sys/fd.h"

namespace curlingiron {

struct NameServer {
  IpAddress address;
  // Queries leave by it, and it is the scope of a link-local server; empty: ordinary routing.
  std::string interface = {};
  uint16_t port = kDnsPort;

  bool operator==(const NameServer&) const = default;
};

struct ResolverConfig {
  std::vector<NameServer> servers;  // all are asked at once, kMostNameServers at most
  std::vector<std::string> search;  // domains

  bool operator==(const ResolverConfig&) const = default;
};

// As etc/resolv.conf below `root` says; where it names no server, the one on this machine, as every
// resolver has it (resolv.conf(5)).
ResolverConfig system_resolver(const UniqueFd& root);

// "fe80::1%eth0 port 5353": as messages name it.
std::string server_text(const NameServer& server);

class Resolver {
 public:
  // Below `root` etc/hosts is looked at, where there is one.
  explicit Resolver(std::string root = "/");
  ~Resolver();

  // Begins; what was under way is dropped. Addresses and localhost are never asked for, and what
  // etc/hosts names neither. `family`: only addresses of it; absent: both.
  void start(const std::string& host, std::optional<Family> family, const ResolverConfig& config,
             Duration patience);
  void drop();

  // Works off what can be done without waiting.
  void perform();
  // Once it is known. Its error does not name the host.
  const std::optional<Result<std::vector<IpAddress>>>& result() const;

  // What to wait for until next().
  std::vector<PollItem> waits_for() const;
  Time next() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace curlingiron
