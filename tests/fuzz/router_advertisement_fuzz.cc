// Router advertisements: what is told stays in its bounds.
#include <cstdlib>

#include "formats/dns_name.h"
#include "formats/router_advertisement.h"

using namespace curlingiron;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Result<RouterAdvertisement> parsed = parse_router_advertisement(ConstBytes(data, size));
  if (!parsed.ok()) return 0;
  const RouterAdvertisement& advertisement = parsed.value();
  if (advertisement.mtu && *advertisement.mtu < 1280) std::abort();
  for (const AdvertisedPrefix& prefix : advertisement.prefixes) {
    if (network_of(prefix.prefix) != prefix.prefix || prefix.prefix.length > 128) std::abort();
  }
  for (const AdvertisedRoute& route : advertisement.routes) {
    if (network_of(route.prefix) != route.prefix || route.prefix.length > 128) std::abort();
  }
  for (const AdvertisedServer& server : advertisement.nameservers) {
    if (server.address.is_zero() || server.address.is_multicast()) std::abort();
  }
  for (const AdvertisedDomain& domain : advertisement.domains) {
    if (!is_host_name(domain.name)) std::abort();
  }
  bool bounded = advertisement.prefixes.size() <= 32 && advertisement.routes.size() <= 64 &&
                 advertisement.nameservers.size() <= 8 &&
                 advertisement.domains.size() <= kMostSearchDomains &&
                 advertisement.ignored.size() <= 16;
  if (!bounded) std::abort();
  return 0;
}
