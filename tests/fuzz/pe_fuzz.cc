// A UEFI program: read, and with sections added read again.
#include <algorithm>
#include <cstdlib>

#include "formats/pe.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace curlingiron;
  ConstBytes file(data, size);
  Result<PeProgram> before = parse_pe(file);
  ByteVector bytes(700, 0x5a);
  std::vector<PeSection> added = {{".cmdline", bytes}, {".linux", bytes}};
  Result<ByteVector> made = add_pe_sections(file, added);
  if (!made.ok()) return 0;
  if (!before.ok()) std::abort();
  Result<PeProgram> after = parse_pe(made.value());
  if (!after.ok() || after.value().is_signed) std::abort();
  size_t count = before.value().sections.size();
  if (after.value().sections.size() != count + added.size()) std::abort();
  for (const PeSection& section : std::span(after.value().sections).subspan(count)) {
    if (!std::ranges::equal(section.bytes, bytes)) std::abort();
  }
  return 0;
}
