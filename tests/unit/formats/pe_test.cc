#include "formats/pe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.h"

namespace curlingiron {
namespace {

using testing::HasSubstr;

constexpr size_t kHeader = 0x80;
constexpr size_t kOptional = 240;

struct Part {
  std::string name;
  uint32_t address;
  uint32_t size;
  uint32_t place;
};

// As a linker for UEFI writes it: headers up to the first section's place in the file.
ByteVector program(const std::vector<Part>& parts, uint32_t headers = 0x400,
                   uint16_t machine = 0x8664) {
  ByteWriter out;
  out.append("MZ");
  out.zeros(0x3c - 2);
  out.le32(kHeader);
  out.zeros(kHeader - out.size());
  out.append(std::string_view("PE\0\0", 4));
  out.le16(machine);
  out.le16(static_cast<uint16_t>(parts.size()));
  out.le32(0);
  out.le32(0x12345);  // symbols
  out.le32(7);
  out.le16(kOptional);
  out.le16(0x206);
  size_t optional = out.size();
  out.le16(0x20b);
  out.zeros(30);
  out.le32(0x1000);  // alignment in memory
  out.le32(0x200);   // in the file
  out.zeros(16);
  uint32_t image = 0;
  for (const Part& part : parts) image = std::max(image, part.address + part.size);
  out.le32((image + 0xfff) / 0x1000 * 0x1000);
  out.le32(headers);
  out.le32(0xabcd);  // checksum
  out.le16(10);      // an EFI application
  out.zeros(optional + 108 - out.size());
  out.le32(16);
  out.zeros(optional + kOptional - out.size());
  for (const Part& part : parts) {
    std::string name = part.name;
    name.resize(8);
    out.append(name);
    out.le32(part.size);
    out.le32(part.address);
    out.le32((part.size + 0x1ff) / 0x200 * 0x200);
    out.le32(part.place);
    out.zeros(12);
    out.le32(0x60000020);
  }
  ByteVector bytes = std::move(out).bytes();
  for (const Part& part : parts) {
    size_t end = part.place + (part.size + 0x1ff) / 0x200 * 0x200;
    if (bytes.size() < end) bytes.resize(end);
    std::fill_n(bytes.begin() + part.place, part.size, static_cast<uint8_t>(part.name[1]));
  }
  return bytes;
}

const std::vector<Part> kStub = {{".text", 0x1000, 0x1234, 0x400}, {".data", 0x3000, 0x90, 0x1800}};

TEST(Pe, AddsSectionsAfterItsOwn) {
  ByteVector stub = program(kStub);
  ByteVector initrd(5000, 0x11);
  ByteVector kernel(70'001, 0x22);
  std::vector<PeSection> added = {{".initrd", initrd}, {".linux", kernel}};
  ByteVector file = add_pe_sections(stub, added).value();
  PeProgram parsed = parse_pe(file).value();
  ASSERT_EQ(parsed.sections.size(), 4u);
  EXPECT_EQ(parsed.machine, PeMachine::X86_64);
  EXPECT_EQ(parsed.sections[0].name, ".text");
  EXPECT_EQ(parsed.sections[0].bytes.size(), 0x1234u);
  EXPECT_EQ(parsed.sections[0].bytes[0x1233], 't');
  EXPECT_EQ(parsed.sections[2].name, ".initrd");
  EXPECT_TRUE(std::ranges::equal(parsed.sections[2].bytes, initrd));
  EXPECT_EQ(parsed.sections[3].name, ".linux");
  EXPECT_TRUE(std::ranges::equal(parsed.sections[3].bytes, kernel));
  EXPECT_EQ(add_pe_sections(stub, added).value(), file);
}

TEST(Pe, MovesWhatStandsInTheTablesWay) {
  // Headers end just after the two sections' entries.
  uint32_t full = 0x200;
  ByteVector stub = program({{".text", 0x1000, 0x200, full}, {".data", 0x3000, 0x90, 0x400}}, full);
  ByteVector bytes(10, 0x33);
  std::vector<PeSection> added;
  for (int i = 0; i < 12; ++i) added.push_back({concat(".s", i), bytes});
  ByteVector file = add_pe_sections(stub, added).value();
  PeProgram parsed = parse_pe(file).value();
  ASSERT_EQ(parsed.sections.size(), 14u);
  EXPECT_TRUE(std::ranges::all_of(parsed.sections[0].bytes, [](uint8_t b) { return b == 't'; }));
  EXPECT_TRUE(std::ranges::equal(parsed.sections[13].bytes, bytes));
}

TEST(Pe, LeavesASignatureOut) {
  ByteVector stub = program(kStub);
  size_t directory = kHeader + 24 + 112 + 4 * 8;
  stub[directory] = 0x00;
  stub[directory + 1] = 0x1a;
  stub[directory + 4] = 8;
  stub.insert(stub.end(), 8, 0xee);
  EXPECT_TRUE(parse_pe(stub).value().is_signed);
  ByteVector bytes(10, 0x33);
  std::vector<PeSection> added = {{".osrel", bytes}};
  ByteVector file = add_pe_sections(stub, added).value();
  EXPECT_FALSE(parse_pe(file).value().is_signed);
  EXPECT_EQ(std::ranges::find(file, 0xee), file.end());
}

std::string refusal(ConstBytes stub, std::string name = ".linux") {
  ByteVector bytes(10, 0x33);
  std::vector<PeSection> added = {{std::move(name), bytes}};
  Result<ByteVector> file = add_pe_sections(stub, added);
  return file.ok() ? "" : file.error().message();
}

TEST(Pe, RefusesWhatItCannotBe) {
  EXPECT_THAT(refusal(as_bytes("hello")), HasSubstr("not a UEFI program"));
  EXPECT_THAT(refusal(program(kStub), ".data"), HasSubstr("it has one already"));
  EXPECT_THAT(refusal(program(kStub), ".too-long-a-name"), HasSubstr("1 to 8 bytes"));
  EXPECT_THAT(refusal(program(kStub, 0x400, 0x14c)), HasSubstr("another processor"));
  ByteVector cut = program(kStub);
  cut.resize(cut.size() - 1);
  EXPECT_THAT(refusal(cut), HasSubstr("cut off"));
}

TEST(Pe, EveryCutIsAnError) {
  ByteVector stub = program(kStub);
  for (size_t size = 0; size < stub.size(); ++size) {
    EXPECT_FALSE(parse_pe(ConstBytes(stub).first(size)).ok()) << size;
  }
}

}  // namespace
}  // namespace curlingiron
