#include "formats/dhcp.h"

#include <algorithm>

#include "base/text.h"
#include "formats/dns_name.h"

namespace curlingiron {
namespace {

constexpr uint32_t kMagicCookie = 0x63825363;
constexpr uint8_t kEthernet = 1;  // htype
constexpr uint16_t kBroadcastFlag = 0x8000;
constexpr size_t kServerNameSize = 64;
constexpr size_t kFileSize = 128;
constexpr size_t kSmallestMessage = 300;
constexpr size_t kLargestOption = 255;
constexpr uint8_t kPad = 0;
constexpr uint8_t kEnd = 255;
constexpr uint32_t kInfinite = 0xffffffff;
constexpr uint16_t kSmallestMtu = 576;  // RFC 791: every host takes such a datagram
constexpr uint8_t kUdp = 17;
constexpr size_t kMostAddresses = 8;  // of routers, name servers and time servers each
constexpr size_t kMostRoutes = 128;

constexpr uint8_t code_of(DhcpOption option) { return static_cast<uint8_t>(option); }

using Options = std::map<uint8_t, ByteVector>;

Result<void> collect_options(ConstBytes field, Options& options) {
  ByteReader in(field);
  while (!in.at_end()) {
    uint8_t code = TRY(in.u8());
    if (code == kPad) continue;
    if (code == kEnd) break;
    uint8_t length = TRY_CONTEXT(concat("option ", code), in.u8());
    ConstBytes value = TRY_CONTEXT(concat("option ", code), in.take(length));
    ByteVector& whole = options[code];
    whole.insert(whole.end(), value.begin(), value.end());
  }
  return {};
}

Result<Ipv4> read_ipv4(ByteReader& in) { return Ipv4{TRY(in.be32())}; }

// A host outside the special ranges; link-local (169.254/16) is fine.
bool is_host_address(Ipv4 address) {
  uint32_t first = address.value >> 24;
  return first != 0 && first != 127 && first < 224;
}

// --- values of single options

// RFC 3396 joins an option that a server sends twice; of one with a fixed size the first counts.
Result<ByteReader> fixed(ConstBytes value, size_t size) {
  if (value.empty() || value.size() % size != 0)
    return Error(concat("is not ", size, " bytes long"));
  return ByteReader(value.first(size));
}

Result<Ipv4> one_address(ConstBytes value) {
  ByteReader in = TRY(fixed(value, 4));
  return read_ipv4(in);
}

Result<std::vector<Ipv4>> addresses(ConstBytes value) {
  if (value.empty() || value.size() % 4 != 0) return Error("is no list of addresses");
  std::vector<Ipv4> list;
  ByteReader in(value);
  while (!in.at_end() && list.size() < kMostAddresses) {
    Ipv4 address = TRY(read_ipv4(in));
    bool known = std::find(list.begin(), list.end(), address) != list.end();
    if (is_host_address(address) && !known) list.push_back(address);
  }
  return list;
}

Result<uint8_t> mask(ConstBytes value) {
  std::optional<uint8_t> length = prefix_length(TRY(one_address(value)));
  if (!length || *length == 0) return Error("is no mask");
  return *length;
}

Result<uint16_t> mtu(ConstBytes value) {
  ByteReader in = TRY(fixed(value, 2));
  uint16_t size = TRY(in.be16());
  if (size < kSmallestMtu) return Error(concat("is ", size, ", less than 576"));
  return size;
}

Result<std::optional<Duration>> seconds(ConstBytes value) {
  ByteReader in = TRY(fixed(value, 4));
  uint32_t count = TRY(in.be32());
  if (count == kInfinite) return std::optional<Duration>();
  return std::optional<Duration>(std::chrono::seconds(count));
}

// Goes into resolv.conf and onto the console: only what a domain name may hold. Some servers put
// several names where one belongs, with blanks between.
Result<std::vector<std::string>> names(ConstBytes value) {
  std::string_view text = as_text(value);
  while (!text.empty() && text.back() == '\0') text.remove_suffix(1);
  std::vector<std::string> list;
  for (std::string_view name : split(text, ' ')) {
    if (name.empty()) continue;
    if (name.size() > 1 && name.back() == '.') name.remove_suffix(1);
    if (!is_host_name(name)) return Error("is no host or domain name");
    if (list.size() < kMostSearchDomains) list.emplace_back(name);
  }
  if (list.empty()) return Error("is no host or domain name");
  return list;
}

Result<std::string> name(ConstBytes value) {
  std::vector<std::string> list = TRY(names(value));
  if (list.size() != 1) return Error("is no host name");
  return std::move(list[0]);
}

Result<std::vector<std::string>> search_list(ConstBytes value) {
  return parse_domain_list(value, DnsCompression::Allowed);
}

// RFC 3442: prefix length, the significant bytes of the destination, gateway.
Result<std::vector<DhcpRoute>> classless_routes(ConstBytes value) {
  std::vector<DhcpRoute> routes;
  ByteReader in(value);
  while (!in.at_end() && routes.size() < kMostRoutes) {
    DhcpRoute route;
    route.prefix_length = TRY(in.u8());
    if (route.prefix_length > 32) return Error("holds a prefix longer than 32 bits");
    for (uint8_t bits = 0; bits < 32; bits = static_cast<uint8_t>(bits + 8)) {
      uint8_t byte = 0;
      if (bits < route.prefix_length) byte = TRY(in.u8());
      route.destination.value = route.destination.value << 8 | byte;
    }
    // Servers send bits after the prefix; the kernel would refuse such a route.
    route.destination.value &= prefix_mask(route.prefix_length).value;
    route.gateway = TRY(read_ipv4(in));
    routes.push_back(route);
  }
  if (routes.empty()) return Error("is empty");
  return routes;
}

Result<std::string> setting_words(ConstBytes value) {
  constexpr size_t kLongest = 4096;
  if (value.size() > kLongest) return Error("is longer than 4096 bytes");
  // Some servers end texts with a NUL.
  std::string_view text = as_text(value);
  return std::string(text.substr(0, std::min(text.find('\0'), text.size())));
}

// Stores the option's value in `into` where it is there and good, else says why not.
template <typename T, typename Parse>
void read_option(const Options& options, DhcpOption option, Parse parse, T& into,
                 std::vector<std::string>& ignored) {
  auto found = options.find(code_of(option));
  if (found == options.end()) return;
  auto value = parse(ConstBytes(found->second));
  if (value.ok()) {
    into = std::move(value).value();
  } else {
    ignored.push_back(concat("option ", code_of(option), ' ', value.error().message()));
  }
}

// The class of old (RFC 791), for servers that send no mask.
uint8_t class_prefix(Ipv4 address) {
  uint32_t first = address.value >> 24;
  if (first < 128) return 8;
  return first < 192 ? 16 : 24;
}

// --- IPv4 and UDP

uint32_t sum_words(ConstBytes bytes) {
  uint32_t sum = 0;  // At most 32 Ki words of 16 bits each: no overflow.
  ByteReader in(bytes);
  for (;;) {
    Result<uint16_t> word = in.be16();
    if (!word.ok()) break;
    sum += word.value();
  }
  if (!in.at_end()) sum += uint32_t{in.rest()[0]} << 8;
  return sum;
}

uint16_t fold(uint32_t sum) {
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(sum);
}

// RFC 768: the sum over the datagram and a header of addresses, protocol and length.
uint32_t pseudo_header_sum(Ipv4 source, Ipv4 destination, size_t udp_length) {
  return (source.value >> 16) + (source.value & 0xffff) + (destination.value >> 16) +
         (destination.value & 0xffff) + kUdp + static_cast<uint32_t>(udp_length);
}

}  // namespace

Result<DhcpPacket> parse_dhcp(ConstBytes payload) {
  ByteReader in(payload);
  DhcpPacket packet;
  uint8_t operation = TRY(in.u8());
  if (operation != 1 && operation != 2) return Error("neither a request nor a reply");
  packet.operation = static_cast<DhcpOperation>(operation);
  uint8_t hardware = TRY(in.u8());
  uint8_t hardware_length = TRY(in.u8());
  if (hardware != kEthernet || hardware_length != packet.mac.size()) return Error("not Ethernet");
  TRY(in.skip(1));  // hops
  packet.xid = TRY(in.be32());
  packet.seconds = TRY(in.be16());
  packet.broadcast = (TRY(in.be16()) & kBroadcastFlag) != 0;
  packet.client = TRY(read_ipv4(in));
  packet.yours = TRY(read_ipv4(in));
  packet.next_server = TRY(read_ipv4(in));
  packet.relay = TRY(read_ipv4(in));
  ConstBytes mac = TRY(in.take(packet.mac.size()));
  std::copy(mac.begin(), mac.end(), packet.mac.begin());
  TRY(in.skip(16 - packet.mac.size()));
  ConstBytes server_name = TRY(in.take(kServerNameSize));
  ConstBytes file = TRY(in.take(kFileSize));
  if (TRY(in.be32()) != kMagicCookie) return Error("BOOTP without DHCP's magic cookie");

  // Order as in RFC 3396 section 5: options field, file, sname.
  TRY(collect_options(in.rest(), packet.options));
  auto overload = packet.options.find(code_of(DhcpOption::Overload));
  if (overload != packet.options.end()) {
    uint8_t fields = overload->second.size() == 1 ? overload->second[0] : 0;
    packet.options.erase(overload);
    if ((fields & 1) != 0) TRY_CONTEXT("file", collect_options(file, packet.options));
    if ((fields & 2) != 0) TRY_CONTEXT("sname", collect_options(server_name, packet.options));
    packet.options.erase(code_of(DhcpOption::Overload));
  }
  auto type = packet.options.find(code_of(DhcpOption::MessageType));
  if (type == packet.options.end()) return Error("no DHCP message type");
  if (type->second.empty() || type->second[0] < 1 || type->second[0] > 8) {
    return Error("unknown DHCP message type");
  }
  packet.type = static_cast<DhcpType>(type->second[0]);
  packet.options.erase(type);
  return packet;
}

ByteVector format_dhcp(const DhcpPacket& packet) {
  ByteWriter out;
  out.u8(static_cast<uint8_t>(packet.operation));
  out.u8(kEthernet);
  out.u8(static_cast<uint8_t>(packet.mac.size()));
  out.u8(0);
  out.be32(packet.xid);
  out.be16(packet.seconds);
  out.be16(packet.broadcast ? kBroadcastFlag : 0);
  out.be32(packet.client.value);
  out.be32(packet.yours.value);
  out.be32(packet.next_server.value);
  out.be32(packet.relay.value);
  out.append(ConstBytes(packet.mac));
  out.zeros(16 - packet.mac.size() + kServerNameSize + kFileSize);
  out.be32(kMagicCookie);
  out.u8(code_of(DhcpOption::MessageType));
  out.u8(1);
  out.u8(static_cast<uint8_t>(packet.type));
  for (const auto& [code, value] : packet.options) {
    ConstBytes rest = value;
    do {
      size_t part = std::min(rest.size(), kLargestOption);
      out.u8(code);
      out.u8(static_cast<uint8_t>(part));
      out.append(rest.first(part));
      rest = rest.subspan(part);
    } while (!rest.empty());
  }
  out.u8(kEnd);
  if (out.size() < kSmallestMessage) out.zeros(kSmallestMessage - out.size());
  return std::move(out).bytes();
}

std::vector<DhcpRoute> DhcpLease::routes() const {
  std::vector<DhcpRoute> list = classless_routes;
  bool has_default = std::any_of(list.begin(), list.end(),
                                 [](const DhcpRoute& route) { return route.prefix_length == 0; });
  if (!has_default && !routers.empty()) {
    auto router = std::find_if(routers.begin(), routers.end(),
                               [&](Ipv4 candidate) { return candidate != address; });
    list.push_back({Ipv4{}, 0, router != routers.end() ? *router : address});
  }
  for (DhcpRoute& route : list) {
    if (route.gateway == address) route.gateway = Ipv4{};
  }
  // A gateway may be reachable only through an on-link route named after it.
  std::stable_partition(list.begin(), list.end(), [](const DhcpRoute& route) {
    return route.gateway.is_zero() && route.prefix_length != 0;
  });
  return list;
}

Result<DhcpLease> lease_of(const DhcpPacket& packet) {
  DhcpLease lease;
  lease.address = packet.yours;
  Error impossible(concat("the server gave the address ", format_ipv4(lease.address),
                          ", which no host can have"));
  if (!is_host_address(lease.address)) return impossible;
  auto read = [&](DhcpOption option, auto parse, auto& into) {
    read_option(packet.options, option, parse, into, lease.ignored);
  };
  std::optional<uint8_t> prefix;
  read(DhcpOption::SubnetMask, mask, prefix);
  if (prefix && *prefix < 31) {
    uint32_t host = lease.address.value & ~prefix_mask(*prefix).value;
    if (host == 0 || host == ~prefix_mask(*prefix).value) return impossible;
  }
  lease.prefix_length = prefix.value_or(class_prefix(lease.address));
  read(DhcpOption::Router, addresses, lease.routers);
  read(DhcpOption::DnsServer, addresses, lease.nameservers);
  read(DhcpOption::NtpServer, addresses, lease.time_servers);
  read(DhcpOption::HostName, name, lease.host_name);
  read(DhcpOption::Settings, setting_words, lease.settings);
  std::vector<std::string> domains;
  read(DhcpOption::DomainName, names, domains);
  if (!domains.empty()) lease.domain = domains[0];
  read(DhcpOption::DomainSearch, search_list, lease.search);
  if (lease.search.empty() && domains.size() > 1) lease.search = std::move(domains);
  read(DhcpOption::InterfaceMtu, mtu, lease.mtu);
  read(DhcpOption::Broadcast, one_address, lease.broadcast);
  read(DhcpOption::ServerId, one_address, lease.server);
  read(DhcpOption::LeaseTime, seconds, lease.duration);
  read(DhcpOption::RenewalTime, seconds, lease.renewal);
  read(DhcpOption::RebindingTime, seconds, lease.rebinding);
  read(DhcpOption::MicrosoftRoutes, classless_routes, lease.classless_routes);
  read(DhcpOption::ClasslessRoutes, classless_routes, lease.classless_routes);
  if (lease.server && !is_host_address(*lease.server)) lease.server.reset();
  if (lease.broadcast && lease.broadcast->is_zero()) lease.broadcast.reset();
  return lease;
}

Result<UdpDatagram> parse_udp_packet(ConstBytes packet, uint16_t port, bool checksum_ready) {
  ByteReader in(packet);
  uint8_t version_and_length = TRY(in.u8());
  size_t header_size = size_t{version_and_length & 0xfU} * 4;
  if (version_and_length >> 4 != 4 || header_size < 20) return Error("no IPv4 header");
  TRY(in.skip(1));
  uint16_t total = TRY(in.be16());
  // A short frame is padded after the packet's own length.
  if (total > packet.size() || total < header_size + 8) return Error("a wrong IPv4 length");
  TRY(in.skip(2));
  uint16_t fragment = TRY(in.be16());
  if ((fragment & 0x3fff) != 0) return Error("a fragment");
  TRY(in.skip(1));
  if (TRY(in.u8()) != kUdp) return Error("not UDP");
  TRY(in.skip(2));
  Ipv4 source = TRY(read_ipv4(in));
  Ipv4 destination = TRY(read_ipv4(in));
  if (fold(sum_words(packet.first(header_size))) != 0xffff) return Error("a wrong IPv4 checksum");

  ConstBytes udp = packet.subspan(header_size, total - header_size);
  ByteReader header(udp);
  TRY(header.skip(2));
  if (TRY(header.be16()) != port) return Error("another port");
  uint16_t udp_length = TRY(header.be16());
  uint16_t checksum = TRY(header.be16());
  if (udp_length < 8 || udp_length > udp.size()) return Error("a wrong UDP length");
  udp = udp.first(udp_length);
  if (checksum_ready && checksum != 0) {
    uint32_t sum = pseudo_header_sum(source, destination, udp.size()) + sum_words(udp);
    if (fold(sum) != 0xffff) return Error("a wrong UDP checksum");
  }
  return UdpDatagram{source, udp.subspan(8)};
}

ByteVector format_udp_packet(const UdpAddresses& addresses, ConstBytes payload) {
  auto udp_length = static_cast<uint16_t>(8 + payload.size());
  auto udp_packet = [&](uint16_t checksum) {
    ByteWriter out;
    out.be16(addresses.source_port);
    out.be16(addresses.destination_port);
    out.be16(udp_length);
    out.be16(checksum);
    out.append(payload);
    return std::move(out).bytes();
  };
  auto ip_header = [&](uint16_t checksum) {
    ByteWriter out;
    out.u8(0x45);
    out.u8(0x10);  // low delay, as other clients send
    out.be16(static_cast<uint16_t>(20 + udp_length));
    out.be16(0);
    out.be16(0);
    out.u8(64);
    out.u8(kUdp);
    out.be16(checksum);
    out.be32(addresses.source.value);
    out.be32(addresses.destination.value);
    return std::move(out).bytes();
  };
  auto udp_checksum = static_cast<uint16_t>(
      ~fold(pseudo_header_sum(addresses.source, addresses.destination, udp_length) +
            sum_words(udp_packet(0))));
  if (udp_checksum == 0) udp_checksum = 0xffff;  // 0 means "none"
  ByteWriter packet;
  packet.append(ConstBytes(ip_header(static_cast<uint16_t>(~fold(sum_words(ip_header(0)))))));
  packet.append(ConstBytes(udp_packet(udp_checksum)));
  return std::move(packet).bytes();
}

}  // namespace curlingiron
