// A path to the servers, and who knows the paths.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/address.h"
#include "base/result.h"
#include "net/dns/resolver.h"

namespace curlingiron {

// Out by this interface, in this family, with these name servers.
struct HttpPath {
  std::string interface = {};         // connections are bound to it; empty: ordinary routing
  std::optional<Family> family = {};  // only addresses of it are used; absent: both, RFC 8305
  ResolverConfig resolver = {};
  uint16_t max_segment = 0;  // bytes; TCP_MAXSEG of connections; 0: what the link gives

  bool operator==(const HttpPath&) const = default;
};

// A connection made over one serves the other, whatever their name servers.
bool same_way(const HttpPath& a, const HttpPath& b);

// The next smaller limit of TCP segments to be tried after a stall: `announced` is what the
// server knows, 0 where that is not known. nullopt: it is small enough for any path (IPv6's least
// MTU).
std::optional<uint16_t> smaller_segment(uint32_t announced);

// As this machine is set up: ordinary routing, etc/resolv.conf below `root`.
HttpPath system_path(const std::string& root = "/");

// Called from the thread of a transfer; must not block.
class PathChooser {
 public:
  virtual ~PathChooser() = default;
  // For the next request.
  virtual HttpPath path() = 0;
  // A request over `path` failed by what may pass: DNS, TCP, TLS cut off, a stall. Or nothing
  // has come for a while, and another path would be taken.
  virtual void failed(const HttpPath& path, const Error& why) = 0;
  // The path is no longer there (no carrier, no address): what is under way on it is not worth
  // waiting for.
  virtual bool is_gone(const HttpPath& path) = 0;
};

}  // namespace curlingiron
