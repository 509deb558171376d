// Disks with bad sectors, and disks that lose or misplace what they are given: whatever happens,
// the disk does not boot with anything but the image, and the writer says what happened.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <random>

#include "base/text.h"
#include "base/units.h"
#include "support/effort.h"
#include "support/random_bytes.h"
#include "sys/file.h"
#include "unit/disk/fake_disk.h"
#include "unit/disk/loop_device.h"

namespace curlingiron {
namespace {

using testing::AnyOf;
using testing::HasSubstr;

constexpr uint64_t kDisk = 6_MiB;
constexpr uint32_t kSector = 512;

ByteVector make_image(size_t size) {
  ByteVector image = random_bytes(size, 1);
  std::fill_n(image.begin() + 1_MiB + 123'456, 1_MiB, uint8_t{0});
  return image;
}

struct Outcome {
  bool started = false;
  std::optional<Error> error;
};

Outcome install(BlockTarget& disk, ConstBytes image) {
  Outcome outcome;
  auto run = [&]() -> Result<void> {
    std::unique_ptr<BlockWriter> writer = TRY(begin_writer(disk));
    outcome.started = true;
    for (ConstBytes rest = image; !rest.empty();) {
      size_t n = std::min<size_t>(300'000, rest.size());
      TRY(writer->write(rest.first(n)));
      rest = rest.subspan(n);
    }
    TRY(writer->finish());
    TRY(writer->verify());
    return writer->commit(VerifiedDigest::none_given());
  };
  if (Result<void> result = run(); !result.ok()) outcome.error = result.error();
  return outcome;
}

// The image, or nothing that boots. A disk that refuses its very first request is as it was.
bool is_safe(const FakeDisk& disk, const Outcome& outcome, ConstBytes image, ConstBytes old) {
  ConstBytes content = disk.content();
  if (all_zero(content.first(kSector))) return true;
  if (!outcome.started && std::equal(old.begin(), old.begin() + kSector, content.begin())) {
    return true;
  }
  return std::equal(image.begin(), image.end(), content.begin());
}

class BadSectors : public testing::TestWithParam<std::pair<bool, bool>> {};

TEST_P(BadSectors, AnywhereAndFromAnyMomentOn) {
  auto [reads, writes] = GetParam();
  const ByteVector old = random_bytes(kDisk, 99);
  std::mt19937_64 random(5);
  for (size_t size : {size_t{4_MiB + 70'000}, size_t{kDisk}}) {
    const ByteVector image = make_image(size);
    FakeDisk whole(old);
    ASSERT_FALSE(install(whole, image).error);
    unsigned failed = 0;
    const int trials = repetitions(12, 40);
    for (int trial = 0; trial < trials; ++trial) {
      uint64_t sector = random() % (kDisk / kSector);
      // Both ends and their edges as often as the rest.
      if (trial % 4 == 1) sector = random() % 4;
      if (trial % 4 == 2) sector = kDisk / kSector - 1 - random() % 4;
      if (trial % 4 == 3) sector = 1_MiB / kSector - 2 + random() % 4;
      size_t since = trial % 2 == 0 ? 0 : random() % whole.operations();
      FakeDisk disk(old);
      disk.break_sector({sector * kSector, reads, writes, since});
      Outcome outcome = install(disk, image);
      std::string where = concat("sector ", sector, " since operation ", since);
      EXPECT_TRUE(is_safe(disk, outcome, image, old)) << where;
      EXPECT_EQ(disk.misuse(), "") << where;
      if (!outcome.error) {
        EXPECT_TRUE(std::equal(image.begin(), image.end(), disk.content().begin())) << where;
        // Only what nobody asked for, or not any more.
        EXPECT_TRUE(since != 0 || sector * kSector >= size) << where;
        continue;
      }
      ++failed;
      EXPECT_EQ(outcome.error->code(), EIO) << where;
      EXPECT_THAT(outcome.error->message(), HasSubstr("Input/output error")) << where;
      EXPECT_THAT(outcome.error->message(), HasSubstr("bytes at byte ")) << where;
    }
    EXPECT_GT(failed, static_cast<unsigned>(trials) * 3 / 8);
  }
}

// A sector dies while it is in use, at every moment there is: also between the writing of the boot
// sector and the check of it.
TEST_P(BadSectors, AtTheEdgesFromEveryMomentOn) {
  auto [reads, writes] = GetParam();
  const ByteVector old = random_bytes(kDisk, 99);
  const ByteVector image = make_image(4_MiB + 70'000);
  FakeDisk whole(old);
  ASSERT_FALSE(install(whole, image).error);
  for (uint64_t offset : {uint64_t{0}, uint64_t{kSector}, round_down(image.size(), kSector)}) {
    const auto step = static_cast<size_t>(repetitions(9, 1));
    for (size_t since = offset / kSector % step; since < whole.operations(); since += step) {
      FakeDisk disk(old);
      disk.break_sector({offset, reads, writes, since});
      Outcome outcome = install(disk, image);
      EXPECT_TRUE(is_safe(disk, outcome, image, old))
          << "the sector at " << offset << " since operation " << since;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, BadSectors,
                         testing::Values(std::pair(true, false), std::pair(false, true),
                                         std::pair(true, true)));

TEST(LyingDisks, LostAndMisplacedWritesAreFoundOut) {
  const ByteVector old = random_bytes(kDisk, 99);
  const ByteVector image = make_image(kDisk);
  FakeDisk whole(old);
  ASSERT_FALSE(install(whole, image).error);
  ASSERT_GT(whole.writes(), 5u);
  for (size_t n = 0; n < whole.writes(); ++n) {
    for (auto break_write : {&FakeDisk::drop_write, &FakeDisk::misdirect_write}) {
      FakeDisk disk(old);
      (disk.*break_write)(n);
      Outcome outcome = install(disk, image);
      if (break_write == &FakeDisk::misdirect_write && !outcome.error) {
        // There is no sector after the last one: it went where it should.
        EXPECT_TRUE(disk.content() == image) << n;
        continue;
      }
      ASSERT_TRUE(outcome.error) << n;
      EXPECT_THAT(outcome.error->message(), HasSubstr("read back")) << n;
      EXPECT_TRUE(is_safe(disk, outcome, image, old)) << n;
      EXPECT_TRUE(all_zero(ConstBytes(disk.content()).first(kSector))) << n;
    }
  }
}

// The kernel's own errors: a loop device whose file system below is full.
TEST(LyingDisks, AKernelThatFailsTheRequest) {
  if (::geteuid() != 0) GTEST_SKIP() << "a file system needs root";
  TemporaryDirectory folder = TemporaryDirectory::create().value();
  std::string place = folder.path() + "/small";
  ASSERT_EQ(::mkdir(place.c_str(), 0700), 0);
  if (::mount("tmpfs", place.c_str(), "tmpfs", 0, "size=8M") != 0) {
    GTEST_SKIP() << "no tmpfs can be mounted";
  }
  struct Unmount {
    std::string path;
    ~Unmount() { ::umount2(path.c_str(), MNT_DETACH); }
  } unmount{place};
  std::string file = place + "/disk";
  ASSERT_TRUE(write_file_atomically(file, {}).ok());
  ASSERT_EQ(::truncate(file.c_str(), 32 << 20), 0);
  Result<LoopDevice> loop = LoopDevice::attach(file, 512);
  if (!loop.ok()) GTEST_SKIP() << loop.error().message();
  {
    Result<std::unique_ptr<BlockTarget>> target = open_block_device(loop.value().path());
    ASSERT_TRUE(target.ok()) << target.error().message();
    Outcome outcome = install(*target.value(), random_bytes(16_MiB, 3));
    EXPECT_TRUE(outcome.started);
    ASSERT_TRUE(outcome.error);
    EXPECT_THAT(outcome.error->code(), AnyOf(EIO, ENOSPC)) << outcome.error->message();
    EXPECT_THAT(outcome.error->message(), HasSubstr("writing"));
    EXPECT_THAT(outcome.error->message(), HasSubstr("bytes at byte "));
  }
  UniqueFd device = open_path(loop.value().path(), O_RDONLY).value();
  ByteVector head(1_MiB);
  ASSERT_TRUE(pread_exact(device, head, 0).ok());
  EXPECT_TRUE(all_zero(head));
}

}  // namespace
}  // namespace curlingiron
