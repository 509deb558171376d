// The first sectors of a disk: partition tables, and what is concluded from them before writing.
#include <algorithm>
#include <cstdlib>

#include "disk/boot_mode.h"
#include "disk/preflight.h"
#include "formats/gpt.h"
#include "formats/superblock.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace curlingiron;
  ConstBytes head(data, size);
  static_cast<void>(parse_mbr(head));
  static_cast<void>(find_file_system(head));
  for (uint32_t sector : {512u, 4096u}) {
    static_cast<void>(partition_table_id(head, sector));
    Disk disk;
    disk.name = "vda";
    disk.size = uint64_t{1} << 30;
    disk.logical_sector = sector;
    static_cast<void>(check_image_fits(head, std::nullopt, disk));
    static_cast<void>(check_boot_mode(head, disk, BootMode::Bios));
    static_cast<void>(check_boot_mode(head, disk, BootMode::Uefi));
    static_cast<void>(find_gpt_partitions(head, sector));
    if (size < 2 * size_t{sector}) continue;
    Result<GptHeader> header = parse_gpt_header(head.subspan(sector, sector));
    if (!header.ok()) continue;
    if (header.value().entries_bytes() > kMostGptEntryBytes) std::abort();
    ConstBytes rest = head.subspan(2 * size_t{sector});
    size_t length =
        std::min<size_t>(rest.size(), static_cast<size_t>(header.value().entries_bytes()));
    Result<std::vector<GptPartition>> partitions =
        parse_gpt_entries(header.value(), rest.first(length));
    // The checksum stops mutations: the entries after it are parsed with one that fits as well.
    GptHeader trusted = header.value();
    trusted.entry_count = static_cast<uint32_t>(length / trusted.entry_size);
    ConstBytes entries = rest.first(static_cast<size_t>(trusted.entries_bytes()));
    trusted.entries_crc = crc32(entries);
    partitions = parse_gpt_entries(trusted, entries);
  }
  return 0;
}
