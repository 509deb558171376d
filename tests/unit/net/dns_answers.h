// What name servers answer, for tests that play them.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/bytes.h"
#include "formats/dns.h"
#include "formats/dns_name.h"

namespace curlingiron::testing {

inline constexpr size_t kDnsHeader = 12;

inline IpAddress ip(std::string_view text) { return parse_ip(text).value(); }

inline std::string asked_name(ConstBytes query) {
  Result<DnsNameAt> name = parse_dns_name(query, kDnsHeader);
  return name.ok() ? name.value().name : "";
}

inline Family asked_family(ConstBytes query) {
  size_t end = parse_dns_name(query, kDnsHeader).value().end;
  return query[end + 1] == static_cast<uint8_t>(DnsType::A) ? Family::V4 : Family::V6;
}

// The addresses of the family that was asked for. `truncated`: TC is set.
inline ByteVector dns_answer(ConstBytes query, const std::vector<IpAddress>& addresses,
                             DnsCode code = DnsCode::NoError, bool truncated = false) {
  ByteWriter out;
  out.append(query);
  uint8_t count = 0;
  for (const IpAddress& address : addresses) {
    if (address.family() != asked_family(query)) continue;
    ++count;
    out.be16(0xc000 | kDnsHeader);
    out.be16(static_cast<uint16_t>(dns_type_of(address.family())));
    out.be16(1);
    out.be32(60);
    out.be16(address.is_v4() ? 4 : 16);
    if (address.is_v4()) {
      out.be32(address.v4().value);
    } else {
      out.append(ConstBytes(address.v6().bytes));
    }
  }
  ByteVector bytes = std::move(out).bytes();
  bytes[2] = static_cast<uint8_t>(0x81 | (truncated ? 0x02 : 0));
  bytes[3] = static_cast<uint8_t>(0x80 | static_cast<uint8_t>(code));
  bytes[7] = count;
  return bytes;
}

}  // namespace curlingiron::testing
