#include "sys/process.h"

#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "base/text.h"
#include "sys/fd.h"

namespace curlingiron {

HeldSignals::HeldSignals() {
  sigset_t held;
  ::sigemptyset(&held);
  for (int signal : {SIGINT, SIGTERM, SIGHUP}) ::sigaddset(&held, signal);
  ::sigprocmask(SIG_BLOCK, &held, &before_);
}

HeldSignals::~HeldSignals() { ::sigprocmask(SIG_SETMASK, &before_, nullptr); }

Result<int> run_program(const std::vector<std::string>& argv) {
  std::vector<char*> arguments;
  for (const std::string& argument : argv) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  pid_t child = 0;
  // Neither held signals nor an ignored SIGPIPE are the program's business.
  posix_spawnattr_t attributes;
  ::posix_spawnattr_init(&attributes);
  sigset_t none;
  ::sigemptyset(&none);
  sigset_t usual;
  ::sigemptyset(&usual);
  ::sigaddset(&usual, SIGPIPE);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  ::posix_spawnattr_setsigdefault(&attributes, &usual);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  int rc = ::posix_spawnp(&child, arguments[0], nullptr, &attributes, arguments.data(), environ);
  ::posix_spawnattr_destroy(&attributes);
  if (rc != 0) return system_error(concat("cannot run ", argv[0]), rc);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) return last_system_error("waitpid");
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

bool is_init_process() { return ::getpid() == 1; }

bool program_exists(const std::string& name) {
  const char* path = ::getenv("PATH");
  for (std::string_view directory : split(path != nullptr ? path : "/usr/bin:/bin", ':')) {
    if (::access(concat(directory, "/", name).c_str(), X_OK) == 0) return true;
  }
  return false;
}

std::optional<bool> run_in_child(bool (*body)(), Duration limit) {
  pid_t child = ::fork();
  if (child < 0) return std::nullopt;
  if (child == 0) ::_exit(body() ? 0 : 1);
  // A pidfd becomes readable when the process ends.
  UniqueFd process(static_cast<int>(::syscall(SYS_pidfd_open, child, 0)));
  PollItem item{process.get(), true, false, false};
  Result<bool> ended = poll_items({&item, 1}, limit);
  bool in_time = process.valid() && ended.ok() && ended.value();
  if (!in_time) ::kill(child, SIGKILL);
  int status = 0;
  // A child stuck in the kernel cannot be reaped now: it is left behind, killed.
  pid_t reaped = ::waitpid(child, &status, in_time ? 0 : WNOHANG);
  if (!in_time || reaped != child) return std::nullopt;
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

void ignore_broken_pipes() { ::signal(SIGPIPE, SIG_IGN); }

void reap_children() {
  while (::waitpid(-1, nullptr, WNOHANG) > 0) {
  }
}

void hold() {
  sigset_t child_signals;
  ::sigemptyset(&child_signals);
  ::sigaddset(&child_signals, SIGCHLD);
  ::sigprocmask(SIG_BLOCK, &child_signals, nullptr);
  for (;;) {
    reap_children();
    int signal = 0;
    ::sigwait(&child_signals, &signal);
  }
}

}  // namespace curlingiron
