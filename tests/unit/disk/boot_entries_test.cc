#include "disk/boot_entries.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <map>

#include "base/text.h"
#include "unit/disk/machine.h"
#include "unit/formats/gpt_image.h"

namespace curlingiron {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// A firmware with so much memory, each change of which is remembered.
class FakeFirmware final : public EfiVariables {
 public:
  Result<std::vector<std::string>> names() override {
    std::vector<std::string> names;
    for (const auto& [name, value] : values) names.push_back(name);
    return names;
  }
  Result<ByteVector> read(const std::string& name) override {
    if (!values.contains(name)) return Error(concat(name, ": not found"), ENOENT);
    return values.at(name);
  }
  Result<void> write(const std::string& name, ConstBytes value) override {
    if (read_only) return Error(concat(name, ": Read-only file system"), EROFS);
    if (changes.size() == power_goes_after) return Error("the power is gone", EIO);
    size_t used = value.size() + lost;
    for (const auto& [other, bytes] : values) used += other == name ? 0 : bytes.size();
    if (used > room) return Error(concat(name, ": No space left on device"), ENOSPC);
    EXPECT_FALSE(value.empty());
    values[name] = ByteVector(value.begin(), value.end());
    changes.push_back(concat("+", name));
    return {};
  }
  Result<void> remove(const std::string& name) override {
    if (changes.size() == power_goes_after) return Error("the power is gone", EIO);
    if (!gives_room_back) lost += values[name].size();
    values.erase(name);
    changes.push_back(concat("-", name));
    return {};
  }

  std::map<std::string, ByteVector> values;
  std::vector<std::string> changes;
  size_t room = 100'000;
  size_t power_goes_after = SIZE_MAX;  // changes
  size_t lost = 0;                     // until its next start
  bool gives_room_back = true;
  bool read_only = false;
};

EfiPartition partition(uint8_t id, uint32_t number = 1) {
  EfiPartition found{.number = number, .first_sector = 2048, .sector_count = 4096};
  found.signature = kDiskGuid;
  found.signature[15] = id;
  return found;
}

EfiLoadOption option(std::string_view description, std::optional<EfiPartition> place,
                     std::string_view loader = "\\EFI\\BOOT\\BOOTX64.EFI") {
  return {.description = std::string(description),
          .partition = std::move(place),
          .loader = std::string(loader)};
}

// The firmware's own setup, which lies on no disk.
ByteVector setup() {
  return from_hex(
             "090100001800550069000000"
             "04061400c9bdb87cebf8344faaea3ee4af6516a1"
             "7fff0400")
      .value();
}

class BootEntriesTest : public testing::Test {
 protected:
  BootEntriesTest() {
    firmware_.values["Boot0000"] = setup();
    firmware_.values["Boot0001"] = format_load_option(option("old", partition(1)));
    firmware_.values["Boot0002"] = format_load_option(option("a stick", partition(9)));
    firmware_.values["Boot0004"] =
        format_load_option(option("older", partition(1), "\\EFI\\debian\\grubx64.efi"));
    firmware_.values["BootCurrent"] = {1, 0};
    firmware_.values["BootNext"] = {1, 0};
    set_order({4, 2, 1, 0});
    wish_ = {{partition(1), partition(2, 2)}, {partition(3, 2)}, option("new", partition(3, 2))};
  }

  void set_order(const std::vector<uint16_t>& order) {
    firmware_.values["BootOrder"] = format_boot_order(order);
  }
  std::vector<uint16_t> order() { return parse_boot_order(firmware_.values["BootOrder"]); }

  Result<BootEntryChange> change() {
    firmware_.changes.clear();
    return change_boot_entries(firmware_, read_boot_entries(firmware_).value(), wish_);
  }

  // What the firmware would start: the first of its order that is there, if it is there.
  std::string starts() {
    for (uint16_t number : order()) {
      auto found = firmware_.values.find(boot_entry_name(number));
      if (found == firmware_.values.end()) continue;
      return parse_load_option(found->second).value().description;
    }
    return "";
  }

  FakeFirmware firmware_;
  BootEntryWish wish_;
};

TEST_F(BootEntriesTest, TheNewSystemComesFirstAndTheOldOneGoes) {
  Result<BootEntryChange> changed = change();
  ASSERT_TRUE(changed.ok()) << changed.error().message();
  EXPECT_EQ(changed.value().entry, 3);
  EXPECT_EQ(changed.value().removed, 2u);
  // Nothing is named that is not there.
  EXPECT_THAT(firmware_.changes, ElementsAre("+Boot0003", "+BootOrder", "-Boot0001", "-Boot0004"));
  EXPECT_THAT(order(), ElementsAre(3, 2, 0));
  EXPECT_EQ(firmware_.values["Boot0003"], format_load_option(*wish_.entry));
  EXPECT_EQ(firmware_.values["Boot0000"], setup());
  EXPECT_EQ(firmware_.values["BootNext"], (ByteVector{1, 0}));
}

TEST_F(BootEntriesTest, TheSameOnceMoreChangesNothing) {
  ASSERT_TRUE(change().ok());
  wish_.before = wish_.after;
  std::map<std::string, ByteVector> values = firmware_.values;
  EXPECT_EQ(change().value().entry, 3);
  EXPECT_THAT(firmware_.changes, ElementsAre());
  EXPECT_EQ(firmware_.values, values);
}

TEST_F(BootEntriesTest, AnEntryThatIsThereIsTakenAndPutFirst) {
  // As other firmware writes it.
  firmware_.values["Boot0002"] =
      format_load_option(option("mine", partition(3, 2), "\\efi\\boot\\bootx64.efi"));
  BootEntryChange changed = change().value();
  EXPECT_EQ(changed.entry, 2);
  EXPECT_THAT(firmware_.changes, ElementsAre("+BootOrder", "-Boot0001", "-Boot0004"));
  EXPECT_THAT(order(), ElementsAre(2, 0));
}

TEST_F(BootEntriesTest, OneThatDoesSomethingElseIsNotTaken) {
  EfiLoadOption asleep = *wish_.entry;
  asleep.is_active = false;
  firmware_.values["Boot0002"] = format_load_option(asleep);
  EXPECT_EQ(change().value().entry, 3);
  firmware_.values.erase("Boot0003");
  ByteVector with_data = format_load_option(*wish_.entry);
  with_data.push_back(1);
  firmware_.values["Boot0002"] = with_data;
  EXPECT_EQ(change().value().entry, 1);
}

TEST_F(BootEntriesTest, WithoutALoaderOnlyTheDeadGo) {
  wish_.entry = std::nullopt;
  BootEntryChange changed = change().value();
  EXPECT_EQ(changed.entry, std::nullopt);
  EXPECT_EQ(changed.removed, 2u);
  EXPECT_THAT(order(), ElementsAre(2, 0));
  // An empty order would be none.
  firmware_.values["Boot0001"] = format_load_option(option("old", partition(1)));
  set_order({1});
  EXPECT_EQ(change().value().removed, 1u);
  EXPECT_THAT(firmware_.changes, ElementsAre("-Boot0001"));
}

TEST_F(BootEntriesTest, AFirmwareThatKnowsNothing) {
  firmware_.values.clear();
  EXPECT_EQ(change().value().entry, 0);
  EXPECT_THAT(order(), ElementsAre(0));
}

TEST_F(BootEntriesTest, WhereItIsFullTheDeadMakeRoom) {
  size_t used = 0;
  for (const auto& [name, value] : firmware_.values) used += value.size();
  firmware_.room = used + 10;
  BootEntryChange changed = change().value();
  EXPECT_EQ(changed.entry, 3);
  EXPECT_EQ(changed.removed, 2u);
  EXPECT_THAT(firmware_.changes, ElementsAre("-Boot0001", "-Boot0004", "+Boot0003", "+BootOrder"));
  EXPECT_THAT(order(), ElementsAre(3, 2, 0));
}

TEST_F(BootEntriesTest, RoomThatComesLater) {
  size_t used = 0;
  for (const auto& [name, value] : firmware_.values) used += value.size();
  firmware_.room = used + 10;
  firmware_.gives_room_back = false;
  EXPECT_EQ(change().error().code(), ENOSPC);
  EXPECT_THAT(firmware_.changes, ElementsAre("-Boot0001", "-Boot0004"));
  EXPECT_EQ(starts(), "a stick");
  firmware_.lost = 0;
  // What the order names may be there for the firmware alone: it stays, and its number is taken.
  EXPECT_EQ(change().value().entry, 3);
  EXPECT_THAT(order(), ElementsAre(3, 4, 2, 1, 0));
}

TEST_F(BootEntriesTest, WhereItIsFullOfOthersTheyStay) {
  firmware_.room = 10;
  wish_.before.clear();
  std::map<std::string, ByteVector> values = firmware_.values;
  Result<BootEntryChange> changed = change();
  ASSERT_FALSE(changed.ok());
  EXPECT_EQ(changed.error().code(), ENOSPC);
  EXPECT_THAT(changed.error().message(), HasSubstr("Boot0003: No space"));
  EXPECT_EQ(firmware_.values, values);
}

TEST_F(BootEntriesTest, ReadOnlyStaysAsItIs) {
  firmware_.read_only = true;
  std::map<std::string, ByteVector> values = firmware_.values;
  EXPECT_EQ(change().error().code(), EROFS);
  EXPECT_EQ(firmware_.values, values);
}

TEST_F(BootEntriesTest, AtEveryPowerCutSomethingStarts) {
  std::map<std::string, ByteVector> values = firmware_.values;
  for (size_t cut = 0; cut <= 4; ++cut) {
    SCOPED_TRACE(cut);
    firmware_.values = values;
    firmware_.power_goes_after = cut;
    EXPECT_EQ(change().ok(), cut == 4);
    EXPECT_EQ(starts(), cut < 2 ? "older" : "new");
    // Once more, from there.
    firmware_.power_goes_after = SIZE_MAX;
    EXPECT_EQ(change().value().entry, 3);
    EXPECT_THAT(order(), ElementsAre(3, 2, 0));
    EXPECT_FALSE(firmware_.values.contains("Boot0001"));
    EXPECT_FALSE(firmware_.values.contains("Boot0005"));
  }
}

TEST_F(BootEntriesTest, GarbageStaysAndIsSaid) {
  firmware_.values["Boot0003"] = {1, 2, 3};
  firmware_.values["Boot000x"] = {1};
  firmware_.values["BootOrder"].push_back(7);
  BootEntries entries = read_boot_entries(firmware_).value();
  EXPECT_THAT(entries.order, ElementsAre(4, 2, 1, 0));
  EXPECT_THAT(entries.others, ElementsAre(3));
  ASSERT_EQ(entries.notes.size(), 2u);
  EXPECT_THAT(entries.notes[0], HasSubstr("Boot0003 cannot be read and stays: "));
  EXPECT_THAT(entries.notes[0], HasSubstr("\"efibootmgr -B -b 0003\" removes it"));
  EXPECT_THAT(entries.notes[1], HasSubstr("odd length"));
  // Its number is taken, and so are those that only the order has.
  set_order({5, 6, 1});
  EXPECT_EQ(change().value().entry, 7);
  EXPECT_THAT(order(), ElementsAre(7, 5, 6));
  EXPECT_EQ(firmware_.values["Boot0003"], (ByteVector{1, 2, 3}));
}

TEST_F(BootEntriesTest, PartitionsOfADisk) {
  Machine machine;
  GptPartition system{.type = kEfiSystem, .id = kDiskGuid, .first_sector = 40, .last_sector = 99};
  ByteVector bytes = make_gpt_of(512, 100'000, {system});
  bytes.resize(200'000);
  machine.file("dev/vda", as_text(bytes));
  Disk disk;
  disk.name = "vda";
  disk.size = bytes.size();
  std::vector<EfiPartition> found = read_efi_partitions(machine.root(), disk);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_TRUE(found[0].is_system);
  disk.name = "vdb";
  EXPECT_TRUE(read_efi_partitions(machine.root(), disk).empty());
}

}  // namespace
}  // namespace curlingiron
