// Domain names, at every offset that the first byte may name, and lists of them. Whatever is read
// must survive a round trip.
#include <cstdlib>

#include "formats/dns_name.h"

using namespace curlingiron;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  ConstBytes message(data + 1, size - 1);
  for (DnsCompression compression : {DnsCompression::Allowed, DnsCompression::Refused}) {
    Result<DnsNameAt> at = parse_dns_name(message, data[0], compression);
    if (at.ok()) {
      if (at.value().end > message.size() || at.value().end <= data[0]) std::abort();
      Result<ByteVector> wire = format_dns_name(at.value().name);
      if (!wire.ok() || wire.value().size() > kLongestDnsName) std::abort();
      Result<DnsNameAt> again = parse_dns_name(wire.value(), 0, DnsCompression::Refused);
      if (!again.ok() || again.value().name != at.value().name) std::abort();
    }
    Result<std::vector<std::string>> list = parse_domain_list(message, compression);
    if (!list.ok()) continue;
    if (list.value().size() > kMostSearchDomains) std::abort();
    for (const std::string& domain : list.value()) {
      if (!is_host_name(domain)) std::abort();
    }
  }
  (void)format_dns_name(as_text(message));
  return 0;
}
