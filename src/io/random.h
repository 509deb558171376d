// Files and memory as RandomSources.
#pragma once

#include <memory>

#include "base/units.h"
#include "io/source.h"
#include "sys/fd.h"

namespace curlingiron {

class MemoryRandomSource final : public RandomSource {
 public:
  explicit MemoryRandomSource(ConstBytes bytes) : bytes_(bytes) {}
  uint64_t size() const override { return bytes_.size(); }
  bool is_local() const override { return true; }
  Result<void> read_at(uint64_t offset, MutableBytes into) override;

 private:
  ConstBytes bytes_;
};

// What the kernel is asked to read ahead of the reader within an expected run.
inline constexpr uint64_t kFileReadAhead = 8_MiB;

// A file, or a block device.
class FileRandomSource final : public RandomSource {
 public:
  // The size is the one at this moment; a pipe, which has none, is an error.
  static Result<std::unique_ptr<FileRandomSource>> open(UniqueFd fd);
  uint64_t size() const override { return size_; }
  bool is_local() const override { return true; }
  Result<void> read_at(uint64_t offset, MutableBytes into) override;
  void expect(uint64_t offset, uint64_t length) override;

 private:
  FileRandomSource(UniqueFd fd, uint64_t size) : fd_(std::move(fd)), size_(size) {}
  void read_ahead(uint64_t position);

  UniqueFd fd_;
  uint64_t size_;
  // The expected run: [asked_, run_end_) has not been asked of the kernel yet.
  uint64_t run_start_ = 0;
  uint64_t run_end_ = 0;
  uint64_t asked_ = 0;
};

}  // namespace curlingiron
