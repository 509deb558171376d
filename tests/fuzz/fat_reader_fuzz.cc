// A file system, whose directories are read to some depth.
#include "formats/fat_reader.h"

#include <algorithm>
#include <cstdlib>

namespace {

void visit(const curlingiron::FatReader& reader, const std::string& path, int deeper) {
  using namespace curlingiron;
  Result<std::vector<FatEntry>> entries = reader.list(path);
  if (!entries.ok()) return;
  if (entries.value().size() > 65536) std::abort();
  int left = 3;
  for (const FatEntry& entry : entries.value()) {
    if (entry.name.size() > 260) std::abort();
    if (!entry.is_directory || deeper == 0 || left-- == 0) continue;
    visit(reader, path.empty() ? entry.name : path + "/" + entry.name, deeper - 1);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace curlingiron;
  Result<FatReader> reader =
      FatReader::open([&](uint64_t offset, MutableBytes into) -> Result<void> {
        if (offset > size || into.size() > size - offset) return Error("past the end");
        std::copy_n(data + offset, into.size(), into.data());
        return {};
      });
  if (reader.ok()) visit(reader.value(), "", 2);
  return 0;
}
