// strip_module: any bytes; what it returns must be a module that it strips to itself.
#include <cstdlib>

#include "formats/elf.h"
#include "payload/driver_rules.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace curlingiron;
  ConstBytes module(data, size);
  static_cast<void>(check_executable(module, ElfMachine::X86_64).ok());
  static_cast<void>(read_module_info(module).ok());
  if (auto imports = imported_symbols(module); imports.ok()) {
    static_cast<void>(roles_of(imports.value()));
  }
  Result<ByteVector> stripped = strip_module(module);
  if (!stripped.ok()) return 0;
  Result<ByteVector> again = strip_module(stripped.value());
  if (!again.ok() || again.value() != stripped.value()) std::abort();
  return 0;
}
