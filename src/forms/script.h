// A script that is the whole installer: curl URL | sudo sh.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace curlingiron {

// As unpack/text.h has it: with its header.
struct ScriptPart {
  std::string path;  // below the script's own directory: "curlingiron", "payload/vmlinuz"
  ByteVector packed;
  uint64_t size = 0;  // unpacked
  bool is_program = false;
};

struct ScriptDescription {
  std::string machine;  // as uname -m calls it: "x86_64"
  ConstBytes unpacker;  // an ELF program (src/unpack)
  std::vector<ScriptPart> parts;
  std::string options;  // of "curlingiron flash", as sh reads them; "$place" is their directory
};

// Lines of at most 100 characters. A script that was cut off anywhere does nothing.
std::string make_script(const ScriptDescription& script);

// What is not worth packing, with the header.
ByteVector store_part(ConstBytes bytes);
// `lzma`: LZMA1 without a container of `bytes`, with these properties.
ByteVector lzma_part(ConstBytes bytes, uint8_t properties, ConstBytes lzma);

}  // namespace curlingiron
