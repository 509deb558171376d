#include "formats/kernel_config.h"

#include "base/text.h"
#include "base/units.h"

namespace curlingiron {

Result<KernelConfig> KernelConfig::parse(std::string_view text) {
  if (text.size() > 4_MiB) return Error("larger than any kernel configuration");
  constexpr std::string_view kPrefix = "CONFIG_";
  KernelConfig config;
  while (!text.empty()) {
    size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = trim(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    size_t equals = line.find('=');
    if (!line.starts_with(kPrefix) || equals == std::string_view::npos) continue;
    config.values_.insert_or_assign(
        std::string(line.substr(kPrefix.size(), equals - kPrefix.size())),
        std::string(line.substr(equals + 1)));
  }
  if (config.values_.empty()) return Error("not a kernel configuration: no CONFIG_ line");
  return config;
}

std::string_view KernelConfig::value(std::string_view option) const {
  auto found = values_.find(std::string(option));
  return found == values_.end() ? std::string_view() : std::string_view(found->second);
}

}  // namespace curlingiron
