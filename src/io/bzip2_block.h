// One block of a bzip2 stream (bzip2 1.0.8's format): Huffman codes, move to front, the inverse
// Burrows-Wheeler transform and run lengths. Accepts what libbz2 does, in half the time.
#pragma once

#include <cstdint>
#include <memory>

#include "base/bytes.h"

namespace curlingiron {

class Bzip2Block {
 public:
  // The bits in front of the block's content: a mark of 48 and a CRC of 32.
  static constexpr unsigned kMarkBits = 48;
  static constexpr unsigned kCrcBits = 32;

  enum class Outcome {
    Complete,
    Cut,    // the block goes on after the bits
    Wrong,  // no bits after these make it right
  };

  // Reads the block that begins with its mark at bit `begin` and must end at bit `end` (the first
  // byte's highest bit is 0). `bytes` is not needed afterwards.
  Outcome parse(ConstBytes bytes, uint64_t begin, uint64_t end);

  // After Complete: decodes into `into`; fewer bytes than fit only at the block's end.
  size_t decode(MutableBytes into);
  // At the end: whether what was decoded is what was compressed.
  bool is_right() const {
    return given_ == length_ && repeats_ == 0 && same_ != 4 && crc_ == stored_crc_;
  }
  uint32_t crc() const { return stored_crc_; }
  // After Complete: bytes before run lengths are expanded, which the stream's level bounds.
  uint32_t length() const { return length_; }

 private:
  static constexpr uint32_t kMostLength = 900'000;

  class Bits;
  struct Code;
  struct Tables;

  Outcome parse_symbols(Bits& bits);
  void link(const uint32_t (&counts)[256]);
  template <bool kRandomised>
  size_t expand(MutableBytes into);

  // Low 8 bits: a byte of the transformed block. The others: where its successor is.
  std::unique_ptr<uint32_t[]> links_;
  uint32_t length_ = 0;
  uint32_t origin_ = 0;
  bool randomised_ = false;
  uint32_t stored_crc_ = 0;

  // Of the output.
  uint32_t crc_ = 0;
  uint32_t given_ = 0;  // of length_
  uint32_t next_ = 0;   // the link to follow
  int last_ = -1;       // the byte before, and how often it came
  unsigned same_ = 0;
  unsigned repeats_ = 0;  // of last_, still to be written
  unsigned random_index_ = 0;
  unsigned random_left_ = 0;
};

}  // namespace curlingiron
