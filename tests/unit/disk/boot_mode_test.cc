#include "disk/boot_mode.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "base/text.h"
#include "base/units.h"
#include "sys/file.h"
#include "sys/process.h"
#include "unit/disk/machine.h"
#include "unit/formats/file_systems.h"
#include "unit/formats/gpt_image.h"

namespace curlingiron {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

Disk disk_of(uint32_t sector = 512) {
  Disk disk;
  disk.name = "vda";
  disk.size = 1_GiB;
  disk.logical_sector = sector;
  return disk;
}

// "ok", "doubt: …" or "no: …".
std::string verdict(ConstBytes head, BootMode mode, uint32_t sector = 512) {
  Result<std::optional<std::string>> result = check_boot_mode(head, disk_of(sector), mode);
  if (!result.ok()) return "no: " + result.error().message();
  return result.value() ? "doubt: " + *result.value() : "ok";
}
std::string by_uefi(ConstBytes head, uint32_t sector = 512) {
  return verdict(head, BootMode::Uefi, sector);
}
std::string by_bios(ConstBytes head, uint32_t sector = 512) {
  return verdict(head, BootMode::Bios, sector);
}

Guid guid(std::string_view text) {
  ByteVector bytes;
  for (std::string_view field : split(text, '-')) {
    ByteVector part = from_hex(field).value();
    if (bytes.size() < 8) std::reverse(part.begin(), part.end());
    bytes.insert(bytes.end(), part.begin(), part.end());
  }
  Guid result{};
  std::copy(bytes.begin(), bytes.end(), result.begin());
  EXPECT_EQ(format_guid(result), text);
  return result;
}

const Guid kLinux = guid("0fc63daf-8483-4772-8e79-3d69d8477de4");
const Guid kBasicData = guid("ebd0a0a2-b9e5-4433-87c0-68b6b72699c7");
const Guid kBiosBoot = guid("21686148-6449-6e6f-744e-656564454649");
const Guid kXbootldr = guid("bc13c2ff-59e6-4262-a352-b275fd6f7172");

ByteVector gpt_of(const std::vector<Guid>& types, uint32_t sector = 512, uint64_t attributes = 0) {
  std::vector<GptPartition> partitions;
  for (const Guid& type : types) {
    GptPartition partition;
    partition.type = type;
    partition.id = kDiskGuid;
    partition.first_sector = 2048 * (partitions.size() + 1);
    partition.last_sector = partition.first_sector + 2047;
    partition.attributes = attributes;
    partitions.push_back(partition);
  }
  ByteVector head = make_gpt_of(sector, 100'000, partitions);
  head.resize(1_MiB);
  return head;
}

ByteVector mbr_of(std::vector<MbrPartition> partitions) {
  ByteVector head = make_mbr(1, std::move(partitions));
  head.resize(1_MiB);
  return head;
}

ByteVector with_boot_code(ByteVector head) {
  head[0] = 0xeb;
  head[1] = 0x63;
  return head;
}

TEST(BootMode, OfTheMachine) {
  Machine bios;
  EXPECT_EQ(machine_boot_mode(bios.root()), BootMode::Bios);
  Machine uefi;
  uefi.folder("sys/firmware/efi");
  EXPECT_EQ(machine_boot_mode(uefi.root()), BootMode::Uefi);
  Machine hidden;
  hidden.file("sys/firmware/acpi/tables/BGRT", "BGRT");
  EXPECT_EQ(machine_boot_mode(hidden.root()), std::nullopt);
  hidden.folder("sys/firmware/efi");
  EXPECT_EQ(machine_boot_mode(hidden.root()), BootMode::Uefi);
}

TEST(BootMode, GptOnUefi) {
  for (uint32_t sector : {512u, 4096u}) {
    EXPECT_EQ(by_uefi(gpt_of({kEfiSystem}, sector), sector), "ok");
    EXPECT_EQ(by_uefi(gpt_of({kBiosBoot, kLinux, kEfiSystem}, sector), sector), "ok");
    EXPECT_THAT(by_uefi(with_boot_code(gpt_of({kBiosBoot, kLinux}, sector)), sector),
                AllOf(StartsWith("no: this machine boots by UEFI"), HasSubstr("GPT"),
                      HasSubstr("boot=any")));
    EXPECT_THAT(by_uefi(gpt_of({}, sector), sector), StartsWith("no: "));
    EXPECT_THAT(by_uefi(gpt_of({kLinux, kBasicData}, sector), sector), StartsWith("doubt: "));
    EXPECT_THAT(by_uefi(gpt_of({kXbootldr}, sector), sector), StartsWith("doubt: "));
  }
}

TEST(BootMode, AGptThatCannotBeReadIsNotCertain) {
  ByteVector head = gpt_of({kLinux});
  EXPECT_THAT(by_uefi(ConstBytes(head).first(4096)), StartsWith("doubt: "));
  EXPECT_THAT(by_uefi(head, 4096), StartsWith("doubt: "));
  head[1024 + 3] ^= 1;
  EXPECT_THAT(by_uefi(head), StartsWith("doubt: "));
  head[512 + 40] ^= 1;
  EXPECT_THAT(by_uefi(head), StartsWith("doubt: "));
  EXPECT_THAT(by_uefi(mbr_of({{0xee, false, 1, 0xffffffff}})), StartsWith("doubt: "));
}

TEST(BootMode, MbrOnUefi) {
  EXPECT_EQ(by_uefi(mbr_of({{0x83, true, 2048, 4096}, {0xef, false, 8192, 4096}})), "ok");
  for (uint8_t type :
       std::initializer_list<uint8_t>{0x01, 0x06, 0x07, 0x0b, 0x0c, 0x0e, 0x1c, 0x05, 0x0f}) {
    EXPECT_THAT(by_uefi(mbr_of({{type, true, 2048, 4096}})), StartsWith("doubt: ")) << int{type};
  }
  for (uint8_t type : std::initializer_list<uint8_t>{0x82, 0x83, 0x8e, 0xa5, 0xfd}) {
    EXPECT_THAT(by_uefi(mbr_of({{type, true, 2048, 4096}})),
                AllOf(StartsWith("no: "), HasSubstr("MBR")))
        << int{type};
  }
}

TEST(BootMode, WithoutAPartitionTable) {
  ByteVector fat(1_MiB);
  put_fat(fat, 0, 512);
  EXPECT_THAT(by_uefi(fat), StartsWith("doubt: "));
  EXPECT_EQ(by_bios(fat), "ok");
  ByteVector ext4(1_MiB);
  put_ext4(ext4, 0, 4096);
  EXPECT_THAT(by_uefi(ext4), AllOf(StartsWith("no: "), HasSubstr("(ext4)")));
  EXPECT_THAT(by_bios(ext4),
              AllOf(StartsWith("no: this machine boots by BIOS"), HasSubstr("boot=any")));
  ByteVector xfs(1_MiB);
  put_xfs(xfs, 0, 512);
  EXPECT_THAT(by_uefi(xfs), StartsWith("no: "));
  EXPECT_THAT(by_bios(xfs), AllOf(StartsWith("doubt: "), HasSubstr("55 AA")));
  EXPECT_THAT(by_uefi(mbr_of({})), StartsWith("no: "));
  EXPECT_THAT(by_uefi(ByteVector(100)), StartsWith("no: "));
  EXPECT_THAT(by_bios(ByteVector(100)), StartsWith("no: "));
}

TEST(BootMode, IsoHybrid) {
  ByteVector iso(1_MiB);
  std::copy_n("CD001", 5, iso.begin() + 32_KiB + 1);
  EXPECT_THAT(by_uefi(iso), StartsWith("doubt: "));
  EXPECT_THAT(by_bios(iso), StartsWith("no: "));
  ByteVector hybrid = with_boot_code(mbr_of({{0x00, true, 0, 0}, {0xef, false, 1000, 5000}}));
  std::copy_n("CD001", 5, hybrid.begin() + 32_KiB + 1);
  EXPECT_THAT(by_uefi(hybrid), StartsWith("doubt: "));
  EXPECT_EQ(by_bios(hybrid), "ok");
}

TEST(BootMode, OnBios) {
  EXPECT_EQ(by_bios(with_boot_code(mbr_of({{0x83, true, 2048, 4096}}))), "ok");
  EXPECT_EQ(by_bios(with_boot_code(gpt_of({kBiosBoot, kEfiSystem}))), "ok");
  EXPECT_EQ(by_bios(with_boot_code(gpt_of({kEfiSystem}, 512, 4))), "ok");  // legacy bootable
  EXPECT_THAT(by_bios(with_boot_code(gpt_of({kEfiSystem, kLinux}))), StartsWith("doubt: "));
  EXPECT_THAT(by_bios(gpt_of({kBiosBoot, kEfiSystem})), StartsWith("no: "));
  EXPECT_THAT(by_bios(mbr_of({{0x83, true, 2048, 4096}})), StartsWith("no: "));
  // The disk signature after the code is no code.
  ByteVector signature = mbr_of({{0x83, true, 2048, 4096}});
  signature[440] = 0x77;
  EXPECT_THAT(by_bios(signature), StartsWith("no: "));
  signature[439] = 0x77;
  EXPECT_EQ(by_bios(signature), "ok");
}

// Tables as sfdisk writes them.
TEST(BootMode, MadeBySfdisk) {
  if (!program_exists("sfdisk")) GTEST_SKIP() << "sfdisk is not installed";
  TemporaryDirectory folder = TemporaryDirectory::create().value();
  UniqueFd root = open_root(folder.path()).value();
  auto head_of = [&](const char* script) {
    std::string path = folder.path() + "/image";
    std::string command = concat("truncate -s 64M ", path, " && printf '", script, "' | sfdisk -q ",
                                 path, " > /dev/null");
    EXPECT_EQ(std::system(concat("rm -f ", path).c_str()), 0);
    EXPECT_EQ(std::system(command.c_str()), 0) << command;
    ByteVector bytes = read_file(root, "image", 64_MiB).value();
    bytes.resize(1_MiB);
    return bytes;
  };
  ByteVector efi = head_of("label: gpt\\ntype=U,size=8M\\ntype=L\\n");
  EXPECT_EQ(by_uefi(efi), "ok");
  EXPECT_THAT(by_bios(efi), StartsWith("no: "));
  ByteVector both = with_boot_code(head_of(
      "label: gpt\\ntype=21686148-6449-6E6F-744E-656564454649,size=1M\\ntype=U,size=8M\\n"));
  EXPECT_EQ(by_uefi(both), "ok");
  EXPECT_EQ(by_bios(both), "ok");
  ByteVector linux_only = head_of("label: gpt\\ntype=L\\n");
  EXPECT_THAT(by_uefi(linux_only), StartsWith("no: "));
  ByteVector dos = with_boot_code(head_of("label: dos\\ntype=83,bootable\\n"));
  EXPECT_THAT(by_uefi(dos), StartsWith("no: "));
  EXPECT_EQ(by_bios(dos), "ok");
  EXPECT_EQ(by_uefi(head_of("label: dos\\ntype=ef\\n")), "ok");
}

}  // namespace
}  // namespace curlingiron
