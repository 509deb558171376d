// Datagrams from rtnetlink.
#include <cstdlib>

#include "sys/netlink.h"

using namespace curlingiron;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  (void)parse_default_routes(ConstBytes(data, size));
  Result<AddressBatch> addresses = parse_addresses(ConstBytes(data, size));
  if (addresses.ok()) {
    for (const AssignedAddress& address : addresses.value().addresses) {
      if (address.prefix_length > 32) std::abort();
    }
  }
  Result<LinkBatch> batch = parse_links(ConstBytes(data, size));
  if (!batch.ok()) return 0;
  for (const Link& link : batch.value().links) {
    if (link.name.size() > 15) std::abort();
  }
  return 0;
}
