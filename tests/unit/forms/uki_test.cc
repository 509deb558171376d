#include "forms/uki.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.h"
#include "formats/pe.h"

namespace curlingiron {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// The least that is a program for UEFI: headers and one section.
ByteVector stub() {
  ByteWriter out;
  out.append("MZ");
  out.zeros(0x3c - 2);
  out.le32(0x40);
  out.append(std::string_view("PE\0\0", 4));
  out.le16(0x8664);
  out.le16(1);
  out.zeros(12);
  out.le16(240);
  out.le16(0x206);
  size_t optional = out.size();
  out.le16(0x20b);
  out.zeros(30);
  out.le32(0x1000);
  out.le32(0x200);
  out.zeros(16);
  out.le32(0x2000);
  out.le32(0x400);
  out.zeros(optional + 108 - out.size());
  out.le32(16);
  out.zeros(optional + 240 - out.size());
  out.append(std::string_view(".text\0\0\0", 8));
  for (uint32_t field : {0x10u, 0x1000u, 0x200u, 0x400u, 0u, 0u, 0u, 0x60000020u}) out.le32(field);
  out.zeros(0x600 - out.size());
  return std::move(out).bytes();
}

const Bootable kPayload = {"6.1.0-test", ByteVector(3000, 'k'), ByteVector(5001, 'i'),
                           "panic=30 console=ttyS0"};

TEST(Uki, HoldsWhatWasPutIn) {
  Result<ByteVector> uki = make_uki(kPayload, stub());
  ASSERT_TRUE(uki.ok()) << uki.error().message();
  Result<Bootable> read = read_uki(uki.value());
  ASSERT_TRUE(read.ok()) << read.error().message();
  EXPECT_EQ(read.value().release, kPayload.release);
  EXPECT_EQ(read.value().kernel, kPayload.kernel);
  EXPECT_EQ(read.value().initramfs, kPayload.initramfs);
  EXPECT_EQ(read.value().command_line, kPayload.command_line);
}

TEST(Uki, HasTheSectionsThatTheStubLooksFor) {
  ByteVector uki = make_uki(kPayload, stub()).value();
  PeProgram program = parse_pe(uki).value();
  std::vector<std::string> names;
  for (const PeSection& section : program.sections) names.push_back(section.name);
  EXPECT_THAT(names, ElementsAre(".text", ".osrel", ".cmdline", ".uname", ".initrd", ".linux"));
}

TEST(Uki, LeavesTheCommandLineOpenWhereThereIsNone) {
  Bootable open = kPayload;
  open.command_line.clear();
  EXPECT_EQ(read_uki(make_uki(open, stub()).value()).value().command_line, "");
}

TEST(Uki, RefusesWhatIsNone) {
  EXPECT_THAT(read_uki(stub()).error().message(), HasSubstr("no section .linux or .initrd"));
  EXPECT_FALSE(read_uki(ByteVector(100, 'x')).ok());
  EXPECT_FALSE(make_uki(kPayload, ByteVector(1000)).ok());
  // One that is made already is no stub any more.
  ByteVector made = make_uki(kPayload, stub()).value();
  EXPECT_THAT(make_uki(kPayload, made).error().message(), HasSubstr("it has one already"));
}

}  // namespace
}  // namespace curlingiron
