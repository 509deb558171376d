#include "formats/cpio.h"

#include <sys/stat.h>

#include <limits>

#include "base/text.h"

namespace curlingiron {
namespace {

constexpr std::string_view kMagic = "070701";
constexpr std::string_view kMagicWithSum = "070702";
constexpr std::string_view kTrailer = "TRAILER!!!";
// PATH_MAX of the kernel's unpacker.
constexpr size_t kMaxPath = 4096;
constexpr uint32_t kPermissions = 07777;

void put_hex(ByteWriter& out, uint32_t value) {
  static constexpr char kDigits[] = "0123456789ABCDEF";
  for (unsigned shift = 32; shift > 0; shift -= 4) {
    out.u8(static_cast<uint8_t>(kDigits[value >> (shift - 4) & 15]));
  }
}

void pad(ByteWriter& out) { out.zeros((4 - out.size() % 4) % 4); }

Result<uint32_t> take_hex(ByteReader& in) {
  ConstBytes digits = TRY(in.take(8));
  return static_cast<uint32_t>(TRY(parse_hex_u64(as_text(digits))));
}

Result<void> skip_padding(ByteReader& in) {
  size_t padding = (4 - in.position() % 4) % 4;
  // The last padding of a file is often cut off.
  return in.skip(std::min(padding, in.rest().size()));
}

}  // namespace

Result<void> CpioWriter::add_directory(std::string_view path, uint32_t permissions) {
  TRY(add(path, S_IFDIR | (permissions & kPermissions), {}, 0, 0));
  directories_.emplace(path);
  return {};
}

Result<void> CpioWriter::add_file(std::string_view path, uint32_t permissions, ConstBytes data) {
  return add(path, S_IFREG | (permissions & kPermissions), data, 0, 0);
}

Result<void> CpioWriter::add_symlink(std::string_view path, std::string_view target) {
  if (target.empty() || target.size() >= kMaxPath) {
    return Error(concat(printable(path), ": a symlink that leads nowhere"));
  }
  return add(path, S_IFLNK | 0777, as_bytes(target), 0, 0);
}

Result<void> CpioWriter::add_character_device(std::string_view path, uint32_t permissions,
                                              uint32_t major, uint32_t minor) {
  return add(path, S_IFCHR | (permissions & kPermissions), {}, major, minor);
}

ByteVector CpioWriter::finish() && {
  put(kTrailer, 0, 0, 1, {}, 0, 0);
  return std::move(out_).bytes();
}

Result<void> CpioWriter::add(std::string_view path, uint32_t mode, ConstBytes data, uint32_t major,
                             uint32_t minor) {
  if (path.empty() || path.size() >= kMaxPath || path == kTrailer ||
      path.find('\0') != std::string_view::npos) {
    return Error(concat("\"", printable(path), "\" cannot be a path in the initramfs"));
  }
  for (std::string_view part : split(path, '/')) {
    if (part.empty() || part == "." || part == "..") {
      return Error(concat(printable(path), ": not a plain path relative to the root"));
    }
  }
  if (data.size() > std::numeric_limits<uint32_t>::max()) {
    return Error(concat(printable(path), ": larger than the 4 GiB that cpio can hold"));
  }
  size_t slash = path.rfind('/');
  if (slash != std::string_view::npos && !directories_.contains(path.substr(0, slash))) {
    return Error(concat(printable(path), ": its directory is not in the archive before it"));
  }
  if (!paths_.emplace(path).second) {
    return Error(concat(printable(path), ": is in the initramfs already"));
  }
  uint32_t links = S_ISDIR(mode) ? 2 : 1;
  put(path, ++inode_, mode, links, data, major, minor);
  return {};
}

void CpioWriter::put(std::string_view path, uint32_t inode, uint32_t mode, uint32_t links,
                     ConstBytes data, uint32_t major, uint32_t minor) {
  out_.append(kMagic);
  put_hex(out_, inode);
  put_hex(out_, mode);
  put_hex(out_, 0);  // uid
  put_hex(out_, 0);  // gid
  put_hex(out_, links);
  put_hex(out_, 0);  // mtime
  put_hex(out_, static_cast<uint32_t>(data.size()));
  put_hex(out_, 0);  // major and minor of the device that holds the file
  put_hex(out_, 0);
  put_hex(out_, major);
  put_hex(out_, minor);
  put_hex(out_, static_cast<uint32_t>(path.size() + 1));
  put_hex(out_, 0);  // checksum: unused in newc
  out_.append(path);
  out_.u8(0);
  pad(out_);
  out_.append(data);
  pad(out_);
}

Result<std::optional<CpioEntry>> CpioReader::next() {
  while (!inside_ && !in_.rest().empty() && in_.rest().front() == 0) TRY(in_.skip(1));
  if (in_.at_end()) {
    if (inside_) return Error("cpio archive without its end mark; it is truncated");
    return std::optional<CpioEntry>();
  }
  std::string_view magic = as_text(TRY_CONTEXT("cpio header", in_.take(6)));
  if (magic != kMagic && magic != kMagicWithSum) return Error("not a cpio archive (newc)");
  inside_ = true;
  CpioEntry entry;
  entry.inode = TRY_CONTEXT("cpio inode", take_hex(in_));
  entry.mode = TRY_CONTEXT("cpio mode", take_hex(in_));
  for (int i = 0; i < 4; ++i) TRY_CONTEXT("cpio header", take_hex(in_));  // uid gid nlink mtime
  uint32_t size = TRY_CONTEXT("cpio file size", take_hex(in_));
  for (int i = 0; i < 2; ++i) TRY_CONTEXT("cpio header", take_hex(in_));
  entry.device_major = TRY_CONTEXT("cpio device", take_hex(in_));
  entry.device_minor = TRY_CONTEXT("cpio device", take_hex(in_));
  uint32_t path_size = TRY_CONTEXT("cpio path size", take_hex(in_));
  TRY_CONTEXT("cpio header", take_hex(in_));
  if (path_size == 0 || path_size > kMaxPath) return Error("cpio path of an impossible size");
  std::string_view path = as_text(TRY_CONTEXT("cpio path", in_.take(path_size)));
  if (path.back() != '\0') return Error("cpio path without its end");
  entry.path = path.substr(0, path.find('\0'));
  TRY(skip_padding(in_));
  entry.data = TRY_CONTEXT("cpio file", in_.take(size));
  TRY(skip_padding(in_));
  if (entry.path == kTrailer) {
    inside_ = false;
    return next();
  }
  return std::optional<CpioEntry>(entry);
}

}  // namespace curlingiron
