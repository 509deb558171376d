// What is kept in memory to be read again: files without their zeros.
#pragma once

#include <atomic>
#include <memory>

#include "io/source.h"
#include "sys/fd.h"

namespace curlingiron {

// Keeps all that passes through in memory, to be read again.
class KeepingSource final : public Source {
 public:
  // More than `most` bytes that are not zeros are an error.
  static Result<std::unique_ptr<KeepingSource>> start(Source& inner, uint64_t most);
  Result<size_t> read(MutableBytes into) override;
  // All that has passed. Nothing may pass any more.
  Result<UniqueFd> take();

 private:
  KeepingSource(Source& inner, uint64_t most, UniqueFd memory)
      : inner_(inner), most_(most), memory_(std::move(memory)) {}

  Source& inner_;
  uint64_t most_;
  uint64_t kept_ = 0;  // of size_: what is no hole
  uint64_t size_ = 0;
  UniqueFd memory_;
};

// What is handed in, copied into memory on a thread of its own: whoever makes it goes on meanwhile.
class SparseCopy {
 public:
  // At most `most` bytes that are not zeros.
  static Result<std::unique_ptr<SparseCopy>> start(uint64_t most);
  ~SparseCopy();
  // Takes the first `size` bytes of `chunk`, and leaves one of the same length with any bytes in
  // its place. Chunks are all of one length. False where they do not fit: then it is of no use any
  // more.
  bool add(ByteVector& chunk, size_t size);
  void add_zeros(uint64_t count);
  // All of it, once it is there; no descriptor where it did not fit. Nothing may be added any more.
  Result<UniqueFd> finish();

 private:
  struct State;
  explicit SparseCopy(std::unique_ptr<State> state);
  // All that was handed in is copied after it.
  void stop();

  std::unique_ptr<State> state_;
};

// A file from its first byte, wherever its descriptor stands (pread(2)). Holes are shown as zeros
// ahead. Its position is readable from another thread.
class SparseFileSource final : public Source {
 public:
  static Result<std::unique_ptr<SparseFileSource>> open(UniqueFd fd);
  Result<size_t> read(MutableBytes into) override;
  uint64_t zeros_ahead() override;
  void skip_zeros(uint64_t count) override;
  uint64_t size() const { return size_; }
  uint64_t position() const { return position_.load(std::memory_order_relaxed); }

 private:
  SparseFileSource(UniqueFd fd, uint64_t size) : fd_(std::move(fd)), size_(size) {}

  UniqueFd fd_;
  uint64_t size_;
  std::atomic<uint64_t> position_{0};
  uint64_t data_end_ = 0;  // up to there no hole is looked for
};

}  // namespace curlingiron
