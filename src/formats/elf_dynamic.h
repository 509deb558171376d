// ELF programs and libraries as the dynamic loader reads them (gABI, chapter 5; elf(5)): what a
// file needs before it can run. 64-bit little endian of any machine; every offset is checked.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace curlingiron {

// True when the file begins as ELF files do.
bool is_elf(ConstBytes file);

enum class ElfType { Relocatable, Program, Other };  // Program: or a shared library
struct ElfKind {
  bool is_64_bit = false;
  bool little_endian = false;
  ElfType type = ElfType::Other;
  uint16_t machine = 0;  // names: formats/elf.h

  bool operator==(const ElfKind&) const = default;
};
Result<ElfKind> read_elf_kind(ConstBytes file);

struct ElfDynamic {
  ElfKind kind;
  std::string interpreter;             // PT_INTERP; empty: a library, or static
  std::vector<std::string> needed;     // DT_NEEDED, in order; with $ORIGIN and the like as they are
  std::optional<std::string> rpath;    // DT_RPATH: directories between colons
  std::optional<std::string> runpath;  // DT_RUNPATH: the same; the loader ignores rpath then
  std::string soname;                  // DT_SONAME; empty: none
  bool no_default_directories = false;  // DF_1_NODEFLIB of DT_FLAGS_1
};
// Static programs, objects and files with debugging information only have nothing of it. A dynamic
// file that is not 64-bit little endian is an error that says so. Bounds: 4,096 libraries.
Result<ElfDynamic> read_elf_dynamic(ConstBytes file);

}  // namespace curlingiron
