// Programs for UEFI: the Portable Executable format, 64 bit (PE32+). Microsoft, "PE Format"; a
// unified kernel image is one whose further sections systemd-stub(7) reads.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace curlingiron {

enum class PeMachine { X86_64, Arm64 };

struct PeSection {
  std::string name;  // 8 bytes at most
  ConstBytes bytes;  // what the file holds of it; shorter than in memory, where zeros follow
};

struct PeProgram {
  PeMachine machine = PeMachine::X86_64;
  bool is_signed = false;
  std::vector<PeSection> sections;  // in the table's order; they borrow the file's bytes
};

Result<PeProgram> parse_pe(ConstBytes file);

// `program` with more sections after its own, read-only data each, in the order given. What it was
// signed by does not hold any more and is left out, as are symbols for debuggers. Errors: no such
// program, a name that is too long or there already, more than 2 GiB.
Result<ByteVector> add_pe_sections(ConstBytes program, std::span<const PeSection> added);

}  // namespace curlingiron
