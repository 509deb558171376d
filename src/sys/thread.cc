#include "sys/thread.h"

#include <pthread.h>
#include <sched.h>

#include "base/system_error.h"

namespace curlingiron {

unsigned processor_count() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  return static_cast<unsigned>(CPU_COUNT(&set));
}

struct Thread::State {
  std::function<void()> body;
  pthread_t handle{};

  static void* run(void* state) {
    static_cast<State*>(state)->body();
    return nullptr;
  }
};

void Thread::Delete::operator()(State* state) const { delete state; }

Result<Thread> Thread::start(std::function<void()> body) {
  Thread thread;
  thread.state_.reset(new State{std::move(body), {}});
  int code = ::pthread_create(&thread.state_->handle, nullptr, State::run, thread.state_.get());
  if (code != 0) {
    thread.state_.reset();
    return system_error("cannot start a thread", code);
  }
  return thread;
}

Thread& Thread::operator=(Thread&& other) noexcept {
  if (this != &other) {
    join();
    state_ = std::move(other.state_);
  }
  return *this;
}

void Thread::join() {
  if (state_ == nullptr) return;
  ::pthread_join(state_->handle, nullptr);
  state_.reset();
}

}  // namespace curlingiron
