// Raw deflate (RFC 1951) by ISA-L, for gzip and zip.
#pragma once

#include <memory>

#include "base/bytes.h"
#include "base/result.h"
#include "io/decoder.h"

struct inflate_state;

namespace curlingiron {

class Inflater {
 public:
  Inflater();
  ~Inflater();

  // A new stream begins.
  void reset();

  // Decodes from `input` into `into`. 0: more input is needed, or the stream has ended(); then
  // `input` begins with the byte after it. Errors say only what is wrong.
  Result<size_t> decode(CompressedInput& input, MutableBytes into);
  bool ended() const { return ended_; }
  // Decoded bytes may still wait: do not ask for more input yet.
  bool output_pending() const { return output_pending_; }

 private:
  std::unique_ptr<inflate_state> state_;
  bool ended_ = false;
  bool output_pending_ = false;
};

// CRC-32 as in gzip and zip (RFC 1952, 8), of more bytes after those that gave `crc` (0: none).
uint32_t deflate_crc32(uint32_t crc, ConstBytes bytes);

}  // namespace curlingiron
