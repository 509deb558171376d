// Child processes (fork, execve, waitpid).
#pragma once

#include <signal.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "sys/fd.h"

namespace curlingiron {

// SIGINT, SIGTERM and SIGHUP wait until this goes: between two steps that must not be torn apart.
// Programs that run_program() starts get them as usual.
class HeldSignals {
 public:
  HeldSignals();
  ~HeldSignals();
  HeldSignals(const HeldSignals&) = delete;
  HeldSignals& operator=(const HeldSignals&) = delete;

 private:
  sigset_t before_{};
};

// SIGINT, SIGTERM and SIGHUP end this process from a thread of their own, with `last_words` on
// standard error first and the signal's own exit status; what the words are may change at any time.
// While they are nullopt the signals wait, and come when there are words again, or when this goes.
// Threads that are to be spared the signals must be started after it.
class InterruptWatch {
 public:
  static Result<std::unique_ptr<InterruptWatch>> start(std::optional<std::string> last_words);
  ~InterruptWatch();
  InterruptWatch(const InterruptWatch&) = delete;
  InterruptWatch& operator=(const InterruptWatch&) = delete;
  void set_last_words(std::optional<std::string> words);

 private:
  struct State;
  explicit InterruptWatch(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// Runs argv[0] (found on PATH) with the caller's standard streams and waits. The exit status, or
// 128 + signal.
Result<int> run_program(const std::vector<std::string>& argv);
// The same, and SIGINT, SIGTERM and SIGHUP go to the program, which ends for them as it likes.
Result<int> run_passing_signals(const std::vector<std::string>& argv);
// The same as run_program() without input. What it prints is shown where it ends with another
// status than 0; else it is dropped.
Result<int> run_quiet_on_success(const std::vector<std::string>& argv);
// The same, for what it prints: at most 64 KiB of it.
struct ProgramOutput {
  int status = 0;
  std::string text;
};
Result<ProgramOutput> run_for_output(const std::vector<std::string>& argv);
// Starts argv[0] (found on PATH) without input and leaves it to itself; its output is the caller's.
// Whoever reaps children (PID 1) gets it in the end.
Result<void> start_program(const std::vector<std::string>& argv);
// Runs argv[0], a path, on the terminal `device` ("/dev/ttyS0") as a session of its own with that
// as its controlling terminal, in the root directory, and waits. Other children that end meanwhile
// are reaped (PID 1 inherits them). The exit status, or 128 + signal.
Result<int> run_on_terminal(const std::string& device, const std::vector<std::string>& argv,
                            const std::vector<std::string>& environment);
// Every process that runs a program, but this one: kernel threads and those that have ended do not.
Result<std::vector<int>> other_programs(const UniqueFd& root);
// Asks these processes to end (SIGTERM, and SIGHUP for shells, which pass SIGTERM over), and waits
// until they have, at most for `limit`.
void end_programs(const std::vector<int>& pids, Duration limit);
// While it lives the kernel reaps the children of this process: for waits on something else.
class UnwatchedChildren {
 public:
  UnwatchedChildren();
  ~UnwatchedChildren();
  UnwatchedChildren(const UnwatchedChildren&) = delete;
  UnwatchedChildren& operator=(const UnwatchedChildren&) = delete;
};
// True for PID 1.
bool is_init_process();
// True when PATH has it.
bool program_exists(const std::string& name);
// Runs argv[0] (found on PATH) without input, and drops what it prints. The exit status, 128 +
// signal, or nullopt where it does not start, or took longer than `limit` (then it is killed).
std::optional<int> run_quietly(const std::vector<std::string>& argv, Duration limit);
// A write to a connection that the peer closed is an error value, not a signal (SIGPIPE).
void ignore_broken_pipes();
// Reaps every child that has ended (PID 1 inherits them), without waiting.
void reap_children();
// Blocks the calling thread for ever, reaping children: what is left for PID 1 to do.
[[noreturn]] void hold();

}  // namespace curlingiron
