#include "formats/cpio.h"

#include <sys/stat.h>

#include <limits>

#include "base/text.h"

namespace curlingiron {
namespace {

constexpr std::string_view kMagic = "070701";
constexpr std::string_view kMagicWithSum = "070702";
constexpr std::string_view kOldMagic = "070707";  // "odc"
constexpr uint32_t kHeaderSize = 110;
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

constexpr uint32_t padding_of(uint64_t size) { return static_cast<uint32_t>((4 - size % 4) % 4); }

void pad(ByteWriter& out) { out.zeros(padding_of(out.size())); }

Error not_an_archive() { return Error("not a cpio archive (newc)"); }

Result<uint32_t> take_hex(ByteReader& in) {
  ConstBytes digits = TRY(in.take(8));
  return static_cast<uint32_t>(TRY(parse_hex_u64(as_text(digits))));
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
  if (!is_plain_path(path)) {
    return Error(concat(printable(path), ": not a plain path relative to the root"));
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

size_t CpioParser::wanted() const {
  switch (expected_) {
    case Expected::Start: return 1;
    case Expected::Header: return kHeaderSize - 1;
    case Expected::Path: return path_size_;
  }
  __builtin_unreachable();
}

Result<std::optional<CpioEntry>> CpioParser::accept(ConstBytes bytes) {
  position_ += bytes.size();
  switch (expected_) {
    case Expected::Start:
      if (bytes[0] == 0) return std::optional<CpioEntry>();
      if (bytes[0] != kMagic[0]) return not_an_archive();
      if (position_ % 4 != 1) {
        return Error("cpio header that does not begin at a multiple of 4: the kernel refuses it");
      }
      inside_ = true;
      expected_ = Expected::Header;
      return std::optional<CpioEntry>();
    case Expected::Header:
      TRY(parse_header(bytes));
      expected_ = Expected::Path;
      return std::optional<CpioEntry>();
    case Expected::Path: return parse_path(bytes);
  }
  __builtin_unreachable();
}

Error CpioParser::truncated() {
  return Error("the cpio archive ends before its end mark (TRAILER!!!): it is cut off");
}

// `header`: without its first character.
Result<void> CpioParser::parse_header(ConstBytes header) {
  ByteReader in(header);
  std::string_view magic = as_text(TRY(in.take(kMagic.size() - 1)));
  if (magic == kOldMagic.substr(1)) {
    return Error(
        "a cpio archive of the old format, which the kernel refuses; make it with -H newc");
  }
  if (magic != kMagic.substr(1) && magic != kMagicWithSum.substr(1)) return not_an_archive();
  entry_ = CpioEntry();
  entry_.inode = TRY_CONTEXT("cpio inode", take_hex(in));
  entry_.mode = TRY_CONTEXT("cpio mode", take_hex(in));
  entry_.uid = TRY_CONTEXT("cpio owner", take_hex(in));
  entry_.gid = TRY_CONTEXT("cpio group", take_hex(in));
  entry_.links = TRY_CONTEXT("cpio link count", take_hex(in));
  TRY_CONTEXT("cpio time", take_hex(in));
  entry_.size = TRY_CONTEXT("cpio file size", take_hex(in));
  for (int i = 0; i < 2; ++i) TRY_CONTEXT("cpio header", take_hex(in));
  entry_.device_major = TRY_CONTEXT("cpio device", take_hex(in));
  entry_.device_minor = TRY_CONTEXT("cpio device", take_hex(in));
  path_size_ = TRY_CONTEXT("cpio path size", take_hex(in));
  TRY_CONTEXT("cpio checksum", take_hex(in));
  if (path_size_ == 0 || path_size_ > kMaxPath) return Error("cpio path of an impossible size");
  entry_.padding = padding_of(entry_.size);
  return {};
}

Result<std::optional<CpioEntry>> CpioParser::parse_path(ConstBytes bytes) {
  std::string_view path = as_text(bytes.first(path_size_));
  if (path.back() != '\0') return Error("cpio path without its end");
  entry_.path = path.substr(0, path.find('\0'));
  expected_ = Expected::Start;
  if (entry_.path != kTrailer) {
    entry_.path_padding = padding_of(kHeaderSize + path_size_);
    entry_.head_size = kHeaderSize + path_size_ + entry_.path_padding;
    position_ += uint64_t{entry_.path_padding} + entry_.size + entry_.padding;
    return std::optional<CpioEntry>(entry_);
  }
  if (entry_.size != 0) return Error("cpio end mark with data after it");
  inside_ = false;
  ++archives_;
  return std::optional<CpioEntry>();
}

Result<std::optional<CpioEntry>> CpioReader::next() {
  while (!in_.at_end()) {
    ConstBytes bytes = TRY_CONTEXT("cpio header", in_.take(parser_.wanted()));
    std::optional<CpioEntry> entry = TRY(parser_.accept(bytes));
    if (!entry) continue;
    TRY_CONTEXT("cpio path", in_.skip(entry->path_padding));
    entry->data = TRY_CONTEXT("cpio file", in_.take(entry->size));
    TRY_CONTEXT("cpio file", in_.skip(entry->padding));
    return entry;
  }
  if (!parser_.may_end()) return CpioParser::truncated();
  return std::optional<CpioEntry>();
}

}  // namespace curlingiron
