// What a script carries: the decoder stays within its memory, and reads what liblzma made as
// liblzma does. The first two bytes choose the size and the properties.
#include <lzma.h>

#include <cstdlib>

#include "base/bytes.h"
#include "unpack/lzma.h"
#include "unpack/text.h"

namespace {

class FuzzedBytes {
 public:
  explicit FuzzedBytes(curlingiron::ConstBytes bytes) : bytes_(bytes) {}
  int next() { return at_ < bytes_.size() ? bytes_[at_++] : -1; }

 private:
  curlingiron::ConstBytes bytes_;
  size_t at_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace curlingiron;
  static unpack::LzmaDecoder decoder;
  if (size < 3) return 0;
  ConstBytes packed(data + 2, size - 2);
  FuzzedBytes characters(packed);
  unpack::Base85<FuzzedBytes> text(characters);
  unpack::Header header;
  if (unpack::read_header(text, header)) {
    while (text.next() >= 0) continue;
  }

  ByteVector ours(size_t{16} * (data[0] + 1));
  FuzzedBytes bytes(packed);
  unpack::Outcome outcome = decoder.decode(bytes, data[1], ours.data(), ours.size());
  uint8_t lc = data[1] % 9;
  uint8_t lp = data[1] / 9 % 5;
  uint8_t pb = data[1] / 45;
  if (pb > 4 || lc + lp > 4) {
    if (outcome != unpack::Outcome::Damaged) std::abort();
    return 0;
  }
  if (outcome != unpack::Outcome::Done) return 0;
  lzma_options_lzma options{};
  options.dict_size = 1 << 20;
  options.lc = lc;
  options.lp = lp;
  options.pb = pb;
  lzma_filter filters[] = {{LZMA_FILTER_LZMA1, &options}, {LZMA_VLI_UNKNOWN, nullptr}};
  lzma_stream stream = LZMA_STREAM_INIT;
  if (lzma_raw_decoder(&stream, filters) != LZMA_OK) std::abort();
  ByteVector theirs(ours.size());
  stream.next_in = packed.data();
  stream.avail_in = packed.size();
  stream.next_out = theirs.data();
  stream.avail_out = theirs.size();
  lzma_ret status = lzma_code(&stream, LZMA_RUN);
  lzma_end(&stream);
  if (status == LZMA_OK && stream.avail_out == 0 && theirs != ours) std::abort();
  return 0;
}
