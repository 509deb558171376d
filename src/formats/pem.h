// The blocks of a PEM file (RFC 7468): certificates and keys in base64 between two lines.
#pragma once

#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace curlingiron {

struct PemBlocks {
  std::vector<ByteVector> contents;
  // Blocks of that label that are cut, empty, or no base64. Such a one takes nothing of the next
  // with it.
  size_t damaged = 0;
};

// Those of a label ("CERTIFICATE"); other blocks and the text between them are passed over. Time
// and memory are linear in the text's length.
PemBlocks read_pem(std::string_view text, std::string_view label);

}  // namespace curlingiron
