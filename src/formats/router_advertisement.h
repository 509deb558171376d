// Router advertisements and solicitations of IPv6 (RFC 4861 sections 4.1 and 4.2, RFC 4191, RFC
// 8106), as the ICMPv6 payload that a raw socket gives.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/bytes.h"
#include "base/result.h"
#include "base/time.h"

namespace curlingiron {

enum class RouterPreference : uint8_t { Low, Medium, High };

struct AdvertisedPrefix {
  IpPrefix prefix;                           // without bits after its length
  bool on_link = false;                      // L
  bool autonomous = false;                   // A: addresses may be made from it
  std::optional<Duration> valid, preferred;  // nullopt: for ever

  bool operator==(const AdvertisedPrefix&) const = default;
};

// A route that is not the default (RFC 4191 section 2.3).
struct AdvertisedRoute {
  IpPrefix prefix;
  RouterPreference preference = RouterPreference::Medium;
  std::optional<Duration> lifetime;  // nullopt: for ever; 0: no longer

  bool operator==(const AdvertisedRoute&) const = default;
};

struct AdvertisedServer {
  Ipv6 address;
  std::optional<Duration> lifetime;  // nullopt: for ever; 0: no longer to be used

  bool operator==(const AdvertisedServer&) const = default;
};

struct AdvertisedDomain {
  std::string name;
  std::optional<Duration> lifetime;  // as a server's

  bool operator==(const AdvertisedDomain&) const = default;
};

struct RouterAdvertisement {
  uint8_t hop_limit = 0;  // 0: unspecified
  bool managed = false;   // M: addresses by DHCPv6
  bool other = false;     // O: other settings by DHCPv6
  RouterPreference preference = RouterPreference::Medium;
  Duration router_lifetime{};   // 0: no default router
  std::optional<uint32_t> mtu;  // at least 1280
  std::optional<MacAddress> router_mac;
  std::vector<AdvertisedPrefix> prefixes;
  std::vector<AdvertisedRoute> routes;
  std::vector<AdvertisedServer> nameservers;  // in order, each once
  std::vector<AdvertisedDomain> domains;
  // Options that were there but malformed and left out.
  std::vector<std::string> ignored;
};

// From the ICMPv6 type on; the kernel has proven the checksum. What is no router advertisement of
// code 0, or has an option that is empty or runs past the end, is an error (RFC 4861
// section 6.1.2). Lists are cut to what a machine can use.
Result<RouterAdvertisement> parse_router_advertisement(ConstBytes message);

// The checksum is left 0 for the kernel to fill in. Without a MAC address where the source is not
// an address yet (RFC 4861 section 4.1).
ByteVector format_router_solicitation(std::optional<MacAddress> own);

}  // namespace curlingiron
