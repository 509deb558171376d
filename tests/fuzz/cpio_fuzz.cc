// CpioReader: any bytes; what it reads as plain files can be written and read back.
#include <cstdlib>

#include "formats/cpio.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace curlingiron;
  CpioReader reader(ConstBytes(data, size));
  CpioWriter writer;
  size_t written = 0;
  for (;;) {
    Result<std::optional<CpioEntry>> entry = reader.next();
    if (!entry.ok() || !entry.value().has_value()) break;
    if (writer.add_file(entry.value()->path, entry.value()->mode, entry.value()->data).ok()) {
      ++written;
    }
  }
  ByteVector archive = std::move(writer).finish();
  CpioReader back(archive);
  for (;;) {
    Result<std::optional<CpioEntry>> entry = back.next();
    if (!entry.ok()) std::abort();
    if (!entry.value().has_value()) break;
    if (written-- == 0) std::abort();
  }
  if (written != 0) std::abort();
  return 0;
}
