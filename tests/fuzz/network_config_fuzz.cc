// The text of a network: what is read can be written, and is then read as it was.
#include <cstdlib>

#include "base/bytes.h"
#include "formats/network_config.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace curlingiron;
  Result<NetworkConfig> config = parse_network_config(as_text({data, size}));
  if (!config.ok()) return 0;
  Result<NetworkConfig> again = parse_network_config(format_network_config(config.value()));
  if (!again.ok() || again.value() != config.value()) std::abort();
  if (order_of_making(config.value()).size() != config.value().links.size()) std::abort();
  return 0;
}
