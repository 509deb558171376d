// What changes in an image's partition table when it comes onto a larger disk: a GPT's backup at
// the disk's real end, a last partition that reaches as far as it can, one more partition for what
// is handed to the new system. GPT: UEFI specification 2.10, chapter 5.3; MBR: 5.2.
//
// Pure. A table that is damaged, or of a kind that others read in other ways (hybrids), stays as
// the image has it, and a note says so: what boots today may depend on it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "formats/gpt.h"

namespace curlingiron {

// Bytes of the disk in the place of those of the image: whole sectors.
struct DiskPatch {
  uint64_t offset = 0;
  ByteVector bytes;

  uint64_t end() const { return offset + bytes.size(); }
};

struct LayoutWish {
  uint64_t disk_size = 0;  // bytes
  uint32_t sector = 512;   // bytes, logical
  bool grow = false;       // the last partition
  uint64_t seed_size = 0;  // bytes, a multiple of kSeedAlignment; 0: none
  Guid seed_id{};          // of its partition
};

inline constexpr uint64_t kSeedAlignment = uint64_t{1} << 20;
// The name of its partition in a GPT, by which a seed of ours is known again: another replaces it.
inline constexpr std::string_view kSeedPartitionName = "curlingiron seed";

struct DiskLayout {
  // The partition that ends last, a seed of ours excepted.
  struct LastPartition {
    unsigned number = 0;  // as Linux counts
    uint64_t offset = 0;  // bytes, as those that follow
    uint64_t size_before = 0;
    uint64_t size = 0;
    uint64_t free_after = 0;  // that it could grow by, the seed's place excepted

    bool grows() const { return size != size_before; }
  };
  enum class Table { None, Gpt, Mbr };

  Table table = Table::None;
  std::vector<DiskPatch> patches;  // ascending, apart from each other
  std::optional<LastPartition> last;
  std::optional<uint64_t> seed_offset;  // bytes
  unsigned seed_number = 0;
  bool backup_moves = false;       // a GPT's, to the disk's end
  std::vector<std::string> notes;  // what stays as the image has it, and why
};

// `head`: the first bytes of the image, up to 1 MiB. Errors: a seed that has no room (says how much
// is missing), no free entry, or no table that it could be entered into.
Result<DiskLayout> plan_disk_layout(ConstBytes head, const LayoutWish& wish);

}  // namespace curlingiron
