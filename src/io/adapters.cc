#include "io/adapters.h"

#include <algorithm>
#include <cstring>

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
