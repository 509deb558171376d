// The headers of a zip archive (PKWARE's APPNOTE.TXT 6.3.10, 4.3.7 and 4.3.12 to 4.3.16), and what
// it says at its end of all that is in it: read there, where a file's end can be had, before
// anything of it is decoded.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
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
  // There are 64 bits for sizes and the offset. Many a packer that knows no zip64 writes those
  // beyond 4 GiB modulo 2^32.
  bool wide = false;

  bool sizes_follow() const { return (flags & 1 << 3) != 0; }
  // A folder, an empty file, or one of macOS's archiver (resource forks).
  bool holds_nothing() const;
};

inline constexpr std::string_view kZipLocalMagic = "PK\x03\x04";
// What is decoded; the others have numbers, too (4.4.5).
inline constexpr uint16_t kZipStored = 0;
inline constexpr uint16_t kZipDeflated = 8;

// Headers without the names and fields after them; `header` has as many bytes at least, and begins
// with its signature.
inline constexpr size_t kZipLocalBytes = 30;
inline constexpr size_t kZipCentralBytes = 46;
// With them.
size_t zip_local_length(ConstBytes header);
size_t zip_central_length(ConstBytes header);

// `header`: all of it. A local one does not have its own offset. Errors: a damaged extra field.
Result<ZipEntry> parse_zip_local(ConstBytes header);
Result<ZipEntry> parse_zip_central(ConstBytes header);

// Where the directory lies.
struct ZipEnd {
  uint64_t directory = 0;  // its first byte, from the file's first byte on
  uint64_t length = 0;     // bytes
  uint64_t entries = 0;
  bool wide = false;   // said by a zip64 end record
  uint64_t after = 0;  // bytes that follow the archive
};

// The end record, zip64's with its locator, and the longest comment.
inline constexpr size_t kZipTailBytes = 22 + 65535 + 20 + 56;
// A directory is read whole.
inline constexpr uint64_t kMostZipDirectory = uint64_t{1} << 20;
inline constexpr uint64_t kMostZipEntries = 1024;

// `tail`: the last bytes of a file of `size` bytes, kZipTailBytes of them or all. The end record
// whose comment ends with the file, or else the last. Fields of the old end record that are all
// ones are said by its zip64 twin; without one, offsets are taken modulo 2^32. Errors: no end
// record, one of a split archive, fields that contradict each other, a directory beyond the bounds
// above.
Result<ZipEnd> find_zip_end(ConstBytes tail, uint64_t size);

// `bytes`: end.length bytes from end.directory on. Entries in the order of the directory; offsets
// are within the bytes before the directory.
Result<std::vector<ZipEntry>> parse_zip_directory(ConstBytes bytes, const ZipEnd& end);

}  // namespace curlingiron
