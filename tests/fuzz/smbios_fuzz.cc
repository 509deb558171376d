// A table of SMBIOS.
#include "formats/smbios.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace curlingiron;
  for (const std::string& text : parse_oem_strings(ConstBytes(data, size))) {
    (void)setting_of_oem_string(text);
  }
  return 0;
}
