// The consoles as places where somebody may sit.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "sys/fd.h"

namespace curlingiron {

struct Console {
  std::string name;  // "ttyS0"
  UniqueFd input;
};

// Terminals of /dev that are consoles; what was typed before is dropped. tty0 stands for the one on
// the screen, and cannot be a session's own.
std::vector<Console> open_consoles(const UniqueFd& root);

// The console where a line was typed; nullopt when there was none in time.
Result<std::optional<std::string>> wait_for_enter(std::vector<Console> consoles,
                                                  std::optional<Duration> patience);

}  // namespace curlingiron
