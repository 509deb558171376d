// Announcements of devices, as the kernel sends them.
#include "sys/uevent.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  (void)curlingiron::parse_uevent({data, size});
  return 0;
}
