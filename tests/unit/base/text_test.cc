#include "base/text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <climits>
#include <limits>

namespace curlingiron {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(Concat, TextCharactersAndNumbers) {
  EXPECT_EQ(concat("eth", 0, ':', " ", std::string("no"), std::string_view(" carrier")),
            "eth0: no carrier");
  EXPECT_EQ(concat(std::numeric_limits<int64_t>::min()), "-9223372036854775808");
  EXPECT_EQ(concat(std::numeric_limits<uint64_t>::max()), "18446744073709551615");
  EXPECT_EQ(concat(uint8_t{200}, int8_t{-3}), "200-3");
  EXPECT_EQ(concat(INT_MIN), "-2147483648");
}

TEST(Trim, BlanksAtBothEnds) {
  EXPECT_EQ(trim(" \t\r\na b\n "), "a b");
  EXPECT_EQ(trim(" \n"), "");
  EXPECT_EQ(trim(""), "");
}

TEST(Split, KeepsEmptyFields) {
  EXPECT_THAT(split("a,,b,", ','), ElementsAre("a", "", "b", ""));
  EXPECT_THAT(split("", ','), ElementsAre(""));
  EXPECT_THAT(split("abc", ','), ElementsAre("abc"));
  EXPECT_THAT(split_blank("  a\t b\n\nc "), ElementsAre("a", "b", "c"));
  EXPECT_THAT(split_blank(" \n"), IsEmpty());
}

TEST(Join, WithSeparator) {
  EXPECT_EQ(join(std::vector<std::string>{"a", "b", "c"}, ", "), "a, b, c");
  EXPECT_EQ(join(std::vector<std::string>{"a"}, ", "), "a");
  EXPECT_EQ(join({}, ", "), "");
}

TEST(AppendUnique, KeepsTheFirst) {
  std::vector<std::string> texts = {"a"};
  append_unique(texts, "b");
  append_unique(texts, "a");
  EXPECT_EQ(join(texts, ","), "a,b");
}

TEST(PlainPath, StaysBelowItsFolder) {
  for (std::string_view plain : {"a", "a/b", "..a/b..", "a/.b"})
    EXPECT_TRUE(is_plain_path(plain)) << plain;
  for (std::string_view other : {"", "/", "/a", "a/", "a//b", ".", "..", "a/../b", "./a", "a/.."}) {
    EXPECT_FALSE(is_plain_path(other)) << other;
  }
}

TEST(AtOrBelow, EndsWithAWholeName) {
  EXPECT_TRUE(is_at_or_below("lib/modules", "lib/modules"));
  EXPECT_TRUE(is_at_or_below("lib/modules/a.ko", "lib/modules"));
  EXPECT_TRUE(is_at_or_below("anything", ""));
  EXPECT_FALSE(is_at_or_below("lib/modules-load.d/a", "lib/modules"));
  EXPECT_FALSE(is_at_or_below("lib", "lib/modules"));
}

TEST(Case, OnlyAsciiLetters) {
  EXPECT_EQ(to_lower("AbZ[`{\xC4"), "abz[`{\xC4");
  EXPECT_TRUE(equal_ignoring_case("Range", "rANGE"));
  EXPECT_FALSE(equal_ignoring_case("Range", "Ranges"));
  EXPECT_FALSE(equal_ignoring_case("@", "`"));
}

TEST(ParseNumbers, WholeAndInRange) {
  EXPECT_EQ(parse_u64("0").value(), 0u);
  EXPECT_EQ(parse_u64("18446744073709551615").value(), UINT64_MAX);
  for (const char* wrong :
       {"", "18446744073709551616", "99999999999999999999", "-1", "+1", " 1", "1 ", "1x", "0x10"}) {
    EXPECT_FALSE(parse_u64(wrong).ok()) << wrong;
  }
  EXPECT_EQ(parse_u32("4294967295").value(), UINT32_MAX);
  EXPECT_FALSE(parse_u32("4294967296").ok());
  EXPECT_EQ(parse_hex_u64("DeadBeef").value(), 0xdeadbeefu);
  EXPECT_EQ(parse_hex_u64("ffffffffffffffff").value(), UINT64_MAX);
  for (const char* wrong : {"", "10000000000000000", "0x1", "g", "-1"}) {
    EXPECT_FALSE(parse_hex_u64(wrong).ok()) << wrong;
  }
}

TEST(Nearest, FindsTypingErrorsOnly) {
  static constexpr std::string_view kKeys[] = {"sig", "sha256", "nameserver", "src", "dst"};
  EXPECT_EQ(nearest("sha265", kKeys), "sha256");
  EXPECT_EQ(nearest("namserver", kKeys), "nameserver");
  EXPECT_EQ(nearest("scr", kKeys), "src") << "swapped letters are one mistake";
  EXPECT_EQ(nearest("vreify", std::vector<std::string_view>{"verify"}), "verify");
  EXPECT_EQ(nearest("completely-different", kKeys), std::nullopt);
  EXPECT_EQ(nearest(std::string(1000, 'x'), kKeys), std::nullopt);
  EXPECT_EQ(nearest("src", {}), std::nullopt);
}

TEST(Printable, IsFitForAConsole) {
  EXPECT_EQ(printable("plain text~"), "plain text~");
  EXPECT_EQ(printable("a\x1b[31m\n\x7f\xe2"), "a?[31m???");
  EXPECT_EQ(printable(std::string(300, 'x')), std::string(200, 'x') + "...");
  EXPECT_EQ(printable("abcdef", 3), "abc...");
  EXPECT_EQ(printable("abc", 3), "abc");
}

TEST(Text, ShellTakesAQuotedWordAsItIs) {
  EXPECT_EQ(quote_for_shell(""), "''");
  EXPECT_EQ(quote_for_shell("a b$c\\"), "'a b$c\\'");
  EXPECT_EQ(quote_for_shell("it's"), "'it'\\''s'");
}

TEST(Text, ControlCharactersAreThoseOfAscii) {
  for (char c : {'\0', '\t', '\n', '\x1f', '\x7f'}) EXPECT_TRUE(is_control(c)) << int{c};
  for (char c : {' ', 'a', '~', '\x80', '\xff'}) EXPECT_FALSE(is_control(c)) << int{c};
}

TEST(Text, WrapsAtBlanks) {
  std::string text;
  append_wrapped(text, "  1  ", "one two three four", 4, 13);
  append_wrapped(text, "", "a-word-that-is-longer-than-that  b", 0, 13);
  append_wrapped(text, "", "", 0, 13);
  EXPECT_EQ(text, "  1  one two\n    three\n    four\na-word-that-is-longer-than-that\nb\n\n");
}

}  // namespace
}  // namespace curlingiron
