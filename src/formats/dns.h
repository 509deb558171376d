// DNS messages (RFC 1035 section 4): questions for the addresses of a name, and their answers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/address.h"
#include "base/bytes.h"
#include "base/result.h"

namespace curlingiron {

inline constexpr uint16_t kDnsPort = 53;
inline constexpr size_t kLongestDnsDatagram = 512;  // without EDNS
inline constexpr size_t kLongestDnsMessage = 65535;
inline constexpr size_t kMostDnsAddresses = 16;  // of one answer; the rest is left

enum class DnsType : uint16_t { A = 1, Aaaa = 28 };

DnsType dns_type_of(Family family);

struct DnsQuestion {
  uint16_t id = 0;
  std::string name;  // as formats/dns_name.h has it
  DnsType type = DnsType::A;
};

// Response codes (RFC 1035 section 4.1.1).
enum class DnsCode : uint8_t {
  NoError = 0,
  FormatError = 1,
  ServerFailure = 2,
  NoSuchName = 3,
  NotImplemented = 4,
  Refused = 5,
  Other = 15,
};
// "refuses to answer": what a server does that answers so.
std::string_view describe(DnsCode code);

struct DnsAnswer {
  DnsCode code = DnsCode::NoError;
  bool truncated = false;  // the whole answer is to be had over TCP
  // Of the question's name and type, after any aliases (CNAME). Of a truncated answer those that
  // were in it; empty where there are none.
  std::vector<IpAddress> addresses;
};

// Asks the server to ask others. An error where the name is none.
Result<ByteVector> format_dns_query(const DnsQuestion& question);

// Errors: no answer to this very question (names are compared without case), or one that is cut off
// or malformed. A server that failed may leave the question out.
Result<DnsAnswer> parse_dns_answer(ConstBytes message, const DnsQuestion& question);

}  // namespace curlingiron
