// ELF, as far as an initramfs needs it: is /init a program for this machine, what does a kernel
// module say about itself, and the module without what the kernel does not read. 64-bit little
// endian only (gABI; x86-64 psABI). Every offset of a file is checked before it is used.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace curlingiron {

enum class ElfMachine : uint16_t { X86_64 = 62, Aarch64 = 183 };
// "x86-64", "aarch64", "386", or "ELF machine N".
std::string machine_name(uint16_t machine);

// Nothing when `file` is an executable (static or position independent) for `machine`; else an
// error that says what it is.
Result<void> check_executable(ConstBytes file, ElfMachine machine);

// The .modinfo section of a module.
struct ModuleInfo {
  uint16_t machine = 0;
  std::string vermagic;  // "6.1.0-56-amd64 SMP preempt mod_unload modversions "
  std::vector<std::string> aliases;
  std::vector<std::string> firmware;           // paths below lib/firmware; may be globs
  std::vector<std::string> depends;            // modules whose symbols it uses, as modpost saw it
  std::vector<std::string> soft_dependencies;  // "pre: NAME... post: NAME..."
  std::vector<std::string> weak_dependencies;  // "NAME..."
  bool livepatch = false;

  // The kernel's release: the first word of vermagic.
  std::string_view release() const;
};
Result<ModuleInfo> read_module_info(ConstBytes module);

// The symbols that the kernel or other modules must have for this one to load. Borrowed from
// `module`.
Result<std::vector<std::string_view>> imported_symbols(ConstBytes module);

// The signature appended to a module (kernel, include/linux/module_signature.h).
bool has_module_signature(ConstBytes module);

// The module as a smaller, valid ELF file that the same kernel loads:
// - without signature, sections that are not loaded, unwind tables (.orc_*: only stack traces
// become
//   less exact), build id, and the tables of function tracing and call depth tracking
//   (retbleed=stuff, never a default), whose calls are made no-ops;
// - without symbols that no relocation names; relocations to what is defined in the module name
//   the section and an offset instead, as the assembler does for local labels;
// - .modinfo keeps what the kernel reads, not what modinfo(8) shows.
// A livepatch module, whose symbols the kernel reads, is an error, as is a malformed file.
Result<ByteVector> strip_module(ConstBytes module);

}  // namespace curlingiron
