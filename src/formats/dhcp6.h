// DHCPv6 messages between a client and servers (RFC 8415); relays' messages are not read.
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

inline constexpr uint16_t kDhcp6ClientPort = 546;
inline constexpr uint16_t kDhcp6ServerPort = 547;
// ff02::1:2, where all servers and relays of a link listen.
inline constexpr Ipv6 kAllDhcp6Servers{{0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 2}};

enum class Dhcp6Type : uint8_t {
  Solicit = 1,
  Advertise = 2,
  Request = 3,
  Confirm = 4,
  Renew = 5,
  Rebind = 6,
  Reply = 7,
  Release = 8,
  Decline = 9,
  Reconfigure = 10,
  InformationRequest = 11,
};

enum class Dhcp6Option : uint16_t {
  ClientId = 1,
  ServerId = 2,
  Association = 3,  // IA_NA
  Address = 5,
  OptionRequest = 6,
  Preference = 7,
  ElapsedTime = 8,
  Status = 13,
  RapidCommit = 14,
  DnsServers = 23,
  DomainList = 24,
  InformationRefresh = 32,
  SolicitMaxTime = 82,      // SOL_MAX_RT
  InformationMaxTime = 83,  // INF_MAX_RT
};

// RFC 8415 section 21.13; other codes of other documents are kept as they are.
enum class Dhcp6StatusCode : uint16_t {
  Success = 0,
  UnspecifiedFailure = 1,
  NoAddressesAvailable = 2,
  NoBinding = 3,
  NotOnLink = 4,
  UseMulticast = 5,
};

struct Dhcp6Status {
  Dhcp6StatusCode code = Dhcp6StatusCode::Success;
  std::string message;  // as the server sent it: not yet printable

  bool operator==(const Dhcp6Status&) const = default;
};

// Lifetimes are whole seconds; nullopt: for ever.
struct Dhcp6Address {
  Ipv6 address;
  std::optional<Duration> preferred, valid;
  Dhcp6Status status;

  bool operator==(const Dhcp6Address&) const = default;
};

// IA_NA: the addresses of one interface.
struct Dhcp6Association {
  uint32_t id = 0;                             // IAID
  std::optional<Duration> renewal, rebinding;  // T1, T2; 0: as the client likes; nullopt: never
  std::vector<Dhcp6Address> addresses;
  Dhcp6Status status;

  bool operator==(const Dhcp6Association&) const = default;
};

struct Dhcp6Packet {
  Dhcp6Type type = Dhcp6Type::Solicit;
  uint32_t xid = 0;                 // 24 bits
  ByteVector client_id, server_id;  // DUIDs; empty: not there
  std::vector<Dhcp6Association> associations;
  std::vector<uint16_t> requested;  // codes of options
  std::optional<uint8_t> preference;
  std::optional<uint16_t> elapsed;  // hundredths of a second
  Dhcp6Status status;               // of the whole message
  bool rapid_commit = false;
  std::vector<Ipv6> nameservers;
  std::vector<std::string> search;
  std::optional<Duration> solicit_max_time, information_max_time;  // in the range of RFC 8415
  std::optional<Duration> information_refresh;
  // Options that were there but malformed and left out.
  std::vector<std::string> ignored;
};

// One UDP payload. Unknown message types, an option that runs past its end and a DUID that is too
// short or too long are errors; of an option that is there twice the first counts. Lists are cut to
// what a machine can use.
Result<Dhcp6Packet> parse_dhcp6(ConstBytes payload);
// Domains have to be host names (formats/dns_name.h).
ByteVector format_dhcp6(const Dhcp6Packet& packet);

// DUID-LL: by the address of the network card (RFC 8415 section 11.4).
ByteVector duid_of(const MacAddress& mac);
// A number for the interface that a machine keeps: the last four bytes of its address.
uint32_t association_id_of(const MacAddress& mac);

}  // namespace curlingiron
