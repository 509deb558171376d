// What stands at a file's end and says what is in it, read before anything is written, where the
// file's bytes can be had in any order. Few reads, of few bytes: the file may be on a server.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "io/decode.h"
#include "io/source.h"

namespace curlingiron {

struct Ending {
  // Bytes of the decoded image. The least: gzip(1) and old zip packers write a size modulo 2^32.
  std::optional<uint64_t> exact_size;
  std::optional<uint64_t> least_size;
  std::string_view known_by;  // "the index at its end"; empty: its end says nothing of the size
  // Of a zip archive: the one file in it that is a disk image.
  std::string member;
  std::optional<ZipEntry> entry;          // where its packed size is exact
  std::optional<uint64_t> member_offset;  // else: of its local header
};

// Errors are of the file: cut off, more after its end than `limits` let pass, two disk images in
// one archive, an Apple disk image, a virtual hard disk of another size than the bytes before its
// footer; and of reading it (kUnreadable).
// Whether there is anything at the end of a file of that format.
bool has_ending(Format format);
inline constexpr int kUnreadable = 5;  // EIO
Result<Ending> read_ending(Format format, RandomSource& file, const DecodeLimits& limits);

}  // namespace curlingiron
