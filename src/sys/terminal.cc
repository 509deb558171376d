#include "sys/terminal.h"

#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>

#include "sys/clock.h"

namespace curlingiron {

bool is_terminal(int fd) { return ::isatty(fd) == 1; }

unsigned terminal_columns(int fd) {
  winsize size{};
  if (::ioctl(fd, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
  return size.ws_col;
}

void write_patiently(const UniqueFd& fd, std::string_view text) {
  constexpr Duration kPatience = 200ms;
  while (!text.empty()) {
    ssize_t n = ::write(fd.get(), text.data(), text.size());
    if (n > 0) {
      text.remove_prefix(static_cast<size_t>(n));
      continue;
    }
    // Hung up, or a line that /dev/kmsg does not take: waiting would not help.
    if (n < 0 && errno != EAGAIN && errno != EINTR) return;
    PollItem item{fd.get(), false, true, false};
    Result<bool> ready = poll_items({&item, 1}, kPatience);
    if (!ready.ok() || !ready.value()) return;
  }
}

void discard_input(const UniqueFd& fd) { ::tcflush(fd.get(), TCIFLUSH); }

void drain_terminal(const UniqueFd& fd, Duration limit) {
  // tcdrain(3) waits for ever on a UART whose other end is gone, so the output queue is asked
  // instead.
  Time end = now() + limit;
  for (;;) {
    int queued = 0;
    if (::ioctl(fd.get(), TIOCOUTQ, &queued) != 0 || queued == 0) return;
    Time current = now();
    if (current >= end) return;
    // No descriptor shows that the queue is empty; poll(2) without descriptors is a bounded wait.
    (void)poll_items({}, std::min<Duration>(end - current, 10ms));
  }
}

}  // namespace curlingiron
