// The archive the kernel unpacks as its initramfs: cpio "newc"
// (Documentation/driver-api/early-userspace/buffer-format.rst).
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"

namespace curlingiron {

// Writes entries in the order given, with nothing in them that shows the builder's machine or time:
// uid, gid, mtime and device numbers 0, inodes counted from 1, one link. An entry's parent must be
// there before it, and no path twice: errors, because the kernel would drop the file silently.
class CpioWriter {
 public:
  // `path` is relative, without "." or ".." parts; permissions are the low 12 bits of the mode.
  Result<void> add_directory(std::string_view path, uint32_t permissions = 0755);
  Result<void> add_file(std::string_view path, uint32_t permissions, ConstBytes data);
  Result<void> add_character_device(std::string_view path, uint32_t permissions, uint32_t major,
                                    uint32_t minor);
  // `target` is what the link holds, not looked at.
  Result<void> add_symlink(std::string_view path, std::string_view target);
  // Directories of an earlier archive that the kernel unpacks before this one.
  void assume_directory(std::string_view path) { directories_.emplace(path); }
  // With the TRAILER!!! entry; a multiple of 4 bytes, so that another archive can follow.
  ByteVector finish() &&;

 private:
  Result<void> add(std::string_view path, uint32_t mode, ConstBytes data, uint32_t major,
                   uint32_t minor);
  void put(std::string_view path, uint32_t inode, uint32_t mode, uint32_t links, ConstBytes data,
           uint32_t major, uint32_t minor);

  ByteWriter out_;
  uint32_t inode_ = 0;
  std::set<std::string, std::less<>> paths_;
  std::set<std::string, std::less<>> directories_;
};

struct CpioEntry {
  std::string_view path;
  uint32_t mode = 0;  // type and permissions, as in stat(2)
  uint32_t inode = 0;
  uint32_t uid = 0;
  uint32_t gid = 0;
  uint32_t links = 0;
  uint32_t device_major = 0;  // of a device node
  uint32_t device_minor = 0;
  uint32_t size = 0;          // of the data; of a symlink, of its target
  uint32_t path_padding = 0;  // bytes between the path and the data
  uint32_t padding = 0;       // bytes after the data
  size_t head_size = 0;       // bytes before the data, with path_padding
  ConstBytes data;            // by CpioReader alone
};

// newc (and "crc", whose sums are not checked) archives as a stream, without I/O: several in a row
// with zeros between them. The owner of the stream loops: accept(wanted() bytes), and after an
// entry takes `path_padding`, `size` and `padding` bytes for itself.
class CpioParser {
 public:
  size_t wanted() const;  // 1 to 4,096
  // An entry once its path is there; it borrows `bytes`, which are wanted() many. What is no
  // archive, a field that is no hexadecimal number, and a header that does not begin at a multiple
  // of 4, which the kernel refuses, are errors.
  Result<std::optional<CpioEntry>> accept(ConstBytes bytes);
  // So many zeros came where accept() would have been given one.
  void skip_zeros(uint64_t count) { position_ += count; }
  // Nothing is open: no archive began, or the last one's TRAILER!!! was seen.
  bool may_end() const { return expected_ == Expected::Start && !inside_; }
  uint64_t archives() const { return archives_; }  // whose TRAILER!!! was seen
  static Error truncated();

 private:
  enum class Expected { Start, Header, Path };

  Result<void> parse_header(ConstBytes header);
  Result<std::optional<CpioEntry>> parse_path(ConstBytes path);

  Expected expected_ = Expected::Start;
  bool inside_ = false;  // an archive has begun and its trailer has not been seen
  CpioEntry entry_;
  uint32_t path_size_ = 0;  // with its NUL
  uint64_t position_ = 0;   // in the stream, modulo 4 alone is of use
  uint64_t archives_ = 0;
};

// The same for archives in memory. Borrows the bytes.
class CpioReader {
 public:
  explicit CpioReader(ConstBytes archive) : in_(archive) {}
  // The next entry; nullopt at the end. An end without TRAILER!!! is an error, too.
  Result<std::optional<CpioEntry>> next();

 private:
  ByteReader in_;
  CpioParser parser_;
};

}  // namespace curlingiron
