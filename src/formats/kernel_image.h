// What a kernel image says about itself. x86: Documentation/arch/x86/boot.rst; arm64:
// Documentation/arch/arm64/booting.rst (known, so that it can be named; not yet supported).
#pragma once

#include <cstdint>
#include <string>

#include "base/bytes.h"
#include "base/result.h"

namespace curlingiron {

enum class KernelArchitecture { X86_64, X86_32, Arm64 };

struct KernelHeader {
  KernelArchitecture architecture = KernelArchitecture::X86_64;
  // `uname -r`; empty where the format has no place for it (arm64).
  std::string release;
  uint16_t protocol = 0;           // x86 boot protocol, 0x020f is 2.15
  uint32_t command_line_size = 0;  // longest command line, without its NUL; 0: unknown
  uint32_t memory_size = 0;        // bytes that it needs in a row while it starts; 0: unknown
};

// How much of the file's head parse_kernel_image needs: the setup sectors and the version string.
inline constexpr size_t kKernelHeadSize = size_t{64} << 10;

// `head`: the first bytes of the file, kKernelHeadSize of them where the file has so many.
// What is not a kernel is an error that says what it looks like.
Result<KernelHeader> parse_kernel_image(ConstBytes head);

}  // namespace curlingiron
