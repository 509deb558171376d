#include "payload/parallel.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <optional>
#include <vector>

#include "sys/thread.h"

namespace curlingiron {

Result<void> for_each_in_parallel(size_t count, const std::function<Result<void>(size_t)>& work) {
  std::atomic<size_t> next = 0;
  std::mutex mutex;
  std::optional<Error> error;
  size_t error_index = count;
  auto run = [&] {
    for (size_t i = next.fetch_add(1); i < count; i = next.fetch_add(1)) {
      Result<void> done = work(i);
      if (done.ok()) continue;
      std::lock_guard lock(mutex);
      if (i < error_index) {
        error_index = i;
        error = done.error();
      }
    }
  };
  std::vector<Thread> others;
  for (size_t i = 1; i < std::min<size_t>(processor_count(), count); ++i) {
    Result<Thread> thread = Thread::start(run);
    if (!thread.ok()) break;  // What there is does the work.
    others.push_back(std::move(thread).value());
  }
  run();
  for (Thread& thread : others) thread.join();
  if (error) return *error;
  return {};
}

}  // namespace curlingiron
