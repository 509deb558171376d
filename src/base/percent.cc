#include "base/percent.h"

#include "base/bytes.h"

namespace curlingiron {

std::string percent_decode(std::string_view text) {
  std::string result;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size()) {
      Result<ByteVector> byte = from_hex(text.substr(i + 1, 2));
      if (byte.ok() && byte.value().size() == 1) {
        result += static_cast<char>(byte.value()[0]);
        i += 2;
        continue;
      }
    }
    result += text[i];
  }
  return result;
}

}  // namespace curlingiron
