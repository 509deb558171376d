// A block of LZO1X, as lzop(1) and kernels pack with it (the kernel's
// Documentation/staging/lzo.rst, bitstream version 0).
#pragma once

#include <cstddef>

#include "base/bytes.h"
#include "base/result.h"

namespace curlingiron {

// Decodes the whole block into the front of `out`; gives the bytes written. Errors: data that ends
// too soon or too late, that points before the block, or that does not fit.
Result<size_t> decode_lzo1x(ConstBytes block, MutableBytes out);

}  // namespace curlingiron
