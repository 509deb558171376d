#include <array>

#include "base/text.h"
#include "base/units.h"
#include "formats/payload_layout.h"
#include "payload/initramfs.h"

namespace curlingiron {
namespace {

struct Kind {
  std::string_view place;
  std::string_view name;
};
// The first that fits counts.
constexpr Kind kKinds[] = {{kInitPath, "/init"},
                           {kModuleFolder, "kernel modules"},
                           {kFirmwareFolder, "firmware"},
                           {kCaBundleFile.path, "CA bundle"},
                           {kOwnFolder, "index and settings"},
                           {"", "added files"}};

std::string row(std::string_view name, std::string_view value) {
  constexpr size_t kColumn = 24;
  std::string padding(name.size() < kColumn ? kColumn - name.size() : 1, ' ');
  return concat("  ", name, padding, value, "\n");
}

}  // namespace

std::string summarize(const Initramfs& initramfs) {
  std::string text = concat(
      "initramfs: ", format_size(initramfs.bytes.size()), " (", initramfs.bytes.size(), " bytes), ",
      format_size(initramfs.unpacked_size), " unpacked, ", initramfs.modules.size(), " modules\n");
  std::array<uint64_t, std::size(kKinds)> sizes{};
  for (const InitramfsPart& part : initramfs.parts) {
    for (size_t i = 0; i < std::size(kKinds); ++i) {
      if (!is_at_or_below(part.path, kKinds[i].place)) continue;
      sizes[i] += part.size;
      break;
    }
  }
  for (size_t i = 0; i < std::size(kKinds); ++i) {
    if (sizes[i] != 0) text += row(kKinds[i].name, format_size(sizes[i]));
  }
  for (const InitramfsSegment& segment : initramfs.segments) {
    text += row(concat("packed: ", segment.name), concat(format_size(segment.packed_size), " of ",
                                                         format_size(segment.unpacked_size)));
  }
  return text;
}

}  // namespace curlingiron
