// Any head: what it is taken for, and what it tells of the size.
#include <cstdlib>

#include "io/decode.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace curlingiron;
  ConstBytes head(data, size);
  Format format = sniff(head);
  if (format_name(format).empty()) std::abort();
  if (!is_decodable(format) && not_decodable(format).message().empty()) std::abort();
  static_cast<void>(decoded_size_hint(format, head));
  return 0;
}
