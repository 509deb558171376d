// The first byte chooses the sizes of the pieces and the threads, the rest is the stream. What
// libbz2 decodes to its end, our decoder must decode to the same, and nothing else.
#include <bzlib.h>

#include "fuzz/decode_input.h"
#include "io/member.h"

using namespace curlingiron;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz_decoder(Format::Bzip2, {data, size});
  if (size < 2) return 0;
  bz_stream stream{};
  if (BZ2_bzDecompressInit(&stream, 0, 0) != BZ_OK) std::abort();
  Decoded theirs;
  theirs.bytes.resize(kDecodedLimit);
  stream.next_in = reinterpret_cast<char*>(const_cast<uint8_t*>(data + 1));
  stream.avail_in = static_cast<unsigned>(size - 1);
  stream.next_out = reinterpret_cast<char*>(theirs.bytes.data());
  stream.avail_out = static_cast<unsigned>(theirs.bytes.size());
  theirs.complete = BZ2_bzDecompress(&stream) == BZ_STREAM_END;
  theirs.bytes.resize(stream.total_out_lo32);
  size_t used = stream.total_in_lo32;
  BZ2_bzDecompressEnd(&stream);
  PiecesSource inner({data + 1, size - 1}, size);
  std::unique_ptr<MemberSource> member = open_member(Format::Bzip2, inner, {256_MiB, 1}).value();
  Decoded ours = read_pieces(*member, 65536, kDecodedLimit);
  bool whole = ours.complete && ours.bytes.size() < kDecodedLimit;
  if (whole && (!theirs.complete || member->taken() != used)) std::abort();
  if (!theirs.complete) return 0;
  expect_same(decode_pieces(Format::Bzip2, {data + 1, used}, used, 1000, kDecodedLimit), theirs,
              kDecodedLimit);
  return 0;
}
