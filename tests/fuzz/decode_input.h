// Decodes fuzzed bytes in pieces whose sizes the input chooses, twice, once on one thread and once
// on several: the outcome must not depend on how the bytes arrive, and nothing may be written
// after the buffer (assembler is not watched by the sanitizers).
#pragma once

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <optional>

#include "base/units.h"
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
inline Decoded read_pieces(Source& source, size_t chunk, size_t limit) {
  constexpr size_t kGuard = 64;
  constexpr uint8_t kGuardByte = 0xa5;
  Decoded decoded;
  ByteVector piece(chunk + kGuard, kGuardByte);
  while (decoded.bytes.size() < limit) {
    // Holes are passed over every other time.
    uint64_t zeros = decoded.bytes.size() % 2 == 0 ? source.zeros_ahead() : 0;
    zeros = std::min<uint64_t>(zeros, limit - decoded.bytes.size());
    source.skip_zeros(zeros);
    decoded.bytes.insert(decoded.bytes.end(), static_cast<size_t>(zeros), 0);
    Result<size_t> n = source.read(MutableBytes(piece).first(chunk));
    if (std::any_of(piece.end() - kGuard, piece.end(),
                    [](uint8_t byte) { return byte != kGuardByte; })) {
      std::abort();
    }
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

inline Decoded decode_pieces(Format format, ConstBytes input, size_t largest, size_t chunk,
                             size_t limit, unsigned threads = 1) {
  constexpr uint64_t kMemory = 256_MiB;
  PiecesSource inner(input, largest);
  Result<std::unique_ptr<Source>> source = open_decoder(format, inner, {kMemory, threads});
  if (!source.ok()) std::abort();
  return read_pieces(*source.value(), chunk, limit);
}

inline void expect_same(const Decoded& a, const Decoded& b, size_t limit) {
  size_t common = std::min({a.bytes.size(), b.bytes.size(), limit});
  if (!std::equal(a.bytes.begin(), a.bytes.begin() + static_cast<ptrdiff_t>(common),
                  b.bytes.begin())) {
    std::abort();
  }
  bool cut = a.bytes.size() >= limit || b.bytes.size() >= limit;
  if (!cut && (a.complete != b.complete || (a.complete && a.bytes.size() != b.bytes.size()))) {
    std::abort();
  }
}

inline constexpr size_t kDecodedLimit = size_t{1} << 20;

// The first byte chooses the sizes of the pieces and the threads, the rest is the stream. What it
// decodes to, where it is not empty.
inline Decoded fuzz_decoder(Format format, ConstBytes input) {
  if (input.empty()) return {};
  size_t largest = 1 + input[0] % 64;
  unsigned threads = input[0] >= 0xc0 ? 2 : 1;
  ConstBytes stream = input.subspan(1);
  Decoded whole = decode_pieces(format, stream, stream.size() + 1, 65536, kDecodedLimit, 1);
  Decoded pieces = decode_pieces(format, stream, largest, 1 + input[0], kDecodedLimit, threads);
  expect_same(whole, pieces, kDecodedLimit);
  if (decoded_size_hint(format, stream) && sniff(stream) != format) std::abort();
  return whole;
}

}  // namespace curlingiron
