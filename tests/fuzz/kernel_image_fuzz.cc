// A kernel image's head and a kernel configuration.
#include "formats/kernel_config.h"
#include "formats/kernel_image.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace curlingiron;
  ConstBytes bytes(data, size);
  static_cast<void>(parse_kernel_image(bytes).ok());
  static_cast<void>(KernelConfig::parse(as_text(bytes)).ok());
  return 0;
}
