// Base64 (RFC 4648, section 4): the standard alphabet, padded.
#pragma once

#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"

namespace curlingiron {

std::string to_base64(ConstBytes bytes);
// Blanks and line ends are skipped; any other character, and a length or padding that base64 does
// not produce, are errors.
Result<ByteVector> from_base64(std::string_view text);

}  // namespace curlingiron
