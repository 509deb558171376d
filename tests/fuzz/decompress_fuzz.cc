// Modules and firmware of the old system, compressed: bounded output whatever they declare.
#include <cstdlib>

#include "payload/module_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace curlingiron;
  constexpr size_t kLimit = size_t{1} << 20;
  Result<ByteVector> plain = decompress_whole(ByteVector(data, data + size), kLimit);
  bool untouched = plain.ok() && plain.value().size() == size;
  if (plain.ok() && !untouched && plain.value().size() > kLimit) std::abort();
  return 0;
}
