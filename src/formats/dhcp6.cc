#include "formats/dhcp6.h"

#include <algorithm>

#include "base/text.h"
#include "formats/dns_name.h"

namespace curlingiron {
namespace {

constexpr uint32_t kInfinite = 0xffffffff;
constexpr uint32_t kXidMask = 0xffffff;
constexpr size_t kShortestDuid =
    3;  // RFC 8415 section 11.1: the type, and at least a byte after it
constexpr size_t kLongestDuid = 130;
constexpr size_t kLongestMessage = 512;  // of a status
constexpr size_t kMostAssociations = 4;
constexpr size_t kMostAddresses = 8;
constexpr size_t kMostServers = 8;
constexpr size_t kMostRequested = 64;
constexpr size_t kMostIgnored = 16;
constexpr uint32_t kSmallestMaxTime = 60;  // RFC 8415 sections 21.24 and 21.25
constexpr uint32_t kLargestMaxTime = 86400;

Result<Ipv6> read_ipv6(ByteReader& in) {
  Ipv6 address;
  ConstBytes bytes = TRY(in.take(address.bytes.size()));
  std::copy(bytes.begin(), bytes.end(), address.bytes.begin());
  return address;
}

std::optional<Duration> duration_of(uint32_t seconds) {
  if (seconds == kInfinite) return std::nullopt;
  return std::chrono::seconds(seconds);
}

uint32_t seconds_of(std::optional<Duration> duration) {
  if (!duration) return kInfinite;
  int64_t seconds = std::chrono::duration_cast<std::chrono::seconds>(*duration).count();
  return static_cast<uint32_t>(std::clamp<int64_t>(seconds, 0, kInfinite - 1));
}

bool is_host_address(const Ipv6& address) {
  IpAddress ip(address);
  return !ip.is_zero() && !ip.is_loopback() && !address.is_multicast();
}

// Calls `read(code, value)` for each option.
template <typename Read>
Result<void> each_option(ByteReader& in, Read read) {
  while (!in.at_end()) {
    uint16_t code = TRY(in.be16());
    uint16_t length = TRY_CONTEXT(concat("option ", code), in.be16());
    ConstBytes value = TRY_CONTEXT(concat("option ", code), in.take(length));
    TRY_CONTEXT(concat("option ", code), read(static_cast<Dhcp6Option>(code), ByteReader(value)));
  }
  return {};
}

// --- values of single options

Result<ByteVector> read_duid(ByteReader in) {
  ConstBytes value = in.rest();
  if (value.size() < kShortestDuid || value.size() > kLongestDuid) {
    return Error("has a wrong length");
  }
  return ByteVector(value.begin(), value.end());
}

Result<Dhcp6Status> read_status(ByteReader in) {
  Dhcp6Status status;
  status.code = static_cast<Dhcp6StatusCode>(TRY(in.be16()));
  std::string_view message = as_text(in.rest());
  status.message = message.substr(0, kLongestMessage);
  return status;
}

Result<Dhcp6Address> read_address(ByteReader in) {
  Dhcp6Address address;
  address.address = TRY(read_ipv6(in));
  address.preferred = duration_of(TRY(in.be32()));
  address.valid = duration_of(TRY(in.be32()));
  if (!is_host_address(address.address) || address.address.is_link_local()) {
    return Error("gives an address that no host can be given");
  }
  bool has_status = false;
  TRY(each_option(in, [&](Dhcp6Option option, ByteReader value) -> Result<void> {
    if (option != Dhcp6Option::Status || std::exchange(has_status, true)) return {};
    address.status = TRY(read_status(value));
    return {};
  }));
  return address;
}

Result<Dhcp6Association> read_association(ByteReader in) {
  Dhcp6Association association;
  association.id = TRY(in.be32());
  association.renewal = duration_of(TRY(in.be32()));
  association.rebinding = duration_of(TRY(in.be32()));
  bool has_status = false;
  TRY(each_option(in, [&](Dhcp6Option option, ByteReader value) -> Result<void> {
    if (option == Dhcp6Option::Status && !std::exchange(has_status, true)) {
      association.status = TRY(read_status(value));
    } else if (option == Dhcp6Option::Address && association.addresses.size() < kMostAddresses) {
      Result<Dhcp6Address> read = read_address(value);
      if (!read.ok()) return {};  // the others serve as well
      Dhcp6Address address = std::move(read).value();
      bool known =
          std::any_of(association.addresses.begin(), association.addresses.end(),
                      [&](const Dhcp6Address& other) { return other.address == address.address; });
      if (!known) association.addresses.push_back(std::move(address));
    }
    return {};
  }));
  return association;
}

Result<std::vector<uint16_t>> read_codes(ByteReader in) {
  std::vector<uint16_t> codes;
  while (!in.at_end()) {
    uint16_t code = TRY(in.be16());
    if (codes.size() < kMostRequested) codes.push_back(code);
  }
  return codes;
}

Result<std::vector<Ipv6>> read_servers(ByteReader in) {
  std::vector<Ipv6> servers;
  while (!in.at_end()) {
    Ipv6 server = TRY(read_ipv6(in));
    bool known = std::find(servers.begin(), servers.end(), server) != servers.end();
    if (is_host_address(server) && !known && servers.size() < kMostServers) {
      servers.push_back(server);
    }
  }
  return servers;
}

Result<std::vector<std::string>> read_domains(ByteReader in) {
  return parse_domain_list(in.rest(), DnsCompression::Refused);
}

Result<std::optional<Duration>> read_max_time(ByteReader in) {
  uint32_t seconds = TRY(in.be32());
  if (seconds < kSmallestMaxTime || seconds > kLargestMaxTime) {
    return Error(concat("is ", seconds, ", not 60 to 86400"));
  }
  return duration_of(seconds);
}

Result<std::optional<Duration>> read_duration(ByteReader in) { return duration_of(TRY(in.be32())); }
Result<uint8_t> read_preference(ByteReader in) { return in.u8(); }
Result<uint16_t> read_elapsed(ByteReader in) { return in.be16(); }
Result<bool> read_nothing(ByteReader) { return true; }

// Options of a message, read once each.
class OptionReader {
 public:
  explicit OptionReader(Dhcp6Packet& packet) : packet_(packet) {}

  Result<void> read(Dhcp6Option option, ByteReader value) {
    switch (option) {
      case Dhcp6Option::ClientId:
        if (packet_.client_id.empty()) packet_.client_id = TRY(read_duid(value));
        break;
      case Dhcp6Option::ServerId:
        if (packet_.server_id.empty()) packet_.server_id = TRY(read_duid(value));
        break;
      case Dhcp6Option::Association: {
        if (packet_.associations.size() == kMostAssociations) break;
        Result<Dhcp6Association> association = read_association(value);
        if (association.ok()) {
          packet_.associations.push_back(std::move(association).value());
        } else {
          ignore(option, association.error());
        }
        break;
      }
      case Dhcp6Option::OptionRequest: once(option, read_codes(value), packet_.requested); break;
      case Dhcp6Option::Preference: once(option, read_preference(value), packet_.preference); break;
      case Dhcp6Option::ElapsedTime: once(option, read_elapsed(value), packet_.elapsed); break;
      case Dhcp6Option::Status: once(option, read_status(value), packet_.status); break;
      case Dhcp6Option::RapidCommit: once(option, read_nothing(value), packet_.rapid_commit); break;
      case Dhcp6Option::DnsServers: once(option, read_servers(value), packet_.nameservers); break;
      case Dhcp6Option::DomainList: once(option, read_domains(value), packet_.search); break;
      case Dhcp6Option::InformationRefresh:
        once(option, read_duration(value), packet_.information_refresh);
        break;
      case Dhcp6Option::SolicitMaxTime:
        once(option, read_max_time(value), packet_.solicit_max_time);
        break;
      case Dhcp6Option::InformationMaxTime:
        once(option, read_max_time(value), packet_.information_max_time);
        break;
      case Dhcp6Option::Address: break;  // belongs into an association
    }
    return {};
  }

 private:
  template <typename T, typename Into>
  void once(Dhcp6Option option, Result<T> value, Into& into) {
    if (std::find(seen_.begin(), seen_.end(), option) != seen_.end()) return;
    if (!value.ok()) return ignore(option, value.error());
    seen_.push_back(option);
    into = std::move(value).value();
  }

  void ignore(Dhcp6Option option, const Error& why) {
    if (packet_.ignored.size() == kMostIgnored) return;
    packet_.ignored.push_back(concat("option ", static_cast<uint16_t>(option), ' ', why.message()));
  }

  Dhcp6Packet& packet_;
  std::vector<Dhcp6Option> seen_;
};

// --- writing

void put_option(ByteWriter& out, Dhcp6Option option, ConstBytes value) {
  out.be16(static_cast<uint16_t>(option));
  out.be16(static_cast<uint16_t>(value.size()));
  out.append(value);
}

void put_number(ByteWriter& out, Dhcp6Option option, uint32_t value) {
  ByteWriter body;
  body.be32(value);
  put_option(out, option, body.bytes());
}

void put_status(ByteWriter& out, const Dhcp6Status& status) {
  if (status == Dhcp6Status{}) return;
  ByteWriter body;
  body.be16(static_cast<uint16_t>(status.code));
  body.append(std::string_view(status.message));
  put_option(out, Dhcp6Option::Status, body.bytes());
}

void put_association(ByteWriter& out, const Dhcp6Association& association) {
  ByteWriter body;
  body.be32(association.id);
  body.be32(seconds_of(association.renewal));
  body.be32(seconds_of(association.rebinding));
  for (const Dhcp6Address& address : association.addresses) {
    ByteWriter inner;
    inner.append(ConstBytes(address.address.bytes));
    inner.be32(seconds_of(address.preferred));
    inner.be32(seconds_of(address.valid));
    put_status(inner, address.status);
    put_option(body, Dhcp6Option::Address, inner.bytes());
  }
  put_status(body, association.status);
  put_option(out, Dhcp6Option::Association, body.bytes());
}

}  // namespace

Result<Dhcp6Packet> parse_dhcp6(ConstBytes payload) {
  ByteReader in(payload);
  uint32_t head = TRY(in.be32());
  uint32_t type = head >> 24;
  if (type < static_cast<uint32_t>(Dhcp6Type::Solicit) ||
      type > static_cast<uint32_t>(Dhcp6Type::InformationRequest)) {
    return Error(concat("unknown DHCPv6 message type ", type));
  }
  Dhcp6Packet packet;
  packet.type = static_cast<Dhcp6Type>(type);
  packet.xid = head & kXidMask;
  OptionReader options(packet);
  TRY(each_option(
      in, [&](Dhcp6Option option, ByteReader value) { return options.read(option, value); }));
  return packet;
}

ByteVector format_dhcp6(const Dhcp6Packet& packet) {
  ByteWriter out;
  out.be32(static_cast<uint32_t>(packet.type) << 24 | (packet.xid & kXidMask));
  if (!packet.client_id.empty()) put_option(out, Dhcp6Option::ClientId, packet.client_id);
  if (!packet.server_id.empty()) put_option(out, Dhcp6Option::ServerId, packet.server_id);
  for (const Dhcp6Association& association : packet.associations) put_association(out, association);
  if (!packet.requested.empty()) {
    ByteWriter body;
    for (uint16_t code : packet.requested) body.be16(code);
    put_option(out, Dhcp6Option::OptionRequest, body.bytes());
  }
  if (packet.preference) {
    put_option(out, Dhcp6Option::Preference, ByteVector{*packet.preference});
  }
  if (packet.elapsed) {
    ByteWriter body;
    body.be16(*packet.elapsed);
    put_option(out, Dhcp6Option::ElapsedTime, body.bytes());
  }
  put_status(out, packet.status);
  if (packet.rapid_commit) put_option(out, Dhcp6Option::RapidCommit, {});
  if (!packet.nameservers.empty()) {
    ByteWriter body;
    for (const Ipv6& server : packet.nameservers) body.append(ConstBytes(server.bytes));
    put_option(out, Dhcp6Option::DnsServers, body.bytes());
  }
  if (!packet.search.empty()) {
    ByteWriter body;
    for (const std::string& domain : packet.search) {
      if (Result<ByteVector> name = format_dns_name(domain); name.ok()) body.append(name.value());
    }
    put_option(out, Dhcp6Option::DomainList, body.bytes());
  }
  if (packet.information_refresh) {
    put_number(out, Dhcp6Option::InformationRefresh, seconds_of(packet.information_refresh));
  }
  if (packet.solicit_max_time) {
    put_number(out, Dhcp6Option::SolicitMaxTime, seconds_of(packet.solicit_max_time));
  }
  if (packet.information_max_time) {
    put_number(out, Dhcp6Option::InformationMaxTime, seconds_of(packet.information_max_time));
  }
  return std::move(out).bytes();
}

ByteVector duid_of(const MacAddress& mac) {
  ByteWriter out;
  out.be16(3);  // DUID-LL
  out.be16(1);  // Ethernet
  out.append(ConstBytes(mac));
  return std::move(out).bytes();
}

uint32_t association_id_of(const MacAddress& mac) {
  uint32_t id = 0;
  for (size_t i = 2; i < mac.size(); ++i) id = id << 8 | mac[i];
  return id;
}

}  // namespace curlingiron
