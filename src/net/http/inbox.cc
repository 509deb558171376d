#include "net/http/inbox.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace curlingiron {

size_t Inbox::take(MutableBytes into) {
  size_t count = std::min(end_ - begin_, into.size());
  if (count > 0) std::memcpy(into.data(), buffer_.data() + begin_, count);
  begin_ += count;
  if (begin_ == end_) clear();
  return count;
}

void Inbox::begin_read(MutableBytes space) {
  space_ = space;
  filled_ = 0;
}

size_t Inbox::end_read() {
  space_ = {};
  return std::exchange(filled_, 0);
}

void Inbox::put(ConstBytes bytes) {
  size_t direct = std::min(bytes.size(), space_.size() - filled_);
  if (direct > 0) std::memcpy(space_.data() + filled_, bytes.data(), direct);
  filled_ += direct;
  bytes = bytes.subspan(direct);
  if (!bytes.empty()) std::memcpy(buffer_.data() + end_, bytes.data(), bytes.size());
  end_ += bytes.size();
}

}  // namespace curlingiron
