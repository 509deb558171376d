#include "net/http/same_file.h"

#include <algorithm>
#include <cstring>

namespace curlingiron {

void StreamTail::add(uint64_t at, ConstBytes bytes) {
  if (bytes.size() > ring_.size()) {
    at += bytes.size() - ring_.size();
    bytes = bytes.last(ring_.size());
  }
  while (!bytes.empty()) {
    auto start = static_cast<size_t>(at % ring_.size());
    size_t count = std::min(bytes.size(), ring_.size() - start);
    std::memcpy(ring_.data() + start, bytes.data(), count);
    bytes = bytes.subspan(count);
    at += count;
  }
}

std::optional<uint64_t> StreamTail::differs(uint64_t at, ConstBytes bytes) const {
  for (uint8_t byte : bytes) {
    if (ring_[static_cast<size_t>(at % ring_.size())] != byte) return at;
    ++at;
  }
  return std::nullopt;
}

void StreamMemory::add(uint64_t at, ConstBytes bytes) {
  if (digest_) digest_->update(bytes);
  if (tail_) tail_->add(at, bytes);
}

void StreamMemory::begin_comparison(bool whole) {
  again_.reset();
  if (whole && digest_) again_.emplace();
}

std::optional<StreamMemory::Difference> StreamMemory::compare(uint64_t at, ConstBytes bytes,
                                                              uint64_t end) {
  uint64_t kept = end - std::min<uint64_t>(end, kOverlap);
  if (tail_ && at + bytes.size() > kept) {
    // Of a whole that is read again the end is in the tail, too.
    uint64_t from = std::max(at, kept);
    std::optional<uint64_t> other =
        tail_->differs(from, bytes.subspan(static_cast<size_t>(from - at)));
    if (other) return Difference{other};
  }
  if (!again_) return std::nullopt;
  again_->update(bytes);
  bool all = at + bytes.size() == end;
  if (all && again_->value() != digest_->value()) return Difference{std::nullopt};
  return std::nullopt;
}

}  // namespace curlingiron
