// DHCPv4 messages (RFC 2131, 2132, 3396, 3397, 3442) and the IPv4/UDP frames that carry them.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/bytes.h"
#include "base/result.h"
#include "base/time.h"

namespace curlingiron {

inline constexpr uint16_t kDhcpServerPort = 67;
inline constexpr uint16_t kDhcpClientPort = 68;

enum class DhcpType : uint8_t {
  Discover = 1,
  Offer = 2,
  Request = 3,
  Decline = 4,
  Ack = 5,
  Nak = 6,
  Release = 7,
  Inform = 8,
};

enum class DhcpOption : uint8_t {
  SubnetMask = 1,
  Router = 3,
  DnsServer = 6,
  HostName = 12,
  DomainName = 15,
  InterfaceMtu = 26,
  Broadcast = 28,
  NtpServer = 42,
  RequestedAddress = 50,
  LeaseTime = 51,
  Overload = 52,
  MessageType = 53,
  ServerId = 54,
  ParameterList = 55,
  Message = 56,
  MaxMessageSize = 57,
  RenewalTime = 58,
  RebindingTime = 59,
  ClientId = 61,
  DomainSearch = 119,
  ClasslessRoutes = 121,
  Settings = 224,  // for sites to use (RFC 3942): what docs/settings.md says of it
  MicrosoftRoutes = 249,
};

enum class DhcpOperation : uint8_t { Request = 1, Reply = 2 };

struct DhcpPacket {
  DhcpOperation operation = DhcpOperation::Request;
  DhcpType type = DhcpType::Discover;
  uint32_t xid = 0;
  uint16_t seconds = 0;    // since the client began
  bool broadcast = false;  // the answer shall be sent to 255.255.255.255
  Ipv4 client;             // ciaddr
  Ipv4 yours;              // yiaddr
  Ipv4 next_server;        // siaddr
  Ipv4 relay;              // giaddr
  MacAddress mac{};        // chaddr
  // By code, without MessageType and Overload; parts of one option are joined (RFC 3396).
  std::map<uint8_t, ByteVector> options;
};

// One UDP payload. Hardware other than Ethernet, a missing magic cookie or message type, and an
// option that runs past its field are errors.
Result<DhcpPacket> parse_dhcp(ConstBytes payload);
// At least 300 bytes, as old relays want; options longer than 255 bytes are cut into parts.
ByteVector format_dhcp(const DhcpPacket& packet);

struct DhcpRoute {
  Ipv4 destination;
  uint8_t prefix_length = 0;
  Ipv4 gateway;  // 0.0.0.0: on-link

  bool operator==(const DhcpRoute&) const = default;
};

// What an OFFER or an ACK grants.
struct DhcpLease {
  Ipv4 address;
  uint8_t prefix_length = 32;
  std::optional<Ipv4> server;               // option 54
  std::vector<Ipv4> routers;                // option 3
  std::vector<DhcpRoute> classless_routes;  // option 121, else 249
  std::vector<Ipv4> nameservers;
  std::vector<Ipv4> time_servers;
  std::string host_name;
  std::string domain;               // without a dot at the end
  std::vector<std::string> search;  // option 119, else what 15 holds beyond one name
  std::optional<uint16_t> mtu;      // at least 576
  std::string settings;             // option 224, as it came: foreign bytes, 4 KiB at most
  std::optional<Ipv4> broadcast;
  std::optional<Duration> duration;   // nullopt: for ever
  std::optional<Duration> renewal;    // T1
  std::optional<Duration> rebinding;  // T2
  // Options that were there but malformed and left out: "option 26 (interface MTU) ...".
  std::vector<std::string> ignored;

  // The routes to install: 121 replaces 3 (RFC 3442), but without a default in 121 the first router
  // of 3 serves; on-link routes first. A gateway that is the leased address itself means the link
  // (the router answers ARP for everyone); it counts only where no other router is named.
  std::vector<DhcpRoute> routes() const;
};

// An address that no host can have (0.0.0.0, multicast, loopback, broadcast, the network's own) is
// an error. Lists are cut to what a machine can use; an option that is there twice counts once.
Result<DhcpLease> lease_of(const DhcpPacket& packet);

// The UDP payload for `port` in an IPv4 packet without link header. Lengths and the header checksum
// are proven; the UDP checksum too, where one is there and `checksum_ready` (a packet from the same
// machine may carry one that hardware was to fill in).
struct UdpDatagram {
  Ipv4 source;
  ConstBytes payload;
};
Result<UdpDatagram> parse_udp_packet(ConstBytes packet, uint16_t port, bool checksum_ready);

struct UdpAddresses {
  Ipv4 source;
  uint16_t source_port = 0;
  Ipv4 destination;
  uint16_t destination_port = 0;
};
ByteVector format_udp_packet(const UdpAddresses& addresses, ConstBytes payload);

}  // namespace curlingiron
