#include "formats/foreign_file.h"

#include <gtest/gtest.h>

#include <random>

#include "base/text.h"
#include "support/workshop.h"
#include "unit/formats/file_systems.h"

namespace curlingiron {
namespace {

using namespace std::string_view_literals;

std::string name(const std::optional<ForeignFile>& file) {
  return file ? std::string(file->name) : "none";
}
std::string foreign(ConstBytes begin) { return name(find_foreign_file(begin)); }
std::string foreign(std::string_view begin) { return foreign(as_bytes(begin)); }

TEST(ForeignFile, ByMagic) {
  EXPECT_EQ(foreign("Rar!\x1a\x07\x01\0"sv), "a rar archive");
  EXPECT_EQ(foreign("!<arch>\ndebian-binary   1410122664"), "a Debian package");
  EXPECT_EQ(foreign("!<arch>\nmember.o/      "), "an ar archive");
  EXPECT_EQ(foreign("\x1f\x9d\x90"), "compressed with \"compress\" (.Z)");
  EXPECT_EQ(foreign("\x7f"
                    "ELF\x02\x01"),
            "a program or a kernel (ELF)");
  EXPECT_EQ(foreign("partclone-image0002"),
            "a partclone image of one partition, as Clonezilla makes them");
  EXPECT_EQ(foreign("\0ntfsclone-image"sv), "an ntfsclone image of one partition");
  EXPECT_EQ(foreign("\x24\xb5\x2f\xfd"), "compressed by a zstd of before 2016");
  ByteVector vdi(512);
  put(vdi, 64, "\x7f\x10\xda\xbe");
  EXPECT_EQ(foreign(vdi), "a VirtualBox disk (vdi)");
  ByteVector ffu(512);
  put(ffu, 4, "SignedImage ");
  EXPECT_EQ(foreign(ffu), "a Full Flash Update (ffu)");
}

// Where one word of the message is what the reader needs.
TEST(ForeignFile, SaysWhatToDo) {
  auto advice = [](std::string_view begin) {
    return std::string(find_foreign_file(as_bytes(begin)).value().advice);
  };
  EXPECT_EQ(advice("KDMV\1"), "convert it with \"qemu-img convert -O raw\"");
  EXPECT_EQ(advice("\x3a\xff\x26\xed"), "convert it with \"simg2img\"");
  EXPECT_EQ(advice("Salted__12345678"), "decrypt it and serve the disk image in it");
  EXPECT_EQ(advice("version https://git-lfs.github.com/spec/v1\noid sha256:00\n"),
            "fetch the file itself (\"git lfs pull\"), or use the URL that downloads it");
}

TEST(ForeignFile, Text) {
  EXPECT_EQ(foreign("upstream unavailable, please try again\n"), "text");
  EXPECT_EQ(foreign("Nicht gefunden \xe4\xf6\xfc\n"), "text");  // Latin-1
  EXPECT_EQ(foreign("\xd0\xbd\xd0\xb5\xd1\x82 \xd1\x84\xd0\xb0\xd0\xb9\xd0"),
            "text");  // UTF-8, cut
  EXPECT_EQ(foreign("\x1b[31merror\x1b[0m\n"), "text");
  EXPECT_EQ(foreign("ok\0\0\0\0\0\0\0\0"sv), "text");  // a sector of it
  EXPECT_EQ(foreign("<!DOCTYPE html><html>"), "a web page (html)");
  EXPECT_EQ(foreign(" \r\n\t<HTML lang=en>"), "a web page (html)");
  EXPECT_EQ(foreign("\xef\xbb\xbf<!doctype HTML>"), "a web page (html)");
  EXPECT_EQ(foreign("<!-- login -->\n<html><body>Sign in</body></html>\n"), "a web page (html)");
  EXPECT_EQ(foreign("<?xml version='1.0'?><Error><Code>AccessDenied"), "a page of text (xml)");
  EXPECT_EQ(foreign("{\"error\":\"no such image\",\"code\":404}\n"),
            "an answer of a program (json)");
  EXPECT_EQ(foreign("[ {\"a\": 1} ]"), "an answer of a program (json)");
  EXPECT_EQ(foreign("[section]\nkey=value\n"), "text");
  EXPECT_EQ(foreign("-----BEGIN PGP SIGNATURE-----\n"), "a signature");
  EXPECT_EQ(foreign("untrusted comment: signature from minisign\n"), "a signature");
  EXPECT_EQ(foreign("-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n"), "a signed text (PGP)");
  EXPECT_EQ(foreign("-----BEGIN CERTIFICATE-----\nMII"), "a key or a certificate (PEM)");
  EXPECT_EQ(foreign("ssh-ed25519 AAAA"), "a key (ssh)");
  EXPECT_EQ(foreign("#!/bin/sh\nset -e\n"), "a script");
  EXPECT_EQ(foreign("HTTP/1.1 200 OK\r\n"), "an answer of a server with its head");
  for (size_t digits : {32u, 40u, 56u, 64u, 96u, 128u}) {
    std::string digest(digits, 'a');
    EXPECT_EQ(foreign(concat(digest, "  debian.img\n")), "a list of digests") << digits;
    EXPECT_EQ(foreign(concat(digest, "\n")), "a list of digests") << digits;
    EXPECT_EQ(foreign(concat("SHA256 (debian.img) = ", digest, "\n")), "a list of digests");
    EXPECT_EQ(foreign(concat("# of today\n", digest, " *debian.img\r\n")), "a list of digests");
    EXPECT_EQ(foreign(concat(digest, "a  debian.img\n")), "text") << digits;
  }
}

std::string utf16(std::string_view text, bool little, bool marked) {
  std::string wide;
  if (marked) wide = little ? "\xff\xfe" : "\xfe\xff";
  for (char c : text) {
    wide += little ? c : '\0';
    wide += little ? '\0' : c;
  }
  return wide;
}

TEST(ForeignFile, TextOfTwoBytesACharacter) {
  for (bool little : {false, true}) {
    for (bool marked : {false, true}) {
      EXPECT_EQ(foreign(utf16("nothing here", little, marked)), "text") << little << marked;
      EXPECT_EQ(foreign(utf16("<html></html>", little, marked)), "a web page (html)");
      EXPECT_EQ(foreign(utf16("<html></html>", little, marked) + std::string(100, '\0')),
                "a web page (html)");
      EXPECT_EQ(foreign(utf16("nothing\x01here", little, marked)), "none") << little << marked;
    }
  }
  EXPECT_EQ(foreign("\xff\xfe\x20\x04\x35\x04"), "text");  // Cyrillic
  EXPECT_EQ(foreign("a\0\0\0\0\0\0\0"sv), "text");         // one byte each, then zeros
  EXPECT_EQ(foreign("a\0b\0\0\0\0\0"sv), "none");
}

TEST(ForeignFile, NothingKnown) {
  EXPECT_EQ(foreign(ConstBytes()), "none");
  EXPECT_EQ(foreign(ByteVector(kForeignBytes)), "none");
  EXPECT_EQ(foreign(ByteVector(kForeignBytes, 0xe5)), "none");  // a formatted floppy disk
  EXPECT_EQ(foreign(ByteVector(kForeignBytes, 0xff)), "none");  // erased flash
  EXPECT_EQ(foreign("text, and then\0a number"sv), "none");
  EXPECT_EQ(foreign("\x78\x02\x01"), "none");
  std::mt19937 random(1);
  int named = 0;
  for (int i = 0; i < 2000; ++i) {
    ByteVector noise(512);
    for (uint8_t& byte : noise) byte = static_cast<uint8_t>(random());
    named += find_foreign_file(noise) ? 1 : 0;
  }
  EXPECT_LE(named, 4);  // a magic of two bytes is met once in 65,536
}

TEST(ForeignFile, Kernels) {
  ByteVector x86(1024);
  put(x86, 0, "MZ");
  put(x86, 510, "\x55\xaa");
  EXPECT_EQ(name(find_kernel(x86)), "none");
  put(x86, 0x202, "HdrS");
  EXPECT_EQ(name(find_kernel(x86)), "a Linux kernel");
  ByteVector arm64(64);
  put(arm64, 56, "ARM\x64");
  EXPECT_EQ(name(find_kernel(arm64)), "a Linux kernel");
  for (size_t size = 0; size < 60; ++size) {
    EXPECT_EQ(name(find_kernel(ConstBytes(arm64).first(size))), "none") << size;
  }
}

// What the real tools make.
TEST(ForeignFile, MadeByTools) {
  struct Tool {
    const char* command;
    const char* name;
  };
  static constexpr Tool kTools[] = {
      {"tar -cf OUT IN", "a tar archive"},
      {"tar --format=v7 -cf OUT IN", "a tar archive"},
      {"tar --format=posix -cf OUT IN", "a tar archive"},
      {"echo IN | cpio -o --quiet -H newc -O OUT", "a cpio archive"},
      {"echo IN | cpio -o --quiet -H odc -O OUT", "a cpio archive"},
      {"echo IN | cpio -o --quiet -H bin -O OUT", "a cpio archive"},
      {"ar qc OUT IN", "an ar archive"},
      {"python3 -c 'import zlib; open(\"OUT\", \"wb\").write(zlib.compress(b\"disk\" * 999))'",
       "zlib-compressed, without gzip's head"},
      {"openssl enc -aes-128-cbc -pbkdf2 -k x -in IN -out OUT", "encrypted (openssl enc)"},
      {"sha256sum IN > OUT", "a list of digests"},
      {"b2sum IN > OUT", "a list of digests"},
      {"openssl dgst -sha256 -r IN > OUT", "a list of digests"},
      {"qemu-img create -q -f vmdk OUT 1M", "a VMware disk (vmdk)"},
      {"qemu-img create -q -f vdi OUT 1M", "a VirtualBox disk (vdi)"},
      {"qemu-img create -q -f vhdx OUT 1M", "a Hyper-V disk (vhdx)"},
      {"qemu-img create -q -f vpc OUT 1M", "a Hyper-V disk (VHD) that is not of fixed size"},
      {"qemu-img create -q -f parallels OUT 1M", "a Parallels disk (hdd)"},
      {"qemu-img create -q -f qed OUT 1M", "a QED disk"},
      {"cp /bin/true OUT", "a program or a kernel (ELF)"},
      {"cp /bin/ldd OUT", "a script"},
      {"printf '{\"code\": 404}' > OUT", "an answer of a program (json)"},
      {"printf 'nothing here' | iconv -t UTF-16 > OUT", "text"},
  };
  Workshop shop;
  shop.write("IN", concat(std::string(1000, 'x'), "\n"));
  for (const Tool& tool : kTools) {
    std::filesystem::remove(shop.at("OUT"));
    ASSERT_EQ(shop.run(tool.command), 0) << tool.command << shop.log();
    ByteVector begin = shop.read("OUT", kForeignBytes);
    EXPECT_EQ(foreign(as_text(begin)), tool.name) << tool.command;
  }
}

}  // namespace
}  // namespace curlingiron
