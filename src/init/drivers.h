// Drivers for the devices that are there: coldplug by uevents, modules loaded in parallel, until
// the goal is met. Late devices (USB, deferred probes) are served for as long as this lives.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "formats/module_index.h"
#include "init/inventory.h"
#include "sys/fd.h"

namespace curlingiron {

class Drivers {
 public:
  // Registers /init as the kernel's modprobe helper, opens the uevent socket, then asks every
  // device to announce itself. `root` holds proc/, sys/ and the modules; `index` outlives this. At
  // the level debug each modalias is said once, as "modalias ALIAS": what `curlingiron build
  // --hardware` reads.
  static Result<std::unique_ptr<Drivers>> start(const UniqueFd& root, const ModuleIndex& index);
  ~Drivers();

  // Returns true once `goal` holds; it is asked again after every device or module. False when the
  // deadline passed.
  bool wait_until(const std::function<bool()>& goal, Time deadline);
  // True when nothing is being loaded and no device was announced for kQuiet.
  bool settled() const;

  unsigned loaded() const;
  // What the initramfs has for a modalias, and how that went.
  DriverAnswer answer(std::string_view modalias) const;

 private:
  struct State;
  explicit Drivers(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// /init as the kernel's modprobe helper ("/init -q -- ALIAS"): loads what the alias leads to. The
// exit status.
int load_on_request(int argc, char** argv);

}  // namespace curlingiron
