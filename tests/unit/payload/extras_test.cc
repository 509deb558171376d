#include "payload/extras.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/text.h"
#include "formats/elf_dynamic.h"
#include "support/elf_program.h"
#include "support/module_tree.h"

namespace curlingiron {
namespace {

using test::ElfProgramParts;
using test::FileTree;
using test::make_elf_program;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::UnorderedElementsAre;

constexpr char kGlibc[] = "/lib64/ld-linux-x86-64.so.2";

ByteVector program(std::vector<std::string> needed, ElfProgramParts parts = {}) {
  parts.interpreter = kGlibc;
  parts.needed = std::move(needed);
  return make_elf_program(parts);
}

ByteVector library(const std::string& soname, std::vector<std::string> needed = {},
                   ElfProgramParts parts = {}) {
  parts.soname = soname;
  parts.needed = std::move(needed);
  return make_elf_program(parts);
}

std::vector<ExtraEntry> collect(const FileTree& tree, std::vector<std::string> specs) {
  UniqueFd root = tree.root();
  auto entries = collect_extras(root, specs);
  EXPECT_TRUE(entries.ok()) << entries.error().message();
  return entries.ok() ? std::move(entries).value() : std::vector<ExtraEntry>();
}

std::string failure(const FileTree& tree, std::vector<std::string> specs) {
  UniqueFd root = tree.root();
  auto entries = collect_extras(root, specs);
  EXPECT_FALSE(entries.ok());
  return entries.ok() ? std::string() : entries.error().message();
}

// "bin/" for a directory, "lib -> usr/lib" for a link, "bin/sh" for a file.
std::vector<std::string> listing(const std::vector<ExtraEntry>& entries) {
  std::vector<std::string> lines;
  for (const ExtraEntry& entry : entries) {
    std::string line = entry.path;
    if (S_ISDIR(entry.mode)) line += "/";
    if (S_ISLNK(entry.mode)) line += concat(" -> ", as_text(entry.bytes));
    lines.push_back(line);
  }
  return lines;
}

const ExtraEntry* find(const std::vector<ExtraEntry>& entries, const std::string& path) {
  for (const ExtraEntry& entry : entries) {
    if (entry.path == path) return &entry;
  }
  return nullptr;
}

void set_mode(const FileTree& tree, const std::string& path, mode_t mode) {
  ASSERT_EQ(::chmod((tree.path() + "/" + path).c_str(), mode), 0);
}

// A root as Debian's: bin, lib, lib64 and sbin lead into usr.
void fill_merged_root(const FileTree& tree) {
  tree.link("bin", "usr/bin");
  tree.link("sbin", "usr/sbin");
  tree.link("lib", "usr/lib");
  tree.link("lib64", "usr/lib64");
  tree.link("usr/lib64/ld-linux-x86-64.so.2", "/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2");
  const std::string base = "usr/lib/x86_64-linux-gnu/";
  tree.write(base + "ld-linux-x86-64.so.2", library("ld-linux-x86-64.so.2"));
  tree.write(base + "libc.so.6", library("libc.so.6", {"ld-linux-x86-64.so.2"}));
  tree.link(base + "libz.so.1", "libz.so.1.2.13");
  tree.write(base + "libz.so.1.2.13", library("libz.so.1", {"libc.so.6"}));
}

TEST(Extras, AFileIsTakenWithItsDirectories) {
  FileTree tree;
  tree.write("opt/data/file", "content");
  set_mode(tree, "opt/data/file", 04755);
  auto entries = collect(tree, {"/opt/data/file"});
  EXPECT_THAT(listing(entries), ElementsAre("opt/", "opt/data/", "opt/data/file"));
  EXPECT_EQ(as_text(find(entries, "opt/data/file")->bytes), "content");
  // Without set-id bits.
  EXPECT_EQ(find(entries, "opt/data/file")->mode, static_cast<uint32_t>(S_IFREG | 0755));
  EXPECT_EQ(find(entries, "opt")->mode, static_cast<uint32_t>(S_IFDIR | 0755));
  EXPECT_EQ(find(entries, "opt/data/file")->reason, "--add /opt/data/file");

  EXPECT_THAT(listing(collect(tree, {"/opt/data/file:/etc/other"})),
              ElementsAre("etc/", "etc/other"));
  EXPECT_THAT(listing(collect(tree, {"/opt/data/file:/a/b/"})),
              ElementsAre("a/", "a/b/", "a/b/file"));
}

TEST(Extras, ADirectoryIsTakenWhole) {
  FileTree tree;
  tree.write("opt/app/b", "b");
  tree.write("opt/app/sub/c", "c");
  tree.link("opt/app/link", "sub/c");
  tree.link("opt/app/up", "..");
  set_mode(tree, "opt/app/sub", 0700);
  auto entries = collect(tree, {"/opt/app"});
  EXPECT_THAT(listing(entries),
              ElementsAre("opt/", "opt/app/", "opt/app/b", "opt/app/link -> sub/c", "opt/app/sub/",
                          "opt/app/sub/c", "opt/app/up -> .."));
  EXPECT_EQ(find(entries, "opt/app/sub")->mode, static_cast<uint32_t>(S_IFDIR | 0700));
  // Elsewhere: what it links to is where its links then lead.
  EXPECT_THAT(listing(collect(tree, {"/opt/app/sub:/x", "/opt/app/link:/y/z/link"})),
              ElementsAre("x/", "x/c", "y/", "y/z/", "y/z/link -> sub/c", "y/z/sub/", "y/z/sub/c"));
}

TEST(Extras, ALinkBringsWhatItLeadsTo) {
  FileTree tree;
  tree.link("opt/one", "/opt/two");
  tree.link("opt/two", "deep/three");
  tree.write("opt/deep/three", "3");
  tree.link("opt/whole", "deep");
  tree.link("opt/state", "../run/state");
  tree.link("opt/mounts", "/proc/self/mounts");
  EXPECT_THAT(listing(collect(tree, {"/opt/one"})),
              ElementsAre("opt/", "opt/deep/", "opt/deep/three", "opt/one -> /opt/two",
                          "opt/two -> deep/three"));
  EXPECT_THAT(listing(collect(tree, {"/opt/whole"})),
              ElementsAre("opt/", "opt/deep/", "opt/deep/three", "opt/whole -> deep"));
  // What is there at run time only is no loss.
  EXPECT_THAT(listing(collect(tree, {"/opt/state", "/opt/mounts"})),
              ElementsAre("opt/", "opt/mounts -> /proc/self/mounts", "opt/state -> ../run/state"));
}

TEST(Extras, AProgramOfAMergedRootFindsItsLibraries) {
  FileTree tree;
  fill_merged_root(tree);
  tree.write("usr/bin/tool", program({"libz.so.1", "libc.so.6"}));
  auto entries = collect(tree, {"/bin/tool"});
  // lib stays a directory, for lib/modules.
  EXPECT_THAT(listing(entries), ElementsAre("bin -> usr/bin", "etc/", "etc/ld.so.cache", "lib/",
                                            "lib/x86_64-linux-gnu -> /usr/lib/x86_64-linux-gnu",
                                            "lib64 -> usr/lib64", "usr/", "usr/bin/",
                                            "usr/bin/tool", "usr/lib/", "usr/lib/x86_64-linux-gnu/",
                                            "usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2",
                                            "usr/lib/x86_64-linux-gnu/libc.so.6",
                                            "usr/lib/x86_64-linux-gnu/libz.so.1 -> libz.so.1.2.13",
                                            "usr/lib/x86_64-linux-gnu/libz.so.1.2.13", "usr/lib64/",
                                            "usr/lib64/ld-linux-x86-64.so.2 -> "
                                            "/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"));
  EXPECT_EQ(find(entries, "usr/lib/x86_64-linux-gnu/libz.so.1.2.13")->reason,
            "needed by /usr/bin/tool");
  EXPECT_THAT(std::string(as_text(find(entries, "etc/ld.so.cache")->bytes)),
              AllOf(HasSubstr("libz.so.1"), HasSubstr("/lib/x86_64-linux-gnu/libc.so.6")));
}

TEST(Extras, WhatIsAddedGoesBeforeWhatTheRootHas) {
  FileTree tree;
  fill_merged_root(tree);
  tree.write("usr/bin/dash", "the root's shell");
  tree.link("usr/bin/sh", "dash");
  tree.write("usr/bin/busybox", "busybox");
  tree.write("opt/script", "#!/bin/sh\necho\n");
  set_mode(tree, "opt/script", 0755);
  std::vector<std::string> specs = {"/opt/script", "/usr/bin/busybox:/bin/sh"};
  auto entries = collect(tree, specs);
  EXPECT_THAT(listing(entries), ElementsAre("bin -> usr/bin", "opt/", "opt/script", "usr/",
                                            "usr/bin/", "usr/bin/sh"));
  EXPECT_EQ(as_text(find(entries, "usr/bin/sh")->bytes), "busybox");
  EXPECT_EQ(find_rescue_shell(entries), "/bin/sh");
  std::reverse(specs.begin(), specs.end());
  EXPECT_EQ(listing(collect(tree, specs)), listing(entries));

  // Without it, the root's own.
  EXPECT_THAT(listing(collect(tree, {"/opt/script"})), Contains("usr/bin/sh -> dash"));
  EXPECT_EQ(find_rescue_shell(collect(tree, {"/usr/bin/busybox"})), "/usr/bin/busybox");
  EXPECT_EQ(find_rescue_shell(collect(tree, {"/opt"})), "/bin/sh");
  EXPECT_EQ(find_rescue_shell({}), std::nullopt);
}

TEST(Extras, BelowAStandInBelongsToItsRealPlace) {
  FileTree tree;
  fill_merged_root(tree);
  tree.write("opt/x", "x");
  EXPECT_THAT(listing(collect(tree, {"/opt/x:/lib/deep/er/x"})),
              ElementsAre("lib/", "lib/deep/", "lib/deep/er/", "lib/deep/er/x"));
  EXPECT_THAT(listing(collect(tree, {"/opt/x:/lib/x86_64-linux-gnu/x"})),
              ElementsAre("lib/", "lib/x86_64-linux-gnu -> /usr/lib/x86_64-linux-gnu", "usr/",
                          "usr/lib/", "usr/lib/x86_64-linux-gnu/", "usr/lib/x86_64-linux-gnu/x"));
  EXPECT_THAT(listing(collect(tree, {"/opt/x:/lib/x"})),
              ElementsAre("lib/", "lib/x -> /usr/lib/x", "usr/", "usr/lib/", "usr/lib/x"));
}

// -- how libraries are found

class Libraries : public ::testing::Test {
 protected:
  Libraries() {
    tree.write("lib64/ld-linux-x86-64.so.2", library("ld-linux-x86-64.so.2"));
    tree.write("lib64/libc.so.6", library("libc.so.6", {"ld-linux-x86-64.so.2"}));
  }
  // The files that come besides those of glibc.
  std::vector<std::string> brought(const std::string& spec) {
    std::vector<std::string> paths;
    for (const ExtraEntry& entry : collect(tree, {spec})) {
      bool own = entry.path == "etc/ld.so.cache" || entry.path.starts_with("lib64/ld-") ||
                 entry.path == "lib64/libc.so.6" || entry.reason.starts_with("--add");
      if (S_ISREG(entry.mode) && !own) paths.push_back(entry.path);
    }
    return paths;
  }
  ElfProgramParts rpath(const std::string& path) {
    ElfProgramParts parts;
    parts.rpath = path;
    return parts;
  }
  ElfProgramParts runpath(const std::string& path) {
    ElfProgramParts parts;
    parts.runpath = path;
    return parts;
  }

  FileTree tree;
};

TEST_F(Libraries, RpathIsInheritedAndRunpathIsNot) {
  tree.write("opt/a/libone.so", library("libone.so", {"libtwo.so"}));
  tree.write("opt/a/libtwo.so", library("libtwo.so"));
  tree.write("usr/lib/libtwo.so", library("libtwo.so"));
  tree.write("bin/by-rpath", program({"libone.so"}, rpath("/opt/a")));
  EXPECT_THAT(brought("/bin/by-rpath"), ElementsAre("opt/a/libone.so", "opt/a/libtwo.so"));
  tree.write("bin/by-runpath", program({"libone.so"}, runpath("/opt/a")));
  EXPECT_THAT(brought("/bin/by-runpath"), ElementsAre("opt/a/libone.so", "usr/lib/libtwo.so"));
  // A RUNPATH makes the loader forget the RPATH beside it, and that of its loaders.
  ElfProgramParts both = rpath("/opt/b");
  both.runpath = "/opt/a";
  tree.write("opt/b/libone.so", library("libone.so"));
  tree.write("bin/both", program({"libone.so"}, both));
  EXPECT_THAT(brought("/bin/both"), ElementsAre("opt/a/libone.so", "usr/lib/libtwo.so"));
  tree.write("opt/c/libthree.so", library("libthree.so", {"libtwo.so"}, runpath("/nowhere")));
  tree.write("bin/cut", program({"libthree.so"}, rpath("/opt/c:/opt/a")));
  EXPECT_THAT(brought("/bin/cut"), ElementsAre("opt/c/libthree.so", "usr/lib/libtwo.so"));
}

TEST_F(Libraries, WhatIsLoadedAlreadySatisfies) {
  // libone asks for libtwo without a path of its own: the program's, found before, is taken.
  tree.write("opt/a/libone.so", library("libone.so", {"libtwo.so.2"}));
  tree.write("opt/a/libtwo-real.so", library("libtwo.so.2"));
  tree.write("bin/tool", program({"libtwo-real.so", "libone.so"}, runpath("/opt/a")));
  EXPECT_THAT(brought("/bin/tool"), ElementsAre("opt/a/libone.so", "opt/a/libtwo-real.so"));
}

TEST_F(Libraries, OriginIsWhereTheFileIs) {
  tree.write("opt/app/bin/tool", program({"libown.so"}, runpath("$ORIGIN/../lib")));
  tree.write("opt/app/lib/libown.so",
             library("libown.so", {"libmore.so"}, runpath("${ORIGIN}/more")));
  tree.write("opt/app/lib/more/libmore.so", library("libmore.so"));
  EXPECT_THAT(brought("/opt/app/bin/tool"),
              ElementsAre("opt/app/lib/libown.so", "opt/app/lib/more/libmore.so"));
  // By a link in another directory the kernel still finds the program's own.
  tree.link("bin/tool", "../opt/app/bin/tool");
  EXPECT_THAT(brought("/bin/tool"), ElementsAre("opt/app/bin/tool", "opt/app/lib/libown.so",
                                                "opt/app/lib/more/libmore.so"));
  // Put elsewhere, it looks elsewhere: the libraries are put there.
  EXPECT_THAT(brought("/opt/app/bin/tool:/rescue/bin/"),
              ElementsAre("rescue/lib/libown.so", "rescue/lib/more/libmore.so"));
}

TEST_F(Libraries, LibAndPlatformAreExpanded) {
  tree.write("opt/lib64/x86_64/libp.so", library("libp.so"));
  tree.write("lib64/ld-linux-x86-64.so.2", [] {
    ByteVector loader = library("ld-linux-x86-64.so.2");
    std::string_view lib("\0lib64\0", 7);
    loader.insert(loader.end(), lib.begin(), lib.end());
    return loader;
  }());
  tree.write("bin/tool", program({"libp.so"}, runpath("/opt/$LIB/${PLATFORM}")));
  EXPECT_THAT(brought("/bin/tool"), ElementsAre("opt/lib64/x86_64/libp.so"));
}

TEST_F(Libraries, ConfiguredDirectoriesComeBeforeTheDefaultOnes) {
  tree.write("etc/ld.so.conf", "include ld.so.conf.d/*.conf\n");
  tree.write("etc/ld.so.conf.d/b.conf", "/opt/b\ninclude /etc/ld.so.conf\n");
  tree.write("etc/ld.so.conf.d/a.conf", "/opt/a/  # first\n");
  tree.write("etc/ld.so.conf.d/.hidden.conf", "/opt/hidden\n");
  tree.write("opt/hidden/liba.so", library("liba.so"));
  for (const char* directory : {"opt/a/", "opt/b/", "usr/lib64/"}) {
    tree.write(std::string(directory) + "liba.so", library("liba.so"));
    if (directory[4] != 'a') tree.write(std::string(directory) + "libb.so", library("libb.so"));
  }
  tree.write("bin/tool", program({"liba.so", "libb.so"}));
  EXPECT_THAT(brought("/bin/tool"), ElementsAre("opt/a/liba.so", "opt/b/libb.so"));
  // The loader reads the cache only.
  auto entries = collect(tree, {"/bin/tool"});
  EXPECT_THAT(std::string(as_text(find(entries, "etc/ld.so.cache")->bytes)),
              AllOf(HasSubstr("/opt/a/liba.so"), HasSubstr("/opt/b/libb.so"),
                    HasSubstr("/lib64/ld-linux-x86-64.so.2"), Not(HasSubstr("/usr/lib64"))));
  // A library for dlopen(3) is in it as well.
  tree.write("opt/b/libplugin.so", library("libplugin.so"));
  entries = collect(tree, {"/bin/tool", "/opt/b/libplugin.so"});
  EXPECT_THAT(std::string(as_text(find(entries, "etc/ld.so.cache")->bytes)),
              HasSubstr("/opt/b/libplugin.so"));
  // One's own cache stays.
  tree.write("etc/ld.so.cache", "mine");
  entries = collect(tree, {"/bin/tool", "/etc/ld.so.cache"});
  EXPECT_EQ(as_text(find(entries, "etc/ld.so.cache")->bytes), "mine");
}

TEST_F(Libraries, NoDefaultDirectories) {
  tree.write("usr/lib64/liba.so", library("liba.so"));
  ElfProgramParts parts = runpath("/lib64");
  parts.flags_1 = DF_1_NODEFLIB;
  tree.write("bin/tool", program({"libc.so.6", "liba.so"}, parts));
  EXPECT_THAT(failure(tree, {"/bin/tool"}),
              HasSubstr("needs liba.so, which is in none of /lib64;"));
}

TEST_F(Libraries, OtherMachinesAreNotTaken) {
  ElfProgramParts arm;
  arm.machine = EM_AARCH64;
  tree.write("lib/x86_64-linux-gnu/liba.so", library("liba.so", {}, arm));
  ByteVector narrow = library("liba.so");
  narrow[EI_CLASS] = ELFCLASS32;
  tree.write("lib64/liba.so", narrow);
  tree.write("usr/lib/liba.so", library("liba.so"));
  tree.write("bin/tool", program({"liba.so"}));
  EXPECT_THAT(brought("/bin/tool"), ElementsAre("usr/lib/liba.so"));
}

TEST_F(Libraries, MuslHasRulesOfItsOwn) {
  ElfProgramParts parts;
  parts.interpreter = "/lib/ld-musl-x86_64.so.1";
  parts.needed = {"libc.musl-x86_64.so.1", "libone.so", "libm.so"};
  parts.runpath = "/opt/a";
  tree.write("lib/ld-musl-x86_64.so.1", library("libc.musl-x86_64.so.1"));
  tree.write("bin/tool", make_elf_program(parts));
  // RUNPATH is inherited.
  tree.write("opt/a/libone.so", library("libone.so", {"libtwo.so", "libthree.so"}));
  tree.write("opt/a/libtwo.so", library("libtwo.so"));
  tree.write("usr/local/lib/libthree.so", library("libthree.so"));
  EXPECT_THAT(brought("/bin/tool"), ElementsAre("lib/ld-musl-x86_64.so.1", "opt/a/libone.so",
                                                "opt/a/libtwo.so", "usr/local/lib/libthree.so"));
  EXPECT_EQ(find(collect(tree, {"/bin/tool"}), "etc/ld.so.cache"), nullptr);
  tree.write("etc/ld-musl-x86_64.path", "/opt/b\n/opt/c\n");
  tree.write("opt/c/libthree.so", library("libthree.so"));
  EXPECT_THAT(brought("/bin/tool"),
              ElementsAre("etc/ld-musl-x86_64.path", "lib/ld-musl-x86_64.so.1", "opt/a/libone.so",
                          "opt/a/libtwo.so", "opt/c/libthree.so"));
}

TEST_F(Libraries, WhatIsMissingIsNamedWithWhoNeedsIt) {
  tree.write("usr/lib/libone.so", library("libone.so", {"libgone.so.3"}));
  tree.write("bin/tool", program({"libone.so"}, rpath("$ORIGIN/../x:/opt/y")));
  EXPECT_THAT(failure(tree, {"/bin/tool"}),
              AllOf(HasSubstr("/usr/lib/libone.so: needs libgone.so.3, which is in none of "),
                    HasSubstr("/bin/../x, /opt/y, "), HasSubstr("/usr/lib64"), HasSubstr("--add")));
  tree.write("usr/lib/libgone.so.3", "GROUP ( libone.so )");
  EXPECT_THAT(failure(tree, {"/bin/tool"}), AllOf(HasSubstr("/usr/lib/libone.so: "),
                                                  HasSubstr("/usr/lib/libgone.so.3: not an ELF")));
  tree.remove("lib64/ld-linux-x86-64.so.2");
  EXPECT_THAT(failure(tree, {"/bin/tool"}),
              HasSubstr("/bin/tool: needs /lib64/ld-linux-x86-64.so.2 to run, which is not there"));
}

TEST_F(Libraries, ATruncatedProgramIsAnErrorUnlessItCameAlong) {
  ByteVector whole = program({"libc.so.6"});
  tree.write("opt/data/broken", ConstBytes(whole).first(200));
  EXPECT_THAT(failure(tree, {"/opt/data/broken"}), HasSubstr("/opt/data/broken: "));
  EXPECT_THAT(listing(collect(tree, {"/opt/data"})), Contains("opt/data/broken"));
  tree.write("usr/lib/libhalf.so", ConstBytes(whole).first(200));
  tree.write("bin/tool", program({"libhalf.so"}));
  EXPECT_THAT(failure(tree, {"/bin/tool"}), HasSubstr("/usr/lib/libhalf.so: "));
}

TEST_F(Libraries, AStaticProgramBringsNothing) {
  ElfProgramParts parts;
  parts.type = ET_EXEC;
  parts.dynamic = false;
  tree.write("bin/busybox", make_elf_program(parts));
  EXPECT_THAT(listing(collect(tree, {"/bin/busybox"})), ElementsAre("bin/", "bin/busybox"));
}

// -- scripts

TEST_F(Libraries, ScriptsBringTheirInterpreter) {
  tree.write("bin/dash", program({"libc.so.6"}));
  tree.link("bin/sh", "dash");
  tree.write("usr/bin/env", program({"libc.so.6"}));
  tree.write("usr/local/bin/python3", program({"libc.so.6"}));
  auto script = [&](const std::string& first_line, mode_t mode = 0755) {
    tree.write("opt/script", first_line + "\necho hello\n");
    set_mode(tree, "opt/script", mode);
  };
  script("#! /bin/sh -e");
  EXPECT_THAT(brought("/opt/script"), ElementsAre("bin/dash"));
  EXPECT_THAT(listing(collect(tree, {"/opt/script"})),
              AllOf(Contains("bin/sh -> dash"), Contains("lib64/libc.so.6")));
  for (const char* line : {"#!/usr/bin/env python3", "#!/usr/bin/env -S python3 -u",
                           "#!/usr/bin/env -S LANG=C python3", "#!/usr/bin/env -i python3"}) {
    script(line);
    EXPECT_THAT(brought("/opt/script"), ElementsAre("usr/bin/env", "usr/local/bin/python3"))
        << line;
  }
  // Data is no script.
  script("#!/no/such/thing", 0644);
  EXPECT_THAT(brought("/opt/script"), IsEmpty());
  script("#!/no/such/thing");
  EXPECT_THAT(failure(tree, {"/opt/script"}),
              HasSubstr("/opt/script: is a script for /no/such/thing, which is not there"));
  script("#!/usr/bin/env ruby");
  EXPECT_THAT(failure(tree, {"/opt/script"}),
              HasSubstr("a script for ruby, which is in none of /usr/local/sbin:"));
  script("#!sh");
  EXPECT_THAT(failure(tree, {"/opt/script"}), HasSubstr("no absolute path"));
}

// -- refusals

TEST(Extras, RefusesWhatIsNotAPath) {
  FileTree tree;
  tree.write("etc/x", "x");
  EXPECT_THAT(failure(tree, {"etc/x"}), HasSubstr("no absolute path"));
  EXPECT_THAT(failure(tree, {"/etc/../etc/x"}), HasSubstr("\"..\""));
  EXPECT_THAT(failure(tree, {"/etc/x:/a/../../b"}), HasSubstr("\"..\""));
  EXPECT_THAT(failure(tree, {"/"}), HasSubstr("cannot be added"));
  EXPECT_THAT(failure(tree, {"/etc/none"}), HasSubstr("/etc/none: no such file"));
  EXPECT_THAT(failure(tree, {"/etc/none/deeper"}), HasSubstr("no such file"));
  EXPECT_THAT(failure(tree, {"/etc/x:y"}), HasSubstr("/etc/x:y: no such file"));
}

TEST(Extras, RefusesLinksThatLeadNowhereOrAstray) {
  FileTree tree;
  tree.link("opt/dangling", "nothing");
  EXPECT_THAT(failure(tree, {"/opt"}), AllOf(HasSubstr("/opt/dangling"), HasSubstr("--add /opt"),
                                             HasSubstr("leads to nothing, which is not there")));
  tree.remove("opt");
  tree.link("opt/a", "b");
  tree.link("opt/b", "a");
  EXPECT_THAT(failure(tree, {"/opt/a"}), AllOf(HasSubstr("/opt/a"), HasSubstr("circle")));
  EXPECT_THAT(failure(tree, {"/opt/a/x"}), HasSubstr("circle"));
  tree.remove("opt");
  tree.link("opt/out", "../../outside");
  EXPECT_THAT(failure(tree, {"/opt/out"}),
              AllOf(HasSubstr("/opt/out"), HasSubstr("leads out of the root")));
  EXPECT_THAT(failure(tree, {"/opt/out/x"}), HasSubstr("leads out of the root"));
  tree.remove("opt");
  tree.link("opt/all", "/");
  EXPECT_THAT(failure(tree, {"/opt/all"}), HasSubstr("root directory"));
}

TEST(Extras, RefusesPathsOfTheInitramfsItself) {
  FileTree tree;
  tree.write("x", "x");
  fill_merged_root(tree);
  for (const char* path : {"/init", "/init/x", "/curlingiron/config", "/lib/modules/x.ko",
                           "/lib/firmware/x", "/dev/x", "/proc/x", "/sys/x"}) {
    EXPECT_THAT(failure(tree, {std::string("/x:") + path}), HasSubstr(path)) << path;
  }
  EXPECT_THAT(failure(tree, {"/x:/lib/modules/x.ko"}), HasSubstr("--module"));
  EXPECT_THAT(failure(tree, {"/x:/lib"}), HasSubstr("directory of the initramfs"));
  EXPECT_THAT(failure(tree, {"/lib"}), HasSubstr("directory of the initramfs"));
  EXPECT_THAT(listing(collect(tree, {"/x:/usr/lib/modules/x"})),
              ElementsAre("usr/", "usr/lib/", "usr/lib/modules/", "usr/lib/modules/x"));
}

TEST(Extras, RefusesTwoOfOneName) {
  FileTree tree;
  tree.write("a", "a");
  tree.write("b", "b");
  tree.write("c", "a");
  EXPECT_THAT(
      failure(tree, {"/a:/x", "/b:/x"}),
      AllOf(HasSubstr("/x: is wanted twice"), HasSubstr("--add /a:/x"), HasSubstr("--add /b:/x")));
  EXPECT_THAT(listing(collect(tree, {"/a:/x", "/c:/x"})), ElementsAre("x"));
  EXPECT_THAT(failure(tree, {"/a:/x", "/b:/x/y"}), HasSubstr("/x: is a file"));
}

TEST(Extras, RefusesDevicesSocketsAndPipes) {
  FileTree tree;
  tree.write("opt/app/x", "x");
  ASSERT_EQ(::mkfifo((tree.path() + "/opt/app/pipe").c_str(), 0600), 0);
  EXPECT_THAT(failure(tree, {"/opt/app"}),
              AllOf(HasSubstr("/opt/app/pipe: is a socket or a pipe"), HasSubstr("only files")));
  EXPECT_THAT(failure(tree, {"/opt/app/pipe"}), HasSubstr("socket or a pipe"));
}

TEST(Extras, RefusesWhatItCannotRead) {
  if (::geteuid() == 0) GTEST_SKIP() << "root reads everything";
  FileTree tree;
  tree.write("opt/secret", "x");
  set_mode(tree, "opt/secret", 0);
  EXPECT_THAT(failure(tree, {"/opt/secret"}),
              AllOf(HasSubstr("/opt/secret"), HasSubstr("Permission denied")));
}

TEST(Extras, IsBounded) {
  FileTree tree;
  tree.write("opt/big", "");
  std::filesystem::resize_file(tree.path() + "/opt/big", (uintmax_t{1} << 30) + 1);
  EXPECT_THAT(failure(tree, {"/opt/big"}), HasSubstr("/opt/big: larger than"));
  std::filesystem::resize_file(tree.path() + "/opt/big", 1);
  for (int i = 0; i < 20'001; ++i) {
    std::string name = concat(tree.path(), "/opt/", i);
    ASSERT_EQ(::link(concat(tree.path(), "/opt/big").c_str(), name.c_str()), 0);
  }
  EXPECT_THAT(failure(tree, {"/opt"}), HasSubstr("more than 20000 files"));
}

// What was collected, as the kernel would unpack it.
void unpack(const std::vector<ExtraEntry>& entries, const std::string& directory) {
  for (const ExtraEntry& entry : entries) {
    std::string path = concat(directory, "/", entry.path);
    if (S_ISDIR(entry.mode)) {
      std::filesystem::create_directory(path);
    } else if (S_ISLNK(entry.mode)) {
      std::filesystem::create_symlink(as_text(entry.bytes), path);
    } else {
      ASSERT_TRUE(write_file_atomically(path, entry.bytes, entry.mode & 0777).ok()) << path;
    }
  }
}

// The loader itself is the judge: with a library in a directory that only ld.so.conf names.
TEST(RealPrograms, RunInAnInitramfs) {
  if (::geteuid() != 0) GTEST_SKIP() << "chroot(2) needs root";
  UniqueFd host = open_root("/").value();
  std::vector<std::string> specs = {"/bin/ls"};
  auto from_host = collect_extras(host, specs);
  ASSERT_TRUE(from_host.ok()) << from_host.error().message();
  FileTree root;
  unpack(from_host.value(), root.path());
  auto run_ls = [](const FileTree& tree) {
    // Quoted by nothing: the path has no blanks.
    return std::system(concat("chroot ", tree.path(), " /bin/ls / > ", tree.path(), "/listing 2> ",
                              tree.path(), "/errors")
                           .c_str());
  };
  EXPECT_EQ(run_ls(root), 0);

  // Any library but the C library goes into a directory of its own.
  auto moved =
      std::find_if(from_host.value().begin(), from_host.value().end(), [](const ExtraEntry& entry) {
        return S_ISREG(entry.mode) && is_elf(entry.bytes) &&
               entry.path.find(".so.") != std::string::npos &&
               entry.path.find("libc.") == std::string::npos &&
               entry.path.find("/ld-") == std::string::npos;
      });
  ASSERT_NE(moved, from_host.value().end());
  std::string name = read_elf_dynamic(moved->bytes).value().soname;
  for (const ExtraEntry& entry : from_host.value()) {
    if (entry.path.ends_with("/" + name)) root.remove(entry.path);
  }
  root.remove(moved->path);
  root.remove("etc/ld.so.cache");
  root.write("opt/special/" + name, moved->bytes);
  EXPECT_NE(run_ls(root), 0) << "the loader finds " << name << " without ld.so.conf";

  root.write("etc/ld.so.conf", "/opt/special\n");
  FileTree initramfs;
  unpack(collect(root, {"/bin/ls"}), initramfs.path());
  EXPECT_EQ(run_ls(initramfs), 0) << read_text(initramfs.root(), "errors").value();
}

// "PROGRAM: LIBRARY LIBRARY ..." or "PROGRAM! MESSAGE" for each dynamic program of /usr/bin, for
// tests/golden/ldd.py.
TEST(RealPrograms, WritesLibraries) {
  const char* out = std::getenv("CURLINGIRON_LIBRARIES");
  if (out == nullptr) GTEST_SKIP() << "CURLINGIRON_LIBRARIES is not set";
  std::ofstream file(out);
  UniqueFd root = open_root("/").value();
  std::vector<std::string> names = list_directory(root, "usr/bin").value();
  for (const std::string& name : names) {
    std::string path = "/usr/bin/" + name;
    std::error_code error;
    if (!std::filesystem::is_regular_file(path, error)) continue;
    std::ifstream begin(path, std::ios::binary);
    char magic[4] = {};
    begin.read(magic, sizeof magic);
    if (std::string_view(magic, sizeof magic) != "\177ELF") continue;
    std::vector<std::string> specs = {path};
    auto entries = collect_extras(root, specs);
    if (!entries.ok()) {
      file << path << "! " << entries.error().message() << '\n';
      continue;
    }
    file << path << ':';
    for (const ExtraEntry& entry : entries.value()) {
      if (S_ISREG(entry.mode) && entry.path != "etc/ld.so.cache") file << " /" << entry.path;
    }
    file << '\n';
  }
  ASSERT_TRUE(file.good());
}

}  // namespace
}  // namespace curlingiron
