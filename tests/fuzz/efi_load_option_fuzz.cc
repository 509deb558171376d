// A boot entry of the firmware; what is made of what was read is read as the same.
#include "formats/efi_load_option.h"

#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace curlingiron;
  ConstBytes bytes(data, size);
  static_cast<void>(efi_partitions(bytes, 512));
  if (parse_boot_order(bytes).size() != size / 2) std::abort();
  Result<EfiLoadOption> option = parse_load_option(bytes);
  if (!option.ok() || !option.value().partition) return 0;
  // A node of 64 KiB holds fewer than what several together name.
  constexpr size_t kMost = 30000;
  if (option.value().loader.size() > kMost) return 0;
  Result<EfiLoadOption> again = parse_load_option(format_load_option(option.value()));
  if (!again.ok() || again.value().loader != option.value().loader ||
      again.value().description != option.value().description ||
      again.value().partition->signature != option.value().partition->signature ||
      again.value().partition->first_sector != option.value().partition->first_sector) {
    std::abort();
  }
  return 0;
}
