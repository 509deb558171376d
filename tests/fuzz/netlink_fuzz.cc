// Datagrams from rtnetlink.
#include <cstdlib>

#include "sys/netlink.h"

using namespace curlingiron;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Result<LinkBatch> batch = parse_links(ConstBytes(data, size));
  if (!batch.ok()) return 0;
  for (const Link& link : batch.value().links) {
    if (link.name.size() > 15) std::abort();
  }
  return 0;
}
