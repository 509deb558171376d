#include "sys/ticker.h"

#include "base/log.h"

namespace curlingiron {

Ticker::Ticker(Duration period, std::function<void()> body) {
  Result<Thread> thread = Thread::start([this, period, body = std::move(body)] {
    std::unique_lock lock(mutex_);
    while (!changed_.wait_for(lock, period, [this] { return ended_; })) body();
  });
  if (thread.ok()) {
    thread_ = std::move(thread).value();
  } else {
    log_warning("progress is not shown", thread.error());
  }
}

Ticker::~Ticker() {
  {
    std::lock_guard lock(mutex_);
    ended_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

}  // namespace curlingiron
