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
};

class Sink {
 public:
  virtual ~Sink() = default;
  virtual Result<void> write(ConstBytes bytes) = 0;
  // What was written is complete: flush it. Without it, the destructor abandons.
  virtual Result<void> finish() = 0;
};

// Fills `into` from the source; fewer bytes only where the stream ends.
Result<size_t> read_full(Source& source, MutableBytes into);

}  // namespace curlingiron
