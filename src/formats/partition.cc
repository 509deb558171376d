#include "formats/partition.h"

#include <algorithm>
#include <optional>

#include "base/text.h"
#include "base/units.h"
#include "formats/gpt.h"
#include "formats/partition_type.h"

namespace curlingiron {
namespace {

using Use = Partition::Use;

constexpr unsigned kFirstLogical = 5;  // of an MBR

struct TypeUse {
  Guid type;
  Use use;
};
constexpr TypeUse kTypes[] = {
    {kEfiSystemType, Use::Esp},
    {kBootLoaderType, Use::Boot},
    {guid("0fc63daf-8483-4772-8e79-3d69d8477de4"), Use::Linux},
    {kBiosBootType, Use::Bare},
    {guid("9e1a2d38-c612-4316-aa26-8b49521e5a8b"), Use::Bare},  // PReP boot
    {kSwapType, Use::Bare},
    {guid("e6d6d379-f507-44c2-a23c-238f2a3df928"), Use::Bare},  // LVM
    {guid("a19d880f-05fc-4d3b-a006-743f0f84911e"), Use::Bare},  // RAID
    {guid("ca7d7ccb-63ed-4c53-861c-1742536059cc"), Use::Bare},  // LUKS
    {guid("4f68bce3-e8cd-4db1-96e7-fbcaf984b709"), Use::Root},  // x86-64
    {guid("44479540-f297-41b2-9af7-d131d5f0458a"), Use::Root},  // x86
    {guid("b921b045-1df0-41c3-af44-4c6f280d3fae"), Use::Root},  // arm64
    {guid("69dad710-2ce4-4e3c-b16c-21a1d49abed3"), Use::Root},  // arm
    {guid("72ec70a6-cf74-40e6-bd49-4bda08e8f224"), Use::Root},  // riscv64
};

Use use_of(const Guid& type) {
  const TypeUse* found = std::ranges::find(kTypes, type, &TypeUse::type);
  return found == std::end(kTypes) ? Use::Other : found->use;
}

Use use_of(uint8_t type) {
  switch (type) {
    case 0x83: return Use::Linux;
    case kMbrSwapType:
    case 0x8e:                    // LVM
    case 0xe8:                    // LUKS
    case 0xfd: return Use::Bare;  // RAID
    case kMbrEfiSystemType: return Use::Esp;
    case 0x01:
    case 0x04:
    case 0x06:
    case 0x0b:
    case 0x0c:
    case 0x0e: return Use::Fat;
  }
  return Use::Other;
}

// A word that stands for a use, and what fits where no type says it.
struct UseWord {
  std::string_view word;
  Use use;
  Use otherwise;
};
constexpr UseWord kWords[] = {
    {"root", Use::Root, Use::Linux},
    {"boot", Use::Boot, Use::Fat},
    {"esp", Use::Esp, Use::Fat},
};

std::string list(std::span<const Partition> partitions) {
  std::vector<std::string> words;
  for (const Partition& partition : partitions) {
    words.push_back(concat(partition.number, " (",
                           partition.name.empty() ? "" : concat(partition.name, ", "),
                           format_size(partition.size), ")"));
  }
  return words.empty() ? "none" : join(words, ", ");
}

// What is looked for.
struct Wanted {
  std::string_view word;  // for messages
  std::optional<uint32_t> number = {};
  std::optional<Use> use = {};

  bool fits(const Partition& partition) const {
    if (number) return partition.number == *number;
    if (use) return partition.use == *use;
    return partition.name == word;
  }
};

// The one that fits; null: none does.
Result<const Partition*> the_one(std::span<const Partition> partitions, const Wanted& wanted) {
  const Partition* found = nullptr;
  for (const Partition& partition : partitions) {
    if (!wanted.fits(partition)) continue;
    if (found != nullptr) {
      return Error(concat("\"", printable(wanted.word, 40),
                          "\" may be more than one partition of the image: it has ",
                          list(partitions), "; name it by its number"));
    }
    found = &partition;
  }
  return found;
}

}  // namespace

std::string Partition::describe() const {
  return concat("partition ", number, name.empty() ? "" : concat(" (", name, ")"));
}

Result<std::vector<Partition>> list_partitions(ConstBytes head, uint32_t sector) {
  std::vector<Partition> partitions;
  Result<Mbr> mbr = parse_mbr(head.first(std::min(head.size(), kMbrBytes)));
  // Linux goes by the MBR where that does not say that there is a GPT (block/partitions/efi.c).
  if (mbr.ok() && mbr.value().is_protective() && has(head, sector, "EFI PART")) {
    for (GptPartition& part : TRY(find_gpt_partitions(head, sector))) {
      uint64_t most = UINT64_MAX / sector;
      if (part.last_sector >= most) return Error("a GPT entry ends after every disk");
      partitions.push_back({.number = part.number,
                            .offset = part.first_sector * sector,
                            .size = (part.last_sector - part.first_sector + 1) * sector,
                            .use = use_of(part.type),
                            .name = std::move(part.name),
                            .is_of_mbr = false});
    }
    return partitions;
  }
  if (!mbr.ok()) return mbr.error();
  if (mbr.value().is_protective()) return Error("its MBR stands for a GPT that is missing");
  unsigned number = 0;
  for (const MbrPartition& part : mbr.value().partitions) {
    ++number;
    if (part.type == 0 || part.sector_count == 0 || part.is_extended()) continue;
    partitions.push_back({.number = number,
                          .offset = uint64_t{part.first_sector} * sector,
                          .size = uint64_t{part.sector_count} * sector,
                          .use = use_of(part.type),
                          .name = {},
                          .is_of_mbr = true});
  }
  return partitions;
}

Result<Partition> choose_partition(std::span<const Partition> partitions, std::string_view word) {
  const UseWord* use = std::ranges::find(kWords, word, &UseWord::word);
  Result<uint32_t> number = parse_u32(word);
  std::vector<Wanted> tries;
  if (number.ok()) {
    tries.push_back({word, number.value()});
  } else if (use != std::end(kWords)) {
    tries = {{word, {}, use->use}, {word}, {word, {}, use->otherwise}};
  } else {
    tries.push_back({word});
  }
  for (const Wanted& wanted : tries) {
    if (const Partition* found = TRY(the_one(partitions, wanted))) return *found;
  }
  bool may_be_logical = number.ok() && number.value() >= kFirstLogical &&
                        std::ranges::any_of(partitions, &Partition::is_of_mbr);
  return Error(concat("the image has no partition \"", printable(word, 40), "\": it has ",
                      list(partitions),
                      may_be_logical ? "; one within an extended partition cannot be named" : ""));
}

}  // namespace curlingiron
