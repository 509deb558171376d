#include "formats/checksums.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.h"
#include "support/workshop.h"

namespace curlingiron {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

const std::string kA(64, 'a');
const std::string kB(64, 'b');
const std::string kLong(128, 'c');

// "sha256:HEX", "sha512:HEX", or the error's message.
std::string find(std::string_view text, std::string_view name = "disk.img") {
  Result<ExpectedDigest> found = find_checksum(text, name);
  if (!found.ok()) return found.error().message();
  EXPECT_EQ(found.value().bytes.size(), found.value().kind == DigestKind::Sha256 ? 32u : 64u);
  return concat(found.value().kind == DigestKind::Sha256 ? "sha256:" : "sha512:",
                to_hex(found.value().bytes));
}

std::string sha256(const std::string& hex) { return "sha256:" + hex; }
std::string sha512(const std::string& hex) { return "sha512:" + hex; }

TEST(Checksums, AllThatAreNamed) {
  auto names = [](std::string_view text) { return checksum_names(text).value(); };
  EXPECT_THAT(names(kA + "  a\n# comment\n" + kB + " *b/c d\nMD5 (e) = " + std::string(32, '1') +
                    "\nno line of it\n"),
              testing::ElementsAre("a", "b/c d", "e"));
  EXPECT_THAT(names(kA + "\n"), testing::IsEmpty());
  EXPECT_FALSE(checksum_names(std::string(kLongestChecksums + 1, ' ')).ok());
}

TEST(Checksums, GnuForm) {
  EXPECT_EQ(find(kA + "  disk.img\n"), sha256(kA));
  EXPECT_EQ(find(kA + "  disk.img"), sha256(kA));
  EXPECT_EQ(find(kA + " *disk.img\n"), sha256(kA));
  EXPECT_EQ(find(kA + " disk.img\n"), sha256(kA));
  EXPECT_EQ(find(kA + "\tdisk.img\n"), sha256(kA));
  EXPECT_EQ(find(kLong + "  disk.img\n"), sha512(kLong));
  EXPECT_EQ(find(kA + "  other\n" + kB + "  disk.img\n"), sha256(kB));
  EXPECT_EQ(find(kA + "  ./disk.img\n"), sha256(kA));
  EXPECT_EQ(find(std::string(64, 'A') + "  disk.img\n"), sha256(kA));
  EXPECT_EQ(find(kA + "  my disk.img\n", "my disk.img"), sha256(kA));
  EXPECT_EQ(find(kA + "  *\n", "*"), sha256(kA));
  EXPECT_EQ(find(kA + " **x\n", "*x"), sha256(kA));
  EXPECT_EQ(find(kA + "    disk.img\n"), sha256(kA));
}

TEST(Checksums, BsdForm) {
  EXPECT_EQ(find("SHA256 (disk.img) = " + kA + "\n"), sha256(kA));
  EXPECT_EQ(find("SHA512 (disk.img) = " + kLong + "\n"), sha512(kLong));
  EXPECT_EQ(find("SHA2-256(disk.img)= " + kA + "\n"), sha256(kA));
  EXPECT_EQ(find("SHA256(disk.img)= " + kA + "\n"), sha256(kA));
  EXPECT_EQ(find("SHA256 (a) = b (x)) = " + kA + "\n", "a) = b (x)"), sha256(kA));
  EXPECT_EQ(find("SHA256 (./pub/disk.img) = " + kA + "\n"), sha256(kA));
  for (const char* tag : {"SHA3-256", "BLAKE2b-256", "SHA512", "SM3", "MD5"}) {
    EXPECT_THAT(find(concat(tag, " (disk.img) = ", kA, "\n")), Not(HasSubstr("sha256:"))) << tag;
  }
}

TEST(Checksums, EscapedNames) {
  EXPECT_EQ(find("\\" + kA + "  a\\nb\\\\c\\r\n", "a\nb\\c\r"), sha256(kA));
  EXPECT_EQ(find("\\SHA256 (a\\nb) = " + kA + "\n", "a\nb"), sha256(kA));
  EXPECT_THAT(find("\\" + kA + "  a\\xb\n", "axb"), HasSubstr("no SHA-256"));
  EXPECT_THAT(find("\\" + kA + "  a\\\n", "a"), HasSubstr("no SHA-256"));
  EXPECT_EQ(find(kA + "  a\\nb\n", "a\\nb"), sha256(kA));
}

TEST(Checksums, AnExactNameGoesBeforeAPath) {
  EXPECT_EQ(find(kA + "  old/disk.img\n" + kB + "  disk.img\n"), sha256(kB));
  EXPECT_EQ(find(kB + "  ./disk.img\n" + kA + "  old/disk.img\n"), sha256(kB));
  EXPECT_EQ(find(kA + "  pub/9.0/disk.img\n"), sha256(kA));
  EXPECT_THAT(find(kA + "  old/disk.img\n" + kB + "  new/disk.img\n"),
              AllOf(HasSubstr("two that differ"), HasSubstr("old/disk.img"),
                    HasSubstr("new/disk.img"), HasSubstr("sha256=")));
  EXPECT_EQ(find(kA + "  old/disk.img\n" + kA + "  new/disk.img\n"), sha256(kA));
  EXPECT_THAT(find(kA + "  olddisk.img\n"), HasSubstr("none for \"disk.img\""));
}

TEST(Checksums, TwoThatDiffer) {
  EXPECT_THAT(find(kA + "  disk.img\n" + kB + "  disk.img\n"),
              AllOf(HasSubstr("two that differ"), HasSubstr(kA), HasSubstr(kB)));
  EXPECT_EQ(find(kA + "  disk.img\n" + std::string(64, 'A') + " *disk.img\n"), sha256(kA));
  EXPECT_THAT(find(kA + "  disk.img\nSHA256 (disk.img) = " + kB + "\n"),
              HasSubstr("two that differ"));
  // Of two kinds both hold.
  EXPECT_EQ(find(kLong + "  disk.img\n" + kA + "  disk.img\n"), sha256(kA));
}

TEST(Checksums, OnlySha256AndSha512Count) {
  for (size_t digits : {32, 40, 56, 96}) {
    EXPECT_THAT(find(std::string(digits, 'a') + "  disk.img\n"),
                HasSubstr("neither SHA-256 nor SHA-512"));
  }
  for (size_t digits : {1, 63, 65, 127, 129}) {
    EXPECT_THAT(find(std::string(digits, 'a') + "  disk.img\n"), HasSubstr("no SHA-256"));
  }
  EXPECT_EQ(find(std::string(32, 'a') + "  disk.img\n" + kA + "  disk.img\n"), sha256(kA));
  // Gentoo's DIGESTS: a BLAKE2b-512 is as long as a SHA-512.
  EXPECT_EQ(find(concat("# BLAKE2B HASH\n", std::string(128, 'b'), "  disk.img\n# SHA512 HASH\n",
                        kLong, "  disk.img\n")),
            sha512(kLong));
  EXPECT_THAT(find(concat("# BLAKE2B HASH\n", kLong, "  disk.img\n")),
              HasSubstr("neither SHA-256 nor SHA-512"));
  EXPECT_THAT(find("SHA256 (disk.img) = " + kA.substr(1) + "\n"), HasSubstr("no SHA-256"));
  EXPECT_THAT(find("SHA256 (disk.img) = " + kLong + "\n"), HasSubstr("no SHA-256"));
}

TEST(Checksums, CommentsBlankLinesAndLineEnds) {
  EXPECT_EQ(find("\xef\xbb\xbf# of today\r\n\r\n" + kA + "  disk.img\r\n"), sha256(kA));
  EXPECT_EQ(find("# disk.img: 1234 bytes\nSHA256 (disk.img) = " + kA + "\n"), sha256(kA));
  EXPECT_THAT(find("#" + kA + "  disk.img\n"), HasSubstr("no SHA-256"));
  EXPECT_THAT(find("<html><body>404</body></html>\n"), HasSubstr("SHA256SUMS"));
  EXPECT_THAT(find(""), HasSubstr("no SHA-256"));
}

TEST(Checksums, ClearSigned) {
  auto framed = [](std::string_view body) {
    return concat("-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n", body,
                  "-----BEGIN PGP SIGNATURE-----\n\niQEz\n-----END PGP SIGNATURE-----\n");
  };
  EXPECT_EQ(find(framed(kA + "  disk.img\n")), sha256(kA));
  EXPECT_EQ(find(framed("- " + kA + "  disk.img\n")), sha256(kA));
  EXPECT_EQ(find(framed("SHA256 (-) = " + kA + "\n"), "-"), sha256(kA));
  // What stands outside was not signed.
  EXPECT_THAT(find(kB + "  disk.img\n" + framed(kA + "  other\n")), HasSubstr("but for other"));
  EXPECT_THAT(find(framed(kA + "  other\n") + kB + "  disk.img\n"), HasSubstr("but for other"));
  EXPECT_THAT(find("-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n" + kA + "  disk.img\n"),
              HasSubstr("cut off"));
  EXPECT_THAT(find("-----BEGIN PGP SIGNED MESSAGE-----\n" + kA + "  disk.img\n"),
              HasSubstr("cut off"));
}

TEST(Checksums, Bare) {
  EXPECT_EQ(find(kA), sha256(kA));
  EXPECT_EQ(find(kA + "\n"), sha256(kA));
  EXPECT_EQ(find("# today's\r\n" + kLong + " \r\n", ""), sha512(kLong));
  EXPECT_THAT(find(kA + "\n" + kB + "\n"), HasSubstr("no SHA-256"));
  EXPECT_THAT(find(kA + "\nand more\n"), HasSubstr("no SHA-256"));
  EXPECT_THAT(find(kA + "\n" + kB + "  other\n"), HasSubstr("none for \"disk.img\""));
  EXPECT_THAT(find(kA.substr(1) + "\n"), HasSubstr("no SHA-256"));
}

TEST(Checksums, NotListed) {
  EXPECT_THAT(find(kA + "  a.img\n" + kB + "  b.img\n" + kLong + "  a.img\n"),
              AllOf(HasSubstr("none for \"disk.img\", but for a.img, b.img;")));
  std::string many;
  for (int i = 0; i < 1000; ++i) many += concat(kA, "  image-", i, "\n");
  EXPECT_THAT(find(many), AllOf(HasSubstr("image-4 and 995 more"), Not(HasSubstr("image-5"))));
  EXPECT_THAT(find(kA + "  \x1b[31mred\n", "\x1b[0m"),
              AllOf(HasSubstr("?[31mred"), Not(HasSubstr("\x1b"))));
  EXPECT_THAT(find(kA + "  a.img\n", ""), HasSubstr("but for a.img"));
  EXPECT_THAT(find(kA + "  folder/\n", ""), HasSubstr("but for folder/"));
}

TEST(Checksums, Bounded) {
  std::string text = kA + "  disk.img\n";
  text.resize(kLongestChecksums, '\n');
  EXPECT_EQ(find(text), sha256(kA));
  EXPECT_THAT(find(text + "\n"), HasSubstr("1 MiB"));
  EXPECT_THAT(find(std::string(kLongestChecksums, '(')), HasSubstr("no SHA-256"));
}

// Every cut leaves the digest that was meant, or none.
TEST(Checksums, EveryPrefix) {
  std::string text = concat("# list\n", kA, "  disk.img\nSHA256 (disk.img) = ", kA, "\n");
  for (size_t size = 0; size <= text.size(); ++size) {
    Result<ExpectedDigest> found =
        find_checksum(std::string_view(text).substr(0, size), "disk.img");
    if (found.ok()) {
      EXPECT_EQ(to_hex(found.value().bytes), kA) << size;
    }
  }
}

// What the real tools write for names that are hard.
TEST(Checksums, MadeByCoreutils) {
  Workshop shop;
  for (const char* name : {"disk.img", "two  blanks", "a\nb\\c", "a) = b", "*star", "x\ry"}) {
    shop.write(name, "content");
    for (const char* tool : {"sha256sum", "sha256sum --tag", "sha512sum -b", "sha512sum --tag"}) {
      std::string command = concat(tool, " -- '", name, "' > list");
      ASSERT_EQ(shop.run(command), 0) << command << shop.log();
      std::string expected =
          std::string_view(tool).starts_with("sha256")
              ? "sha256:ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73"
              : "sha512:b2d1d285b5199c85f988d03649c37e44fd3dde01e5d69c50fef90651962f48110e9340b60d4"
                "9a479c4c0b53f5f07d690686dd87d2481937a512e8b85ee7c617f";
      EXPECT_EQ(find(as_text(shop.read("list")), name), expected) << tool << ' ' << name;
    }
  }
}

}  // namespace
}  // namespace curlingiron
