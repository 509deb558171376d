// Against bytes as efibootmgr and firmware leave them, written by hand from the specification.
#include "formats/efi_load_option.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.h"
#include "unit/formats/gpt_image.h"

namespace curlingiron {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// What efibootmgr makes of: -c -d /dev/sda -p 1 -L ubuntu -l '\EFI\ubuntu\shimx64.efi', in hex.
constexpr std::string_view kAttributes = "01000000";
constexpr std::string_view kUbuntuText =
    "75006200750"
    "06e0074007500"
    "0000";
constexpr std::string_view kHardDrive =
    "04012a00"
    "01000000"
    "0008000000000000"
    "0000100000000000"
    "33221100554477668899aabbccddeeff"
    "0202";
constexpr std::string_view kShim =
    "04043400"
    "5c00450046004900"
    "5c007500620075006e0074007500"
    "5c007300680069006d007800360034002e0065006600690000"
    "00";
constexpr std::string_view kEnd = "7fff0400";

ByteVector bytes_of(std::initializer_list<std::string_view> parts) {
  std::string hex;
  for (std::string_view part : parts) hex += part;
  return from_hex(hex).value();
}

ByteVector ubuntu() {
  return bytes_of({kAttributes, "6200", kUbuntuText, kHardDrive, kShim, kEnd});
}

std::string why(ConstBytes bytes) {
  Result<EfiLoadOption> option = parse_load_option(bytes);
  return option.ok() ? "" : option.error().message();
}

TEST(EfiLoadOption, ReadsWhatEfibootmgrWrites) {
  Result<EfiLoadOption> option = parse_load_option(ubuntu());
  ASSERT_TRUE(option.ok()) << option.error().message();
  EXPECT_TRUE(option.value().is_active);
  EXPECT_FALSE(option.value().has_data);
  EXPECT_EQ(option.value().description, "ubuntu");
  EXPECT_EQ(option.value().loader, "\\EFI\\ubuntu\\shimx64.efi");
  ASSERT_TRUE(option.value().partition);
  const EfiPartition& partition = *option.value().partition;
  EXPECT_EQ(partition.table, EfiPartition::Table::Gpt);
  EXPECT_EQ(partition.number, 1u);
  EXPECT_EQ(partition.first_sector, 2048u);
  EXPECT_EQ(partition.sector_count, 1048576u);
  EXPECT_EQ(format_guid(partition.signature), kDiskGuidText);
}

TEST(EfiLoadOption, WritesWhatEfibootmgrWrites) {
  EXPECT_EQ(format_load_option(parse_load_option(ubuntu()).value()), ubuntu());
}

TEST(EfiLoadOption, ReadsAnMbrsPartition) {
  constexpr std::string_view kMbr =
      "04012a00"
      "02000000"
      "3f00000000000000"
      "0000010000000000"
      "efbeadde0000000000000000aabbccdd"  // what comes after the signature is nothing
      "0101";
  ByteVector bytes = bytes_of({kAttributes, "6200", kUbuntuText, kMbr, kShim, kEnd});
  EfiLoadOption option = parse_load_option(bytes).value();
  ASSERT_TRUE(option.partition);
  EXPECT_EQ(option.partition->table, EfiPartition::Table::Mbr);
  EXPECT_EQ(option.partition->number, 2u);
  EXPECT_EQ(to_hex(option.partition->signature), "efbeadde000000000000000000000000");
  EfiLoadOption again = parse_load_option(format_load_option(option)).value();
  EXPECT_TRUE(again.partition->is_same_as(*option.partition));
}

TEST(EfiLoadOption, FindsThePartitionInALongDevicePath) {
  // ACPI, PCI, SATA, then HD(), a file in two nodes, and arguments after them.
  constexpr std::string_view kRoot = "02010c00d041030a00000000";
  constexpr std::string_view kPci = "010106000200";
  constexpr std::string_view kFolder = "04040a005c0045000000";
  constexpr std::string_view kFile = "0404080061000000";
  ByteVector bytes = bytes_of(
      {kAttributes, "5200", kUbuntuText, kRoot, kPci, kHardDrive, kFolder, kFile, kEnd, "4142"});
  Result<EfiLoadOption> option = parse_load_option(bytes);
  ASSERT_TRUE(option.ok()) << option.error().message();
  EXPECT_EQ(option.value().loader, "\\E\\a");
  EXPECT_TRUE(option.value().has_data);
  EXPECT_TRUE(option.value().partition.has_value());
}

TEST(EfiLoadOption, TakesTheFirstOfSeveralDevicePaths) {
  constexpr std::string_view kNext = "7f010400";
  constexpr std::string_view kPci = "010106000200";
  ByteVector bytes = bytes_of(
      {kAttributes, "7000", kUbuntuText, kPci, kNext, kHardDrive, kShim, kEnd, "00000000"});
  Result<EfiLoadOption> option = parse_load_option(bytes);
  ASSERT_TRUE(option.ok()) << option.error().message();
  EXPECT_FALSE(option.value().partition);
}

TEST(EfiLoadOption, AnEntryWithoutAPartition) {
  // OVMF's own: the firmware's setup.
  ByteVector bytes = bytes_of(
      {"09010000", "1600", kUbuntuText, "04061400c9bdb87cebf8344faaea3ee4af6516a1", "7fff"});
  EXPECT_THAT(why(bytes), HasSubstr("has no end"));
  bytes =
      bytes_of({"08010000", "1800", kUbuntuText, "04061400c9bdb87cebf8344faaea3ee4af6516a1", kEnd});
  EfiLoadOption option = parse_load_option(bytes).value();
  EXPECT_FALSE(option.is_active);
  EXPECT_FALSE(option.partition);
  EXPECT_EQ(option.loader, "");
}

TEST(EfiLoadOption, APartitionWithoutASignatureIsNone) {
  std::string none(kHardDrive);
  none.replace(none.size() - 4, 4, "0200");
  ByteVector bytes = bytes_of({kAttributes, "6200", kUbuntuText, none, kShim, kEnd});
  EXPECT_FALSE(parse_load_option(bytes).value().partition);
}

TEST(EfiLoadOption, DamageIsAnError) {
  ByteVector whole = ubuntu();
  for (size_t size = 0; size < whole.size(); ++size) {
    EXPECT_FALSE(parse_load_option(ConstBytes(whole).first(size)).ok()) << size;
  }
  EXPECT_THAT(why(bytes_of({kAttributes, "5e00", kUbuntuText, kHardDrive, kShim})),
              HasSubstr("has no end"));
  EXPECT_THAT(why(bytes_of({kAttributes, "0400", kUbuntuText, "04010300"})),
              HasSubstr("has no end"));
  EXPECT_THAT(why(ByteVector(kLargestLoadOption + 1)), HasSubstr("no boot entry"));
  // Text that is no ASCII is one.
  ByteVector snow = bytes_of({kAttributes, "0400", "03260000", kEnd});
  EXPECT_EQ(parse_load_option(snow).value().description, "?");
}

TEST(EfiLoadOption, BootOrder) {
  ByteVector order = from_hex("03000000ff10").value();
  EXPECT_THAT(parse_boot_order(order), ElementsAre(3, 0, 0x10ff));
  EXPECT_EQ(format_boot_order({3, 0, 0x10ff}), order);
  order.push_back(7);
  EXPECT_THAT(parse_boot_order(order), ElementsAre(3, 0, 0x10ff));
  EXPECT_THAT(parse_boot_order({}), ElementsAre());
}

TEST(EfiLoadOption, Names) {
  EXPECT_EQ(boot_entry_name(0), "Boot0000");
  EXPECT_EQ(boot_entry_name(0xa0fe), "BootA0FE");
  EXPECT_EQ(boot_entry_number("BootA0FE"), 0xa0fe);
  for (std::string_view other : {"BootOrder", "BootCurrent", "BootNext", "Boota0fe", "Boot000",
                                 "Boot", "Boot00000", "Boot0001-x", "Driver0000", "boot0000"}) {
    EXPECT_EQ(boot_entry_number(other), std::nullopt) << other;
  }
}

TEST(EfiPartition, OfAGpt) {
  Guid first = kDiskGuid;
  Guid second = kDiskGuid;
  second[0] = 1;
  ByteVector head =
      make_gpt_of(512, 100'000,
                  {{.type = kDiskGuid, .id = first, .first_sector = 40, .last_sector = 49},
                   {.type = Guid{}, .id = Guid{}},
                   {.type = kEfiSystem, .id = second, .first_sector = 50, .last_sector = 99}});
  std::vector<EfiPartition> found = efi_partitions(head, 512);
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].number, 1u);
  EXPECT_FALSE(found[0].is_system);
  // As Linux counts: an entry that is not used has a number, too.
  EXPECT_EQ(found[1].number, 3u);
  EXPECT_EQ(found[1].first_sector, 50u);
  EXPECT_EQ(found[1].sector_count, 50u);
  EXPECT_EQ(found[1].signature, second);
  EXPECT_TRUE(found[1].is_system);
  EXPECT_FALSE(found[0].is_same_as(found[1]));
  EfiPartition moved = found[1];
  moved.number = 7;
  EXPECT_TRUE(moved.is_same_as(found[1]));
  EXPECT_TRUE(efi_partitions(head, 4096).empty());
  head[600] ^= 1;
  EXPECT_TRUE(efi_partitions(head, 512).empty());
}

TEST(EfiPartition, OfAnMbr) {
  ByteVector head = make_mbr(0xdeadbeef, {{0x83, true, 2048, 100}, {}, {0xef, false, 4096, 200}});
  std::vector<EfiPartition> found = efi_partitions(head, 512);
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[1].table, EfiPartition::Table::Mbr);
  EXPECT_EQ(found[1].number, 3u);
  EXPECT_EQ(found[1].first_sector, 4096u);
  EXPECT_EQ(found[1].sector_count, 200u);
  EXPECT_TRUE(found[1].is_system);
  EXPECT_EQ(to_hex(found[1].signature), "efbeadde000000000000000000000000");
  EXPECT_FALSE(found[0].is_same_as(found[1]));
  // Without a signature it cannot be told from others'.
  found = efi_partitions(make_mbr(0, {{0xef, false, 4096, 200}}), 512);
  EXPECT_FALSE(found[0].is_same_as(found[0]));
  EXPECT_TRUE(efi_partitions({}, 512).empty());
}

}  // namespace
}  // namespace curlingiron
