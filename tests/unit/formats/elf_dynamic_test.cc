#include "formats/elf_dynamic.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "formats/ld_so_conf.h"
#include "support/effort.h"
#include "support/elf_program.h"

namespace curlingiron {
namespace {

using test::ElfProgramParts;
using test::make_elf_program;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

ElfProgramParts rich_program() {
  ElfProgramParts parts;
  parts.interpreter = "/lib64/ld-linux-x86-64.so.2";
  parts.needed = {"libz.so.1", "$ORIGIN/../lib/libown.so", "libc.so.6"};
  parts.rpath = "/opt/a:$ORIGIN/lib";
  parts.runpath = "${ORIGIN}/../$LIB";
  parts.soname = "libself.so.2";
  parts.flags_1 = DF_1_NODEFLIB | DF_1_PIE;
  return parts;
}

TEST(ElfDynamic, ReadsWhatTheLoaderReads) {
  auto elf = read_elf_dynamic(make_elf_program(rich_program()));
  ASSERT_TRUE(elf.ok()) << elf.error().message();
  EXPECT_EQ(elf.value().interpreter, "/lib64/ld-linux-x86-64.so.2");
  EXPECT_THAT(elf.value().needed,
              ElementsAre("libz.so.1", "$ORIGIN/../lib/libown.so", "libc.so.6"));
  EXPECT_EQ(elf.value().rpath, "/opt/a:$ORIGIN/lib");
  EXPECT_EQ(elf.value().runpath, "${ORIGIN}/../$LIB");
  EXPECT_EQ(elf.value().soname, "libself.so.2");
  EXPECT_TRUE(elf.value().no_default_directories);
  EXPECT_EQ(elf.value().kind, (ElfKind{true, true, ElfType::Program, EM_X86_64}));
}

TEST(ElfDynamic, WhatIsNotDynamicNeedsNothing) {
  ElfProgramParts parts;
  parts.type = ET_EXEC;
  parts.dynamic = false;
  auto static_program = read_elf_dynamic(make_elf_program(parts));
  ASSERT_TRUE(static_program.ok()) << static_program.error().message();
  EXPECT_TRUE(static_program.value().interpreter.empty());
  EXPECT_THAT(static_program.value().needed, IsEmpty());

  // A kernel module or object file: its tables are not for the loader, whatever they say.
  ByteVector object = make_elf_program(rich_program());
  object[16] = ET_REL;
  EXPECT_THAT(read_elf_dynamic(object).value().needed, IsEmpty());
  EXPECT_EQ(read_elf_kind(object).value().type, ElfType::Relocatable);

  // Debugging information only: the segments' headers are there, their bytes are not.
  ByteVector debug = make_elf_program(parts = {});
  Elf64_Phdr dynamic{};
  size_t at = sizeof(Elf64_Ehdr) + sizeof(Elf64_Phdr);
  std::memcpy(&dynamic, debug.data() + at, sizeof dynamic);
  ASSERT_EQ(dynamic.p_type, static_cast<uint32_t>(PT_DYNAMIC));
  dynamic.p_filesz = 0;
  dynamic.p_offset = 1 << 30;
  std::memcpy(debug.data() + at, &dynamic, sizeof dynamic);
  EXPECT_TRUE(read_elf_dynamic(debug).ok());
}

TEST(ElfDynamic, OtherClassesAreToldApart) {
  ByteVector narrow(sizeof(Elf32_Ehdr) + sizeof(Elf32_Phdr), 0);
  Elf32_Ehdr header{};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS32;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_type = ET_EXEC;
  header.e_machine = EM_386;
  header.e_phoff = sizeof header;
  header.e_phentsize = sizeof(Elf32_Phdr);
  header.e_phnum = 1;
  Elf32_Phdr segment{};
  segment.p_type = PT_LOAD;
  segment.p_filesz = 4;
  std::memcpy(narrow.data(), &header, sizeof header);
  std::memcpy(narrow.data() + sizeof header, &segment, sizeof segment);
  auto static_program = read_elf_dynamic(narrow);
  ASSERT_TRUE(static_program.ok()) << static_program.error().message();
  EXPECT_FALSE(static_program.value().kind.is_64_bit);
  segment.p_type = PT_INTERP;
  std::memcpy(narrow.data() + sizeof header, &segment, sizeof segment);
  EXPECT_THAT(read_elf_dynamic(narrow).error().message(), HasSubstr("a 32-bit dynamic program"));

  ByteVector big = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2MSB};
  big.resize(sizeof(Elf64_Ehdr));
  big[17] = ET_DYN;
  big[19] = EM_S390;
  EXPECT_EQ(read_elf_kind(big).value(), (ElfKind{true, false, ElfType::Program, EM_S390}));
  EXPECT_TRUE(read_elf_dynamic(big).ok());
}

TEST(ElfDynamic, EveryTruncationIsAnError) {
  ByteVector program = make_elf_program(rich_program());
  for (size_t size = 0; size < program.size(); ++size) {
    EXPECT_FALSE(read_elf_dynamic(ConstBytes(program).first(size)).ok()) << size;
  }
}

TEST(ElfDynamic, SurvivesDamage) {
  ByteVector program = make_elf_program(rich_program());
  std::mt19937 random(5);
  for (int i = repetitions(4000, 20'000); i > 0; --i) {
    ByteVector damaged = program;
    for (int n = 0; n < 4; ++n) {
      damaged[random() % damaged.size()] = static_cast<uint8_t>(random());
    }
    Result<ElfDynamic> elf = read_elf_dynamic(damaged);
    if (elf.ok()) {
      EXPECT_LE(elf.value().needed.size(), 16u);
    }
  }
}

TEST(ElfDynamic, RefusesWhatMakesNoSense) {
  EXPECT_FALSE(read_elf_dynamic(as_bytes("#!/bin/sh\n")).ok());
  ElfProgramParts parts;
  parts.interpreter = "ld.so";
  EXPECT_THAT(read_elf_dynamic(make_elf_program(parts)).error().message(),
              HasSubstr("no absolute path"));
  parts.interpreter.clear();
  parts.needed = {""};
  EXPECT_THAT(read_elf_dynamic(make_elf_program(parts)).error().message(),
              HasSubstr("without a name"));
}

TEST(LdSoConf, ReadsLinesAsLdconfig) {
  auto lines = parse_ld_so_conf(
      "# comment\n\n  /usr/local/lib  # more\ninclude ld.so.conf.d/*.conf /etc/x\n"
      "/opt/with blank/lib\nhwcap 0 nosegneg\n/usr/lib/old=libc5\nrelative\n/last");
  std::vector<std::string> shown;
  for (const LdSoConfLine& line : lines) {
    shown.push_back((line.word == LdSoConfWord::Include ? "include " : "") + line.text);
  }
  EXPECT_THAT(shown, ElementsAre("/usr/local/lib", "include ld.so.conf.d/*.conf", "include /etc/x",
                                 "/opt/with blank/lib", "/usr/lib/old", "/last"));
}

TEST(LdSoCache, IsInTheOrderOfTheLoadersSearch) {
  ByteVector cache = format_ld_so_cache({{"libx.so.9", "/a/libx.so.9", EM_X86_64},
                                         {"libx.so.10", "/a/libx.so.10", EM_X86_64},
                                         {"liba.so", "/a/liba.so", EM_AARCH64},
                                         {"libforeign.so", "/a/libforeign.so", EM_SPARC}});
  std::string text(as_text(cache));
  EXPECT_EQ(text.substr(0, 20), "glibc-ld.so.cache1.1");
  EXPECT_EQ(cache[20], 3);
  // Descending, digits as numbers.
  EXPECT_LT(text.find("libx.so.10"), text.find("libx.so.9"));
  EXPECT_LT(text.find("libx.so.9"), text.find("liba.so"));
  EXPECT_EQ(text.find("libforeign"), std::string::npos);
  ByteReader in(ConstBytes(cache).subspan(48));
  EXPECT_EQ(in.le32().value(), 0x0303u);
  EXPECT_EQ(in.le32().value(), text.find("libx.so.10"));
  EXPECT_EQ(in.le32().value(), text.find("/a/libx.so.10"));
}

}  // namespace
}  // namespace curlingiron
