// Threads whose start can fail as a value (pthread_create(3)): /init has no exceptions to catch.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "base/result.h"

namespace curlingiron {

// Processors this process may run on (sched_getaffinity(2)); at least 1.
unsigned processor_count();

// Runs `body` on a thread of its own; join() and the destructor wait until it has ended.
class Thread {
 public:
  static Result<Thread> start(std::function<void()> body);
  Thread() = default;
  Thread(Thread&&) noexcept = default;
  Thread& operator=(Thread&& other) noexcept;
  ~Thread() { join(); }

  void join();
  // False once it was joined, and where none was started.
  bool running() const { return state_ != nullptr; }

 private:
  struct State;
  struct Delete {
    void operator()(State* state) const;
  };
  std::unique_ptr<State, Delete> state_;
};

}  // namespace curlingiron
