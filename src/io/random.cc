#include "io/random.h"

#include <algorithm>
#include <cstring>

#include "base/text.h"

namespace curlingiron {
namespace {

Result<void> check_range(uint64_t size, uint64_t offset, uint64_t length) {
  if (offset <= size && length <= size - offset) return {};
  return Error(
      concat("read of ", length, " bytes at byte ", offset, ": the file ends at byte ", size));
}

}  // namespace

Result<void> MemoryRandomSource::read_at(uint64_t offset, MutableBytes into) {
  TRY(check_range(bytes_.size(), offset, into.size()));
  if (into.empty()) return {};
  std::memcpy(into.data(), bytes_.data() + offset, into.size());
  return {};
}

Result<std::unique_ptr<FileRandomSource>> FileRandomSource::open(UniqueFd fd) {
  uint64_t size = TRY(seek_end(fd));
  return std::unique_ptr<FileRandomSource>(new FileRandomSource(std::move(fd), size));
}

Result<void> FileRandomSource::read_at(uint64_t offset, MutableBytes into) {
  TRY(check_range(size_, offset, into.size()));
  read_ahead(offset + into.size());
  return pread_exact(fd_, into, offset);
}

void FileRandomSource::expect(uint64_t offset, uint64_t length) {
  run_start_ = std::min(offset, size_);
  run_end_ = run_start_ + std::min(length, size_ - run_start_);
  asked_ = run_start_;
}

// In steps of half the window: the kernel's own read-ahead (128 KiB by default) would start anew at
// each gap, and a whole run at once could push everything else out of the cache.
void FileRandomSource::read_ahead(uint64_t position) {
  if (position < run_start_ || position > run_end_) return;
  uint64_t wanted = std::min(run_end_, position + kFileReadAhead);
  if (wanted <= asked_ || (wanted < run_end_ && wanted - asked_ < kFileReadAhead / 2)) return;
  will_need(fd_, asked_, wanted - asked_);
  asked_ = wanted;
}

}  // namespace curlingiron
