// Percent-encoding (RFC 3986, 2.1).
#pragma once

#include <string>
#include <string_view>

namespace curlingiron {

// A '%' without two hexadecimal digits after it stands for itself.
std::string percent_decode(std::string_view text);

}  // namespace curlingiron
