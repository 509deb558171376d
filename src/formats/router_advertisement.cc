#include "formats/router_advertisement.h"

#include <algorithm>

#include "base/text.h"
#include "formats/dns_name.h"

namespace curlingiron {
namespace {

constexpr uint8_t kSolicitation = 133;
constexpr uint8_t kAdvertisement = 134;
constexpr uint32_t kInfinite = 0xffffffff;
constexpr uint32_t kSmallestMtu = 1280;  // RFC 8200 section 5
constexpr size_t kOptionUnit = 8;        // bytes that an option's length counts
constexpr size_t kMostPrefixes = 32;
constexpr size_t kMostRoutes = 64;
constexpr size_t kMostServers = 8;

enum class Option : uint8_t {
  SourceLinkAddress = 1,
  Prefix = 3,
  Mtu = 5,
  Route = 24,
  NameServers = 25,
  Domains = 31,
};

Result<Ipv6> read_ipv6(ByteReader& in) {
  Ipv6 address;
  ConstBytes bytes = TRY(in.take(address.bytes.size()));
  std::copy(bytes.begin(), bytes.end(), address.bytes.begin());
  return address;
}

Result<std::optional<Duration>> read_lifetime(ByteReader& in) {
  uint32_t seconds = TRY(in.be32());
  if (seconds == kInfinite) return std::optional<Duration>();
  return std::optional<Duration>(std::chrono::seconds(seconds));
}

// RFC 4191 section 2.2: the reserved value counts as medium.
RouterPreference preference_of(uint8_t flags) {
  switch (flags >> 3 & 3) {
    case 1: return RouterPreference::High;
    case 3: return RouterPreference::Low;
    default: return RouterPreference::Medium;
  }
}

bool is_host_address(const Ipv6& address) {
  IpAddress ip(address);
  return !ip.is_zero() && !ip.is_loopback() && !address.is_multicast();
}

// --- options; each reader begins after type and length

Result<void> read_link_address(ByteReader in, RouterAdvertisement& into) {
  MacAddress mac{};
  ConstBytes bytes = TRY(in.take(mac.size()));
  std::copy(bytes.begin(), bytes.end(), mac.begin());
  into.router_mac = mac;
  return {};
}

Result<void> read_prefix(ByteReader in, RouterAdvertisement& into) {
  AdvertisedPrefix prefix;
  uint8_t length = TRY(in.u8());
  uint8_t flags = TRY(in.u8());
  prefix.on_link = (flags & 0x80) != 0;
  prefix.autonomous = (flags & 0x40) != 0;
  prefix.valid = TRY(read_lifetime(in));
  prefix.preferred = TRY(read_lifetime(in));
  TRY(in.skip(4));
  Ipv6 address = TRY(read_ipv6(in));
  if (length > 128) return Error("is longer than 128 bits");
  if (address.is_multicast() || address.is_link_local()) return Error("is no prefix of hosts");
  prefix.prefix = network_of({address, length});
  if (into.prefixes.size() < kMostPrefixes) into.prefixes.push_back(prefix);
  return {};
}

Result<void> read_mtu(ByteReader in, RouterAdvertisement& into) {
  TRY(in.skip(2));
  uint32_t mtu = TRY(in.be32());
  if (mtu < kSmallestMtu) return Error(concat("is ", mtu, ", less than 1280"));
  into.mtu = mtu;
  return {};
}

Result<void> read_route(ByteReader in, RouterAdvertisement& into) {
  AdvertisedRoute route;
  uint8_t length = TRY(in.u8());
  route.preference = preference_of(TRY(in.u8()));
  route.lifetime = TRY(read_lifetime(in));
  // As many bytes of the prefix as the option has room for: none, 8 or 16.
  ConstBytes bytes = in.rest();
  if (length > 128 || bytes.size() > 16 || size_t{length} > bytes.size() * 8) {
    return Error("has a wrong length");
  }
  Ipv6 address;
  std::copy(bytes.begin(), bytes.end(), address.bytes.begin());
  route.prefix = network_of({address, length});
  if (into.routes.size() < kMostRoutes) into.routes.push_back(route);
  return {};
}

Result<void> read_name_servers(ByteReader in, RouterAdvertisement& into) {
  TRY(in.skip(2));
  AdvertisedServer server;
  server.lifetime = TRY(read_lifetime(in));
  if (in.at_end()) return Error("names no server");
  while (!in.at_end()) {
    server.address = TRY(read_ipv6(in));
    if (!is_host_address(server.address)) continue;
    auto known = std::find_if(
        into.nameservers.begin(), into.nameservers.end(),
        [&](const AdvertisedServer& other) { return other.address == server.address; });
    if (known != into.nameservers.end()) {
      known->lifetime = server.lifetime;
    } else if (into.nameservers.size() < kMostServers) {
      into.nameservers.push_back(server);
    }
  }
  return {};
}

Result<void> read_domains(ByteReader in, RouterAdvertisement& into) {
  TRY(in.skip(2));
  std::optional<Duration> lifetime = TRY(read_lifetime(in));
  std::vector<std::string> names = TRY(parse_domain_list(in.rest(), DnsCompression::Refused));
  for (std::string& name : names) {
    auto known = std::find_if(
        into.domains.begin(), into.domains.end(),
        [&](const AdvertisedDomain& other) { return equal_ignoring_case(other.name, name); });
    if (known != into.domains.end()) {
      known->lifetime = lifetime;
    } else if (into.domains.size() < kMostSearchDomains) {
      into.domains.push_back({std::move(name), lifetime});
    }
  }
  return {};
}

struct OptionReader {
  Option type;
  std::string_view name;
  Result<void> (*read)(ByteReader in, RouterAdvertisement& into);
};

constexpr OptionReader kReaders[] = {
    {Option::SourceLinkAddress, "the router's link address", read_link_address},
    {Option::Prefix, "a prefix", read_prefix},
    {Option::Mtu, "the MTU", read_mtu},
    {Option::Route, "a route", read_route},
    {Option::NameServers, "the list of name servers", read_name_servers},
    {Option::Domains, "the list of domains", read_domains},
};

constexpr size_t kMostIgnored = 16;

}  // namespace

Result<RouterAdvertisement> parse_router_advertisement(ConstBytes message) {
  ByteReader in(message);
  if (TRY(in.u8()) != kAdvertisement) return Error("no router advertisement");
  if (TRY(in.u8()) != 0) return Error("a router advertisement of unknown code");
  TRY(in.skip(2));  // checksum
  RouterAdvertisement advertisement;
  advertisement.hop_limit = TRY(in.u8());
  uint8_t flags = TRY(in.u8());
  advertisement.managed = (flags & 0x80) != 0;
  advertisement.other = (flags & 0x40) != 0;
  advertisement.preference = preference_of(flags);
  advertisement.router_lifetime = std::chrono::seconds(TRY(in.be16()));
  TRY(in.skip(8));  // reachable time, retransmission timer: the kernel's business
  while (!in.at_end()) {
    uint8_t type = TRY(in.u8());
    size_t size = TRY(in.u8()) * kOptionUnit;
    if (size == 0) return Error("an empty option");
    ConstBytes body = TRY_CONTEXT(concat("option ", type), in.take(size - 2));
    for (const OptionReader& reader : kReaders) {
      if (static_cast<uint8_t>(reader.type) != type) continue;
      Result<void> read = reader.read(ByteReader(body), advertisement);
      if (!read.ok() && advertisement.ignored.size() < kMostIgnored) {
        advertisement.ignored.push_back(concat(reader.name, ' ', read.error().message()));
      }
    }
  }
  return advertisement;
}

ByteVector format_router_solicitation(std::optional<MacAddress> own) {
  ByteWriter out;
  out.u8(kSolicitation);
  out.u8(0);
  out.be16(0);
  out.zeros(4);
  if (own) {
    out.u8(static_cast<uint8_t>(Option::SourceLinkAddress));
    out.u8(1);
    out.append(ConstBytes(*own));
  }
  return std::move(out).bytes();
}

}  // namespace curlingiron
