#include "image/check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "unit/formats/file_systems.h"

namespace curlingiron {
namespace {

using ::testing::HasSubstr;
using namespace std::string_view_literals;

std::string verdict(ConstBytes head) {
  Result<void> result = check_is_disk(head, "what the server sent");
  return result.ok() ? "a disk" : result.error().message();
}
std::string verdict(std::string_view head) { return verdict(as_bytes(head)); }

ByteVector with_boot_sector() {
  ByteVector head(65536, 0x90);
  put(head, 510, "\x55\xaa");
  return head;
}

TEST(CheckIsDisk, Disks) {
  ByteVector mbr(512);
  put(mbr, 510, "\x55\xaa");
  mbr[450] = 0x83;
  mbr[458] = 1;
  EXPECT_EQ(verdict(mbr), "a disk");
  ByteVector ext4(4096);
  put_ext4(ext4, 0, 4096);
  EXPECT_EQ(verdict(ext4), "a disk");
  EXPECT_EQ(verdict(with_boot_sector()), "a disk");
  // What stands where a boot loader's code is does not count against a partition table.
  put(mbr, 0, "MZ");
  EXPECT_EQ(verdict(mbr), "a disk");
}

TEST(CheckIsDisk, OtherFiles) {
  EXPECT_EQ(verdict("upstream unavailable, please try again\n"),
            "what the server sent is text, not a disk image; it may be an error page, or a "
            "description of "
            "the file that was meant; check where it comes from");
  EXPECT_THAT(verdict("\n<!DOCTYPE html>"), HasSubstr("is a web page (html), not a disk image"));
  EXPECT_THAT(verdict("KDMV\1\0\0"sv), HasSubstr("(vmdk), not a disk image; convert it"));
  EXPECT_THAT(verdict(std::string(257, 'x') + "ustar"), HasSubstr("a tar archive"));
  ByteVector iso(40'000);
  put(iso, 32769, "CD001");
  EXPECT_THAT(verdict(iso), HasSubstr("hybrid"));
  ByteVector kernel = with_boot_sector();
  put(kernel, 0x202, "HdrS");
  EXPECT_THAT(verdict(kernel),
              HasSubstr("a Linux kernel, not a disk image; a boot loader starts it"));
  ByteVector program = with_boot_sector();
  put(program, 0, "MZ");
  EXPECT_THAT(verdict(program), HasSubstr("for Windows or UEFI"));
}

TEST(CheckIsDisk, PackedOnceMore) {
  EXPECT_THAT(verdict("\x1f\x8b\x08rest"), HasSubstr("gzip again"));
  EXPECT_THAT(verdict("QFI\xfb"), HasSubstr("qcow2 disk inside another format"));
  EXPECT_THAT(verdict("\x89LZO\0\r\n\x1a\n"sv), HasSubstr("lzop"));
}

TEST(CheckIsDisk, NothingThatIsKnown) {
  EXPECT_THAT(verdict(ByteVector(1 << 20)), HasSubstr("1.0 MiB of zeros"));
  EXPECT_THAT(verdict(ByteVector(1 << 20, 0xff)), HasSubstr("pass boot=any"));
  EXPECT_THAT(verdict("\x01\x02\x03"), HasSubstr("3 bytes long, less than a disk's sector"));
  // A gzip stream whose first byte is damaged.
  EXPECT_THAT(verdict(std::string("\x5f\x8b\x08\0\0\0\0\0"sv) + std::string(600, '\x81')),
              HasSubstr("no disk image that is known"));
}

TEST(CheckEndsWithSector, OnlyAProofLetsAnotherSizePass) {
  EXPECT_TRUE(check_ends_with_sector(0, false).ok());
  EXPECT_TRUE(check_ends_with_sector(512 * 77, false).ok());
  EXPECT_THAT(check_ends_with_sector(512 * 77 + 1, false).error().message(),
              HasSubstr("39425 bytes long, which is no multiple of a sector"));
  EXPECT_TRUE(check_ends_with_sector(512 * 77 + 1, true).ok());
}

}  // namespace
}  // namespace curlingiron
