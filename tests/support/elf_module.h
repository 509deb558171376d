// Kernel modules for tests: made from parts, and "loaded" as the kernel would, so that two files
// can be compared by what ends up in memory. Independent of formats/elf.cc: plain <elf.h>
// structures.
#pragma once

#include <elf.h>

#include <cstdint>
#include <cstring>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"

namespace curlingiron::test {

struct ElfSymbolPart {
  std::string name;
  uint8_t type = STT_NOTYPE;
  uint8_t binding = STB_GLOBAL;
  std::string section = {};  // empty: undefined
  uint64_t value = 0;
};

struct ElfRelocationPart {
  uint64_t offset = 0;
  std::string symbol;
  int64_t addend = 0;
  uint32_t type = R_X86_64_PLT32;
};

struct ElfSectionPart {
  std::string name;
  uint32_t type = SHT_PROGBITS;
  uint64_t flags = SHF_ALLOC;
  ByteVector data;
  std::vector<ElfRelocationPart> relocations = {};
  uint64_t no_bits_size = 0;
};

struct ElfModuleParts {
  uint16_t machine = EM_X86_64;
  std::vector<ElfSectionPart> sections;
  std::vector<ElfSymbolPart> symbols;
};

inline ByteVector bytes_of(std::string_view text) { return {text.begin(), text.end()}; }

template <typename T>
void put_struct(ByteVector& out, const T& value) {
  const auto* begin = reinterpret_cast<const uint8_t*>(&value);
  out.insert(out.end(), begin, begin + sizeof value);
}

inline ByteVector make_elf_module(const ElfModuleParts& parts) {
  struct Placed {
    Elf64_Shdr header{};
    ByteVector data;
  };
  std::vector<Placed> placed(1);
  std::vector<std::string> names(1);
  std::map<std::string, uint16_t> number;
  for (const ElfSectionPart& part : parts.sections) {
    number[part.name] = static_cast<uint16_t>(placed.size());
    Placed section;
    section.header.sh_type = part.type;
    section.header.sh_flags = part.flags;
    section.header.sh_addralign = 8;
    section.data = part.data;
    if (part.type == SHT_NOBITS) section.header.sh_size = part.no_bits_size;
    placed.push_back(section);
    names.push_back(part.name);
  }
  // Locals first.
  std::vector<ElfSymbolPart> ordered(1);
  ordered[0].binding = STB_LOCAL;
  for (uint8_t binding : {uint8_t{STB_LOCAL}, uint8_t{STB_GLOBAL}}) {
    for (const ElfSymbolPart& symbol : parts.symbols) {
      if (symbol.binding == binding) ordered.push_back(symbol);
    }
  }
  std::map<std::string, uint32_t> symbol_number;
  ByteVector symbols;
  ByteVector strings = {0};
  uint32_t locals = 0;
  for (const ElfSymbolPart& symbol : ordered) {
    Elf64_Sym raw{};
    if (!symbol.name.empty()) {
      raw.st_name = static_cast<uint32_t>(strings.size());
      strings.insert(strings.end(), symbol.name.begin(), symbol.name.end());
      strings.push_back(0);
    }
    raw.st_info = static_cast<uint8_t>(symbol.binding << 4 | symbol.type);
    raw.st_shndx = symbol.section.empty() ? uint16_t{SHN_UNDEF} : number.at(symbol.section);
    raw.st_value = symbol.value;
    raw.st_size = symbol.type == STT_FUNC ? 7 : 0;
    symbol_number[symbol.name] = static_cast<uint32_t>(symbols.size() / sizeof raw);
    put_struct(symbols, raw);
    if (symbol.binding == STB_LOCAL) ++locals;
  }
  auto symbol_table = static_cast<uint32_t>(placed.size());
  for (const ElfSectionPart& part : parts.sections)
    symbol_table += part.relocations.empty() ? 0 : 1;
  for (const ElfSectionPart& part : parts.sections) {
    if (part.relocations.empty()) continue;
    Placed section;
    section.header.sh_type = SHT_RELA;
    section.header.sh_flags = SHF_INFO_LINK;
    section.header.sh_link = symbol_table;
    section.header.sh_info = number.at(part.name);
    section.header.sh_addralign = 8;
    section.header.sh_entsize = sizeof(Elf64_Rela);
    for (const ElfRelocationPart& relocation : part.relocations) {
      Elf64_Rela raw{};
      raw.r_offset = relocation.offset;
      raw.r_info = ELF64_R_INFO(uint64_t{symbol_number.at(relocation.symbol)}, relocation.type);
      raw.r_addend = relocation.addend;
      put_struct(section.data, raw);
    }
    placed.push_back(section);
    names.push_back(".rela" + part.name);
  }
  Placed table;
  table.header.sh_type = SHT_SYMTAB;
  table.header.sh_link = symbol_table + 1;
  table.header.sh_info = locals;
  table.header.sh_addralign = 8;
  table.header.sh_entsize = sizeof(Elf64_Sym);
  table.data = symbols;
  placed.push_back(table);
  names.emplace_back(".symtab");
  Placed text;
  text.header.sh_type = SHT_STRTAB;
  text.header.sh_addralign = 1;
  text.data = strings;
  placed.push_back(text);
  names.emplace_back(".strtab");
  names.emplace_back(".shstrtab");
  text.data = {0};
  std::vector<uint32_t> name_at(1);
  for (size_t i = 1; i < names.size(); ++i) {
    name_at.push_back(static_cast<uint32_t>(text.data.size()));
    text.data.insert(text.data.end(), names[i].begin(), names[i].end());
    text.data.push_back(0);
  }
  placed.push_back(text);

  ByteVector file(sizeof(Elf64_Ehdr));
  for (size_t i = 1; i < placed.size(); ++i) {
    file.resize((file.size() + 7) / 8 * 8);
    Elf64_Shdr& header = placed[i].header;
    header.sh_name = name_at[i];
    header.sh_offset = file.size();
    if (header.sh_type == SHT_NOBITS) continue;
    header.sh_size = placed[i].data.size();
    file.insert(file.end(), placed[i].data.begin(), placed[i].data.end());
  }
  file.resize((file.size() + 7) / 8 * 8);
  Elf64_Ehdr header{};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_ident[EI_VERSION] = EV_CURRENT;
  header.e_type = ET_REL;
  header.e_machine = parts.machine;
  header.e_version = EV_CURRENT;
  header.e_shoff = file.size();
  header.e_ehsize = sizeof(Elf64_Ehdr);
  header.e_shentsize = sizeof(Elf64_Shdr);
  header.e_shnum = static_cast<uint16_t>(placed.size());
  header.e_shstrndx = static_cast<uint16_t>(placed.size() - 1);
  for (const Placed& section : placed) put_struct(file, section.header);
  std::memcpy(file.data(), &header, sizeof header);
  return file;
}

// A module that only says what it is.
inline ByteVector make_plain_module(std::string_view name, std::string_view release,
                                    std::string_view more_modinfo = {},
                                    const std::vector<std::string>& imports = {}) {
  std::string modinfo = "license=GPL";
  modinfo += '\0';
  modinfo += "name=" + std::string(name);
  modinfo += '\0';
  modinfo += "vermagic=" + std::string(release) + " SMP mod_unload ";
  modinfo += '\0';
  modinfo += more_modinfo;
  ElfModuleParts parts;
  parts.sections.push_back({".text",
                            SHT_PROGBITS,
                            SHF_ALLOC | SHF_EXECINSTR,
                            bytes_of(std::string(64, '\x90')),
                            {{8, "printk", -4}}});
  parts.sections.push_back({".modinfo", SHT_PROGBITS, SHF_ALLOC, bytes_of(modinfo), {}});
  parts.symbols.push_back({"printk"});
  for (const std::string& symbol : imports) parts.symbols.push_back({symbol});
  return make_elf_module(parts);
}

// What is in memory once the kernel has loaded the file: sections that are loaded, by name (and a
// number where the name repeats), relocated. Undefined symbols get an address made from their name;
// sections one made from theirs. nullopt: not loadable.
inline std::optional<std::map<std::string, ByteVector>> load_elf_module(ConstBytes file) {
  auto get = [&](auto& into, uint64_t at) {
    if (at > file.size() || file.size() - at < sizeof into) return false;
    std::memcpy(&into, file.data() + at, sizeof into);
    return true;
  };
  Elf64_Ehdr header{};
  if (!get(header, 0) || header.e_type != ET_REL) return std::nullopt;
  std::vector<Elf64_Shdr> sections(header.e_shnum);
  for (size_t i = 0; i < sections.size(); ++i) {
    if (!get(sections[i], header.e_shoff + i * sizeof(Elf64_Shdr))) return std::nullopt;
    const Elf64_Shdr& s = sections[i];
    if (s.sh_type != SHT_NOBITS && s.sh_type != SHT_NULL &&
        (s.sh_offset > file.size() || s.sh_size > file.size() - s.sh_offset)) {
      return std::nullopt;
    }
  }
  auto text = [&](uint32_t table, uint32_t at) {
    return std::string(reinterpret_cast<const char*>(file.data() + sections[table].sh_offset + at));
  };
  auto hash = [](const std::string& name) {
    uint64_t value = 0xcbf29ce484222325;
    for (char c : name) value = (value ^ static_cast<uint8_t>(c)) * 0x100000001b3;
    return value;
  };
  std::map<std::string, ByteVector> memory;
  std::vector<std::string> key(sections.size());
  std::map<std::string, int> seen;
  for (size_t i = 1; i < sections.size(); ++i) {
    const Elf64_Shdr& s = sections[i];
    key[i] = text(header.e_shstrndx, s.sh_name);
    if ((s.sh_flags & SHF_ALLOC) == 0) continue;
    key[i] += "#" + std::to_string(seen[key[i]]++);
    ByteVector data(s.sh_size);
    if (s.sh_type != SHT_NOBITS && s.sh_size != 0) {
      std::memcpy(data.data(), file.data() + s.sh_offset, s.sh_size);
    }
    memory[key[i]] = std::move(data);
  }
  for (const Elf64_Shdr& table : sections) {
    if (table.sh_type != SHT_RELA || (sections[table.sh_info].sh_flags & SHF_ALLOC) == 0) continue;
    ByteVector& data = memory[key[table.sh_info]];
    const Elf64_Shdr& symbols = sections[table.sh_link];
    for (uint64_t at = 0; at < table.sh_size; at += sizeof(Elf64_Rela)) {
      Elf64_Rela relocation{};
      Elf64_Sym symbol{};
      if (!get(relocation, table.sh_offset + at)) return std::nullopt;
      if (!get(symbol, symbols.sh_offset + ELF64_R_SYM(relocation.r_info) * sizeof symbol)) {
        return std::nullopt;
      }
      uint64_t value = 0;
      uint64_t at_field = relocation.r_offset;
      if (symbol.st_shndx == SHN_UNDEF && text(symbols.sh_link, symbol.st_name) == "__fentry__" &&
          at_field > 0 && at_field + 4 <= data.size() && data[at_field - 1] == 0xe8) {
        static constexpr uint8_t kNoOp[] = {0x0f, 0x1f, 0x44, 0x00, 0x00};
        std::memcpy(data.data() + at_field - 1, kNoOp, sizeof kNoOp);
        continue;
      }
      if (symbol.st_shndx == SHN_UNDEF) {
        value = hash(text(symbols.sh_link, symbol.st_name));
      } else if (symbol.st_shndx == SHN_ABS) {
        value = symbol.st_value;
      } else if (symbol.st_shndx < sections.size()) {
        value = hash(key[symbol.st_shndx]) + symbol.st_value;
      } else {
        return std::nullopt;
      }
      value += static_cast<uint64_t>(relocation.r_addend);
      // The width and whether it is relative are the type's business: mix the type in instead.
      value ^= ELF64_R_TYPE(relocation.r_info) * 0x9e3779b97f4a7c15;
      for (uint64_t i = 0; i < 4; ++i) {
        uint64_t byte = relocation.r_offset + i;
        if (byte >= data.size()) return std::nullopt;
        data[byte] = static_cast<uint8_t>(data[byte] ^ static_cast<uint8_t>(value >> (8 * i)) ^
                                          static_cast<uint8_t>(value >> (8 * i + 32)));
      }
    }
  }
  return memory;
}

}  // namespace curlingiron::test
