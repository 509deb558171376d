#include "formats/elf.h"

#include <elf.h>

#include <algorithm>
#include <deque>
#include <unordered_map>

#include "base/text.h"

namespace curlingiron {
namespace {

constexpr std::string_view kElfMagic =
    "\x7f"
    "ELF";
constexpr std::string_view kSignatureMagic = "~Module signature appended~\n";
constexpr size_t kSignatureTrailer = 12;  // struct module_signature
constexpr uint32_t kNone = 0xffffffff;

struct FileHeader {
  uint16_t type = 0;
  uint16_t machine = 0;
  uint64_t section_table = 0;
  uint32_t flags = 0;
  uint16_t section_count = 0;
  uint16_t names_section = 0;
};

struct Section {
  std::string_view name;
  uint32_t type = 0;
  uint64_t flags = 0;
  uint64_t size = 0;
  uint32_t link = 0;
  uint32_t info = 0;
  uint64_t alignment = 0;
  uint64_t entry_size = 0;
  ConstBytes data;  // empty for SHT_NOBITS
};

struct Symbol {
  uint32_t name = 0;
  uint8_t info = 0;
  uint8_t other = 0;
  uint16_t section = 0;
  uint64_t value = 0;
  uint64_t size = 0;
};

struct Relocation {
  uint64_t offset = 0;
  uint32_t type = 0;
  uint32_t symbol = 0;
  int64_t addend = 0;
};

std::string_view text_at(ConstBytes strings, uint64_t offset) {
  if (offset == 0 || offset >= strings.size()) return {};  // 0 is "no name" by definition
  std::string_view text = as_text(strings.subspan(static_cast<size_t>(offset)));
  return text.substr(0, text.find('\0'));
}

Result<FileHeader> parse_file_header(ConstBytes file) {
  ByteReader in(file);
  Result<ConstBytes> ident = in.take(EI_NIDENT);
  if (!ident.ok() || as_text(ident.value().first(4)) != kElfMagic) return Error("not an ELF file");
  if (ident.value()[EI_CLASS] != ELFCLASS64 || ident.value()[EI_DATA] != ELFDATA2LSB) {
    return Error("not a 64-bit little-endian ELF file");
  }
  FileHeader header;
  header.type = TRY(in.le16());
  header.machine = TRY(in.le16());
  TRY(in.skip(4 + 8 + 8));  // version, entry, program headers
  header.section_table = TRY(in.le64());
  header.flags = TRY(in.le32());
  TRY(in.skip(2 + 2 + 2));  // sizes of this header and of program headers
  uint16_t section_size = TRY(in.le16());
  header.section_count = TRY(in.le16());
  header.names_section = TRY(in.le16());
  if (header.section_count != 0 && section_size != sizeof(Elf64_Shdr)) {
    return Error("section headers of an unknown size");
  }
  return header;
}

Result<Section> parse_section(ByteReader& in, ConstBytes file, uint32_t& name_offset) {
  Section section;
  name_offset = TRY(in.le32());
  section.type = TRY(in.le32());
  section.flags = TRY(in.le64());
  TRY(in.skip(8));  // address: 0 in relocatable files
  uint64_t offset = TRY(in.le64());
  section.size = TRY(in.le64());
  section.link = TRY(in.le32());
  section.info = TRY(in.le32());
  section.alignment = TRY(in.le64());
  section.entry_size = TRY(in.le64());
  if (section.type == SHT_NULL || section.type == SHT_NOBITS) return section;
  if (offset > file.size() || section.size > file.size() - offset) {
    return Error("a section lies outside the file; it is truncated or damaged");
  }
  section.data = file.subspan(static_cast<size_t>(offset), static_cast<size_t>(section.size));
  return section;
}

Result<std::vector<Section>> parse_sections(ConstBytes file, const FileHeader& header) {
  uint64_t table_size = uint64_t{header.section_count} * sizeof(Elf64_Shdr);
  if (header.section_table > file.size() || table_size > file.size() - header.section_table) {
    return Error("the section table lies outside the file; it is truncated or damaged");
  }
  if (header.section_count == 0 || header.section_count >= SHN_LORESERVE ||
      header.names_section >= header.section_count) {
    return Error("no usable section table");
  }
  ByteReader in(file.subspan(static_cast<size_t>(header.section_table)));
  std::vector<Section> sections(header.section_count);
  std::vector<uint32_t> names(header.section_count);
  for (size_t i = 0; i < sections.size(); ++i) {
    sections[i] = TRY(parse_section(in, file, names[i]));
  }
  ConstBytes strings = sections[header.names_section].data;
  for (size_t i = 0; i < sections.size(); ++i) sections[i].name = text_at(strings, names[i]);
  return sections;
}

Result<Symbol> parse_symbol(ByteReader& in) {
  Symbol symbol;
  symbol.name = TRY(in.le32());
  symbol.info = TRY(in.u8());
  symbol.other = TRY(in.u8());
  symbol.section = TRY(in.le16());
  symbol.value = TRY(in.le64());
  symbol.size = TRY(in.le64());
  return symbol;
}

Result<std::vector<Symbol>> parse_symbols(const Section& table) {
  if (table.size % sizeof(Elf64_Sym) != 0) return Error("a symbol table of a broken size");
  ByteReader in(table.data);
  std::vector<Symbol> symbols;
  symbols.reserve(table.data.size() / sizeof(Elf64_Sym));
  while (!in.at_end()) symbols.push_back(TRY(parse_symbol(in)));
  return symbols;
}

Result<Relocation> parse_relocation(ByteReader& in) {
  Relocation relocation;
  relocation.offset = TRY(in.le64());
  relocation.type = TRY(in.le32());
  relocation.symbol = TRY(in.le32());
  relocation.addend = static_cast<int64_t>(TRY(in.le64()));
  return relocation;
}

Result<std::vector<Relocation>> parse_relocations(const Section& table) {
  if (table.size % sizeof(Elf64_Rela) != 0) return Error("a relocation table of a broken size");
  ByteReader in(table.data);
  std::vector<Relocation> relocations;
  relocations.reserve(table.data.size() / sizeof(Elf64_Rela));
  while (!in.at_end()) relocations.push_back(TRY(parse_relocation(in)));
  return relocations;
}

ConstBytes without_signature(ConstBytes module) {
  if (!has_module_signature(module)) return module;
  size_t end = module.size() - kSignatureMagic.size() - kSignatureTrailer;
  ByteReader length(module.subspan(end + 8, 4));
  Result<uint32_t> size = length.be32();
  if (!size.ok() || size.value() > end) return module;
  return module.first(end - size.value());
}

// The records of .modinfo, "KEY=VALUE", each ended by NUL bytes.
template <typename Use>
void for_each_modinfo(ConstBytes section, Use use) {
  std::string_view text = as_text(section);
  while (!text.empty()) {
    size_t end = std::min(text.find('\0'), text.size());
    std::string_view record = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    size_t equals = record.find('=');
    if (equals == std::string_view::npos) continue;
    use(record, record.substr(0, equals), record.substr(equals + 1));
  }
}

// What kernel/module/ asks of .modinfo (get_modinfo and its callers, 6.1 to 6.12).
bool kernel_reads_modinfo(std::string_view key) {
  static constexpr std::string_view kKeys[] = {"vermagic", "license",   "name",    "intree",
                                               "staging",  "retpoline", "test",    "import_ns",
                                               "version",  "livepatch", "rheldata"};
  return std::find(std::begin(kKeys), std::end(kKeys), key) != std::end(kKeys);
}

// Loaded sections that only tools, stack traces and function tracing use.
bool is_dispensable(std::string_view name) {
  static constexpr std::string_view kNames[] = {
      ".orc_unwind",        ".orc_unwind_ip", ".orc_header",  ".note.gnu.build-id",
      ".note.gnu.property", ".call_sites",    "__mcount_loc", "__patchable_function_entries",
  };
  return std::find(std::begin(kNames), std::end(kNames), name) != std::end(kNames);
}

// A module that is being made smaller. The steps are run in the order they stand in.
class Stripper {
 public:
  Stripper(FileHeader header, std::vector<Section> sections)
      : header_(header), sections_(std::move(sections)), keep_(sections_.size(), false) {}

  Result<ByteVector> run() {
    TRY(find_tables());
    TRY(choose_sections());
    TRY(read_relocations());
    silence_tracing_calls();
    renumber_sections();
    choose_symbols();
    rewrite_modinfo();
    return write();
  }

 private:
  Result<void> find_tables() {
    for (size_t i = 0; i < sections_.size(); ++i) {
      if (sections_[i].type != SHT_SYMTAB) continue;
      if (symbol_table_ != 0) return Error("two symbol tables");
      symbol_table_ = i;
    }
    if (symbol_table_ == 0) return Error("no symbol table; it is stripped already");
    string_table_ = sections_[symbol_table_].link;
    if (sections_[header_.names_section].type != SHT_STRTAB) return Error("sections without names");
    if (string_table_ >= sections_.size() || sections_[string_table_].type != SHT_STRTAB ||
        string_table_ == header_.names_section || symbol_table_ == header_.names_section) {
      return Error("a symbol table without names of its own");
    }
    symbols_ = TRY(parse_symbols(sections_[symbol_table_]));
    if (symbols_.empty()) return Error("an empty symbol table");
    symbols_[0] = Symbol();
    return {};
  }

  Result<void> choose_sections() {
    keep_[0] = true;
    keep_[symbol_table_] = true;
    keep_[string_table_] = true;
    keep_[header_.names_section] = true;
    for (size_t i = 1; i < sections_.size(); ++i) {
      const Section& section = sections_[i];
      if (section.type == SHT_SYMTAB_SHNDX) return Error("more sections than a module has");
      if (section.type == SHT_REL) return Error("relocations without addends");
      bool loaded = (section.flags & SHF_ALLOC) != 0;
      if (section.type == SHT_RELA && loaded) return Error("relocations that are to be loaded");
      if (loaded && !is_dispensable(section.name)) keep_[i] = true;
      if (section.name != ".modinfo") continue;
      if (modinfo_section_ != 0 || !loaded || section.type != SHT_PROGBITS) {
        return Error("a .modinfo that the kernel does not find");
      }
      modinfo_section_ = i;
    }
    if (modinfo_section_ == 0) return Error("no .modinfo");
    // Relocations follow what they are applied to.
    for (size_t i = 1; i < sections_.size(); ++i) {
      const Section& section = sections_[i];
      if (section.type != SHT_RELA) continue;
      if (section.info >= sections_.size()) return Error("relocations of no section");
      keep_[i] = section.info != 0 && (sections_[section.info].flags & SHF_ALLOC) != 0 &&
                 keep_[section.info];
      if (keep_[i] && section.link != symbol_table_) {
        return Error("relocations with a symbol table of their own");
      }
    }
    return {};
  }

  Result<void> read_relocations() {
    relocations_.resize(sections_.size());
    for (size_t i = 1; i < sections_.size(); ++i) {
      if (!keep_[i] || sections_[i].type != SHT_RELA) continue;
      relocations_[i] = TRY(parse_relocations(sections_[i]));
      for (Relocation& relocation : relocations_[i]) {
        if (relocation.symbol >= symbols_.size()) return Error("a relocation names no symbol");
        TRY(use_section_symbol(relocation));
      }
    }
    return {};
  }

  // A place in a section of this module is that section and an offset.
  Result<void> use_section_symbol(Relocation& relocation) {
    const Symbol& symbol = symbols_[relocation.symbol];
    uint16_t section = symbol.section;
    if (section == SHN_UNDEF || section >= SHN_LORESERVE) return {};
    if (section >= sections_.size()) return Error("a symbol of no section");
    if (!keep_[section]) {
      return Error(concat("what is loaded refers to ", printable(sections_[section].name, 40),
                          ", which is not"));
    }
    points_into_modinfo_ = points_into_modinfo_ || section == modinfo_section_;
    auto known = section_symbols_.find(section);
    if (known == section_symbols_.end()) {
      known = section_symbols_.emplace(section, static_cast<uint32_t>(symbols_.size())).first;
      Symbol place;
      place.info = ELF64_ST_INFO(STB_LOCAL, STT_SECTION);
      place.section = section;
      symbols_.push_back(place);
    }
    relocation.addend = static_cast<int64_t>(static_cast<uint64_t>(relocation.addend) +
                                             symbols_[relocation.symbol].value);
    relocation.symbol = known->second;
    return {};
  }

  // Functions of older x86 kernels begin with a call that the tracer turns into a no-op while the
  // module is loaded (ftrace_nop_replace); without its table it would stay, so it is turned here.
  void silence_tracing_calls() {
    if (header_.machine != EM_X86_64) return;
    static constexpr uint8_t kCall[] = {0xe8, 0, 0, 0, 0};
    static constexpr uint8_t kNoOp[] = {0x0f, 0x1f, 0x44, 0x00, 0x00};
    ConstBytes strings = sections_[string_table_].data;
    for (size_t i = 1; i < sections_.size(); ++i) {
      if (relocations_[i].empty()) continue;
      Section& code = sections_[sections_[i].info];
      if ((code.flags & SHF_EXECINSTR) == 0 || code.type != SHT_PROGBITS) continue;
      ByteVector patched(code.data.begin(), code.data.end());
      auto is_silenced = [&](const Relocation& relocation) {
        const Symbol& symbol = symbols_[relocation.symbol];
        if (symbol.section != SHN_UNDEF || text_at(strings, symbol.name) != "__fentry__")
          return false;
        if (relocation.offset == 0 || relocation.offset > patched.size() ||
            patched.size() - relocation.offset < 4 || relocation.addend != -4) {
          return false;
        }
        auto call = patched.begin() + static_cast<ptrdiff_t>(relocation.offset - 1);
        if (!std::equal(std::begin(kCall), std::end(kCall), call)) return false;
        std::copy(std::begin(kNoOp), std::end(kNoOp), call);
        return true;
      };
      if (std::erase_if(relocations_[i], is_silenced) == 0) continue;
      patched_code_.push_back(std::move(patched));
      code.data = patched_code_.back();
    }
  }

  void renumber_sections() {
    new_section_.assign(sections_.size(), 0);
    uint32_t next = 0;
    for (size_t i = 0; i < sections_.size(); ++i) {
      if (keep_[i]) new_section_[i] = next++;
    }
    section_count_ = next;
  }

  // Those that relocations name; locals first, as the format wants.
  void choose_symbols() {
    std::vector<bool> used(symbols_.size(), false);
    for (const std::vector<Relocation>& table : relocations_) {
      for (const Relocation& relocation : table) used[relocation.symbol] = true;
    }
    used[0] = true;
    new_symbol_.assign(symbols_.size(), kNone);
    auto take = [&](bool local) {
      for (size_t i = 0; i < symbols_.size(); ++i) {
        bool is_local = ELF64_ST_BIND(symbols_[i].info) == STB_LOCAL;
        if (!used[i] || is_local != local) continue;
        new_symbol_[i] = static_cast<uint32_t>(symbol_order_.size());
        symbol_order_.push_back(static_cast<uint32_t>(i));
      }
    };
    take(true);
    local_symbols_ = static_cast<uint32_t>(symbol_order_.size());
    take(false);
  }

  void rewrite_modinfo() {
    if (points_into_modinfo_) return;
    Section& section = sections_[modinfo_section_];
    for_each_modinfo(section.data,
                     [&](std::string_view record, std::string_view key, std::string_view) {
                       if (!kernel_reads_modinfo(key)) return;
                       modinfo_.append(record);
                       modinfo_.u8(0);
                     });
    section.data = modinfo_.bytes();
    section.size = modinfo_.size();
  }

  void put_symbols(ByteWriter& out, ByteWriter& strings) const {
    ConstBytes old_strings = sections_[string_table_].data;
    strings.u8(0);
    for (uint32_t old : symbol_order_) {
      const Symbol& symbol = symbols_[old];
      std::string_view name = text_at(old_strings, symbol.name);
      uint32_t name_at = 0;
      if (!name.empty()) {
        name_at = static_cast<uint32_t>(strings.size());
        strings.append(name);
        strings.u8(0);
      }
      bool special = symbol.section == SHN_UNDEF || symbol.section >= SHN_LORESERVE;
      out.le32(name_at);
      out.u8(symbol.info);
      out.u8(symbol.other);
      out.le16(special ? symbol.section : static_cast<uint16_t>(new_section_[symbol.section]));
      out.le64(symbol.value);
      out.le64(symbol.size);
    }
  }

  void put_relocations(ByteWriter& out, const std::vector<Relocation>& table) const {
    for (const Relocation& relocation : table) {
      out.le64(relocation.offset);
      out.le32(relocation.type);
      out.le32(new_symbol_[relocation.symbol]);
      out.le64(static_cast<uint64_t>(relocation.addend));
    }
  }

  void put_file_header(ByteWriter& out, uint64_t section_table) const {
    out.append(kElfMagic);
    out.u8(ELFCLASS64);
    out.u8(ELFDATA2LSB);
    out.u8(EV_CURRENT);
    out.zeros(EI_NIDENT - 7);
    out.le16(ET_REL);
    out.le16(header_.machine);
    out.le32(EV_CURRENT);
    out.zeros(8 + 8);  // no entry, no program headers
    out.le64(section_table);
    out.le32(header_.flags);
    out.le16(sizeof(Elf64_Ehdr));
    out.zeros(2 + 2);
    out.le16(sizeof(Elf64_Shdr));
    out.le16(static_cast<uint16_t>(section_count_));
    out.le16(static_cast<uint16_t>(new_section_[header_.names_section]));
  }

  // sh_link and sh_info are section numbers for some types.
  uint32_t new_link(const Section& section) const {
    return section.link < sections_.size() && keep_[section.link] ? new_section_[section.link] : 0;
  }
  uint32_t new_info(size_t i) const {
    const Section& section = sections_[i];
    if (i == symbol_table_) return local_symbols_;
    if (section.type != SHT_RELA && (section.flags & SHF_INFO_LINK) == 0) return section.info;
    return section.info < sections_.size() && keep_[section.info] ? new_section_[section.info] : 0;
  }

  Result<ByteVector> write() {
    ByteWriter symbols;
    ByteWriter strings;
    ByteWriter names;
    put_symbols(symbols, strings);
    names.u8(0);
    std::vector<uint32_t> name_at(sections_.size(), 0);
    for (size_t i = 1; i < sections_.size(); ++i) {
      if (!keep_[i] || sections_[i].name.empty()) continue;
      name_at[i] = static_cast<uint32_t>(names.size());
      names.append(sections_[i].name);
      names.u8(0);
    }

    ByteWriter body;
    body.zeros(sizeof(Elf64_Ehdr));
    std::vector<uint64_t> offset(sections_.size(), 0);
    for (size_t i = 1; i < sections_.size(); ++i) {
      if (!keep_[i]) continue;
      Section& section = sections_[i];
      // Alignment in the file is for the reader's comfort only; memory's is kept in the header.
      uint64_t align = std::clamp<uint64_t>(section.alignment, 1, 8);
      body.zeros((align - body.size() % align) % align);
      offset[i] = body.size();
      size_t begin = body.size();
      if (i == symbol_table_) {
        body.append(symbols.bytes());
      } else if (i == string_table_) {
        body.append(strings.bytes());
      } else if (i == header_.names_section) {
        body.append(names.bytes());
      } else if (section.type == SHT_RELA) {
        put_relocations(body, relocations_[i]);
      } else {
        body.append(section.data);
      }
      if (section.type != SHT_NOBITS) section.size = body.size() - begin;
    }
    body.zeros((8 - body.size() % 8) % 8);
    uint64_t section_table = body.size();
    for (size_t i = 0; i < sections_.size(); ++i) {
      if (!keep_[i]) continue;
      const Section& section = sections_[i];
      body.le32(name_at[i]);
      body.le32(section.type);
      body.le64(section.flags & ~uint64_t{SHF_GROUP});
      body.le64(0);
      body.le64(offset[i]);
      body.le64(section.size);
      body.le32(new_link(section));
      body.le32(new_info(i));
      body.le64(section.alignment);
      body.le64(section.entry_size);
    }
    ByteWriter head;
    put_file_header(head, section_table);
    ByteVector file = std::move(body).bytes();
    std::copy(head.bytes().begin(), head.bytes().end(), file.begin());
    return file;
  }

  FileHeader header_;
  std::vector<Section> sections_;
  std::vector<bool> keep_;
  size_t symbol_table_ = 0;
  size_t string_table_ = 0;
  std::vector<Symbol> symbols_;
  std::unordered_map<uint16_t, uint32_t> section_symbols_;  // ours, after the file's
  std::vector<std::vector<Relocation>> relocations_;        // by section
  std::deque<ByteVector> patched_code_;
  size_t modinfo_section_ = 0;
  bool points_into_modinfo_ = false;
  std::vector<uint32_t> new_section_;
  uint32_t section_count_ = 0;
  std::vector<uint32_t> new_symbol_;
  std::vector<uint32_t> symbol_order_;
  uint32_t local_symbols_ = 0;
  ByteWriter modinfo_;
};

}  // namespace

std::string machine_name(uint16_t machine) {
  switch (machine) {
    case EM_X86_64: return "x86-64";
    case EM_AARCH64: return "aarch64";
    case EM_386: return "386";
    case EM_ARM: return "arm";
    case EM_RISCV: return "risc-v";
    default: return concat("ELF machine ", machine);
  }
}

Result<void> check_executable(ConstBytes file, ElfMachine machine) {
  if (file.size() >= 2 && file[0] == '#' && file[1] == '!') {
    return Error("is a script; the initramfs has no interpreter, so /init must be an ELF program");
  }
  FileHeader header = TRY(parse_file_header(file));
  if (header.type != ET_EXEC && header.type != ET_DYN) {
    return Error("is an ELF file, but not an executable");
  }
  auto wanted = static_cast<uint16_t>(machine);
  if (header.machine != wanted) {
    return Error(concat("is a program for ", machine_name(header.machine), ", not for ",
                        machine_name(wanted)));
  }
  return {};
}

std::string_view ModuleInfo::release() const {
  return std::string_view(vermagic).substr(0, vermagic.find(' '));
}

Result<ModuleInfo> read_module_info(ConstBytes module) {
  FileHeader header = TRY(parse_file_header(module));
  if (header.type != ET_REL) return Error("an ELF file, but not a kernel module");
  std::vector<Section> sections = TRY(parse_sections(module, header));
  ModuleInfo info;
  info.machine = header.machine;
  for (const Section& section : sections) {
    if (section.name != ".modinfo") continue;
    for_each_modinfo(section.data,
                     [&](std::string_view, std::string_view key, std::string_view value) {
                       if (key == "vermagic") info.vermagic = std::string(value);
                       if (key == "alias") info.aliases.emplace_back(value);
                       if (key == "firmware") info.firmware.emplace_back(value);
                       if (key == "depends") {
                         for (std::string_view name : split(value, ',')) {
                           if (!name.empty()) info.depends.emplace_back(name);
                         }
                       }
                       if (key == "softdep") info.soft_dependencies.emplace_back(value);
                       if (key == "weakdep") info.weak_dependencies.emplace_back(value);
                       if (key == "livepatch") info.livepatch = true;
                     });
  }
  if (info.vermagic.empty()) return Error("no vermagic: not a kernel module");
  return info;
}

Result<std::vector<std::string_view>> imported_symbols(ConstBytes module) {
  FileHeader header = TRY(parse_file_header(module));
  if (header.type != ET_REL) return Error("an ELF file, but not a kernel module");
  std::vector<Section> sections = TRY(parse_sections(module, header));
  std::vector<std::string_view> names;
  for (const Section& section : sections) {
    if (section.type != SHT_SYMTAB || section.link >= sections.size()) continue;
    ConstBytes strings = sections[section.link].data;
    for (const Symbol& symbol : TRY(parse_symbols(section))) {
      if (symbol.section != SHN_UNDEF) continue;
      std::string_view name = text_at(strings, symbol.name);
      if (!name.empty()) names.push_back(name);
    }
  }
  return names;
}

bool has_module_signature(ConstBytes module) {
  size_t size = kSignatureMagic.size() + kSignatureTrailer;
  return module.size() >= size && as_text(module.last(kSignatureMagic.size())) == kSignatureMagic;
}

Result<ByteVector> strip_module(ConstBytes module) {
  ConstBytes unsigned_module = without_signature(module);
  ModuleInfo info = TRY(read_module_info(unsigned_module));
  if (info.livepatch) return Error("a livepatch module cannot be stripped");
  FileHeader header = TRY(parse_file_header(unsigned_module));
  std::vector<Section> sections = TRY(parse_sections(unsigned_module, header));
  return Stripper(header, std::move(sections)).run();
}

}  // namespace curlingiron
