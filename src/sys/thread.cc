#include "sys/thread.h"

#include <pthread.h>
#include <sched.h>

#include "base/text.h"
#include "sys/fd.h"
#include "sys/file.h"

namespace curlingiron {

unsigned processor_count() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  return static_cast<unsigned>(CPU_COUNT(&set));
}

namespace {

uint64_t memory_of(std::string_view name) {
  Result<UniqueFd> root = open_root("/");
  if (!root.ok()) return UINT64_MAX;
  Result<std::string> text = read_text(root.value(), "proc/meminfo");
  if (!text.ok()) return UINT64_MAX;
  for (std::string_view line : split(text.value(), '\n')) {
    std::vector<std::string_view> words = split_blank(line);
    if (words.size() != 3 || words[0] != name) continue;
    Result<uint64_t> kibibytes = parse_u64(words[1]);
    if (kibibytes.ok()) return kibibytes.value() << 10;
  }
  return UINT64_MAX;
}

}  // namespace

uint64_t available_memory() { return memory_of("MemAvailable:"); }
uint64_t total_memory() { return memory_of("MemTotal:"); }

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
