#include "sys/fd.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "base/text.h"

namespace curlingiron {
namespace {

template <typename Call>
auto retry_interrupted(Call call) {
  for (;;) {
    auto result = call();
    if (result >= 0 || errno != EINTR) return result;
  }
}

Error is_directory() { return Error("is a directory; name the file in it", EISDIR); }

}  // namespace

UniqueFd& UniqueFd::operator=(UniqueFd&& other) noexcept {
  if (this != &other) {
    reset();
    fd_ = std::exchange(other.fd_, -1);
  }
  return *this;
}

void UniqueFd::reset() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

Result<UniqueFd> open_root(const std::string& path) {
  int fd =
      retry_interrupted([&] { return ::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC); });
  if (fd < 0) return last_system_error("cannot open directory");
  return UniqueFd(fd);
}

Result<UniqueFd> open_at(const UniqueFd& root, const std::string& path, int flags, mode_t mode) {
  int fd = retry_interrupted(
      [&] { return ::openat(root.get(), path.c_str(), flags | O_CLOEXEC, mode); });
  if (fd < 0) return last_system_error("cannot open");
  return UniqueFd(fd);
}

Result<UniqueFd> open_path(const std::string& path, int flags, mode_t mode) {
  int fd = retry_interrupted([&] { return ::open(path.c_str(), flags | O_CLOEXEC, mode); });
  if (fd < 0) return last_system_error("cannot open");
  return UniqueFd(fd);
}

Result<size_t> read_some(const UniqueFd& fd, MutableBytes buffer) {
  ssize_t n = retry_interrupted([&] { return ::read(fd.get(), buffer.data(), buffer.size()); });
  if (n < 0) return errno == EISDIR ? is_directory() : last_system_error("read");
  return static_cast<size_t>(n);
}

Result<void> pread_exact(const UniqueFd& fd, MutableBytes buffer, uint64_t offset) {
  while (!buffer.empty()) {
    ssize_t n = retry_interrupted([&] {
      return ::pread(fd.get(), buffer.data(), buffer.size(), static_cast<off_t>(offset));
    });
    if (n < 0) return last_system_error(concat("read at byte ", offset));
    if (n == 0) return Error(concat("read at byte ", offset, ": the file ends there"));
    buffer = buffer.subspan(static_cast<size_t>(n));
    offset += static_cast<uint64_t>(n);
  }
  return {};
}

Result<void> write_all(const UniqueFd& fd, ConstBytes bytes) {
  while (!bytes.empty()) {
    ssize_t n = retry_interrupted([&] { return ::write(fd.get(), bytes.data(), bytes.size()); });
    if (n < 0) return last_system_error("write");
    bytes = bytes.subspan(static_cast<size_t>(n));
  }
  return {};
}

Result<void> pwrite_all(const UniqueFd& fd, ConstBytes bytes, uint64_t offset) {
  while (!bytes.empty()) {
    ssize_t n = retry_interrupted(
        [&] { return ::pwrite(fd.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset)); });
    if (n < 0) return last_system_error(concat("write at byte ", offset));
    if (n == 0) return system_error(concat("write at byte ", offset), ENOSPC);
    bytes = bytes.subspan(static_cast<size_t>(n));
    offset += static_cast<uint64_t>(n);
  }
  return {};
}

Result<void> sync_file(const UniqueFd& fd) {
  if (retry_interrupted([&] { return ::fsync(fd.get()); }) < 0) return last_system_error("fsync");
  return {};
}

Result<void> resize_file(const UniqueFd& fd, uint64_t size) {
  if (::ftruncate(fd.get(), static_cast<off_t>(size)) != 0) return last_system_error("ftruncate");
  return {};
}

Result<uint64_t> seek_end(const UniqueFd& fd) {
  off_t end = ::lseek(fd.get(), 0, SEEK_END);
  if (end < 0) return last_system_error("cannot find the size");
  return static_cast<uint64_t>(end);
}

Result<std::optional<uint64_t>> seek_data(const UniqueFd& fd, uint64_t offset) {
  off_t data = ::lseek(fd.get(), static_cast<off_t>(offset), SEEK_DATA);
  if (data < 0 && errno == ENXIO) return std::optional<uint64_t>();
  if (data < 0) return last_system_error("cannot find data");
  return std::optional(static_cast<uint64_t>(data));
}

Result<std::optional<uint64_t>> rewound_size(const UniqueFd& fd) {
  off_t end = ::lseek(fd.get(), 0, SEEK_END);
  if (end < 0 && errno == ESPIPE) return std::optional<uint64_t>();
  if (end < 0 || ::lseek(fd.get(), 0, SEEK_SET) < 0)
    return last_system_error("cannot find the size");
  struct stat status {};
  if (::fstat(fd.get(), &status) < 0) return last_system_error("cannot find the size");
  if (S_ISDIR(status.st_mode)) return is_directory();
  if (S_ISCHR(status.st_mode)) return std::optional<uint64_t>();
  return std::optional<uint64_t>(static_cast<uint64_t>(end));
}

Result<UniqueFd> standard_input() {
  int fd = ::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
  if (fd < 0) return last_system_error("cannot use standard input");
  return UniqueFd(fd);
}

Result<UniqueFd> reopen_standard_input() {
  // A character device has a beginning, and no end.
  struct stat status {};
  bool at_start = ::lseek(STDIN_FILENO, 0, SEEK_CUR) == 0;
  if (!at_start || ::fstat(STDIN_FILENO, &status) < 0 || S_ISCHR(status.st_mode)) {
    return Error("standard input is no file at its start");
  }
  return open_path("/proc/self/fd/0", O_RDONLY);
}

void will_need(const UniqueFd& fd, uint64_t offset, uint64_t length) {
  static_cast<void>(::posix_fadvise(fd.get(), static_cast<off_t>(offset),
                                    static_cast<off_t>(length), POSIX_FADV_WILLNEED));
}

Result<UniqueFd> create_memory_file(const std::string& name) {
  int fd = ::memfd_create(name.c_str(), MFD_CLOEXEC);
  if (fd < 0) return last_system_error("memfd_create");
  return UniqueFd(fd);
}

Result<UniqueFd> reopen_read_only(const UniqueFd& fd) {
  return open_path(concat("/proc/self/fd/", fd.get()), O_RDONLY);
}

Result<UniqueFd> duplicate(const UniqueFd& fd) {
  int copy = ::fcntl(fd.get(), F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
  if (copy < 0) return last_system_error("cannot duplicate a file descriptor");
  return UniqueFd(copy);
}

Result<bool> poll_items(std::span<PollItem> items, std::optional<Duration> timeout) {
  std::vector<pollfd> polled;
  polled.reserve(items.size());
  for (const PollItem& item : items) {
    short events =
        static_cast<short>((item.want_read ? POLLIN : 0) | (item.want_write ? POLLOUT : 0));
    polled.push_back({item.fd, events, 0});
  }
  timespec limit{};
  if (timeout) {
    int64_t nanoseconds = timeout->count() < 0 ? 0 : timeout->count();
    limit.tv_sec = nanoseconds / 1'000'000'000;
    limit.tv_nsec = nanoseconds % 1'000'000'000;
  }
  // An interruption returns early as "nothing ready": every caller re-reads its clock anyway.
  int n = ::ppoll(polled.data(), polled.size(), timeout ? &limit : nullptr, nullptr);
  if (n < 0 && errno != EINTR) return last_system_error("poll");
  for (size_t i = 0; i < items.size(); ++i) items[i].ready = n > 0 && polled[i].revents != 0;
  return n > 0;
}

Result<WakeEvent> WakeEvent::create() {
  int fd = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (fd < 0) return last_system_error("eventfd");
  return WakeEvent(UniqueFd(fd));
}

void WakeEvent::signal() const {
  uint64_t one = 1;
  // EAGAIN means that the counter is already high: the waiter will wake.
  [[maybe_unused]] ssize_t ignored = ::write(fd_.get(), &one, sizeof one);
}

void WakeEvent::clear() const {
  uint64_t count = 0;
  [[maybe_unused]] ssize_t ignored = ::read(fd_.get(), &count, sizeof count);
}

}  // namespace curlingiron
