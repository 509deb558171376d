// The first byte chooses the sizes of the pieces, the rest is the stream.
#include "fuzz/decode_input.h"
#include "fuzz/read_ending.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  curlingiron::fuzz_decoder(curlingiron::Format::Zstd, {data, size});
  curlingiron::fuzz_ending(curlingiron::Format::Zstd, {data, size});
  return 0;
}
