#include "sys/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <memory>

#include "base/text.h"

namespace curlingiron {
namespace {

struct CloseDirectory {
  void operator()(DIR* directory) const { ::closedir(directory); }
};

void remove_tree(int parent, const char* name) {
  int fd = ::openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd >= 0) {
    std::unique_ptr<DIR, CloseDirectory> directory(::fdopendir(fd));
    if (directory == nullptr) {
      ::close(fd);
      return;
    }
    while (const dirent* entry = ::readdir(directory.get())) {
      std::string_view child = entry->d_name;
      if (child == "." || child == "..") continue;
      if (::unlinkat(fd, entry->d_name, 0) != 0) remove_tree(fd, entry->d_name);
    }
  }
  ::unlinkat(parent, name, AT_REMOVEDIR);
}

}  // namespace

Result<ByteVector> read_file(const UniqueFd& root, const std::string& path, size_t limit) {
  UniqueFd fd = TRY_CONTEXT(path, open_at(root, path, O_RDONLY));
  ByteVector bytes;
  struct stat status {};
  if (::fstat(fd.get(), &status) == 0 && S_ISREG(status.st_mode) && status.st_size > 0) {
    auto size = static_cast<uint64_t>(status.st_size);
    if (size <= limit) bytes.reserve(static_cast<size_t>(size) + 1);
  }
  constexpr size_t kStep = size_t{64} << 10;
  for (;;) {
    size_t filled = bytes.size();
    size_t room = std::max(bytes.capacity() - filled, kStep);
    bytes.resize(filled + room);
    size_t n = TRY_CONTEXT(path, read_some(fd, MutableBytes(bytes).subspan(filled)));
    bytes.resize(filled + n);
    if (bytes.size() > limit) {
      return Error(concat(path, ": larger than the ", limit, " bytes that make sense here"), EFBIG);
    }
    if (n == 0) return bytes;
  }
}

Result<std::string> read_text(const UniqueFd& root, const std::string& path, size_t limit) {
  ByteVector bytes = TRY(read_file(root, path, limit));
  return std::string(as_text(bytes));
}

Result<std::string> read_line(const UniqueFd& root, const std::string& path) {
  std::string text = TRY(read_text(root, path));
  return std::string(trim(std::string_view(text).substr(0, text.find('\n'))));
}

Result<void> write_existing(const UniqueFd& root, const std::string& path, std::string_view text) {
  UniqueFd fd = TRY_CONTEXT(path, open_at(root, path, O_WRONLY));
  return write_all(fd, as_bytes(text)).with_context(path);
}

Result<void> write_file_atomically(const std::string& path, ConstBytes bytes, mode_t mode) {
  std::string temporary = concat(path, ".", ::getpid(), ".tmp");
  auto attempt = [&]() -> Result<void> {
    struct stat there {};
    if (::stat(path.c_str(), &there) == 0 && !S_ISREG(there.st_mode)) {
      return Error(S_ISDIR(there.st_mode) ? "is a directory; name a file in it"
                                          : "is no file; name one");
    }
    ::unlink(temporary.c_str());
    UniqueFd fd = TRY(open_path(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode));
    TRY(write_all(fd, bytes));
    TRY(sync_file(fd));
    if (::rename(temporary.c_str(), path.c_str()) != 0) return last_system_error("rename");
    return {};
  };
  Result<void> result = attempt();
  if (!result.ok()) ::unlink(temporary.c_str());
  return std::move(result).with_context(path);
}

Result<void> move_file(const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) return last_system_error("rename").with_context(to);
  return {};
}

Result<void> remove_file(const UniqueFd& root, const std::string& path) {
  if (::unlinkat(root.get(), path.c_str(), 0) == 0 || errno == ENOENT) return {};
  return last_system_error("cannot remove").with_context(path);
}

Result<std::vector<std::string>> list_directory(const UniqueFd& root, const std::string& path) {
  UniqueFd fd = TRY_CONTEXT(path, open_at(root, path, O_RDONLY | O_DIRECTORY));
  std::unique_ptr<DIR, CloseDirectory> directory(::fdopendir(fd.get()));
  if (directory == nullptr) return last_system_error("cannot list").with_context(path);
  fd.release();
  std::vector<std::string> names;
  for (;;) {
    errno = 0;
    const dirent* entry = ::readdir(directory.get());
    if (entry == nullptr) break;
    std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  if (errno != 0) return last_system_error("cannot list").with_context(path);
  std::sort(names.begin(), names.end());
  return names;
}

Result<std::string> read_link(const UniqueFd& root, const std::string& path) {
  char target[PATH_MAX];
  ssize_t n = ::readlinkat(root.get(), path.c_str(), target, sizeof target);
  if (n < 0) return last_system_error("cannot read the link").with_context(path);
  return std::string(target, static_cast<size_t>(n));
}

Result<std::string> real_path(const std::string& path) {
  char resolved[PATH_MAX];
  if (::realpath(path.c_str(), resolved) == nullptr) {
    if (errno == ENOENT) return Error(concat(path, ": does not exist; check the path"), ENOENT);
    return last_system_error("cannot resolve").with_context(path);
  }
  return std::string(resolved);
}

Result<FileStatus> file_status(const UniqueFd& root, const std::string& path, FollowLinks follow) {
  struct stat status {};
  int flags = follow == FollowLinks::Yes ? 0 : AT_SYMLINK_NOFOLLOW;
  if (::fstatat(root.get(), path.c_str(), &status, flags) != 0) {
    return last_system_error("cannot stat").with_context(path);
  }
  FileStatus result;
  if (S_ISREG(status.st_mode)) result.type = FileType::Regular;
  if (S_ISDIR(status.st_mode)) result.type = FileType::Directory;
  if (S_ISLNK(status.st_mode)) result.type = FileType::SymbolicLink;
  if (S_ISBLK(status.st_mode)) result.type = FileType::BlockDevice;
  if (S_ISCHR(status.st_mode)) result.type = FileType::CharacterDevice;
  result.permissions = status.st_mode & 07777;
  result.size = static_cast<uint64_t>(status.st_size);
  result.inode = status.st_ino;
  result.device_major = major(status.st_rdev);
  result.device_minor = minor(status.st_rdev);
  return result;
}

bool exists(const UniqueFd& root, const std::string& path) {
  struct stat status {};
  return ::fstatat(root.get(), path.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0;
}

Result<void> make_directory(const UniqueFd& root, const std::string& path, mode_t mode) {
  if (::mkdirat(root.get(), path.c_str(), mode) != 0 && errno != EEXIST) {
    return last_system_error("mkdir").with_context(path);
  }
  return {};
}

Result<void> create_file(const UniqueFd& root, const std::string& path, ConstBytes bytes) {
  UniqueFd file =
      TRY_CONTEXT(path, open_at(root, path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600));
  return write_all(file, bytes).with_context(path);
}

Result<void> make_link(const UniqueFd& root, const std::string& path, const std::string& target) {
  if (::symlinkat(target.c_str(), root.get(), path.c_str()) != 0) {
    return last_system_error("symlink").with_context(path);
  }
  return {};
}

Result<void> set_owner(const UniqueFd& root, const std::string& path, uid_t uid, gid_t gid) {
  if (::fchownat(root.get(), path.c_str(), uid, gid, AT_SYMLINK_NOFOLLOW) != 0) {
    return last_system_error("chown").with_context(path);
  }
  return {};
}

Result<void> set_permissions(const UniqueFd& root, const std::string& path, mode_t mode) {
  if (::fchmodat(root.get(), path.c_str(), mode, 0) != 0) {
    return last_system_error("chmod").with_context(path);
  }
  return {};
}

Result<TemporaryDirectory> TemporaryDirectory::create(const std::string& parent) {
  const char* usual = ::getenv("TMPDIR");
  std::string base = usual != nullptr && *usual != '\0' ? usual : "/tmp";
  std::string path = concat(parent.empty() ? base : parent, "/curlingiron.XXXXXX");
  if (::mkdtemp(path.data()) == nullptr)
    return last_system_error("cannot create").with_context(path);
  return TemporaryDirectory(std::move(path));
}

TemporaryDirectory::~TemporaryDirectory() {
  if (!path_.empty()) remove_tree(AT_FDCWD, path_.c_str());
}

}  // namespace curlingiron
