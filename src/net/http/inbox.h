// What has arrived and was not read yet: first in the space of the reader who waits, then in a
// buffer.
#pragma once

#include <cstddef>

#include "base/bytes.h"

namespace curlingiron {

class Inbox {
 public:
  explicit Inbox(size_t buffer_size) : buffer_(buffer_size) {}

  // What waits in the buffer, as far as it fits; 0: nothing waits.
  size_t take(MutableBytes into);
  // A reader waits: what comes now goes into `space`, and then into the buffer.
  void begin_read(MutableBytes space);
  // The reader waits no longer. Bytes in its space.
  size_t end_read();

  bool has_reader() const { return !space_.empty(); }
  bool has_bytes() const { return filled_ > 0; }  // in the reader's space
  bool is_full() const { return filled_ > 0 && filled_ == space_.size(); }
  size_t room() const { return space_.size() - filled_ + (buffer_.size() - end_); }
  void put(ConstBytes bytes);  // at most room()
  void clear() { begin_ = end_ = 0; }

 private:
  ByteVector buffer_;
  size_t begin_ = 0;
  size_t end_ = 0;
  MutableBytes space_;
  size_t filled_ = 0;
};

}  // namespace curlingiron
