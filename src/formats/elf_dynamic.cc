#include "formats/elf_dynamic.h"

#include <elf.h>

#include <algorithm>

#include "base/text.h"
#include "formats/elf.h"

namespace curlingiron {
namespace {

constexpr size_t kMaxNeeded = 4096;
constexpr size_t kMaxSegments = 1024;
constexpr size_t kMaxText = 4096;  // a path, for the kernel and for the loader
constexpr size_t kMaxSearchPath = size_t{64} << 10;

struct Segment {
  uint32_t type = 0;
  uint64_t offset = 0;
  uint64_t address = 0;
  uint64_t file_size = 0;
};

// Fields of either class and byte order.
class FieldReader {
 public:
  FieldReader(ConstBytes bytes, const ElfKind& kind) : in_(bytes), kind_(kind) {}

  Result<uint16_t> half() { return kind_.little_endian ? in_.le16() : in_.be16(); }
  Result<uint32_t> word() { return kind_.little_endian ? in_.le32() : in_.be32(); }
  Result<uint64_t> address() {
    if (!kind_.is_64_bit) return uint64_t{TRY(word())};
    return kind_.little_endian ? in_.le64() : in_.be64();
  }
  Result<void> skip(size_t count) { return in_.skip(count); }
  // Fields that take 4 bytes in the one class and 8 in the other.
  Result<void> skip_addresses(size_t count) { return in_.skip(count * (kind_.is_64_bit ? 8 : 4)); }
  bool at_end() const { return in_.at_end(); }

 private:
  ByteReader in_;
  ElfKind kind_;
};

Result<ConstBytes> slice(ConstBytes file, uint64_t offset, uint64_t size, std::string_view what) {
  if (offset > file.size() || size > file.size() - offset) {
    return Error(concat(what, " outside the file; it is truncated or damaged"));
  }
  return file.subspan(static_cast<size_t>(offset), static_cast<size_t>(size));
}

Result<Segment> parse_segment(FieldReader& in, const ElfKind& kind) {
  Segment segment;
  segment.type = TRY(in.word());
  if (kind.is_64_bit) TRY(in.skip(4));  // flags; the other class has them near the end
  segment.offset = TRY(in.address());
  segment.address = TRY(in.address());
  TRY(in.skip_addresses(1));  // physical address
  segment.file_size = TRY(in.address());
  TRY(in.skip_addresses(1));  // size in memory
  if (!kind.is_64_bit) TRY(in.skip(4));
  TRY(in.skip_addresses(1));  // alignment
  return segment;
}

Result<std::vector<Segment>> parse_segments(ConstBytes file, const ElfKind& kind) {
  FieldReader in(file, kind);
  TRY(in.skip(EI_NIDENT + 2 + 2 + 4));  // type, machine, version
  TRY(in.skip_addresses(1));            // entry
  uint64_t table = TRY(in.address());
  TRY(in.skip_addresses(1));  // sections
  TRY(in.skip(4 + 2));        // flags, size of this header
  uint16_t size = TRY(in.half());
  uint16_t count = TRY(in.half());
  if (count == 0) return std::vector<Segment>();
  if (size != (kind.is_64_bit ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr))) {
    return Error("program headers of an unknown size");
  }
  if (count > kMaxSegments) return Error("more program headers than make sense");
  ConstBytes headers =
      TRY(slice(file, table, uint64_t{size} * count, "the table of program headers lies"));
  FieldReader fields(headers, kind);
  std::vector<Segment> segments;
  while (!fields.at_end()) segments.push_back(TRY(parse_segment(fields, kind)));
  return segments;
}

const Segment* find_segment(const std::vector<Segment>& segments, uint32_t type) {
  auto found = std::find_if(segments.begin(), segments.end(),
                            [&](const Segment& segment) { return segment.type == type; });
  return found == segments.end() ? nullptr : &*found;
}

// The NUL-terminated text at the beginning of `bytes`.
Result<std::string> terminated_text(ConstBytes bytes, size_t limit, std::string_view what) {
  std::string_view text = as_text(bytes.first(std::min(bytes.size(), limit + 1)));
  size_t end = text.find('\0');
  if (end == std::string_view::npos) return Error(concat(what, " has no end"));
  return std::string(text.substr(0, end));
}

// From what lies at this address on to the end of its segment in the file.
Result<ConstBytes> bytes_at_address(ConstBytes file, const std::vector<Segment>& segments,
                                    uint64_t address) {
  for (const Segment& segment : segments) {
    if (segment.type != PT_LOAD || address < segment.address ||
        address - segment.address >= segment.file_size) {
      continue;
    }
    ConstBytes loaded = TRY(slice(file, segment.offset, segment.file_size, "a segment lies"));
    return loaded.subspan(static_cast<size_t>(address - segment.address));
  }
  return Error("its strings are in no segment; it is damaged");
}

struct DynamicEntries {
  std::vector<uint64_t> needed;  // these and the next are offsets of strings
  std::optional<uint64_t> rpath;
  std::optional<uint64_t> runpath;
  std::optional<uint64_t> soname;
  std::optional<uint64_t> strings;  // an address
  uint64_t strings_size = 0;
  uint64_t flags_1 = 0;
};

Result<DynamicEntries> parse_dynamic_entries(ConstBytes segment) {
  ByteReader in(segment);
  DynamicEntries entries;
  while (!in.at_end()) {
    uint64_t tag = TRY(in.le64());
    uint64_t value = TRY(in.le64());
    switch (tag) {
      case DT_NULL: return entries;
      case DT_NEEDED:
        if (entries.needed.size() == kMaxNeeded)
          return Error("needs more libraries than make sense");
        entries.needed.push_back(value);
        break;
      case DT_RPATH: entries.rpath = value; break;
      case DT_RUNPATH: entries.runpath = value; break;
      case DT_SONAME: entries.soname = value; break;
      case DT_STRTAB: entries.strings = value; break;
      case DT_STRSZ: entries.strings_size = value; break;
      case DT_FLAGS_1: entries.flags_1 = value; break;
    }
  }
  return entries;
}

}  // namespace

bool is_elf(ConstBytes file) {
  return file.size() >= SELFMAG &&
         as_text(file.first(SELFMAG)) == std::string_view(ELFMAG, SELFMAG);
}

Result<ElfKind> read_elf_kind(ConstBytes file) {
  if (!is_elf(file)) return Error("not an ELF file");
  if (file.size() < sizeof(Elf32_Ehdr)) return Error("an ELF header that is cut off");
  ElfKind kind;
  kind.is_64_bit = file[EI_CLASS] == ELFCLASS64;
  kind.little_endian = file[EI_DATA] == ELFDATA2LSB;
  if ((!kind.is_64_bit && file[EI_CLASS] != ELFCLASS32) ||
      (!kind.little_endian && file[EI_DATA] != ELFDATA2MSB)) {
    return Error("an ELF file of an unknown class or byte order");
  }
  FieldReader in(file.subspan(EI_NIDENT), kind);
  uint16_t type = TRY(in.half());
  if (type == ET_REL) kind.type = ElfType::Relocatable;
  if (type == ET_EXEC || type == ET_DYN) kind.type = ElfType::Program;
  kind.machine = TRY(in.half());
  return kind;
}

Result<ElfDynamic> read_elf_dynamic(ConstBytes file) {
  ElfDynamic result;
  result.kind = TRY(read_elf_kind(file));
  if (result.kind.type != ElfType::Program) return result;
  std::vector<Segment> segments = TRY(parse_segments(file, result.kind));
  const Segment* interpreter = find_segment(segments, PT_INTERP);
  const Segment* dynamic = find_segment(segments, PT_DYNAMIC);
  // Files with debugging information only keep the headers of segments they do not hold.
  if (interpreter != nullptr && interpreter->file_size == 0) interpreter = nullptr;
  if (dynamic != nullptr && dynamic->file_size == 0) dynamic = nullptr;
  if (interpreter == nullptr && dynamic == nullptr) return result;
  if (!result.kind.is_64_bit || !result.kind.little_endian) {
    return Error(concat("a ", result.kind.is_64_bit ? "big-endian" : "32-bit", " dynamic program (",
                        machine_name(result.kind.machine),
                        "); of these only static ones can be used"));
  }
  if (interpreter != nullptr) {
    ConstBytes text = TRY(
        slice(file, interpreter->offset, interpreter->file_size, "the interpreter's name lies"));
    result.interpreter = TRY(terminated_text(text, kMaxText, "the interpreter's name"));
    if (!result.interpreter.starts_with("/")) {
      return Error(
          concat("its interpreter \"", printable(result.interpreter), "\" is no absolute path"));
    }
  }
  if (dynamic == nullptr) return result;
  DynamicEntries entries = TRY(parse_dynamic_entries(
      TRY(slice(file, dynamic->offset, dynamic->file_size, "the dynamic segment lies"))));
  result.no_default_directories = (entries.flags_1 & DF_1_NODEFLIB) != 0;
  if (!entries.strings) {
    if (entries.needed.empty()) return result;
    return Error("names libraries, but has no strings");
  }
  ConstBytes strings = TRY(bytes_at_address(file, segments, *entries.strings));
  if (entries.strings_size != 0 && entries.strings_size < strings.size()) {
    strings = strings.first(static_cast<size_t>(entries.strings_size));
  }
  auto text_at = [&](uint64_t offset, size_t limit, std::string_view what) -> Result<std::string> {
    if (offset >= strings.size()) return Error(concat(what, " lies outside its strings"));
    return terminated_text(strings.subspan(static_cast<size_t>(offset)), limit, what);
  };
  for (uint64_t offset : entries.needed) {
    std::string name = TRY(text_at(offset, kMaxText, "a library's name"));
    if (name.empty()) return Error("needs a library without a name");
    result.needed.push_back(std::move(name));
  }
  if (entries.rpath) result.rpath = TRY(text_at(*entries.rpath, kMaxSearchPath, "RPATH"));
  if (entries.runpath) result.runpath = TRY(text_at(*entries.runpath, kMaxSearchPath, "RUNPATH"));
  if (entries.soname) result.soname = TRY(text_at(*entries.soname, kMaxText, "SONAME"));
  return result;
}

}  // namespace curlingiron
