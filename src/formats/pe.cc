#include "formats/pe.h"

#include <algorithm>
#include <limits>

#include "base/text.h"
#include "base/units.h"

namespace curlingiron {
namespace {

using namespace std::string_view_literals;

constexpr size_t kHeaderAt = 0x3c;  // of the DOS header: where the other one stands
constexpr size_t kCoffSize = 20;
constexpr uint16_t kPlus = 0x20b;  // PE32+
constexpr size_t kSectionHeader = 40;
constexpr size_t kNameSize = 8;
constexpr uint16_t kMostSections = 96;
constexpr uint16_t kMachineX86 = 0x8664;
constexpr uint16_t kMachineArm = 0xaa64;
constexpr size_t kCertificates = 4;  // of the data directories; it holds a place in the file
constexpr size_t kDebug = 6;
constexpr uint32_t kReadOnlyData = 0x40000040;  // CNT_INITIALIZED_DATA, MEM_READ
constexpr uint64_t kMostBytes = std::numeric_limits<int32_t>::max();

// Offsets in the optional header.
constexpr size_t kInitializedAt = 8;
constexpr size_t kSectionAlignmentAt = 32;
constexpr size_t kFileAlignmentAt = 36;
constexpr size_t kImageSizeAt = 56;
constexpr size_t kHeadersSizeAt = 60;
constexpr size_t kChecksumAt = 64;
constexpr size_t kDirectoryCountAt = 108;
constexpr size_t kDirectoriesAt = 112;
// In the COFF header.
constexpr size_t kSectionCountAt = 2;
constexpr size_t kSymbolsAt = 8;
constexpr size_t kSymbolCountAt = 12;
constexpr size_t kOptionalSizeAt = 16;
// In a section's header.
constexpr size_t kVirtualSizeAt = 8;
constexpr size_t kVirtualAddressAt = 12;
constexpr size_t kRawSizeAt = 16;
constexpr size_t kRawPlaceAt = 20;
constexpr size_t kFlagsAt = 36;

// The fields of a file that are read and, in a copy of it, set. Every place was checked before.
uint16_t u16_at(ConstBytes bytes, size_t at) {
  return static_cast<uint16_t>(bytes[at] | bytes[at + 1] << 8);
}
uint32_t u32_at(ConstBytes bytes, size_t at) {
  return uint32_t{u16_at(bytes, at)} | uint32_t{u16_at(bytes, at + 2)} << 16;
}
void set_u16(MutableBytes bytes, size_t at, uint16_t value) {
  bytes[at] = static_cast<uint8_t>(value);
  bytes[at + 1] = static_cast<uint8_t>(value >> 8);
}
void set_u32(MutableBytes bytes, size_t at, uint32_t value) {
  set_u16(bytes, at, static_cast<uint16_t>(value));
  set_u16(bytes, at + 2, static_cast<uint16_t>(value >> 16));
}

struct Section {
  std::string name;
  uint32_t virtual_size = 0;
  uint32_t address = 0;
  uint32_t raw_size = 0;
  uint32_t raw_place = 0;  // in the file
};

// Where everything stands in a file, all of it inside the file.
struct Layout {
  PeMachine machine = PeMachine::X86_64;
  size_t coff = 0;
  size_t optional = 0;
  size_t table = 0;  // of sections
  uint32_t section_alignment = 0;
  uint32_t file_alignment = 0;
  uint32_t headers_size = 0;
  uint32_t directories = 0;
  std::vector<Section> sections;

  size_t table_end() const { return table + sections.size() * kSectionHeader; }
};

bool is_power_of_two(uint64_t value) { return value != 0 && (value & (value - 1)) == 0; }

Result<Section> read_section(ConstBytes file, size_t at) {
  Section section;
  std::string_view name = as_text(file.subspan(at, kNameSize));
  section.name = std::string(name.substr(0, std::min(name.find('\0'), name.size())));
  section.virtual_size = u32_at(file, at + kVirtualSizeAt);
  section.address = u32_at(file, at + kVirtualAddressAt);
  section.raw_size = u32_at(file, at + kRawSizeAt);
  section.raw_place = u32_at(file, at + kRawPlaceAt);
  // As loaders take it.
  if (section.virtual_size == 0) section.virtual_size = section.raw_size;
  if (section.raw_size != 0 && uint64_t{section.raw_place} + section.raw_size > file.size()) {
    return Error(
        concat("section ", printable(section.name), " ends after the file; it is cut off"));
  }
  return section;
}

Result<Layout> read_layout(ConstBytes file) {
  Layout layout;
  if (!has(file, 0, "MZ"sv) || file.size() < kHeaderAt + 4) return Error("not a UEFI program");
  uint64_t header = u32_at(file, kHeaderAt);
  if (!has(file, header, "PE\0\0"sv)) return Error("not a UEFI program: a DOS program perhaps");
  layout.coff = header + 4;
  layout.optional = layout.coff + kCoffSize;
  if (file.size() < layout.optional + kDirectoriesAt)
    return Error("a UEFI program that is cut off");
  switch (u16_at(file, layout.coff)) {
    case kMachineX86: layout.machine = PeMachine::X86_64; break;
    case kMachineArm: layout.machine = PeMachine::Arm64; break;
    default: return Error("a UEFI program for another processor; take that of x64 or aa64");
  }
  if (u16_at(file, layout.optional) != kPlus) return Error("a UEFI program of 32 bit");
  size_t optional_size = u16_at(file, layout.coff + kOptionalSizeAt);
  layout.directories = u32_at(file, layout.optional + kDirectoryCountAt);
  if (layout.directories > 16 || optional_size < kDirectoriesAt + layout.directories * 8) {
    return Error("a UEFI program with a damaged header");
  }
  uint16_t count = u16_at(file, layout.coff + kSectionCountAt);
  layout.table = layout.optional + optional_size;
  layout.section_alignment = u32_at(file, layout.optional + kSectionAlignmentAt);
  layout.file_alignment = u32_at(file, layout.optional + kFileAlignmentAt);
  layout.headers_size = u32_at(file, layout.optional + kHeadersSizeAt);
  bool aligned =
      is_power_of_two(layout.section_alignment) && is_power_of_two(layout.file_alignment) &&
      layout.file_alignment <= layout.section_alignment && layout.section_alignment <= 1u << 24;
  if (count == 0 || count > kMostSections || !aligned ||
      layout.table + count * kSectionHeader > file.size()) {
    return Error("a UEFI program with a damaged header");
  }
  for (size_t i = 0; i < count; ++i) {
    layout.sections.push_back(TRY(read_section(file, layout.table + i * kSectionHeader)));
  }
  return layout;
}

size_t directory_at(const Layout& layout, size_t index) {
  return layout.optional + kDirectoriesAt + index * 8;
}

bool is_signed(ConstBytes file, const Layout& layout) {
  return layout.directories > kCertificates &&
         u32_at(file, directory_at(layout, kCertificates)) != 0;
}

// Entries of 28 bytes, the last field of which is a place in the file.
void move_debug_entries(MutableBytes file, const Layout& layout, uint32_t by) {
  constexpr size_t kEntry = 28;
  constexpr size_t kPlaceAt = 24;
  if (layout.directories <= kDebug) return;
  uint32_t address = u32_at(file, directory_at(layout, kDebug));
  uint32_t size = u32_at(file, directory_at(layout, kDebug) + 4);
  for (const Section& section : layout.sections) {
    if (address < section.address || address - section.address >= section.raw_size) continue;
    uint64_t begin = uint64_t{section.raw_place} + by + (address - section.address);
    for (uint64_t at = begin; at + kEntry <= begin + size && at + kEntry <= file.size();
         at += kEntry) {
      uint32_t place = u32_at(file, at + kPlaceAt);
      if (place != 0) set_u32(file, at + kPlaceAt, place + by);
    }
    return;
  }
}

Result<void> check_names(const Layout& layout, std::span<const PeSection> added) {
  std::vector<std::string_view> names;
  for (const Section& section : layout.sections) names.push_back(section.name);
  for (const PeSection& section : added) {
    if (section.name.empty() || section.name.size() > kNameSize) {
      return Error(concat("section \"", printable(section.name), "\": a name has 1 to 8 bytes"));
    }
    if (std::ranges::find(names, section.name) != names.end()) {
      return Error(concat("section ", section.name,
                          ": it has one already; take the stub alone, not a program made of it"));
    }
    names.push_back(section.name);
  }
  return {};
}

// How a program changes that gets more sections.
struct Growth {
  uint64_t first_raw = 0;  // where the bytes of its sections begin in the file
  uint64_t raw_end = 0;    // and end
  uint64_t by = 0;         // so far these move, as the table of sections needs the room
  uint64_t headers = 0;    // their size then
  uint64_t address = 0;    // where its sections end in memory
};

Result<Growth> plan_growth(ConstBytes program, const Layout& layout, size_t added) {
  Growth growth;
  growth.first_raw = program.size();
  growth.raw_end = layout.table_end();
  uint64_t lowest = UINT64_MAX;
  for (const Section& section : layout.sections) {
    if (section.raw_size != 0) {
      growth.first_raw = std::min<uint64_t>(growth.first_raw, section.raw_place);
      growth.raw_end =
          std::max<uint64_t>(growth.raw_end, uint64_t{section.raw_place} + section.raw_size);
    }
    growth.address =
        std::max<uint64_t>(growth.address, uint64_t{section.address} + section.virtual_size);
    lowest = std::min<uint64_t>(lowest, section.address);
  }
  if (growth.first_raw < layout.table_end()) {
    return Error("a UEFI program with a damaged header");
  }
  uint64_t needed = round_up(layout.table_end() + added * kSectionHeader, layout.file_alignment);
  if (needed > growth.first_raw) {
    growth.by = round_up(needed - growth.first_raw, layout.file_alignment);
  }
  growth.headers = std::max<uint64_t>(needed, layout.headers_size);
  if (growth.headers > lowest) {
    return Error("a UEFI program without room for more sections; take another stub");
  }
  return growth;
}

// In the file and in memory.
Result<void> check_size(const Layout& layout, const Growth& growth,
                        std::span<const PeSection> added) {
  uint64_t in_file = round_up(growth.raw_end + growth.by, layout.file_alignment);
  uint64_t in_memory = growth.address;
  for (const PeSection& section : added) {
    if (section.bytes.empty()) return Error(concat("section ", section.name, ": it is empty"));
    in_file += round_up(section.bytes.size(), layout.file_alignment);
    in_memory = round_up(in_memory, layout.section_alignment) + section.bytes.size();
    if (in_file > kMostBytes || in_memory > kMostBytes) {
      return Error("a UEFI program of more than 2 GiB; leave something out");
    }
  }
  return {};
}

// A copy of the program with room in the table of sections; what follows its last section, such as
// a signature or symbols, is left out.
ByteVector copy_with_room(ConstBytes program, const Layout& layout, const Growth& growth) {
  auto at = [&](uint64_t place) { return program.begin() + static_cast<ptrdiff_t>(place); };
  ByteVector file(program.begin(), at(layout.table_end()));
  file.resize(growth.first_raw + growth.by);
  file.insert(file.end(), at(growth.first_raw), at(std::max(growth.first_raw, growth.raw_end)));
  file.resize(round_up(file.size(), layout.file_alignment));
  auto by = static_cast<uint32_t>(growth.by);
  if (by == 0) return file;
  for (size_t i = 0; i < layout.sections.size(); ++i) {
    const Section& section = layout.sections[i];
    if (section.raw_size == 0) continue;
    set_u32(file, layout.table + i * kSectionHeader + kRawPlaceAt, section.raw_place + by);
  }
  move_debug_entries(file, layout, by);
  return file;
}

// At the end of `file`, and at `header` in the table. `address`: where it lies in memory.
void append_section(ByteVector& file, size_t header, const PeSection& section, uint64_t address,
                    uint32_t alignment) {
  std::ranges::copy(section.name, file.begin() + static_cast<ptrdiff_t>(header));
  set_u32(file, header + kVirtualSizeAt, static_cast<uint32_t>(section.bytes.size()));
  set_u32(file, header + kVirtualAddressAt, static_cast<uint32_t>(address));
  set_u32(file, header + kRawSizeAt,
          static_cast<uint32_t>(round_up(section.bytes.size(), alignment)));
  set_u32(file, header + kRawPlaceAt, static_cast<uint32_t>(file.size()));
  set_u32(file, header + kFlagsAt, kReadOnlyData);
  file.insert(file.end(), section.bytes.begin(), section.bytes.end());
  file.resize(round_up(file.size(), alignment));
}

}  // namespace

Result<PeProgram> parse_pe(ConstBytes file) {
  Layout layout = TRY(read_layout(file));
  PeProgram program;
  program.machine = layout.machine;
  program.is_signed = is_signed(file, layout);
  for (const Section& section : layout.sections) {
    uint32_t size = std::min(section.raw_size, section.virtual_size);
    ConstBytes bytes = size == 0 ? ConstBytes() : file.subspan(section.raw_place, size);
    program.sections.push_back({section.name, bytes});
  }
  return program;
}

Result<ByteVector> add_pe_sections(ConstBytes program, std::span<const PeSection> added) {
  Layout layout = TRY(read_layout(program));
  TRY(check_names(layout, added));
  size_t count = layout.sections.size() + added.size();
  if (count > kMostSections) return Error("a UEFI program with too many sections");
  Growth growth = TRY(plan_growth(program, layout, added.size()));
  TRY(check_size(layout, growth, added));

  ByteVector file = copy_with_room(program, layout, growth);
  uint64_t before = file.size();
  uint64_t address = growth.address;
  size_t header = layout.table_end();
  for (const PeSection& section : added) {
    address = round_up(address, layout.section_alignment);
    append_section(file, header, section, address, layout.file_alignment);
    address += section.bytes.size();
    header += kSectionHeader;
  }

  uint64_t initialized = u32_at(program, layout.optional + kInitializedAt) + file.size() - before;
  set_u16(file, layout.coff + kSectionCountAt, static_cast<uint16_t>(count));
  set_u32(file, layout.coff + kSymbolsAt, 0);
  set_u32(file, layout.coff + kSymbolCountAt, 0);
  set_u32(file, layout.optional + kInitializedAt, static_cast<uint32_t>(initialized));
  set_u32(file, layout.optional + kImageSizeAt,
          static_cast<uint32_t>(round_up(address, layout.section_alignment)));
  set_u32(file, layout.optional + kHeadersSizeAt, static_cast<uint32_t>(growth.headers));
  set_u32(file, layout.optional + kChecksumAt, 0);  // firmware does not look at it
  if (is_signed(program, layout)) {
    set_u32(file, directory_at(layout, kCertificates), 0);
    set_u32(file, directory_at(layout, kCertificates) + 4, 0);
  }
  return file;
}

}  // namespace curlingiron
