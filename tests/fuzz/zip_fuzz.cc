// The first byte chooses the sizes of the pieces and the threads, the rest is the stream; once more
// from its end.
#include "fuzz/decode_input.h"
#include "fuzz/read_ending.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  curlingiron::fuzz_decoder(curlingiron::Format::Zip, {data, size});
  curlingiron::fuzz_ending(curlingiron::Format::Zip, {data, size});
  return 0;
}
