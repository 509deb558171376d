// Reading what may be compressed on the old system: modules (.ko, .ko.xz, .ko.zst, .ko.gz) and
// firmware.
#pragma once

#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"
#include "sys/fd.h"

namespace curlingiron {

inline constexpr size_t kMaxModuleSize = size_t{256} << 20;

// Plain bytes of a gzip, xz or zstd file, known by its magic; anything else is returned as it is.
// More than `limit` bytes, truncation and a bad checksum are errors.
Result<ByteVector> decompress_whole(ByteVector file, size_t limit);

// The file's plain bytes. Bound: kMaxModuleSize, compressed and not.
Result<ByteVector> read_plain_file(const UniqueFd& root, const std::string& path);

}  // namespace curlingiron
