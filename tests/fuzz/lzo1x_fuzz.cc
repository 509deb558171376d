// A block of LZO1X: what comes out is what LZO's own library makes of it. But for an end mark of
// another length than 3, which the library takes and the kernel (lib/lzo/lzo1x_decompress_safe.c)
// and we do not.
#include <lzo/lzo1x.h>

#include <algorithm>
#include <cstdlib>

#include "formats/lzo1x.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace curlingiron;
  constexpr size_t kRoom = size_t{1} << 16;
  ByteVector ours(kRoom);
  ByteVector theirs(kRoom);
  Result<size_t> n = decode_lzo1x(ConstBytes(data, size), ours);
  lzo_uint expected = kRoom;
  bool good = ::lzo1x_decompress_safe(data, size, theirs.data(), &expected, nullptr) == LZO_E_OK;
  if (good && !n.ok() && n.error().message() == "an end mark of another length") return 0;
  if (good != n.ok()) std::abort();
  if (good &&
      (n.value() != expected ||
       !std::equal(ours.begin(), ours.begin() + static_cast<ptrdiff_t>(expected), theirs.begin())))
    std::abort();
  return 0;
}
