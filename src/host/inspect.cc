#include "host/inspect.h"

#include "base/log.h"

namespace curlingiron {

int inspect(const InspectOptions&) {
  log_error("not yet");
  return kExitFailed;
}

}  // namespace curlingiron
