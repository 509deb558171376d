// Child processes (fork, execve, waitpid).
#pragma once

#include <signal.h>

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"

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

// Runs argv[0] (found on PATH) with the caller's standard streams and waits. The exit status, or
// 128 + signal.
Result<int> run_program(const std::vector<std::string>& argv);
// True for PID 1.
bool is_init_process();
// True when PATH has it.
bool program_exists(const std::string& name);
// Runs `body` in a child; its result, or nullopt when it took longer than `limit` (then it is
// killed).
std::optional<bool> run_in_child(bool (*body)(), Duration limit);
// A write to a connection that the peer closed is an error value, not a signal (SIGPIPE).
void ignore_broken_pipes();
// Reaps every child that has ended (PID 1 inherits them), without waiting.
void reap_children();
// Blocks the calling thread for ever, reaping children: what is left for PID 1 to do.
[[noreturn]] void hold();

}  // namespace curlingiron
