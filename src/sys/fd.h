// File descriptors with an owner. EINTR, short transfers and O_CLOEXEC are handled here, once.
// Errors carry errno and say the operation and strerror; the caller adds the noun with TRY_CONTEXT.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <utility>

#include "base/bytes.h"
#include "base/result.h"
#include "base/system_error.h"
#include "base/time.h"

namespace curlingiron {

// Owns a descriptor; closes it when it goes. A close error is dropped: what must be on disk is
// synced.
class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept;
  ~UniqueFd() { reset(); }

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  void reset();
  // Hands the descriptor to a C interface that closes it itself.
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_ = -1;
};

// A directory that paths are relative to, so that a test can hand in a tree of files.
Result<UniqueFd> open_root(const std::string& path);
// openat(2) with O_CLOEXEC. `path` relative to `root`; an absolute path is absolute.
Result<UniqueFd> open_at(const UniqueFd& root, const std::string& path, int flags,
                         mode_t mode = 0644);
Result<UniqueFd> open_path(const std::string& path, int flags, mode_t mode = 0644);
Result<UniqueFd> duplicate(const UniqueFd& fd);

// At most buffer.size() bytes; 0 is the end of the file.
Result<size_t> read_some(const UniqueFd& fd, MutableBytes buffer);
// Exactly buffer.size() bytes; a shorter file is an error.
Result<void> pread_exact(const UniqueFd& fd, MutableBytes buffer, uint64_t offset);
Result<void> write_all(const UniqueFd& fd, ConstBytes bytes);
Result<void> pwrite_all(const UniqueFd& fd, ConstBytes bytes, uint64_t offset);
Result<void> sync_file(const UniqueFd& fd);
// ftruncate(2): grown with a hole.
Result<void> resize_file(const UniqueFd& fd, uint64_t size);
Result<uint64_t> seek_end(const UniqueFd& fd);
// lseek(2), SEEK_DATA: where bytes that are no hole begin, at `offset` or after it; nullopt:
// nowhere.
Result<std::optional<uint64_t>> seek_data(const UniqueFd& fd, uint64_t offset);
// posix_fadvise(2), POSIX_FADV_WILLNEED: the kernel starts to read these bytes. A hint only.
void will_need(const UniqueFd& fd, uint64_t offset, uint64_t length);
// The size of a file or block device that is read from its start on; nullopt for pipes and
// terminals, which have none.
Result<std::optional<uint64_t>> rewound_size(const UniqueFd& fd);
// Standard input under a descriptor of its own, with which it shares its position.
Result<UniqueFd> standard_input();
// Standard input opened once more, with a position of its own: a file of which nothing was read
// yet. An error for pipes and terminals.
Result<UniqueFd> reopen_standard_input();

// An anonymous file (memfd_create(2)) for what must be handed to the kernel as a descriptor.
Result<UniqueFd> create_memory_file(const std::string& name);
// The same file opened again read-only: kexec_file_load refuses a descriptor that has a writer.
Result<UniqueFd> reopen_read_only(const UniqueFd& fd);

// What poll(2) waits for on one descriptor, and what it then saw.
struct PollItem {
  int fd = -1;
  bool want_read = true;
  bool want_write = false;
  bool ready = false;
};
// Waits until an item is ready or the timeout is over (nullopt: no limit). True when one is ready.
Result<bool> poll_items(std::span<PollItem> items, std::optional<Duration> timeout);

// eventfd(2): wakes a thread that polls.
class WakeEvent {
 public:
  static Result<WakeEvent> create();
  void signal() const;
  void clear() const;
  int fd() const { return fd_.get(); }

 private:
  explicit WakeEvent(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

}  // namespace curlingiron
