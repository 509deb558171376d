// The end of a zip archive: where its directory lies and what is in it stay within the file.
#include <cstdlib>

#include "formats/zip_directory.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace curlingiron;
  ConstBytes bytes(data, size);
  // The file may have more before what is looked at.
  for (uint64_t before : {uint64_t{0}, (uint64_t{1} << 32) + 7}) {
    Result<ZipEnd> end = find_zip_end(bytes, before + size);
    if (!end.ok()) continue;
    const ZipEnd& found = end.value();
    if (found.directory > before + size || found.length > before + size - found.directory)
      std::abort();
    if (found.directory < before) continue;
    ConstBytes directory = bytes.subspan(static_cast<size_t>(found.directory - before),
                                         static_cast<size_t>(found.length));
    Result<std::vector<ZipEntry>> entries = parse_zip_directory(directory, found);
    if (!entries.ok()) continue;
    if (entries.value().size() > kMostZipEntries) std::abort();
    for (const ZipEntry& entry : entries.value()) {
      if (entry.offset >= found.directory) std::abort();
    }
  }
  return 0;
}
