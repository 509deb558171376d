#include "sys/process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <mutex>

#include "base/text.h"
#include "sys/clock.h"
#include "sys/fd.h"
#include "sys/file.h"
#include "sys/thread.h"

namespace curlingiron {

namespace {

sigset_t watched_signals() {
  sigset_t signals;
  ::sigemptyset(&signals);
  for (int signal : {SIGINT, SIGTERM, SIGHUP}) ::sigaddset(&signals, signal);
  return signals;
}

}  // namespace

HeldSignals::HeldSignals() {
  sigset_t held = watched_signals();
  ::sigprocmask(SIG_BLOCK, &held, &before_);
}

HeldSignals::~HeldSignals() { ::sigprocmask(SIG_SETMASK, &before_, nullptr); }

struct InterruptWatch::State {
  explicit State(std::optional<std::string> last_words) : words(std::move(last_words)) {}

  void watch();

  HeldSignals held;
  UniqueFd signals;  // signalfd(2)
  std::optional<WakeEvent> changed;
  std::mutex mutex;
  // Under the mutex:
  std::optional<std::string> words;
  bool ended = false;

  Thread thread;
};

Result<std::unique_ptr<InterruptWatch>> InterruptWatch::start(
    std::optional<std::string> last_words) {
  auto state = std::make_unique<State>(std::move(last_words));
  sigset_t watched = watched_signals();
  state->signals = UniqueFd(::signalfd(-1, &watched, SFD_CLOEXEC));
  if (!state->signals.valid()) return last_system_error("signalfd");
  state->changed.emplace(TRY(WakeEvent::create()));
  state->thread = TRY(Thread::start([raw = state.get()] { raw->watch(); }));
  return std::unique_ptr<InterruptWatch>(new InterruptWatch(std::move(state)));
}

void InterruptWatch::State::watch() {
  for (;;) {
    bool listening = false;
    {
      std::lock_guard lock(mutex);
      if (ended) return;
      listening = words.has_value();
    }
    std::array<PollItem, 2> items = {PollItem{changed->fd()},
                                     PollItem{signals.get(), listening, false}};
    Result<bool> ready = poll_items(items, std::nullopt);
    if (!ready.ok()) return;
    if (items[0].ready) changed->clear();
    if (!listening || !items[1].ready) continue;
    std::lock_guard lock(mutex);
    if (ended || !words) continue;  // Changed in between: the signal stays pending.
    signalfd_siginfo info{};
    Result<size_t> n = read_some(signals, {reinterpret_cast<uint8_t*>(&info), sizeof info});
    if (!n.ok() || n.value() != sizeof info) continue;
    [[maybe_unused]] ssize_t written = ::write(STDERR_FILENO, words->data(), words->size());
    // As if nobody had caught it: the shell learns that the program was interrupted.
    auto signal = static_cast<int>(info.ssi_signo);
    ::signal(signal, SIG_DFL);
    sigset_t only;
    ::sigemptyset(&only);
    ::sigaddset(&only, signal);
    ::pthread_sigmask(SIG_UNBLOCK, &only, nullptr);
    ::kill(::getpid(), signal);
  }
}

InterruptWatch::InterruptWatch(std::unique_ptr<State> state) : state_(std::move(state)) {}

InterruptWatch::~InterruptWatch() {
  {
    std::lock_guard lock(state_->mutex);
    state_->ended = true;
  }
  state_->changed->signal();
  state_->thread.join();
}

void InterruptWatch::set_last_words(std::optional<std::string> words) {
  {
    std::lock_guard lock(state_->mutex);
    state_->words = std::move(words);
  }
  state_->changed->signal();
}

namespace {

std::vector<char*> pointers_to(const std::vector<std::string>& texts) {
  std::vector<char*> list;
  for (const std::string& text : texts) list.push_back(const_cast<char*>(text.c_str()));
  list.push_back(nullptr);
  return list;
}

// Neither held nor ignored signals of ours are a program's business.
class SpawnAttributes {
 public:
  explicit SpawnAttributes(int more_flags = 0) {
    ::posix_spawnattr_init(&attributes_);
    sigset_t none;
    ::sigemptyset(&none);
    sigset_t usual;
    ::sigemptyset(&usual);
    ::sigaddset(&usual, SIGPIPE);
    ::sigaddset(&usual, SIGCHLD);
    ::posix_spawnattr_setsigmask(&attributes_, &none);
    ::posix_spawnattr_setsigdefault(&attributes_, &usual);
    auto flags = static_cast<short>(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | more_flags);
    ::posix_spawnattr_setflags(&attributes_, flags);
  }
  ~SpawnAttributes() { ::posix_spawnattr_destroy(&attributes_); }
  SpawnAttributes(const SpawnAttributes&) = delete;
  SpawnAttributes& operator=(const SpawnAttributes&) = delete;
  const posix_spawnattr_t* get() const { return &attributes_; }

 private:
  posix_spawnattr_t attributes_;
};

// Which files a program gets as its standard streams.
class FileActions {
 public:
  FileActions() { ::posix_spawn_file_actions_init(&actions_); }
  ~FileActions() { ::posix_spawn_file_actions_destroy(&actions_); }
  FileActions(const FileActions&) = delete;
  FileActions& operator=(const FileActions&) = delete;
  void open(int as, const char* path, int flags) {
    ::posix_spawn_file_actions_addopen(&actions_, as, path, flags, 0);
  }
  void copy(int from, int as) { ::posix_spawn_file_actions_adddup2(&actions_, from, as); }
  void change_directory(const char* path) {
    ::posix_spawn_file_actions_addchdir_np(&actions_, path);
  }
  const posix_spawn_file_actions_t* get() const { return &actions_; }

 private:
  posix_spawn_file_actions_t actions_;
};

// argv[0] is found on PATH.
Result<pid_t> spawn(const std::vector<std::string>& argv, const FileActions& files) {
  pid_t child = 0;
  SpawnAttributes attributes;
  int rc = ::posix_spawnp(&child, argv[0].c_str(), files.get(), attributes.get(),
                          pointers_to(argv).data(), environ);
  if (rc != 0) return system_error(concat("cannot run ", argv[0]), rc);
  return child;
}

// As a shell counts it.
int exit_status(int status) {
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

Result<int> wait_for(pid_t child) {
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) return last_system_error("waitpid");
  }
  return exit_status(status);
}

}  // namespace

Result<int> run_program(const std::vector<std::string>& argv) {
  return wait_for(TRY(spawn(argv, FileActions())));
}

Result<int> run_passing_signals(const std::vector<std::string>& argv) {
  HeldSignals held;
  sigset_t watched = watched_signals();
  UniqueFd signals(::signalfd(-1, &watched, SFD_CLOEXEC));
  if (!signals.valid()) return last_system_error("signalfd");
  pid_t child = TRY(spawn(argv, FileActions()));
  UniqueFd end(static_cast<int>(::syscall(SYS_pidfd_open, child, 0)));  // readable once it ended
  for (bool ended = !end.valid(); !ended;) {
    std::array<PollItem, 2> items = {PollItem{end.get()}, PollItem{signals.get()}};
    Result<bool> ready = poll_items(items, std::nullopt);
    if (!ready.ok()) break;
    ended = items[0].ready;
    signalfd_siginfo info{};
    if (!items[1].ready) continue;
    Result<size_t> n = read_some(signals, {reinterpret_cast<uint8_t*>(&info), sizeof info});
    if (n.ok() && n.value() == sizeof info) ::kill(child, static_cast<int>(info.ssi_signo));
  }
  return wait_for(child);
}

Result<ProgramOutput> run_for_output(const std::vector<std::string>& argv) {
  constexpr size_t kMost = 65536;
  UniqueFd output = TRY(create_memory_file("output"));
  FileActions files;
  files.open(STDIN_FILENO, "/dev/null", O_RDONLY);
  files.copy(output.get(), STDOUT_FILENO);
  files.copy(output.get(), STDERR_FILENO);
  ProgramOutput done;
  done.status = TRY(wait_for(TRY(spawn(argv, files))));
  done.text.resize(std::min<uint64_t>(TRY(seek_end(output)), kMost));
  TRY(pread_exact(output, {reinterpret_cast<uint8_t*>(done.text.data()), done.text.size()}, 0));
  return done;
}

Result<int> run_quiet_on_success(const std::vector<std::string>& argv) {
  ProgramOutput done = TRY(run_for_output(argv));
  if (done.status != 0) std::fwrite(done.text.data(), 1, done.text.size(), stderr);
  return done.status;
}

Result<void> start_program(const std::vector<std::string>& argv) {
  FileActions files;
  files.open(STDIN_FILENO, "/dev/null", O_RDONLY);
  TRY(spawn(argv, files));
  return {};
}

Result<int> run_on_terminal(const std::string& device, const std::vector<std::string>& argv,
                            const std::vector<std::string>& environment) {
  SpawnAttributes attributes(POSIX_SPAWN_SETSID);
  FileActions files;
  // The first terminal that a session's leader opens becomes its controlling terminal.
  files.open(STDIN_FILENO, device.c_str(), O_RDWR);
  files.copy(STDIN_FILENO, STDOUT_FILENO);
  files.copy(STDIN_FILENO, STDERR_FILENO);
  files.change_directory("/");
  pid_t child = 0;
  int rc = ::posix_spawn(&child, argv[0].c_str(), files.get(), attributes.get(),
                         pointers_to(argv).data(), pointers_to(environment).data());
  if (rc != 0) return system_error(concat("cannot run ", argv[0], " on ", device), rc);
  for (;;) {
    int status = 0;
    pid_t ended = ::waitpid(-1, &status, 0);
    if (ended < 0 && errno != EINTR) return last_system_error("waitpid");
    if (ended != child) continue;
    return exit_status(status);
  }
}

Result<std::vector<int>> other_programs(const UniqueFd& root) {
  std::vector<int> pids;
  for (const std::string& name : TRY(list_directory(root, "proc"))) {
    Result<uint32_t> pid = parse_u32(name);
    if (!pid.ok() || static_cast<int>(pid.value()) == ::getpid()) continue;
    Result<std::string> arguments = read_text(root, concat("proc/", name, "/cmdline"));
    if (!arguments.ok() || arguments.value().empty()) continue;
    pids.push_back(static_cast<int>(pid.value()));
  }
  return pids;
}

void end_programs(const std::vector<int>& pids, Duration limit) {
  std::vector<UniqueFd> running;  // pidfd_open(2): readable once it has ended
  for (int pid : pids) {
    UniqueFd end(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
    // One that is stopped acts on the others when it goes on.
    for (int signal : {SIGTERM, SIGHUP, SIGCONT}) ::kill(pid, signal);
    if (end.valid()) running.push_back(std::move(end));
  }
  Time deadline = now() + limit;
  while (!running.empty() && now() < deadline) {
    std::vector<PollItem> items;
    for (const UniqueFd& program : running) items.push_back(PollItem{program.get()});
    Result<bool> ended = poll_items(items, deadline - now());
    if (!ended.ok()) return;
    size_t at = 0;
    std::erase_if(running, [&](const UniqueFd&) { return items[at++].ready; });
  }
}

UnwatchedChildren::UnwatchedChildren() {
  ::signal(SIGCHLD, SIG_IGN);
  reap_children();  // Those that ended before.
}

UnwatchedChildren::~UnwatchedChildren() { ::signal(SIGCHLD, SIG_DFL); }

bool is_init_process() { return ::getpid() == 1; }

bool program_exists(const std::string& name) {
  const char* path = ::getenv("PATH");
  for (std::string_view directory : split(path != nullptr ? path : "/usr/bin:/bin", ':')) {
    if (::access(concat(directory, "/", name).c_str(), X_OK) == 0) return true;
  }
  return false;
}

std::optional<int> run_quietly(const std::vector<std::string>& argv, Duration limit) {
  FileActions files;
  files.open(STDIN_FILENO, "/dev/null", O_RDONLY);
  files.open(STDOUT_FILENO, "/dev/null", O_WRONLY);
  files.copy(STDOUT_FILENO, STDERR_FILENO);
  Result<pid_t> spawned = spawn(argv, files);
  if (!spawned.ok()) return std::nullopt;
  pid_t child = spawned.value();
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
  return exit_status(status);
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
