// The first bytes of file systems for tests, written from their specifications.
#pragma once

#include <algorithm>
#include <string_view>

#include "base/bytes.h"

namespace curlingiron {

inline void put(ByteVector& disk, size_t offset, std::string_view bytes) {
  std::copy(bytes.begin(), bytes.end(), disk.begin() + static_cast<ptrdiff_t>(offset));
}

inline void put_le16(ByteVector& disk, size_t offset, uint32_t value) {
  disk[offset] = static_cast<uint8_t>(value);
  disk[offset + 1] = static_cast<uint8_t>(value >> 8);
}

inline void put_fat(ByteVector& disk, size_t at, uint32_t sector) {
  put(disk, at, "\xeb\x3c\x90mkfs.fat");
  put_le16(disk, at + 11, sector);
  disk[at + 13] = 4;           // sectors per cluster
  put_le16(disk, at + 14, 1);  // reserved sectors
  disk[at + 16] = 2;           // tables
  disk[at + 21] = 0xf8;        // media
  put(disk, at + 510, "\x55\xaa");
}

inline void put_ext4(ByteVector& disk, size_t at, uint32_t block) {
  for (uint8_t shift = 0; (1024u << shift) < block; ++shift) disk[at + 1024 + 24] = shift + 1;
  put(disk, at + 1024 + 56, "\x53\xef");
}

inline void put_xfs(ByteVector& disk, size_t at, uint32_t sector) {
  put(disk, at, "XFSB");
  disk[at + 102] = static_cast<uint8_t>(sector >> 8);
  disk[at + 103] = static_cast<uint8_t>(sector);
}

}  // namespace curlingiron
