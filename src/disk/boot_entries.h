// The firmware's list of what it starts (UEFI specification 2.10, chapter 3), and what becomes of
// it when a disk's system is replaced: the new one comes first, what pointed at the old one goes,
// all others stay as they are and in their order.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "disk/choose.h"
#include "formats/efi_load_option.h"
#include "sys/efi_variables.h"
#include "sys/fd.h"

namespace curlingiron {

// Where efivarfs belongs, below the root.
inline constexpr char kEfiVariablesPath[] = "sys/firmware/efi/efivars";

struct BootEntries {
  struct Entry {
    uint16_t number = 0;
    EfiLoadOption option;
  };
  std::vector<Entry> entries;      // those that can be read, by number
  std::vector<uint16_t> others;    // those that cannot
  std::vector<uint16_t> order;     // BootOrder: it may name what is not there
  std::vector<std::string> notes;  // what is wrong, and what to do about it
};

// Damage is a note, not an error: it stays as it is.
Result<BootEntries> read_boot_entries(EfiVariables& variables);

// The partitions of a disk that entries may point at; none where its table cannot be read. `root`
// holds dev/.
std::vector<EfiPartition> read_efi_partitions(const UniqueFd& root, const Disk& disk);

// Entries for a partition that `before` has and `after` has not. One for a partition that was in
// neither may be that of a stick that is not plugged in.
std::vector<uint16_t> dead_entries(const BootEntries& entries,
                                   const std::vector<EfiPartition>& before,
                                   const std::vector<EfiPartition>& after);

struct BootEntryWish {
  std::vector<EfiPartition> before;  // of the disk
  std::vector<EfiPartition> after;
  // What is to be started, active and without data; nullopt: only dead entries go.
  std::optional<EfiLoadOption> entry;
};

struct BootEntryChange {
  std::optional<uint16_t> entry;  // the first one now
  size_t removed = 0;
};

// In an order in which the machine starts something whenever the power goes: the new entry is
// written before anything names it, and what is dead is removed when nothing names it any more. An
// entry that is there already is taken again. Where the firmware's memory is full, dead entries go
// first: that makes room at once, or from its next start on (EDK2). BootNext stays. Errors: what
// the firmware refuses; the entries of other systems work as before.
Result<BootEntryChange> change_boot_entries(EfiVariables& variables, const BootEntries& entries,
                                            const BootEntryWish& wish);

}  // namespace curlingiron
