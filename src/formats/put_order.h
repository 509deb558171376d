// Files that are put into the file systems of an image once it is on its disk: the one file in
// which they travel to /init, and stay as long as they are wanted. A format of our own, of one
// version of this program; numbers are little-endian, texts are their length (16 bits) and bytes:
//
//   "CIPUT1\n\0"  replace:8
//   'P' partition path name uid:32 gid:32     where to, as it was asked for; then what is put
//   there,
//                                             paths relative to it, "" is itself, and a directory
//                                             is followed by what lies in it:
//   'D' path mode:16                          a directory
//   'F' path mode:16 size:32 bytes            a file
//   'L' path target                           a symbolic link
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "base/units.h"

namespace curlingiron {

// All of it travels in memory, twice for a moment.
inline constexpr uint64_t kLargestPutOrder = 64_MiB;
inline constexpr size_t kMostPutEntries = 20'000;
inline constexpr size_t kLongestPutPath = 4095;

enum class ReplaceFiles { No, Yes };

// One file, directory or link. Borrows the archive's bytes.
struct PutEntry {
  enum class Kind { Directory, File, Link };
  Kind kind = Kind::File;
  std::string_view path;  // relative to what is put; empty: itself
  uint32_t mode = 0;      // permissions
  ConstBytes bytes;       // of a file; of a link, where it leads to
};

// One --put.
struct Put {
  std::string_view partition;  // as choose_partition() takes it
  std::string_view path;       // absolute, plain; with '/' at its end: into that directory
  std::string_view name;  // how it is called in a directory; a file goes into one that is there
  uint32_t uid = 0;
  uint32_t gid = 0;
  std::vector<PutEntry> entries;  // the first one is itself

  uint64_t bytes() const;
  bool is_file() const { return entries.front().kind != PutEntry::Kind::Directory; }  // or a link
};

struct PutOrder {
  ReplaceFiles replace = ReplaceFiles::No;
  std::vector<Put> puts;

  size_t files() const;  // and links
  uint64_t bytes() const;
};

// An absolute path without "." and ".." parts, of at most kLongestPutPath bytes; a '/' at its end
// is fine.
bool is_put_path(std::string_view path);

// Borrows the bytes. Errors: anything that is not as above, paths that are none, an entry that
// does not follow its directory, more than kMostPutEntries.
Result<PutOrder> parse_put_order(ConstBytes archive);
// What parse_put_order() takes back. An error: it would not, or it is more than kLargestPutOrder.
Result<ByteVector> format_put_order(const PutOrder& order);

}  // namespace curlingiron
