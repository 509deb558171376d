// What a machine starts: a kernel, its command line, and the initramfs that is its program.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "base/bytes.h"

namespace curlingiron {

struct Bootable {
  std::string release;  // of the kernel
  ByteVector kernel;
  ByteVector initramfs;
  std::string command_line;
};

// A file of a form that consists of several.
struct BootFile {
  std::string path;  // below the form's directory
  ByteVector bytes;
  unsigned mode = 0644;
};
inline BootFile text_file(std::string path, std::string_view text, unsigned mode = 0644) {
  ConstBytes bytes = as_bytes(text);
  return {std::move(path), ByteVector(bytes.begin(), bytes.end()), mode};
}

}  // namespace curlingiron
