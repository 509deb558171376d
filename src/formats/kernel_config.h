// A kernel's .config ("CONFIG_RD_XZ=y"): boot/config-RELEASE, or IKCONFIG unpacked.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>

#include "base/result.h"

namespace curlingiron {

class KernelConfig {
 public:
  // Bound: 4 MiB. A text without any CONFIG_ line is an error: it is something else.
  static Result<KernelConfig> parse(std::string_view text);

  // "y", "m", a number or a string with its quotes; empty: not set. `option` without "CONFIG_".
  std::string_view value(std::string_view option) const;
  bool built_in(std::string_view option) const { return value(option) == "y"; }

 private:
  std::unordered_map<std::string, std::string> values_;
};

}  // namespace curlingiron
