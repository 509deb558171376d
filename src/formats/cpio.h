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

// Writes entries in the order given, with nothing in them that tells the builder's machine or time:
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
  uint32_t device_major = 0;  // of a device node
  uint32_t device_minor = 0;
  ConstBytes data;
};

// Reads newc (and "crc") archives, several in a row with zeros between them. Borrows the bytes.
class CpioReader {
 public:
  explicit CpioReader(ConstBytes archive) : in_(archive) {}
  // The next entry; nullopt at the end. Bytes that are no archive, a field that is no hexadecimal
  // number and an end without TRAILER!!! are errors.
  Result<std::optional<CpioEntry>> next();

 private:
  ByteReader in_;
  bool inside_ = false;  // an archive has begun and its trailer has not been seen
};

}  // namespace curlingiron
