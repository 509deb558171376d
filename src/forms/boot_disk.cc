#include "forms/boot_disk.h"

#include <algorithm>
#include <array>

#include "base/text.h"
#include "base/units.h"
#include "formats/fat.h"
#include "formats/gpt.h"
#include "formats/little_endian.h"
#include "formats/partition_type.h"

namespace curlingiron {
namespace {

constexpr uint32_t kSector = 512;
constexpr uint32_t kEntries = 128;
constexpr uint64_t kEntrySectors = kEntries * 128 / kSector;
// GRUB's core lies in what is left before the first MiB is full, to which partitions are aligned.
constexpr uint64_t kCoreSector = 64;
constexpr uint64_t kSystemSector = 1_MiB / kSector;

// In GRUB's files (include/grub/i386/pc/boot.h): where boot.img has the sector of the core, and
// the core's own first sector that of the rest.
constexpr size_t kCoreSectorAt = 0x5c;
constexpr size_t kRestSectorAt = kSector - 12;

// A random GUID's form (version 4) of given bytes.
Guid guid_of(ConstBytes identity, uint8_t number) {
  Guid guid{};
  std::copy_n(identity.begin(), guid.size(), guid.begin());
  guid[15] = static_cast<uint8_t>(guid[15] ^ number);
  guid[7] = static_cast<uint8_t>((guid[7] & 0x0f) | 0x40);
  guid[8] = static_cast<uint8_t>((guid[8] & 0x3f) | 0x80);
  return guid;
}

Result<void> check_loader(const BiosLoader& bios) {
  bool sector = bios.boot_sector.size() == kSector && bios.boot_sector[510] == 0x55 &&
                bios.boot_sector[511] == 0xaa;
  if (!sector) return Error("boot.img of GRUB is no boot sector; install grub-pc-bin again");
  if (bios.core.size() <= kSector || bios.core.size() > (kSystemSector - kCoreSector) * kSector) {
    return Error(concat("GRUB's core of ", format_size(bios.core.size()),
                        " does not fit before the first partition"));
  }
  return {};
}

void put(ByteVector& disk, uint64_t sector, ConstBytes bytes) {
  std::ranges::copy(bytes, disk.begin() + static_cast<ptrdiff_t>(sector * kSector));
}

// Both tables with their headers.
Result<void> put_tables(ByteVector& disk, const std::vector<GptPartition>& partitions,
                        const Guid& id) {
  uint64_t sectors = disk.size() / kSector;
  ByteVector entries = TRY(format_gpt_entries(partitions, kEntries));
  GptHeader header;
  header.own_sector = 1;
  header.other_sector = sectors - 1;
  header.first_usable = 2 + kEntrySectors;
  header.last_usable = sectors - 2 - kEntrySectors;
  header.disk = id;
  header.entries_sector = 2;
  header.entry_count = kEntries;
  header.entry_size = 128;
  header.entries_crc = crc32(entries);
  put(disk, header.own_sector, format_gpt_header(header, kSector));
  put(disk, header.entries_sector, entries);
  std::swap(header.own_sector, header.other_sector);
  header.entries_sector = header.last_usable + 1;
  put(disk, header.own_sector, format_gpt_header(header, kSector));
  put(disk, header.entries_sector, entries);
  return {};
}

}  // namespace

Result<ByteVector> make_system_partition(const std::vector<BootFile>& files, ConstBytes identity,
                                         uint32_t first_sector) {
  FatVolume volume;
  volume.label = "CURLINGIRON";
  volume.serial = uint32_t{identity[0]} << 24 | uint32_t{identity[1]} << 16 |
                  uint32_t{identity[2]} << 8 | identity[3];
  volume.hidden_sectors = first_sector;
  for (const BootFile& file : files) volume.files.push_back({file.path, file.bytes});
  return make_fat(volume);
}

Result<ByteVector> make_boot_disk(const BootDisk& disk) {
  bool has_bios = !disk.bios.core.empty();
  if (has_bios) TRY(check_loader(disk.bios));
  ByteVector system = TRY(make_system_partition(disk.files, disk.identity, kSystemSector));
  uint64_t system_sectors = system.size() / kSector;
  ByteVector out((kSystemSector + system_sectors + kEntrySectors + 1) * kSector);

  ByteVector boot_sector = disk.bios.boot_sector;
  if (has_bios) {
    put_le64(boot_sector, kCoreSectorAt, kCoreSector);
    ByteVector core = disk.bios.core;
    put_le64(core, kRestSectorAt, kCoreSector + 1);
    put(out, kCoreSector, core);
  }
  put(out, 0, format_protective_mbr(out.size() / kSector, boot_sector));
  put(out, kSystemSector, system);

  // GRUB's is there even where it is empty: the system partition is always the second one.
  std::vector<GptPartition> partitions = {
      {kBiosBootType, guid_of(disk.identity, 1), kCoreSector, kSystemSector - 1, 0, "GRUB"},
      {kEfiSystemType, guid_of(disk.identity, 2), kSystemSector, kSystemSector + system_sectors - 1,
       0, "curlingiron"}};
  TRY(put_tables(out, partitions, guid_of(disk.identity, 0)));
  return out;
}

}  // namespace curlingiron
