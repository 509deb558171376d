// Whether an image is a disk's, before anything is written. The setting boot=any goes without this.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"

namespace curlingiron {

inline constexpr uint64_t kLeastSector = 512;

// `head`: the first bytes of the decoded image, up to 1 MiB; all of it where it is shorter. `what`
// begins the message: "what the server sent", "the file". Errors say what it is and what to do: a
// file of another kind, text, packed once more, zeros, shorter than a sector, or nothing in which a
// partition table, a boot sector, a file system or another volume is known.
Result<void> check_is_disk(ConstBytes head, std::string_view what);

// The decoded image is `size` bytes long: no disk ends within a sector. `proven`: a digest or a
// signature says that it is the one that was meant; then it is a warning, and the rest of the
// sector becomes zeros.
Result<void> check_ends_with_sector(uint64_t size, bool proven);

}  // namespace curlingiron
