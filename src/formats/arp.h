// ARP for IPv4 on Ethernet (RFC 826), as address conflict detection uses it (RFC 5227).
#pragma once

#include <cstdint>
#include <optional>

#include "base/address.h"
#include "base/bytes.h"
#include "base/result.h"

namespace curlingiron {

enum class ArpOperation : uint16_t { Request = 1, Reply = 2 };

struct ArpPacket {
  ArpOperation operation = ArpOperation::Request;
  MacAddress sender_mac{};
  Ipv4 sender;  // 0.0.0.0 in a probe
  MacAddress target_mac{};
  Ipv4 target;
};

// What follows the Ethernet header; padding after it is passed over. Other hardware, protocols and
// operations are errors.
Result<ArpPacket> parse_arp(ConstBytes payload);
ByteVector format_arp(const ArpPacket& packet);

// "Has anybody `address`?" (RFC 5227 section 1.1), which changes no host's ARP cache.
ArpPacket arp_probe(const MacAddress& own, Ipv4 address);

// The address that somebody else than `own` says to have. Other hosts' probes claim nothing, unlike
// in RFC 5227 section 2.1.1: switches that track devices send them, too.
std::optional<Ipv4> arp_claim(const ArpPacket& packet, const MacAddress& own);

}  // namespace curlingiron
