// Sources that behave as networks do.
#pragma once

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>

#include "io/source.h"
#include "support/random_bytes.h"

namespace curlingiron {

// Hands out at most `largest` bytes at a time, fails after `fail_after` bytes, and counts reads
// after the end.
class DripSource final : public Source {
 public:
  DripSource(ConstBytes bytes, size_t largest, std::optional<size_t> fail_after = std::nullopt)
      : bytes_(bytes), largest_(largest), fail_after_(fail_after) {}

  Result<size_t> read(MutableBytes into) override {
    ++reads;
    if (into.empty()) ++empty_reads;
    size_t end = fail_after_ ? std::min(*fail_after_, bytes_.size()) : bytes_.size();
    size_t n = std::min({into.size(), largest_, end - position});
    if (n == 0) {
      if (fail_after_) return Error("the connection was reset", ECONNRESET);
      ++reads_at_end;
      return size_t{0};
    }
    std::memcpy(into.data(), bytes_.data() + position, n);
    position += n;
    return n;
  }

  size_t position = 0;
  size_t reads = 0;
  size_t empty_reads = 0;
  size_t reads_at_end = 0;

 private:
  ConstBytes bytes_;
  size_t largest_;
  std::optional<size_t> fail_after_;
};

inline Result<ByteVector> read_all(Source& source, size_t chunk = 65536) {
  ByteVector all;
  ByteVector piece(chunk);
  for (;;) {
    size_t n = TRY(source.read(piece));
    if (n == 0) return all;
    all.resize(all.size() + n);
    std::copy_n(piece.data(), n, all.data() + all.size() - n);
  }
}

}  // namespace curlingiron
