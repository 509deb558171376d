// The first byte chooses the sizes of the pieces, the rest is the stream. What zlib decodes to its
// end, our decoder must decode to the same.
#include <zlib.h>

#include "fuzz/decode_input.h"
#include "fuzz/read_ending.h"

using namespace curlingiron;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz_decoder(Format::Gzip, {data, size});
  fuzz_ending(Format::Gzip, {data, size});
  if (size < 2) return 0;
  z_stream stream{};
  if (inflateInit2(&stream, MAX_WBITS + 16) != Z_OK) std::abort();
  Decoded theirs;
  theirs.bytes.resize(kDecodedLimit);
  stream.next_in = const_cast<Bytef*>(data + 1);
  stream.avail_in = static_cast<uInt>(size - 1);
  stream.next_out = theirs.bytes.data();
  stream.avail_out = static_cast<uInt>(theirs.bytes.size());
  theirs.complete = inflate(&stream, Z_FINISH) == Z_STREAM_END;
  theirs.bytes.resize(stream.total_out);
  size_t member = stream.total_in;
  inflateEnd(&stream);
  if (!theirs.complete) return 0;
  expect_same(decode_pieces(Format::Gzip, {data + 1, member}, member, 1000, kDecodedLimit), theirs,
              kDecodedLimit);
  return 0;
}
