// The partitions of a disk as people name them. Pure.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace curlingiron {

struct Partition {
  // What its type says: Discoverable Partitions
  // (https://uapi-group.org/specifications/specs/discoverable_partitions_specification/), or the
  // MBR's byte.
  enum class Use {
    Other,
    Root,   // of any architecture
    Boot,   // XBOOTLDR
    Esp,    // the system partition of UEFI
    Linux,  // any file system of Linux
    Fat,    // any FAT; of an MBR alone
    Bare,   // no file system: boot code, swap, or what others lie in (LVM, RAID, LUKS)
  };

  unsigned number = 0;  // as Linux counts, from 1
  uint64_t offset = 0;  // bytes
  uint64_t size = 0;    // bytes
  Use use = Use::Other;
  std::string name;  // of a GPT; printable ASCII
  bool is_of_mbr = false;

  // Its file system can only be FAT.
  bool is_fat() const { return use == Use::Esp || use == Use::Fat; }
  std::string describe() const;  // "partition 2 (root)"
};

// Of the GPT or MBR in `head`, the first bytes of a disk with sectors of that size; in the table's
// order, without extended ones and what lies in these. A GPT counts where the MBR announces it.
// Errors: neither, or a damaged GPT.
Result<std::vector<Partition>> list_partitions(ConstBytes head, uint32_t sector);

// The one that `word` means: a number; `root`, `boot` or `esp` by its type; a name; else for these
// three words the only one that fits. Errors: none, several; they name those that are there.
Result<Partition> choose_partition(std::span<const Partition> partitions, std::string_view word);

}  // namespace curlingiron
