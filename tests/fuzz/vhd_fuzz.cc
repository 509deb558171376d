// The first byte chooses the sizes of the pieces, the rest is the image: it comes out whole, or
// without a footer at its end, however it is read.
#include "fuzz/decode_input.h"
#include "fuzz/read_ending.h"
#include "io/vhd.h"

using namespace curlingiron;

namespace {

Decoded pass(ConstBytes image, size_t largest, size_t chunk) {
  PiecesSource inner(image, largest);
  VhdFooterSource source(inner);
  return read_pieces(source, chunk, kDecodedLimit);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  ConstBytes image(data + 1, size - 1);
  Decoded whole = pass(image, image.size() + 1, 65536);
  expect_same(whole, pass(image, 1 + data[0] % 64, 1 + size_t{data[0]} * 3), kDecodedLimit);
  fuzz_ending(Format::Raw, {data, size});
  size_t n = whole.bytes.size();
  if (whole.complete && n != image.size() && n + 512 != image.size()) std::abort();
  if (!std::equal(whole.bytes.begin(), whole.bytes.end(), image.begin())) std::abort();
  return 0;
}
