// What a zip archive says at its end of all that is in it (PKWARE's APPNOTE.TXT 6.3.10, 4.3.12
// to 4.3.16): read there, where a file's end can be had, before anything of it is decoded.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace curlingiron {

struct ZipEntry {
  std::string name;         // its bytes as they are: UTF-8, or a code page of DOS
  uint64_t offset = 0;      // of its local header, from the file's first byte on
  uint64_t compressed = 0;  // bytes
  uint64_t size = 0;        // bytes, decoded
  uint16_t flags = 0;
  uint16_t method = 0;
  uint32_t crc = 0;  // CRC-32 of the decoded bytes
  // Many a packer without zip64 writes sizes beyond 4 GiB modulo 2^32; this one is written in 64
  // bits.
  bool size_is_exact = false;

  bool is_folder() const { return name.ends_with('/'); }
};

// Where the directory lies.
struct ZipEnd {
  uint64_t directory = 0;  // its first byte, from the file's first byte on
  uint64_t length = 0;     // bytes
  uint64_t entries = 0;
  bool wide = false;  // said by a zip64 end record
};

// The end record, zip64's with its locator, and the longest comment.
inline constexpr size_t kZipTailBytes = 22 + 65535 + 20 + 56;
// A directory is read whole.
inline constexpr uint64_t kMostZipDirectory = uint64_t{1} << 20;
inline constexpr uint64_t kMostZipEntries = 1024;

// `tail`: the last bytes of a file of `size` bytes, kZipTailBytes of them or all. Fields of the old
// end record that are all ones are said by its zip64 twin; without one, offsets are taken modulo
// 2^32. Errors: no end record, one of a split archive, fields that contradict each other, a
// directory beyond the bounds above.
Result<ZipEnd> find_zip_end(ConstBytes tail, uint64_t size);

// `bytes`: end.length bytes from end.directory on. Entries in the order of the directory; offsets
// are within the bytes before the directory.
Result<std::vector<ZipEntry>> parse_zip_directory(ConstBytes bytes, const ZipEnd& end);

}  // namespace curlingiron
