// What an old system leaves at the ends of a disk, and what the tools of the new one still find of
// it. Offsets: util-linux, libblkid/src/superblocks.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <functional>

#include "base/text.h"
#include "disk/block_writer.h"
#include "support/effort.h"
#include "sys/file.h"
#include "sys/process.h"
#include "unit/disk/fake_disk.h"
#include "unit/disk/loop_device.h"
#include "unit/formats/gpt_image.h"

namespace curlingiron {
namespace {

using testing::HasSubstr;

constexpr uint64_t kImage = 12_MiB;

// An image with a partition table of its own and nothing else that a tool would know.
ByteVector small_image() {
  ByteVector image = make_mbr(0x600dd15c, {{0x83, true, 2048, 20480}});
  image.resize(kImage, 0xa5);
  std::fill_n(image.begin() + 512, 1_MiB - 512, uint8_t{0});
  return image;
}

Result<void> install(BlockTarget& target, ConstBytes image) {
  std::unique_ptr<BlockWriter> writer = TRY(begin_writer(target));
  TRY(writer->write(image));
  TRY(writer->finish());
  TRY(writer->verify());
  return writer->commit(VerifiedDigest::none_given());
}

struct Signature {
  std::string name;  // as wipefs calls it
  uint64_t offset;
  ByteVector bytes;
};

// Each as small as libblkid takes it, and at the place it has on a disk of that size.
std::vector<Signature> signatures(uint64_t size, uint32_t sector) {
  std::vector<Signature> all;
  auto add = [&](const char* name, uint64_t offset, std::function<void(ByteWriter&)> write) {
    ByteWriter out;
    write(out);
    all.push_back({name, offset, std::move(out).bytes()});
  };
  for (uint64_t back : {63, 255, 256, 16, 399, 591, 675, 735, 911, 974, 991, 951, 3087}) {
    add("promise_fasttrack_raid_member", size - back * 512,
        [](ByteWriter& out) { out.append("Promise Technology, Inc."); });
  }
  add("isw_raid_member", size - 2 * sector,
      [](ByteWriter& out) { out.append("Intel Raid ISM Cfg Sig. 1.3.00"); });
  add("lsi_mega_raid_member", size - 512, [](ByteWriter& out) { out.append("$XIDE$"); });
  add("hpt45x_raid_member", size - 11 * 512, [](ByteWriter& out) { out.le32(0x5a7816f3); });
  for (uint64_t back : {1, 257}) {
    add("ddf_raid_member", size - back * 512, [](ByteWriter& out) {
      out.be32(0xde11de11);
      out.le32(0);
      out.append("GUID of 24 bytes, as DDF's");
    });
  }
  // md: 0.90 in the last 64 KiB that begin at a multiple of 64 KiB, 1.0 8 KiB before the end.
  add("linux_raid_member", round_down(size, 65536) - 65536, [](ByteWriter& out) {
    out.le32(0xa92b4efc);
    out.le32(0);
    out.le32(90);
  });
  for (uint64_t offset : {round_down(size, 4096) - 8192, uint64_t{0}, uint64_t{4096}}) {
    add("linux_raid_member", offset, [&](ByteWriter& out) {
      out.le32(0xa92b4efc);
      out.le32(1);
      out.zeros(0x90 - 8);
      out.le64(offset / 512);
    });
  }
  // ZFS: four labels of 256 KiB, each with a ring of uberblocks in its second half.
  uint64_t label = 256_KiB;
  for (uint64_t offset :
       {uint64_t{0}, label, round_down(size, label) - 2 * label, round_down(size, label) - label}) {
    add("zfs_member", offset + label / 2, [](ByteWriter& out) {
      for (int i = 0; i < 32; ++i) {
        out.le64(0x00bab10c);
        out.zeros(4096 - 8);
      }
    });
  }
  add("drbd", size - 4096, [](ByteWriter& out) {
    out.zeros(60);
    out.be32(0x8374026b);
    out.zeros(80 - 64);
    out.be32(4096);
  });
  return all;
}

TEST(Leftovers, BothEndsAreWiped) {
  for (uint64_t size : {uint64_t{24_MiB}, 24_MiB + 7 * 512, 24_MiB - 512}) {
    FakeDisk disk(ByteVector(size, 0xee));
    ByteVector image = small_image();
    Result<void> result = install(disk, image);
    ASSERT_TRUE(result.ok()) << result.error().message();
    ConstBytes content = disk.content();
    EXPECT_TRUE(std::equal(image.begin(), image.end(), content.begin()));
    for (const Signature& signature : signatures(size, 512)) {
      ConstBytes left = content.subspan(signature.offset, signature.bytes.size());
      bool of_the_image = signature.offset < image.size();
      EXPECT_TRUE(of_the_image || all_zero(left))
          << signature.name << " is left " << size - signature.offset << " bytes before the end";
    }
    // bcachefs has a copy 1 MiB before the end, counted in whole KiB, UDF 256 blocks of 4 KiB.
    EXPECT_TRUE(all_zero(content.last(1_MiB + 256_KiB)));
  }
}

TEST(Leftovers, ASmallDiskIsWipedOnce) {
  for (uint64_t size : {uint64_t{2_MiB}, 2_MiB + 512, 3_MiB - 512, uint64_t{3_MiB}}) {
    FakeDisk disk(ByteVector(size, 0xee));
    ByteVector image = small_image();
    image.resize(1_MiB);
    ASSERT_TRUE(install(disk, image).ok());
    EXPECT_TRUE(std::equal(image.begin(), image.end(), disk.content().begin()));
    EXPECT_TRUE(all_zero(ConstBytes(disk.content()).subspan(1_MiB))) << size;
    EXPECT_EQ(disk.misuse(), "");
  }
}

// The real tools on a real block device.
class LeftoversOnLoop : public testing::TestWithParam<uint32_t> {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "loop devices need root";
    if (!program_exists("wipefs")) GTEST_SKIP() << "wipefs (util-linux) is not installed";
    ASSERT_TRUE(folder_.ok());
    file_ = folder_.value().path() + "/disk";
  }

  // A sparse disk, on which `prepare` has left something that wipefs finds; then the image, and
  // what wipefs finds is the image's.
  void check(const std::string& what, uint64_t size,
             const std::function<bool(const std::string& path)>& prepare) {
    ASSERT_TRUE(write_file_atomically(file_, {}).ok());
    ASSERT_EQ(::truncate(file_.c_str(), static_cast<off_t>(size)), 0);
    Result<LoopDevice> loop = LoopDevice::attach(file_, GetParam());
    if (!loop.ok()) GTEST_SKIP() << loop.error().message();
    ASSERT_TRUE(prepare(loop.value().path())) << what;
    EXPECT_THAT(found(loop.value().path()), HasSubstr(what));
    {
      Result<std::unique_ptr<BlockTarget>> target = open_block_device(loop.value().path());
      ASSERT_TRUE(target.ok()) << target.error().message();
      Result<void> result = install(*target.value(), small_image());
      ASSERT_TRUE(result.ok()) << result.error().message();
    }
    EXPECT_EQ(found(loop.value().path()), "dos 0x1fe\n") << "after " << what;
    EXPECT_THAT(output("blkid -p -o export " + loop.value().path()),
                HasSubstr("PTUUID=600dd15c\n"));
  }

  std::string found(const std::string& path) {
    return output("wipefs -n --noheadings --output TYPE,OFFSET " + path + " | tr -s ' '");
  }

  std::string output(const std::string& command) {
    std::string log = folder_.value().path() + "/log";
    EXPECT_EQ(std::system(concat(command, " > ", log).c_str()), 0) << command;
    return read_text(open_root("/").value(), log).value();
  }

  static bool write_at(const std::string& path, uint64_t offset, ConstBytes bytes) {
    Result<UniqueFd> device = open_path(path, O_WRONLY);
    return device.ok() && pwrite_all(device.value(), bytes, offset).ok() &&
           sync_file(device.value()).ok();
  }

  Result<TemporaryDirectory> folder_ = TemporaryDirectory::create();
  std::string file_;
};

TEST_P(LeftoversOnLoop, RaidSignatures) {
  // Not a multiple of what the formats align to.
  uint64_t size = 72_MiB + 3 * GetParam();  // ZFS takes 64 MiB at least.
  // Each with one size of sectors, or with both.
  auto step = static_cast<size_t>(repetitions(2, 1));
  std::vector<Signature> all = signatures(size, GetParam());
  for (size_t i = GetParam() / 512 % step; i < all.size(); i += step) {
    const Signature& signature = all[i];
    check(signature.name, size, [&](const std::string& path) {
      return write_at(path, signature.offset, signature.bytes);
    });
  }
}

TEST_P(LeftoversOnLoop, WhatToolsWrite) {
  struct Tool {
    const char* program;
    const char* arguments;
    const char* type;
    uint64_t size;
  };
  static constexpr Tool kTools[] = {
      {"mkfs.ext4", "-q -F", "ext4", 40_MiB},
      {"mkswap", "-f", "swap", 40_MiB},
      {"mkfs.vfat", "-I", "vfat", 40_MiB},
      {"sfdisk", "-q --label gpt --wipe always <<< size=20M", "gpt", 40_MiB},
      {"mkfs.btrfs", "-q -f", "btrfs", 160_MiB},
  };
  for (const Tool& tool : kTools) {
    if (!program_exists(tool.program)) {
      std::printf("[ NOTE     ] %s is not installed\n", tool.program);
      continue;
    }
    std::string_view arguments = tool.arguments;
    size_t input = std::min(arguments.find("<<<"), arguments.size());
    check(tool.type, tool.size, [&](const std::string& path) {
      std::string command = concat(tool.program, " ", arguments.substr(0, input), " ", path, " ",
                                   arguments.substr(input), " > /dev/null 2>&1");
      return std::system(concat("bash -c \"", command, "\"").c_str()) == 0;
    });
  }
}

INSTANTIATE_TEST_SUITE_P(Sectors, LeftoversOnLoop, testing::Values(512u, 4096u));

}  // namespace
}  // namespace curlingiron
