// What is to be put into file systems: whatever is taken is taken again, and stays inside.
#include <algorithm>
#include <cstdlib>

#include "base/text.h"
#include "formats/partition.h"
#include "formats/put_order.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace curlingiron;
  ConstBytes bytes(data, size);
  for (uint32_t sector : {512u, 4096u}) {
    Result<std::vector<Partition>> partitions = list_partitions(bytes, sector);
    if (!partitions.ok()) continue;
    for (const char* word : {"root", "boot", "esp", "1"}) {
      static_cast<void>(choose_partition(partitions.value(), word));
    }
  }
  Result<PutOrder> order = parse_put_order(bytes);
  if (!order.ok()) return 0;
  for (const Put& put : order.value().puts) {
    if (!is_put_path(put.path) || !is_plain_path(put.name)) std::abort();
    for (const PutEntry& entry : put.entries) {
      if (!entry.path.empty() && !is_plain_path(entry.path)) std::abort();
    }
  }
  Result<ByteVector> again = format_put_order(order.value());
  if (!again.ok() || !std::ranges::equal(again.value(), bytes)) std::abort();
  return 0;
}
