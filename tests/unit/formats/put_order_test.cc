#include "formats/put_order.h"

#include <gtest/gtest.h>

#include "base/text.h"

namespace curlingiron {
namespace {

using PutKind = PutEntry::Kind;

Put put_of(std::vector<PutEntry> entries) {
  return {"root", "/etc/x", "x", 1000, 100, std::move(entries)};
}

PutOrder sample_order() {
  PutOrder order;
  order.replace = ReplaceFiles::Yes;
  order.puts.push_back(put_of({{PutKind::File, "", 0600, as_bytes("secret")}}));
  order.puts.push_back(put_of({{PutKind::Directory, "", 0755, {}},
                               {PutKind::Directory, "sub", 0700, {}},
                               {PutKind::File, "sub/empty", 04755, {}},
                               {PutKind::Link, "link", 0, as_bytes("/elsewhere")}}));
  return order;
}

TEST(PutOrder, ComesBackAsItWas) {
  ByteVector archive = format_put_order(sample_order()).value();
  PutOrder order = parse_put_order(archive).value();
  EXPECT_EQ(order.replace, ReplaceFiles::Yes);
  ASSERT_EQ(order.puts.size(), 2u);
  const Put& tree = order.puts[1];
  EXPECT_EQ(tree.partition, "root");
  EXPECT_EQ(tree.path, "/etc/x");
  EXPECT_EQ(tree.name, "x");
  EXPECT_EQ(tree.uid, 1000u);
  EXPECT_EQ(tree.gid, 100u);
  ASSERT_EQ(tree.entries.size(), 4u);
  EXPECT_EQ(tree.entries[2].path, "sub/empty");
  EXPECT_EQ(tree.entries[2].mode, 04755u);
  EXPECT_EQ(tree.entries[3].kind, PutKind::Link);
  EXPECT_EQ(as_text(tree.entries[3].bytes), "/elsewhere");
  EXPECT_EQ(order.files(), 3u);
  EXPECT_EQ(order.bytes(), 6u + 10u);
}

TEST(PutOrder, IsNothingWhereItIsCutOffOrChanged) {
  ByteVector archive = format_put_order(sample_order()).value();
  for (size_t size = 0; size < archive.size(); ++size) {
    Result<PutOrder> order = parse_put_order(ConstBytes(archive).first(size));
    // Between two entries the rest is an order of its own.
    if (order.ok()) EXPECT_LT(order.value().files(), 3u) << size;
  }
  for (size_t at = 0; at < 9; ++at) {
    ByteVector other = archive;
    other[at] ^= 0x40;
    EXPECT_FALSE(parse_put_order(other).ok()) << at;
  }
}

TEST(PutOrder, RefusesPathsThatLeadElsewhere) {
  std::vector<std::vector<PutEntry>> wrong = {
      {},
      {{PutKind::File, "a", 0600, {}}},
      {{PutKind::File, "", 0600, {}}, {PutKind::File, "a", 0600, {}}},
      {{PutKind::Link, "", 0, as_bytes("/tmp")}, {PutKind::File, "a", 0600, {}}},
      {{PutKind::Directory, "", 0755, {}}, {PutKind::File, "", 0600, {}}},
      {{PutKind::Directory, "", 0755, {}}, {PutKind::File, "../a", 0600, {}}},
      {{PutKind::Directory, "", 0755, {}}, {PutKind::File, "/a", 0600, {}}},
      {{PutKind::Directory, "", 0755, {}}, {PutKind::File, "a/b", 0600, {}}},
      {{PutKind::Directory, "", 0755, {}}, {PutKind::File, std::string_view("a\0b", 3), 0600, {}}},
      {{PutKind::Directory, "", 0755, {}}, {PutKind::Link, "a", 0, {}}},
      {{PutKind::Directory, "", 0755, {}},
       {PutKind::Directory, "a", 0755, {}},
       {PutKind::Directory, "b", 0755, {}},
       {PutKind::File, "a/late", 0600, {}}},
  };
  for (size_t i = 0; i < wrong.size(); ++i) {
    PutOrder order;
    order.puts.push_back(put_of(wrong[i]));
    EXPECT_FALSE(format_put_order(order).ok()) << i;
  }
  for (std::string_view path : {"", "etc", "/a/../b", "/./a", "/a//b", "//", "/a/."}) {
    EXPECT_FALSE(is_put_path(path)) << path;
  }
  for (std::string_view path : {"/", "/a", "/a/", "/a/b.c/...", "/a b"}) {
    EXPECT_TRUE(is_put_path(path)) << path;
  }
}

TEST(PutOrder, IsBounded) {
  ByteVector half(kLargestPutOrder / 2);
  PutOrder order;
  order.puts = {put_of({{PutKind::File, "", 0600, half}}),
                put_of({{PutKind::File, "", 0600, half}})};
  EXPECT_TRUE(format_put_order(order).ok());
  order.puts.push_back(put_of({{PutKind::File, "", 0600, as_bytes("x")}}));
  EXPECT_FALSE(format_put_order(order).ok());

  PutOrder many;
  many.puts.assign(kMostPutEntries, put_of({{PutKind::File, "", 0600, {}}}));
  ByteVector archive = format_put_order(many).value();
  EXPECT_EQ(parse_put_order(archive).value().files(), kMostPutEntries);
  many.puts.push_back(many.puts.front());
  EXPECT_FALSE(format_put_order(many).ok());
  // One more than there may be: an order of its own after the first one's magic and flag.
  many.puts.resize(1);
  ByteVector one = format_put_order(many).value();
  archive.insert(archive.end(), one.begin() + 9, one.end());
  EXPECT_FALSE(parse_put_order(archive).ok());
}

}  // namespace
}  // namespace curlingiron
