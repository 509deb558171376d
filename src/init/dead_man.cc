#include "init/dead_man.h"

#include "sys/clock.h"
#include "sys/power.h"

namespace curlingiron {

Result<std::unique_ptr<DeadMan>> DeadMan::start(Journal& journal, Time deadline) {
  std::unique_ptr<DeadMan> dead_man(new DeadMan(journal, deadline));
  dead_man->thread_ = TRY(Thread::start([raw = dead_man.get()] { raw->watch(); }));
  return dead_man;
}

void DeadMan::put_off(Time deadline) {
  std::lock_guard lock(mutex_);
  deadline_ = deadline;  // The watch looks at it when the old one comes.
}

void DeadMan::disarm() {
  {
    std::lock_guard lock(mutex_);
    disarmed_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void DeadMan::watch() {
  std::unique_lock lock(mutex_);
  while (!disarmed_) {
    Duration left = deadline_ - now();
    if (left <= 0s) {
      std::string phase = journal_.current_phase();
      journal_.failed(phase, Error("no answer by the deadline; nothing was written, the old system "
                                   "starts again"));
      journal_.flush_for_readers();
      // Not sync(2) first: it may be what hangs.
      Error refused = restart_at_once();
      journal_.failed(phase, refused);
      return;
    }
    changed_.wait_for(lock, left);
  }
}

}  // namespace curlingiron
