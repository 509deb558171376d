// --put: how it is written, and what is taken of this machine.
#include "host/put.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdio>
#include <filesystem>

#include "base/text.h"
#include "formats/put_order.h"
#include "support/module_tree.h"

namespace curlingiron {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(PutWord, IsSourcePartitionPathModeAndOwner) {
  PutWord word = parse_put("./key:root:/root/.ssh/authorized_keys").value();
  EXPECT_EQ(word.source, "./key");
  EXPECT_EQ(word.partition, "root");
  EXPECT_EQ(word.path, "/root/.ssh/authorized_keys");
  EXPECT_FALSE(word.mode);
  EXPECT_EQ(word.uid, 0u);
  EXPECT_EQ(word.gid, 0u);

  word = parse_put("key:2:/home/me/:0600:1000").value();
  EXPECT_EQ(word.path, "/home/me/");
  EXPECT_EQ(word.mode, 0600u);
  EXPECT_EQ(word.uid, 1000u);
  EXPECT_EQ(word.gid, 1000u);

  word = parse_put("key:a label:/x:4755:1000:100").value();
  EXPECT_EQ(word.partition, "a label");
  EXPECT_EQ(word.mode, 04755u);
  EXPECT_EQ(word.gid, 100u);

  // Colons in the source.
  word = parse_put("a:b:c/d:1:/x").value();
  EXPECT_EQ(word.source, "a:b:c/d");
  EXPECT_EQ(word.partition, "1");
}

TEST(PutWord, WhatIsNoneSaysWhy) {
  struct Case {
    std::string_view text;
    std::string_view why;
  };
  for (const Case& c : std::vector<Case>{
           {"", "no partition"},
           {"key", "no partition"},
           {"key:/x", "no partition"},
           {"key:root", "no partition"},
           {"key:root:x", "no absolute path"},
           {":root:/x", "no file"},
           {"key::/x", "no partition"},
           {"key:root:/x/../y", "without . and .."},
           {"key:root:/x//y", "without . and .."},
           {"key:root:/x:", "no octal mode"},
           {"key:root:/x:8", "no octal mode"},
           {"key:root:/x:-1", "no octal mode"},
           {"key:root:/x:10000", "no octal mode"},
           {"key:root:/x:600:root", "no number"},
           {"key:root:/x:600:4294967295", "no number"},
           {"key:root:/x:600:0:", "no number"},
           {"key:root:/x:600:0:0:0", "more fields"},
       }) {
    Result<PutWord> word = parse_put(c.text);
    ASSERT_FALSE(word.ok()) << c.text;
    EXPECT_THAT(word.error().message(), HasSubstr(c.why)) << c.text;
  }
}

class Puts : public testing::Test {
 protected:
  std::string at(const std::string& name) const { return concat(tree_.path(), "/", name); }
  void write(const std::string& name, std::string_view text, mode_t mode) const {
    tree_.write(name, as_bytes(text));
    ASSERT_EQ(::chmod(at(name).c_str(), mode), 0);
  }
  Result<PutFiles> collect(std::vector<std::string> words, bool force = false) const {
    HandOverOptions options;
    options.puts = std::move(words);
    options.force_put = force;
    return collect_puts(open_root("/").value(), options);
  }
  // "file a/b 600 text"
  static std::vector<std::string> entries(const Put& put) {
    std::vector<std::string> lines;
    for (const PutEntry& entry : put.entries) {
      std::string_view kind = entry.kind == PutEntry::Kind::Directory ? "dir"
                              : entry.kind == PutEntry::Kind::Link    ? "link"
                                                                      : "file";
      char mode[8];
      std::snprintf(mode, sizeof mode, "%o", entry.mode);
      lines.push_back(
          concat(kind, " ", entry.path, " ", std::string_view(mode), " ", as_text(entry.bytes)));
    }
    return lines;
  }

  test::FileTree tree_;
};

TEST_F(Puts, AFileHasItsModeOrTheOneThatIsGiven) {
  write("key", "abc", 0640);
  write("tool", "", 06755);
  PutFiles files = collect({concat(at("key"), ":root:/x"), concat(at("tool"), ":root:/bin/"),
                            concat(at("key"), ":3:/y:600:7:8")})
                       .value();
  PutOrder order = parse_put_order(files.archive).value();
  EXPECT_EQ(order.replace, ReplaceFiles::No);
  ASSERT_EQ(order.puts.size(), 3u);
  EXPECT_THAT(entries(order.puts[0]), ElementsAre("file  640 abc"));
  EXPECT_THAT(entries(order.puts[1]), ElementsAre("file  755 ")) << "set-id bits are not copied";
  EXPECT_EQ(order.puts[1].name, "tool");
  EXPECT_EQ(order.puts[1].path, "/bin/");
  EXPECT_THAT(entries(order.puts[2]), ElementsAre("file  600 abc"));
  EXPECT_EQ(order.puts[2].uid, 7u);
  EXPECT_EQ(order.puts[2].gid, 8u);
  EXPECT_EQ(
      parse_put_order(collect({concat(at("key"), ":1:/x")}, true).value().archive).value().replace,
      ReplaceFiles::Yes);
}

TEST_F(Puts, ADirectoryIsTakenWhole) {
  write("tree/a", "1", 0644);
  write("tree/sub/b", "22", 0600);
  std::filesystem::create_symlink("/etc/../x", at("tree/link"));
  std::filesystem::create_symlink(at("tree"), at("to-tree"));
  ASSERT_EQ(::chmod(at("tree").c_str(), 0755), 0);
  ASSERT_EQ(::chmod(at("tree/sub").c_str(), 0700), 0);
  PutFiles files =
      collect({concat(at("to-tree"), "/:root:/etc/"), concat(at("tree"), ":root:/y:640")}).value();
  PutOrder order = parse_put_order(files.archive).value();
  EXPECT_EQ(order.puts[0].name, "to-tree");
  EXPECT_THAT(entries(order.puts[0]),
              ElementsAre("dir  755 ", "file a 644 1", "link link 0 /etc/../x", "dir sub 700 ",
                          "file sub/b 600 22"));
  EXPECT_THAT(entries(order.puts[1]),
              ElementsAre("dir  750 ", "file a 640 1", "link link 0 /etc/../x", "dir sub 750 ",
                          "file sub/b 640 22"));
  ASSERT_EQ(files.ones.size(), 2u);
  EXPECT_EQ(files.ones[0].files, 3u);
  EXPECT_EQ(files.ones[0].bytes, 3u + 9u);
}

TEST_F(Puts, WhatCannotBePutIsRefused) {
  ASSERT_EQ(::mkfifo(at("pipe").c_str(), 0600), 0);
  EXPECT_THAT(collect({concat(at("pipe"), ":1:/x")}).error().message(),
              HasSubstr("neither a file nor a directory"));
  EXPECT_THAT(collect({concat(at("none"), ":1:/x")}).error().message(), HasSubstr("none"));
  EXPECT_THAT(collect({"/:1:/x"}).error().message(), HasSubstr("root directory"));
  EXPECT_FALSE(collect({}, true).ok());
  EXPECT_TRUE(collect({}).value().archive.empty());
}

TEST_F(Puts, ThePlanShowsNoContents) {
  write("key", "secret", 0600);
  PutFiles files = collect({concat(at("key"), ":root:/x")}).value();
  files.ones[0].partition = {2, 0, 0, Partition::Use::Root, "root"};
  EXPECT_THAT(files.lines(),
              ElementsAre(concat("partition 2 (root): /x from ", at("key"), ", 1 file, 6 B")));
  ASSERT_EQ(files.file_systems().size(), 1u);
  EXPECT_THAT(files.file_systems()[0].any_of, ElementsAre("ext4", "xfs", "btrfs", "vfat"));
  files.ones[0].partition.use = Partition::Use::Esp;
  EXPECT_THAT(files.file_systems()[0].any_of, ElementsAre("vfat"));
}

}  // namespace
}  // namespace curlingiron
