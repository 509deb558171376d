// Restarts the machine into its old system when the phases before the commit point hang.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>

#include "base/time.h"
#include "init/journal.h"
#include "sys/thread.h"

namespace curlingiron {

// A hang is noticed a little after the phases' own deadline: their message is the better one.
inline constexpr Duration kDeadManGrace = std::chrono::seconds(15);

class DeadMan {
 public:
  // At `deadline` the machine restarts, whatever the other threads do.
  static Result<std::unique_ptr<DeadMan>> start(Journal& journal, Time deadline);
  ~DeadMan() { disarm(); }
  DeadMan(const DeadMan&) = delete;
  DeadMan& operator=(const DeadMan&) = delete;
  // What is under way goes on, if slowly.
  void put_off(Time deadline);
  // The commit point is reached: from now on the old system is gone, and a restart helps nobody.
  void disarm();

 private:
  DeadMan(Journal& journal, Time deadline) : journal_(journal), deadline_(deadline) {}
  void watch();

  Journal& journal_;
  Time deadline_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool disarmed_ = false;
  Thread thread_;
};

}  // namespace curlingiron
