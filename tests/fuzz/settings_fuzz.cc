// The kernel command line and the config file.
#include <cstdlib>

#include "base/bytes.h"
#include "formats/settings.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace curlingiron;
  std::string_view text = as_text({data, size});
  Settings from_command_line;
  (void)apply_command_line(text, from_command_line);
  Settings from_config;
  // What was applied can be taken apart.
  bool applied = apply_config(text, from_config).ok();
  if (applied && !split_config(text).ok()) std::abort();
  (void)parse_time(text);
  return 0;
}
