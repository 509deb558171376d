// A certificate bundle: what comes out is a bundle, and as small as it gets.
#include <cstdlib>

#include "payload/ca_bundle.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace curlingiron;
  Result<ByteVector> small = compact_ca_bundle(ConstBytes(data, size));
  if (!small.ok()) return 0;
  Result<ByteVector> again = compact_ca_bundle(small.value());
  if (!again.ok() || again.value().size() > small.value().size()) std::abort();
  return 0;
}
