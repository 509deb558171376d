// Something that is done again and again while something else is under way.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>

#include "base/time.h"
#include "sys/thread.h"

namespace curlingiron {

// Calls `body` every `period` on a thread of its own, the first time after one period; the
// destructor waits for a call that is under way. Without a thread to be had nothing is called, and
// a warning says so.
class Ticker {
 public:
  Ticker(Duration period, std::function<void()> body);
  ~Ticker();
  Ticker(const Ticker&) = delete;
  Ticker& operator=(const Ticker&) = delete;

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool ended_ = false;
  Thread thread_;
};

}  // namespace curlingiron
