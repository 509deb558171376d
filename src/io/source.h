// Streams of bytes: a Source is pulled, a Sink is pushed. Adapters borrow what they stand on.
#pragma once

#include "base/bytes.h"
#include "base/result.h"

namespace curlingiron {

class Source {
 public:
  virtual ~Source() = default;
  // At least one byte, at most into.size() (> 0). 0 only at the proven end of the stream: a stream
  // that stops short of its declared length, or of its format's end mark, is an error.
  virtual Result<size_t> read(MutableBytes into) = 0;

  // How many of the next bytes are zeros that cost nothing to know: a hole of a virtual disk. 0
  // says nothing. read() gives them as any others; skip_zeros() passes over `count` of them.
  virtual uint64_t zeros_ahead() { return 0; }
  virtual void skip_zeros(uint64_t /*count: at most zeros_ahead()*/) {}
};

class Sink {
 public:
  virtual ~Sink() = default;
  virtual Result<void> write(ConstBytes bytes) = 0;
  // What was written is complete: flush it. Without it, the destructor abandons.
  virtual Result<void> finish() = 0;
};

// A file whose bytes can be had in any order: on a disk, in memory, or on a server that honours
// Range.
class RandomSource {
 public:
  virtual ~RandomSource() = default;
  virtual uint64_t size() const = 0;
  // Fills `into` with the bytes from `offset` on; all of them must be within size().
  virtual Result<void> read_at(uint64_t offset, MutableBytes into) = 0;
  // Thousands of small reads cost next to nothing.
  virtual bool is_local() const { return false; }
  // A hint: the `length` bytes from `offset` on will be read next, in order and with small gaps. A
  // server is then asked once for all of them.
  virtual void expect(uint64_t /*offset*/, uint64_t /*length*/) {}
};

// Fills `into` from the source; fewer bytes only where the stream ends.
Result<size_t> read_full(Source& source, MutableBytes into);

}  // namespace curlingiron
