#include "formats/lzo1x.h"

#include <algorithm>
#include <cstdint>

namespace curlingiron {
namespace {

constexpr uint8_t kFirstRun = 17;       // a first byte above it: so many literals more than that
constexpr size_t kLongRun = 4;          // literals from which on what follows is read otherwise
constexpr size_t kFar = 16384;          // the distances of the last form begin after it
constexpr size_t kAfterLongRun = 2048;  // those of three bytes after a long run, after this
constexpr size_t kEndLength = 3;        // of the match that is none; LZO's own library takes any

class Block {
 public:
  Block(ConstBytes in, MutableBytes out) : in_(in), out_(out) {}

  Result<size_t> decode() {
    size_t run = 0;  // of literals that the last instruction ended with
    uint8_t code = TRY(in_.u8());
    if (code > kFirstRun) {
      run = code - kFirstRun;
      TRY(copy_literals(run));
      code = TRY(in_.u8());
    }
    for (;; code = TRY(in_.u8())) {
      size_t length = 0;
      size_t distance = 0;
      if (code >= 64) {
        length = (code >> 5) + size_t{1};
        distance = (size_t{TRY(in_.u8())} << 3) + (code >> 2 & 7) + 1;
        run = code & 3;
      } else if (code >= 32) {
        length = TRY(number(code & 31, 31)) + 2;
        uint16_t word = TRY(in_.le16());
        distance = (word >> 2) + size_t{1};
        run = word & 3;
      } else if (code >= 16) {
        length = TRY(number(code & 7, 7)) + 2;
        uint16_t word = TRY(in_.le16());
        distance = kFar + (size_t{code & 8U} << 11) + (word >> 2);
        run = word & 3;
        if (distance == kFar) return end(length);
      } else if (run == 0) {
        run = TRY(number(code, 15)) + 3;
        TRY(copy_literals(run));
        continue;
      } else {
        length = run < kLongRun ? 2 : 3;
        distance =
            (size_t{TRY(in_.u8())} << 2) + (code >> 2) + 1 + (run < kLongRun ? 0 : kAfterLongRun);
        run = code & 3;
      }
      TRY(copy_match(length, distance));
      TRY(copy_literals(run));
    }
  }

 private:
  // A length whose bits are zero is `most`, 255 for each zero byte that follows, and the first
  // other.
  Result<size_t> number(size_t bits, size_t most) {
    if (bits != 0) return bits;
    size_t value = most;
    for (;;) {
      uint8_t byte = TRY(in_.u8());
      if (byte != 0) return value + byte;
      value += 255;
      if (value > out_.size()) return Error("a length beyond the block");
    }
  }

  Result<void> copy_literals(size_t count) {
    if (count > out_.size() - at_) return Error("more data than the block may hold");
    ConstBytes bytes = TRY(in_.take(count));
    std::ranges::copy(bytes, out_.begin() + static_cast<ptrdiff_t>(at_));
    at_ += count;
    return {};
  }

  // May overlap: each byte can be one that was written just before.
  Result<void> copy_match(size_t length, size_t distance) {
    if (distance > at_) return Error("a distance before the block");
    if (length > out_.size() - at_) return Error("more data than the block may hold");
    for (; length != 0; --length, ++at_) out_[at_] = out_[at_ - distance];
    return {};
  }

  Result<size_t> end(size_t length) {
    if (length != kEndLength) return Error("an end mark of another length");
    if (!in_.at_end()) return Error("data after the end mark");
    return at_;
  }

  ByteReader in_;
  MutableBytes out_;
  size_t at_ = 0;
};

}  // namespace

Result<size_t> decode_lzo1x(ConstBytes block, MutableBytes out) {
  return Block(block, out).decode();
}

}  // namespace curlingiron
