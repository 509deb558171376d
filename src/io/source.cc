#include "io/source.h"

namespace curlingiron {

Result<size_t> read_full(Source& source, MutableBytes into) {
  size_t filled = 0;
  while (filled < into.size()) {
    size_t n = TRY(source.read(into.subspan(filled)));
    if (n == 0) break;
    filled += n;
  }
  return filled;
}

}  // namespace curlingiron
