// What a disk says about itself.
#include "disk/vpd.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace curlingiron;
  ConstBytes page(data, size);
  static_cast<void>(parse_unit_serial(page));
  Result<std::vector<Designator>> designators = parse_device_identification(page);
  if (!designators.ok()) return 0;
  for (const Designator& designator : designators.value()) {
    static_cast<void>(parse_ata_names(designator.value));
  }
  return 0;
}
