// Decodes fuzzed bytes in pieces whose sizes the input chooses, twice: the outcome must not depend
// on how the bytes arrive.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <optional>

#include "io/decode.h"

namespace curlingiron {

class PiecesSource final : public Source {
 public:
  PiecesSource(ConstBytes bytes, size_t largest) : rest_(bytes), largest_(largest) {}
  Result<size_t> read(MutableBytes into) override {
    size_t n = std::min({into.size(), largest_, rest_.size()});
    if (n != 0) std::memcpy(into.data(), rest_.data(), n);
    rest_ = rest_.subspan(n);
    return n;
  }

 private:
  ConstBytes rest_;
  size_t largest_;
};

struct Decoded {
  ByteVector bytes;
  bool complete = false;
};

// At most `limit` bytes, as a small input may stand for terabytes.
inline Decoded decode_pieces(Format format, ConstBytes input, size_t largest, size_t chunk,
                             size_t limit) {
  PiecesSource inner(input, largest);
  Result<std::unique_ptr<Source>> source = open_decoder(format, inner);
  if (!source.ok()) std::abort();
  Decoded decoded;
  ByteVector piece(chunk);
  while (decoded.bytes.size() < limit) {
    Result<size_t> n = source.value()->read(piece);
    if (!n.ok()) return decoded;
    if (n.value() > chunk) std::abort();
    if (n.value() == 0) {
      decoded.complete = true;
      return decoded;
    }
    decoded.bytes.insert(decoded.bytes.end(), piece.begin(),
                         piece.begin() + static_cast<ptrdiff_t>(n.value()));
  }
  return decoded;
}

inline void fuzz_decoder(Format format, ConstBytes input) {
  constexpr size_t kLimit = size_t{4} << 20;
  if (input.empty()) return;
  size_t largest = 1 + input[0] % 64;
  ConstBytes stream = input.subspan(1);
  Decoded whole = decode_pieces(format, stream, stream.size() + 1, 65536, kLimit);
  Decoded pieces = decode_pieces(format, stream, largest, 1 + input[0], kLimit);
  size_t common = std::min({whole.bytes.size(), pieces.bytes.size(), kLimit});
  if (!std::equal(whole.bytes.begin(), whole.bytes.begin() + static_cast<ptrdiff_t>(common),
                  pieces.bytes.begin())) {
    std::abort();
  }
  bool cut = whole.bytes.size() >= kLimit || pieces.bytes.size() >= kLimit;
  if (!cut && (whole.complete != pieces.complete ||
               (whole.complete && whole.bytes.size() != pieces.bytes.size()))) {
    std::abort();
  }
  if (decoded_size_hint(format, stream) && sniff(stream) != format) std::abort();
}

}  // namespace curlingiron
