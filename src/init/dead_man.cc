#include "init/dead_man.h"

#include "sys/clock.h"
#include "sys/power.h"

namespace curlingiron {

DeadMan::DeadMan(Journal& journal, Time deadline)
    : journal_(journal), deadline_(deadline), thread_([this] { watch(); }) {}

void DeadMan::disarm() {
  {
    std::lock_guard lock(mutex_);
    disarmed_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
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
