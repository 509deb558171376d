// Small Sources that stand on another Source.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "base/bytes.h"
#include "base/result.h"
#include "io/digest.h"
#include "io/source.h"
#include "sys/fd.h"

namespace curlingiron {

class MemorySource final : public Source {
 public:
  explicit MemorySource(ConstBytes bytes) : rest_(bytes) {}
  Result<size_t> read(MutableBytes into) override;

 private:
  ConstBytes rest_;
};

class FileSource final : public Source {
 public:
  explicit FileSource(UniqueFd fd) : fd_(std::move(fd)) {}
  Result<size_t> read(MutableBytes into) override;

 private:
  UniqueFd fd_;
};

// Lets the first bytes be looked at before they are read.
class PeekSource final : public Source {
 public:
  explicit PeekSource(Source& inner) : inner_(inner) {}
  // The next bytes, up to `count` (at most 4 MiB); fewer only where the stream ends. Does not
  // consume.
  Result<ConstBytes> peek(size_t count);
  Result<size_t> read(MutableBytes into) override;

 private:
  Source& inner_;
  ByteVector held_;
  size_t used_ = 0;
};

// Feeds all that passes through to a digest.
class DigestSource final : public Source {
 public:
  DigestSource(Source& inner, Sha256& digest) : inner_(inner), digest_(digest) {}
  Result<size_t> read(MutableBytes into) override;

 private:
  Source& inner_;
  Sha256& digest_;
};

// Pulls from `inner` on a thread of its own, up to kReadAhead bytes ahead: network and decoder
// overlap. The destructor waits for the read that is under way.
class ReadAheadSource final : public Source {
 public:
  static Result<std::unique_ptr<ReadAheadSource>> start(Source& inner);
  ~ReadAheadSource() override;
  Result<size_t> read(MutableBytes into) override;

 private:
  struct State;
  explicit ReadAheadSource(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace curlingiron
