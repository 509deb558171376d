// Any beginning of a file: a disk, a file of another kind, text, or nothing that is known.
#include <cstdlib>

#include "formats/disk_image.h"
#include "formats/foreign_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace curlingiron;
  ConstBytes begin(data, size);
  std::optional<DiskImage> disk = find_disk_image(begin);
  if (disk && disk->name.empty()) std::abort();
  // A kernel is no disk, unless a GPT lies after its first sector.
  if (disk && disk->name != "GPT" && find_kernel(begin)) std::abort();
  std::optional<ForeignFile> foreign = find_foreign_file(begin);
  if (foreign && (foreign->name.empty() || foreign->advice.empty())) std::abort();
  if (find_text(begin) && !foreign) std::abort();
  return 0;
}
