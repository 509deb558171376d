// What an image's first bytes and a disk's properties show before anything is written.
#pragma once

#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "base/result.h"
#include "disk/choose.h"

namespace curlingiron {

// `head`: the first bytes of the raw image (up to 1 MiB). `image_size`: bytes, where known
// beforehand (a raw file's length, a zstd frame's content size); the primary GPT's backup LBA says
// a lower bound. Errors: larger than the disk, a partition table or a bare file system for another
// sector size (a GPT's is certain; an MBR's is seen from what lies where its partitions begin).
Result<void> check_image_fits(ConstBytes head, std::optional<uint64_t> image_size,
                              const Disk& disk);

}  // namespace curlingiron
