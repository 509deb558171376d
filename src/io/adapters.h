// Sources on top of memory, files and other Sources.
#pragma once

#include <atomic>
#include <memory>
#include <optional>

#include "base/units.h"
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

inline constexpr size_t kPeekLimit = 4_MiB;

// Lets the first bytes be looked at before they are read.
class PeekSource final : public Source {
 public:
  explicit PeekSource(Source& inner) : inner_(inner) {}
  // The next bytes, up to `count` (at most kPeekLimit); fewer only where the stream ends. Does not
  // consume. The view holds until the next call on this source.
  Result<ConstBytes> peek(size_t count);
  Result<size_t> read(MutableBytes into) override;
  uint64_t zeros_ahead() override { return held_.empty() && !ended_ ? inner_.zeros_ahead() : 0; }
  void skip_zeros(uint64_t count) override { inner_.skip_zeros(count); }

 private:
  Source& inner_;
  ByteVector held_;
  size_t used_ = 0;     // of held_, already read
  bool ended_ = false;  // peek() saw the end: the inner source is not asked again
};

// Feeds all that passes through to a digest.
class DigestSource final : public Source {
 public:
  DigestSource(Source& inner, MessageDigest& digest) : inner_(inner), digest_(digest) {}
  Result<size_t> read(MutableBytes into) override;
  uint64_t zeros_ahead() override { return inner_.zeros_ahead(); }
  void skip_zeros(uint64_t count) override;

 private:
  Source& inner_;
  MessageDigest& digest_;
};

// Counts what passes through; readable from another thread.
class CountingSource final : public Source {
 public:
  explicit CountingSource(Source& inner) : inner_(inner) {}
  Result<size_t> read(MutableBytes into) override;
  uint64_t count() const { return count_.load(std::memory_order_relaxed); }

 private:
  Source& inner_;
  std::atomic<uint64_t> count_{0};
};

inline constexpr size_t kReadAhead = 4_MiB;

// Pulls from `inner` on a thread of its own, up to kReadAhead bytes ahead: network and decoder
// overlap. An error of `inner` is handed on after the bytes that came before it, and stays. The
// destructor waits for the inner read that is under way.
class ReadAheadSource final : public Source {
 public:
  static Result<std::unique_ptr<ReadAheadSource>> start(Source& inner);
  ~ReadAheadSource() override;
  Result<size_t> read(MutableBytes into) override;
  // What the inner source failed with, known before the reader comes to it.
  std::optional<Error> failure() const;
  // The reader has all that came: it waits for the inner source. From any thread.
  bool is_starved() const;

 private:
  struct State;
  explicit ReadAheadSource(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace curlingiron
