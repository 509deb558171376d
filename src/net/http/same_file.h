// Whether bytes that come again are those that were received before. What is kept for that is
// chosen by what may have to be compared: hashing and copying cost as much as receiving.
#pragma once

#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "io/xxh3.h"
#include "net/http/options.h"

namespace curlingiron {

// The last kOverlap bytes of a stream.
class StreamTail {
 public:
  StreamTail() : ring_(kOverlap) {}
  void add(uint64_t at, ConstBytes bytes);
  // The position of the first byte that differs from what was at `at`, which is not further back
  // than kOverlap.
  std::optional<uint64_t> differs(uint64_t at, ConstBytes bytes) const;

 private:
  ByteVector ring_;
};

// All bytes of a stream so far, by digest, by their tail, or not at all.
class StreamMemory {
 public:
  void keep_digest() { digest_.emplace(); }
  void keep_tail() { tail_.emplace(); }
  bool has_digest() const { return digest_.has_value(); }
  bool has_tail() const { return tail_.has_value(); }

  // Bytes that come for the first time, from `at` on, which is the end of those added before.
  void add(uint64_t at, ConstBytes bytes);

  // The bytes from the start of a request on come again; `whole`: from the first of the stream.
  void begin_comparison(bool whole);
  struct Difference {
    std::optional<uint64_t> at;  // nullopt: somewhere before the end
  };
  // `bytes` came again at `at`, in order; all of them lie before `end`, the end of what was added.
  // A difference shows at the latest with the last byte before `end`.
  std::optional<Difference> compare(uint64_t at, ConstBytes bytes, uint64_t end);

 private:
  std::optional<Xxh3> digest_;
  std::optional<StreamTail> tail_;
  std::optional<Xxh3> again_;  // of what came again, from the first byte of the stream on
};

}  // namespace curlingiron
