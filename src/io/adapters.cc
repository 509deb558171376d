#include "io/adapters.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/advice.h"
#include "base/text.h"
#include "base/units.h"

namespace curlingiron {
namespace {

size_t copy_prefix(ConstBytes from, MutableBytes into) {
  size_t n = std::min(from.size(), into.size());
  if (n != 0) std::memcpy(into.data(), from.data(), n);
  return n;
}

}  // namespace

Result<size_t> MemorySource::read(MutableBytes into) {
  size_t n = copy_prefix(rest_, into);
  rest_ = rest_.subspan(n);
  return n;
}

Result<size_t> FileSource::read(MutableBytes into) { return read_some(fd_, into); }

Result<ConstBytes> PeekSource::peek(size_t count) {
  count = std::min(count, kPeekLimit);
  if (used_ != 0) {
    held_.erase(held_.begin(), held_.begin() + static_cast<ptrdiff_t>(used_));
    used_ = 0;
  }
  size_t filled = held_.size();
  if (filled < count && !ended_) {
    held_.resize(count);
    while (filled < count) {
      Result<size_t> n = inner_.read(MutableBytes(held_).subspan(filled));
      if (!n.ok()) {
        held_.resize(filled);  // What came before the error stays readable.
        return n.error();
      }
      if (n.value() == 0) {
        ended_ = true;
        break;
      }
      filled += n.value();
    }
    held_.resize(filled);
  }
  return ConstBytes(held_).first(std::min(count, held_.size()));
}

Result<size_t> PeekSource::read(MutableBytes into) {
  if (used_ < held_.size()) {
    size_t n = copy_prefix(ConstBytes(held_).subspan(used_), into);
    used_ += n;
    if (used_ == held_.size()) {  // The rest of the stream passes without a copy.
      held_ = ByteVector();
      used_ = 0;
    }
    return n;
  }
  if (ended_) return size_t{0};
  return inner_.read(into);
}

Result<size_t> CountingSource::read(MutableBytes into) {
  size_t n = TRY(inner_.read(into));
  count_.fetch_add(n, std::memory_order_relaxed);
  return n;
}

Result<std::unique_ptr<KeepingSource>> KeepingSource::start(Source& inner, uint64_t most) {
  UniqueFd memory = TRY(create_memory_file("image"));
  return std::unique_ptr<KeepingSource>(new KeepingSource(inner, most, std::move(memory)));
}

Result<size_t> KeepingSource::read(MutableBytes into) {
  size_t n = TRY(inner_.read(into));
  if (n > most_ - kept_) {
    return Error(concat("is longer than the ", format_size(most_),
                        " that memory holds, so that it cannot be proven first; leave out ",
                        as_typed("prove=first")),
                 ENOMEM);
  }
  TRY(write_all(memory_, into.first(n)));
  kept_ += n;
  return n;
}

Result<std::unique_ptr<SparseCopy>> SparseCopy::create(uint64_t most) {
  UniqueFd memory = TRY(create_memory_file("image"));
  return std::unique_ptr<SparseCopy>(new SparseCopy(most, std::move(memory)));
}

bool SparseCopy::add(ConstBytes bytes) {
  constexpr size_t kPiece = 64_KiB;
  while (!bytes.empty()) {
    // Up to the next boundary, where holes may begin and end.
    size_t n = std::min(bytes.size(), kPiece - static_cast<size_t>(size_ % kPiece));
    ConstBytes piece = bytes.first(n);
    if (!all_zero(piece)) {
      kept_ += n;
      if (kept_ > most_ || !pwrite_all(memory_, piece, size_).ok()) return false;
    }
    size_ += n;
    bytes = bytes.subspan(n);
  }
  return true;
}

Result<UniqueFd> SparseCopy::finish() {
  TRY(resize_file(memory_, size_));
  return std::move(memory_);
}

Result<std::unique_ptr<SparseFileSource>> SparseFileSource::open(UniqueFd fd) {
  uint64_t size = TRY(seek_end(fd));
  return std::unique_ptr<SparseFileSource>(new SparseFileSource(std::move(fd), size));
}

Result<size_t> SparseFileSource::read(MutableBytes into) {
  auto n = static_cast<size_t>(std::min<uint64_t>(into.size(), size_ - position()));
  TRY(pread_exact(fd_, into.first(n), position()));
  position_.fetch_add(n, std::memory_order_relaxed);
  return n;
}

uint64_t SparseFileSource::zeros_ahead() {
  // One question for as much as a reader takes at once.
  constexpr uint64_t kStep = 1_MiB;
  uint64_t at = position();
  if (at < data_end_ || at == size_) return 0;
  Result<std::optional<uint64_t>> data = seek_data(fd_, at);
  if (!data.ok()) return 0;
  uint64_t next = data.value().value_or(size_);
  if (next == at) data_end_ = at + kStep;
  return next - at;
}

void SparseFileSource::skip_zeros(uint64_t count) {
  position_.fetch_add(count, std::memory_order_relaxed);
}

Result<size_t> DigestSource::read(MutableBytes into) {
  size_t n = TRY(inner_.read(into));
  digest_.update(into.first(n));
  return n;
}

void DigestSource::skip_zeros(uint64_t count) {
  inner_.skip_zeros(count);
  digest_.update_zeros(count);
}

}  // namespace curlingiron
