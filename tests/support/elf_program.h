// ELF programs and libraries in small: headers, interpreter and dynamic section, no code.
#pragma once

#include <elf.h>

#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"

namespace curlingiron::test {

struct ElfProgramParts {
  uint16_t type = ET_DYN;
  uint16_t machine = EM_X86_64;
  std::string interpreter;
  std::vector<std::string> needed;
  std::optional<std::string> rpath;
  std::optional<std::string> runpath;
  std::string soname;
  uint64_t flags_1 = 0;
  bool dynamic = true;  // false: a static program
};

// One segment at address 0x400000 holds the whole file.
inline ByteVector make_elf_program(const ElfProgramParts& parts) {
  constexpr uint64_t kBase = 0x400000;
  std::string strings(1, '\0');
  auto text = [&](const std::string& value) {
    uint64_t offset = strings.size();
    strings += value;
    strings += '\0';
    return offset;
  };
  std::vector<Elf64_Dyn> dynamic;
  auto entry = [&](int64_t tag, uint64_t value) {
    Elf64_Dyn dyn{};
    dyn.d_tag = tag;
    dyn.d_un.d_val = value;
    dynamic.push_back(dyn);
  };
  for (const std::string& name : parts.needed) entry(DT_NEEDED, text(name));
  if (parts.rpath) entry(DT_RPATH, text(*parts.rpath));
  if (parts.runpath) entry(DT_RUNPATH, text(*parts.runpath));
  if (!parts.soname.empty()) entry(DT_SONAME, text(parts.soname));
  if (parts.flags_1 != 0) entry(DT_FLAGS_1, parts.flags_1);

  size_t segments = 1 + (parts.interpreter.empty() ? 0 : 1) + (parts.dynamic ? 1 : 0);
  uint64_t interpreter_at = sizeof(Elf64_Ehdr) + segments * sizeof(Elf64_Phdr);
  uint64_t strings_at =
      interpreter_at + (parts.interpreter.empty() ? 0 : parts.interpreter.size() + 1);
  uint64_t dynamic_at = (strings_at + strings.size() + 7) / 8 * 8;
  entry(DT_STRTAB, kBase + strings_at);
  entry(DT_STRSZ, strings.size());
  entry(DT_NULL, 0);
  uint64_t end = dynamic_at + dynamic.size() * sizeof(Elf64_Dyn);

  Elf64_Ehdr header{};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_ident[EI_VERSION] = EV_CURRENT;
  header.e_type = parts.type;
  header.e_machine = parts.machine;
  header.e_version = EV_CURRENT;
  header.e_phoff = sizeof header;
  header.e_ehsize = sizeof header;
  header.e_phentsize = sizeof(Elf64_Phdr);
  header.e_phnum = static_cast<uint16_t>(segments);
  std::vector<Elf64_Phdr> table;
  auto segment = [&](uint32_t type, uint64_t offset, uint64_t size) {
    Elf64_Phdr program{};
    program.p_type = type;
    program.p_offset = offset;
    program.p_vaddr = kBase + offset;
    program.p_filesz = size;
    program.p_memsz = size;
    table.push_back(program);
  };
  if (!parts.interpreter.empty()) {
    segment(PT_INTERP, interpreter_at, parts.interpreter.size() + 1);
  }
  segment(PT_LOAD, 0, end);
  if (parts.dynamic) segment(PT_DYNAMIC, dynamic_at, dynamic.size() * sizeof(Elf64_Dyn));

  ByteVector file(end, 0);
  auto put = [&](uint64_t at, const void* data, size_t size) {
    if (size != 0) std::memcpy(file.data() + at, data, size);
  };
  put(0, &header, sizeof header);
  put(sizeof header, table.data(), table.size() * sizeof(Elf64_Phdr));
  put(interpreter_at, parts.interpreter.data(), parts.interpreter.size());
  put(strings_at, strings.data(), strings.size());
  put(dynamic_at, dynamic.data(), dynamic.size() * sizeof(Elf64_Dyn));
  return file;
}

}  // namespace curlingiron::test
