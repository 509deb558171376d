#include "image/placement.h"

#include <algorithm>

#include "io/digest.h"

namespace curlingiron {

Result<DiskLayout> place_image(ConstBytes head, const Settings& settings, const Disk& disk,
                               ConstBytes seed) {
  LayoutWish wish{.disk_size = disk.size,
                  .sector = disk.logical_sector,
                  .grow = settings.grow,
                  .seed_size = seed.size()};
  if (!seed.empty()) {
    // As random as what is in it (RFC 9562, version 8), and the same each time it is asked for.
    ByteVector digest = digest_of(DigestKind::Sha256, seed);
    std::copy_n(digest.begin(), wish.seed_id.size(), wish.seed_id.begin());
    wish.seed_id[7] = static_cast<uint8_t>((wish.seed_id[7] & 0x0f) | 0x80);
    wish.seed_id[8] = static_cast<uint8_t>((wish.seed_id[8] & 0x3f) | 0x80);
  }
  DiskLayout layout = TRY(plan_disk_layout(head, wish));
  if (layout.seed_offset) {
    auto after = std::ranges::find_if(
        layout.patches, [&](const DiskPatch& patch) { return patch.offset > *layout.seed_offset; });
    layout.patches.insert(after, {*layout.seed_offset, ByteVector(seed.begin(), seed.end())});
  }
  return layout;
}

}  // namespace curlingiron
