// BLAKE2b with 64 bytes of digest and no key (RFC 7693).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/bytes.h"

namespace curlingiron {

class Blake2b512 {
 public:
  Blake2b512();
  void update(ConstBytes bytes);
  std::array<uint8_t, 64> finish();  // once

 private:
  static constexpr size_t kBlock = 128;

  void compress(const uint8_t* block, bool last);

  std::array<uint64_t, 8> state_;
  uint64_t count_ = 0;  // bytes, up to the block that is compressed
  std::array<uint8_t, kBlock> pending_{};
  size_t pending_size_ = 0;
};

}  // namespace curlingiron
