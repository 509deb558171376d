// Whole files, directories and links below a root descriptor.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "sys/fd.h"
#include "sys/process.h"

namespace curlingiron {

inline constexpr size_t kSmallFile = size_t{64} << 10;

// The whole file; more than `limit` bytes is an error. Works on /proc and /sys, whose sizes lie.
Result<ByteVector> read_file(const UniqueFd& root, const std::string& path, size_t limit);
Result<std::string> read_text(const UniqueFd& root, const std::string& path,
                              size_t limit = kSmallFile);
// The first line without blanks at its ends: a sysfs attribute.
Result<std::string> read_line(const UniqueFd& root, const std::string& path);
// Writes into an existing file (a sysctl, a sysfs attribute) in one write(2).
Result<void> write_existing(const UniqueFd& root, const std::string& path, std::string_view text);
// Creates or replaces a file: written beside it, synced, renamed. A failure leaves the old one.
Result<void> write_file_atomically(const std::string& path, ConstBytes bytes, mode_t mode = 0644);
// Names in a directory without "." and "..", sorted.
Result<std::vector<std::string>> list_directory(const UniqueFd& root, const std::string& path);
Result<std::string> read_link(const UniqueFd& root, const std::string& path);
// The path with every symbolic link resolved (realpath(3)), on the real file system.
Result<std::string> real_path(const std::string& path);

enum class FileType { Regular, Directory, SymbolicLink, BlockDevice, CharacterDevice, Other };
struct FileStatus {
  FileType type = FileType::Other;
  mode_t permissions = 0;     // the low 12 bits
  uint64_t size = 0;          // bytes
  uint64_t inode = 0;         // in its file system
  uint32_t device_major = 0;  // of a device node
  uint32_t device_minor = 0;
};
enum class FollowLinks { No, Yes };
Result<FileStatus> file_status(const UniqueFd& root, const std::string& path,
                               FollowLinks follow = FollowLinks::Yes);
bool exists(const UniqueFd& root, const std::string& path);
// rename(2), within a file system.
Result<void> move_file(const std::string& from, const std::string& to);
// unlink(2); a file that is not there is fine.
Result<void> remove_file(const UniqueFd& root, const std::string& path);
// mkdir(2); existing is fine.
Result<void> make_directory(const UniqueFd& root, const std::string& path, mode_t mode = 0755);
// A file of these bytes that was not there before; EEXIST where anything is, a link too.
Result<void> create_file(const UniqueFd& root, const std::string& path, ConstBytes bytes);
// symlink(2): `path` leads to `target`.
Result<void> make_link(const UniqueFd& root, const std::string& path, const std::string& target);
// Of the link itself, if it is one.
Result<void> set_owner(const UniqueFd& root, const std::string& path, uid_t uid, gid_t gid);
Result<void> set_permissions(const UniqueFd& root, const std::string& path, mode_t mode);

// A directory that is removed with all it holds when this goes. Until then SIGINT, SIGTERM and
// SIGHUP wait (HeldSignals).
class TemporaryDirectory {
 public:
  // In `parent`; empty: in $TMPDIR, or /tmp.
  static Result<TemporaryDirectory> create(const std::string& parent = "");
  TemporaryDirectory(TemporaryDirectory&& other) noexcept
      : path_(std::exchange(other.path_, {})), held_(std::move(other.held_)) {}
  TemporaryDirectory& operator=(TemporaryDirectory&&) = delete;
  ~TemporaryDirectory();
  const std::string& path() const { return path_; }

 private:
  explicit TemporaryDirectory(std::string path)
      : path_(std::move(path)), held_(std::make_unique<HeldSignals>()) {}
  std::string path_;
  std::unique_ptr<HeldSignals> held_;
};

}  // namespace curlingiron
