#include "formats/elf.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "support/effort.h"
#include "support/elf_module.h"

namespace curlingiron {
namespace {

using test::bytes_of;
using test::ElfModuleParts;
using test::load_elf_module;
using test::make_elf_module;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

std::string modinfo_of(std::initializer_list<std::string_view> records) {
  std::string text;
  for (std::string_view record : records) {
    text += record;
    text += '\0';
  }
  return text;
}

// One of everything that strip_module treats in its own way.
ElfModuleParts rich_module() {
  ElfModuleParts parts;
  ByteVector code(128, 0xcc);
  for (size_t at : {16, 48}) {
    code[at] = 0xe8;
    std::fill_n(code.begin() + static_cast<ptrdiff_t>(at) + 1, 4, uint8_t{0});
  }
  parts.sections = {
      {".text",
       SHT_PROGBITS,
       SHF_ALLOC | SHF_EXECINSTR,
       code,
       {{17, "__fentry__", -4},
        {49, "printk", -4},
        {64, "local_function", -4},
        {72, "message", 3, R_X86_64_32S},
        {80, "exported", 0, R_X86_64_PC32}}},
      {".rodata.str1.1",
       SHT_PROGBITS,
       SHF_ALLOC | SHF_MERGE | SHF_STRINGS,
       bytes_of("some text"),
       {}},
      {".modinfo",
       SHT_PROGBITS,
       SHF_ALLOC,
       bytes_of(modinfo_of({"license=GPL", "author=A. Nonymous", "alias=pci:v1d2*",
                            "firmware=x/y.bin", "firmware=z-*.fw", "depends=libfoo", "name=rich",
                            "vermagic=6.1.0-56-amd64 SMP mod_unload "})),
       {}},
      {"__versions", SHT_PROGBITS, SHF_ALLOC, ByteVector(128, 7), {}},
      {".return_sites",
       SHT_PROGBITS,
       SHF_ALLOC,
       ByteVector(8, 0),
       {{0, ".text", 32, R_X86_64_PC32}}},
      {".orc_unwind", SHT_PROGBITS, SHF_ALLOC, ByteVector(24, 9), {}},
      {".orc_unwind_ip",
       SHT_PROGBITS,
       SHF_ALLOC,
       ByteVector(8, 0),
       {{0, ".text", 0, R_X86_64_PC32}}},
      {"__mcount_loc", SHT_PROGBITS, SHF_ALLOC, ByteVector(8, 0), {{0, ".text", 16, R_X86_64_64}}},
      {".bss", SHT_NOBITS, SHF_ALLOC | SHF_WRITE, {}, {}, 256},
      {".comment", SHT_PROGBITS, SHF_MERGE | SHF_STRINGS, bytes_of("GCC: (Debian) 12"), {}},
      {".debug_info", SHT_PROGBITS, 0, ByteVector(500, 1), {{0, ".text", 0, R_X86_64_64}}},
      {".BTF", SHT_PROGBITS, 0, ByteVector(500, 2), {}},
      {".note.gnu.build-id", SHT_NOTE, SHF_ALLOC, ByteVector(36, 3), {}},
      {".note.Linux", SHT_NOTE, SHF_ALLOC, ByteVector(24, 4), {}},
      {".gnu.linkonce.this_module",
       SHT_PROGBITS,
       SHF_ALLOC | SHF_WRITE,
       ByteVector(64, 0),
       {{8, "init_module", 0, R_X86_64_64}}},
  };
  parts.symbols = {
      {".text", STT_SECTION, STB_LOCAL, ".text"},
      {"local_function", STT_FUNC, STB_LOCAL, ".text", 96},
      {"message", STT_OBJECT, STB_LOCAL, ".rodata.str1.1", 5},
      {"unused_local", STT_FUNC, STB_LOCAL, ".text", 64},
      {"exported", STT_OBJECT, STB_GLOBAL, ".bss", 16},
      {"init_module", STT_FUNC, STB_GLOBAL, ".text", 32},
      {"__fentry__"},
      {"printk"},
      {"unused_import"},
  };
  return parts;
}

// Everything in the stripped file is in memory as the original would have it.
void expect_same_in_memory(ConstBytes original, ConstBytes stripped) {
  auto before = load_elf_module(original);
  auto after = load_elf_module(stripped);
  ASSERT_TRUE(before.has_value());
  ASSERT_TRUE(after.has_value());
  for (const auto& [name, bytes] : *after) {
    if (name == ".modinfo#0") continue;
    ASSERT_TRUE(before->contains(name)) << name;
    EXPECT_EQ(bytes, before->at(name)) << name;
  }
}

TEST(StripModule, LeavesTheSameInMemory) {
  ByteVector original = make_elf_module(rich_module());
  auto stripped = strip_module(original);
  ASSERT_TRUE(stripped.ok()) << stripped.error().message();
  expect_same_in_memory(original, stripped.value());
  auto memory = load_elf_module(stripped.value());
  for (const char* kept :
       {".text#0", ".rodata.str1.1#0", "__versions#0", ".return_sites#0", ".bss#0", ".note.Linux#0",
        ".gnu.linkonce.this_module#0", ".modinfo#0"}) {
    EXPECT_TRUE(memory->contains(kept)) << kept;
  }
  std::string text(as_text(stripped.value()));
  for (const char* gone : {".debug_info", ".BTF", ".comment", ".orc_unwind", "unused_local",
                           "unused_import", "__fentry__", "local_function", "author="}) {
    EXPECT_THAT(text, Not(HasSubstr(gone)));
  }
  for (const char* kept : {"printk", "vermagic=6.1.0-56-amd64", "license=GPL", "name=rich"}) {
    EXPECT_THAT(text, HasSubstr(kept));
  }
  EXPECT_LT(stripped.value().size(), original.size());
}

TEST(StripModule, TwiceIsTheSameAsOnce) {
  ByteVector once = strip_module(make_elf_module(rich_module())).value();
  EXPECT_EQ(strip_module(once).value(), once);
}

TEST(StripModule, DropsTheSignature) {
  ByteVector plain = make_elf_module(rich_module());
  ByteVector with_signature = plain;
  with_signature.insert(with_signature.end(), 300, uint8_t{0x5a});
  const uint8_t trailer[12] = {0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 300 >> 8, 300 & 255};
  with_signature.insert(with_signature.end(), std::begin(trailer), std::end(trailer));
  ByteVector magic = bytes_of("~Module signature appended~\n");
  with_signature.insert(with_signature.end(), magic.begin(), magic.end());
  EXPECT_TRUE(has_module_signature(with_signature));
  EXPECT_FALSE(has_module_signature(plain));
  EXPECT_EQ(strip_module(with_signature).value(), strip_module(plain).value());
}

TEST(StripModule, KeepsModinfoThatCodePointsInto) {
  ElfModuleParts parts = rich_module();
  parts.sections[0].relocations.push_back({88, "in_modinfo", 0, R_X86_64_32S});
  parts.symbols.push_back({"in_modinfo", STT_OBJECT, STB_LOCAL, ".modinfo", 4});
  EXPECT_THAT(std::string(as_text(strip_module(make_elf_module(parts)).value())),
              HasSubstr("author=A. Nonymous"));
}

TEST(StripModule, RefusesWhatItCannotDo) {
  ElfModuleParts parts = rich_module();
  std::string modinfo = modinfo_of({"livepatch=Y", "vermagic=6.1.0 SMP "});
  parts.sections[2].data = bytes_of(modinfo);
  EXPECT_THAT(strip_module(make_elf_module(parts)).error().message(), HasSubstr("livepatch"));

  parts = rich_module();
  parts.sections[0].relocations.push_back({100, "to_debug", 0, R_X86_64_64});
  parts.symbols.push_back({"to_debug", STT_OBJECT, STB_LOCAL, ".debug_info", 4});
  EXPECT_THAT(strip_module(make_elf_module(parts)).error().message(), HasSubstr(".debug_info"));
}

TEST(StripModule, EveryTruncationIsAnError) {
  ByteVector module = make_elf_module(rich_module());
  for (size_t size = 0; size < module.size(); ++size) {
    EXPECT_FALSE(strip_module(ConstBytes(module).first(size)).ok()) << size;
  }
}

TEST(StripModule, SurvivesDamage) {
  ByteVector module = make_elf_module(rich_module());
  std::mt19937 random(3);
  for (int i = repetitions(4000, 20'000); i > 0; --i) {
    ByteVector damaged = module;
    for (int n = 0; n < 4; ++n) damaged[random() % damaged.size()] = static_cast<uint8_t>(random());
    Result<ByteVector> stripped = strip_module(damaged);
    if (stripped.ok()) {
      EXPECT_LE(stripped.value().size(), 8 * module.size());
    }
  }
}

TEST(ModuleInfo, ReadsWhatTheBuilderAsks) {
  auto info = read_module_info(make_elf_module(rich_module()));
  ASSERT_TRUE(info.ok());
  EXPECT_EQ(info.value().release(), "6.1.0-56-amd64");
  EXPECT_THAT(info.value().aliases, ElementsAre("pci:v1d2*"));
  EXPECT_THAT(info.value().firmware, ElementsAre("x/y.bin", "z-*.fw"));
  EXPECT_EQ(info.value().machine, static_cast<uint16_t>(ElfMachine::X86_64));
}

TEST(CheckExecutable, SaysWhatAFileIs) {
  ByteVector module = make_elf_module(rich_module());
  EXPECT_THAT(check_executable(module, ElfMachine::X86_64).error().message(),
              HasSubstr("not an executable"));
  ByteVector program = module;
  program[16] = ET_EXEC;
  EXPECT_TRUE(check_executable(program, ElfMachine::X86_64).ok());
  program[16] = ET_DYN;
  EXPECT_TRUE(check_executable(program, ElfMachine::X86_64).ok());
  EXPECT_THAT(check_executable(program, ElfMachine::Aarch64).error().message(),
              HasSubstr("a program for x86-64, not for aarch64"));
  program[4] = ELFCLASS32;
  EXPECT_FALSE(check_executable(program, ElfMachine::X86_64).ok());
  EXPECT_THAT(check_executable(as_bytes("#!/bin/sh\n"), ElfMachine::X86_64).error().message(),
              HasSubstr("script"));
  EXPECT_FALSE(check_executable({}, ElfMachine::X86_64).ok());
}

}  // namespace
}  // namespace curlingiron
