// read_elf_dynamic, parse_ld_so_conf: any bytes; names are never longer than the file.
#include <cstdlib>

#include "formats/elf_dynamic.h"
#include "formats/ld_so_conf.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace curlingiron;
  ConstBytes file(data, size);
  for (const LdSoConfLine& line : parse_ld_so_conf(as_text(file))) {
    if (line.text.empty()) std::abort();
  }
  static_cast<void>(read_elf_kind(file).ok());
  Result<ElfDynamic> elf = read_elf_dynamic(file);
  if (!elf.ok()) return 0;
  for (const std::string& name : elf.value().needed) {
    if (name.empty() || name.size() > size) std::abort();
  }
  if (!elf.value().interpreter.empty() && elf.value().interpreter.front() != '/') std::abort();
  return 0;
}
