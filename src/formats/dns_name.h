// Domain names as DNS carries them (RFC 1035 sections 3.1 and 4.1.4), and the lists of them that
// DHCP, DHCPv6 and router advertisements send.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace curlingiron {

inline constexpr size_t kLongestDnsLabel = 63;
inline constexpr size_t kLongestDnsName = 255;    // on the wire, with its length bytes
inline constexpr size_t kMostSearchDomains = 16;  // of one list; what a server sends beyond is left

enum class DnsCompression { Allowed, Refused };

// A name as text: labels with dots between them, none at the end; "." is the root. A byte that is
// not printable, a dot or a backslash within a label is written "\DDD" (RFC 1035 section 5.1), so
// that every name has one text. Compare with equal_ignoring_case().
struct DnsNameAt {
  std::string name;
  size_t end = 0;  // offset after the name
};

// The name at `offset` of `message`. A pointer must lead to before the labels it stands after, so
// every name ends; where compression is refused a pointer is an error.
Result<DnsNameAt> parse_dns_name(ConstBytes message, size_t offset,
                                 DnsCompression compression = DnsCompression::Allowed);
// The same for a reader of the whole of `message`, which is moved after the name.
Result<std::string> read_dns_name(ByteReader& in, ConstBytes message);

// The wire form without compression; one dot at the end is fine. An empty label, one of more than
// 63 bytes, a name of more than 255 and a wrong escape are errors.
Result<ByteVector> format_dns_name(std::string_view name);

// Letters, digits, '-' and '_' in labels of 1 to 63 that do not begin with '-', 253 characters
// altogether, no dot at the end: what may go into resolv.conf and onto a console.
bool is_host_name(std::string_view text);

// Names one after the other until the end (RFC 3397, RFC 8415 section 21.14, RFC 8106
// section 5.2); the root, which pads, repetitions and what is no host name are left out. A name
// that is cut off or malformed is an error.
Result<std::vector<std::string>> parse_domain_list(ConstBytes list, DnsCompression compression);

}  // namespace curlingiron
