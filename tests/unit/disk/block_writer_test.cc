#include "disk/block_writer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <random>

#include "base/log.h"
#include "base/text.h"
#include "support/effort.h"
#include "support/random_bytes.h"
#include "unit/disk/fake_disk.h"

namespace curlingiron {
namespace {

constexpr size_t MiB = size_t{1} << 20;

// A broken disk is warned about; here there are hundreds of them.
class Quiet : public testing::Environment {
  void SetUp() override { set_log_level(LogLevel::Error); }
};
const testing::Environment* const kQuiet = testing::AddGlobalTestEnvironment(new Quiet);

// Data with an MBR's mark, and zeros of many lengths at many places.
ByteVector make_image(size_t size, uint64_t seed = 1) {
  ByteVector image = random_bytes(size, seed);
  auto zeros = [&](size_t begin, size_t length) {
    if (begin >= size) return;
    std::memset(image.data() + begin, 0, std::min(length, size - begin));
  };
  zeros(600, 100);
  zeros(MiB + 64 * 1024, 64 * 1024);    // one step
  zeros(MiB + 200 * 1024, 100 * 1024);  // less than two aligned steps
  zeros(2 * MiB - 128 * 1024, MiB);     // across a block's edge
  zeros(size > 2 * MiB ? size - MiB - 70000 : size, 4096);
  if (size >= 512) {
    image[510] = 0x55;
    image[511] = 0xAA;
  } else {
    image[0] = 0x55;
  }
  return image;
}

ByteVector old_system(size_t size) {
  ByteVector bytes = random_bytes(size, 99);
  bytes[510] = 0x55;
  bytes[511] = 0xAA;
  return bytes;
}

using Patches = std::vector<DiskPatch>;

// As a table that is moved and a partition that is added would be, and at each edge.
Patches make_patches(size_t disk, uint32_t sector = 512) {
  Patches patches;
  auto add = [&](size_t offset, size_t size) {
    patches.push_back({offset, random_bytes(size, offset + 1)});
  };
  add(0, 2 * sector);
  add(MiB - sector, 2 * sector);
  add(2 * MiB + sector, 4096);
  add(4 * MiB - sector, sector);
  add(4 * MiB + MiB / 2, MiB + sector);
  add(disk - 33 * sector, 32 * sector);
  add(disk - sector, sector);
  return patches;
}

// What the disk must hold: the image, zeros to the end of its sector, the disk's own head and tail
// zeroed where the image does not reach, and else what was there; in its place what was amended.
ByteVector expected_disk(const ByteVector& image, ByteVector disk, size_t sector = 512,
                         const Patches& patches = {}) {
  std::fill_n(disk.begin(), MiB, uint8_t{0});
  size_t tail = std::min(2 * MiB, disk.size() - MiB);
  std::fill(disk.end() - static_cast<ptrdiff_t>(tail), disk.end(), uint8_t{0});
  std::copy(image.begin(), image.end(), disk.begin());
  size_t padded = (image.size() + sector - 1) / sector * sector;
  std::fill(disk.begin() + static_cast<ptrdiff_t>(image.size()),
            disk.begin() + static_cast<ptrdiff_t>(padded), uint8_t{0});
  for (const DiskPatch& patch : patches) {
    std::ranges::copy(patch.bytes, disk.begin() + static_cast<ptrdiff_t>(patch.offset));
  }
  return disk;
}

struct Outcome {
  std::optional<Error> error;
  bool started = false;
  bool committed = false;
};

Outcome install(BlockTarget& disk, ConstBytes image, size_t chunk = 300'000, bool verify = true,
                const Patches& patches = {}) {
  Outcome outcome;
  auto run = [&]() -> Result<void> {
    std::unique_ptr<BlockWriter> writer = TRY(begin_writer(disk, patches));
    outcome.started = true;
    for (ConstBytes rest = image; !rest.empty();) {
      size_t n = std::min(chunk, rest.size());
      TRY(writer->write(rest.first(n)));
      rest = rest.subspan(n);
    }
    TRY(writer->finish());
    if (verify) TRY(writer->verify());
    TRY(writer->commit(VerifiedDigest::none_given()));
    outcome.committed = true;
    return {};
  };
  if (Result<void> result = run(); !result.ok()) outcome.error = result.error();
  return outcome;
}

bool first_sector_zero(const ByteVector& disk) { return all_zero(ConstBytes(disk).first(512)); }
bool head_zero(const ByteVector& disk) { return all_zero(ConstBytes(disk).first(MiB)); }

TEST(BlockWriter, WritesEverySizeOfImageToTheByte) {
  constexpr size_t kDisk = 8 * MiB;
  for (uint32_t sector : {512u, 4096u}) {
    for (size_t size : std::initializer_list<size_t>{1,
                                                     100,
                                                     511,
                                                     512,
                                                     513,
                                                     4095,
                                                     4096,
                                                     4097,
                                                     MiB - 1,
                                                     MiB,
                                                     MiB + 1,
                                                     MiB + 512,
                                                     2 * MiB - 1,
                                                     2 * MiB,
                                                     2 * MiB + 1,
                                                     3 * MiB - 513,
                                                     3 * MiB,
                                                     3 * MiB + 100,
                                                     5 * MiB + 70000,
                                                     kDisk - MiB,
                                                     kDisk - 1,
                                                     kDisk}) {
      for (const Patches& patches : {Patches(), make_patches(kDisk, sector)}) {
        FakeDisk disk(old_system(kDisk), sector);
        ByteVector image = make_image(size);
        Outcome outcome = install(disk, image, 300'000, true, patches);
        ASSERT_FALSE(outcome.error) << outcome.error->message();
        EXPECT_TRUE(disk.content() == expected_disk(image, old_system(kDisk), sector, patches))
            << size << " " << sector << " " << patches.size();
        EXPECT_TRUE(disk.content() == disk.after_power_cut()) << "not flushed";
        EXPECT_EQ(disk.misuse(), "");
      }
    }
  }
}

TEST(BlockWriter, TakesChunksOfAnySize) {
  ByteVector image = make_image(4 * MiB + 12345);
  for (size_t chunk : std::initializer_list<size_t>{7777, 65536, MiB - 1, MiB, MiB + 1, 10 * MiB}) {
    FakeDisk disk(old_system(8 * MiB));
    Outcome outcome = install(disk, image, chunk);
    ASSERT_FALSE(outcome.error) << outcome.error->message();
    EXPECT_TRUE(disk.content() == expected_disk(image, old_system(8 * MiB))) << chunk;
  }
}

// An image with holes, in reads of random sizes; tells of a hole now and then, or never.
class HoleSource final : public Source {
 public:
  HoleSource(ConstBytes image, std::vector<std::pair<size_t, size_t>> holes, unsigned seed,
             std::optional<size_t> fails_at = std::nullopt)
      : image_(image), holes_(std::move(holes)), random_(seed), fails_at_(fails_at) {}

  Result<size_t> read(MutableBytes into) override {
    if (fails_at_ && at_ >= *fails_at_) return Error("server: gone");
    size_t n = std::min({into.size(), image_.size() - at_, size_t{1} + random_() % (3 * MiB)});
    std::copy_n(image_.begin() + static_cast<ptrdiff_t>(at_), n, into.begin());
    at_ += n;
    return n;
  }
  uint64_t zeros_ahead() override {
    for (auto [begin, end] : holes_) {
      if (at_ >= begin && at_ < end) return end - at_;
    }
    return 0;
  }
  void skip_zeros(uint64_t count) override {
    ASSERT_LE(count, zeros_ahead());
    skipped_ += count;
    at_ += count;
  }
  uint64_t skipped() const { return skipped_; }

 private:
  ConstBytes image_;
  std::vector<std::pair<size_t, size_t>> holes_;
  std::minstd_rand random_;
  std::optional<size_t> fails_at_;
  size_t at_ = 0;
  uint64_t skipped_ = 0;
};

Result<void> copy_and_commit(BlockTarget& disk, Source& image, const Patches& patches = {}) {
  std::unique_ptr<BlockWriter> writer = TRY(begin_writer(disk, patches));
  TRY(writer->copy(image));
  TRY(writer->finish());
  TRY(writer->verify());
  return writer->commit(VerifiedDigest::none_given());
}

TEST(BlockWriter, CopiesASourceWithHolesToTheByte) {
  constexpr size_t kDisk = 12 * MiB;
  struct Case {
    size_t size;
    std::vector<std::pair<size_t, size_t>> holes;
  };
  const Case cases[] = {
      {12 * MiB, {{3 * MiB, 9 * MiB}}},
      {12 * MiB, {{0, 12 * MiB}}},
      {12 * MiB, {{MiB, 12 * MiB}}},
      {11 * MiB + 777, {{2 * MiB + 5, 11 * MiB + 777}}},
      {11 * MiB + 777, {{5 * MiB, 7 * MiB - 1}, {8 * MiB, 11 * MiB}}},
      {5 * MiB, {{4 * MiB, 5 * MiB}}},
      {700, {}},
      {2 * MiB, {}},
      {3 * MiB, {{MiB, 3 * MiB}}},
  };
  for (const Case& c : cases) {
    ByteVector image = make_image(c.size);
    for (auto [begin, end] : c.holes) {
      std::fill(image.begin() + static_cast<ptrdiff_t>(begin),
                image.begin() + static_cast<ptrdiff_t>(end), uint8_t{0});
    }
    for (int seed = repetitions(2, 22); seed > 0; --seed) {
      FakeDisk disk(old_system(kDisk));
      HoleSource source(image, c.holes, static_cast<unsigned>(seed));
      Patches patches = seed % 2 == 0 ? make_patches(kDisk) : Patches();
      Result<void> result = copy_and_commit(disk, source, patches);
      ASSERT_TRUE(result.ok()) << result.error().message();
      EXPECT_TRUE(disk.content() == expected_disk(image, old_system(kDisk), 512, patches))
          << c.size << " " << seed;
      EXPECT_EQ(disk.misuse(), "");
    }
  }
}

TEST(BlockWriter, HolesCostNoReading) {
  ByteVector image = make_image(64 * MiB);
  std::fill(image.begin() + 2 * MiB, image.begin() + 60 * MiB, uint8_t{0});
  FakeDisk disk(old_system(64 * MiB));
  HoleSource source(image, {{2 * MiB, 60 * MiB}}, 1);
  ASSERT_TRUE(copy_and_commit(disk, source).ok());
  EXPECT_GE(source.skipped(), 55 * MiB);
  EXPECT_TRUE(disk.content() == image);
}

TEST(BlockWriter, ASourceThatFailsInAHoleLeavesNoHead) {
  ByteVector image = make_image(12 * MiB);
  std::fill(image.begin() + 4 * MiB, image.end(), uint8_t{0});
  FakeDisk disk(old_system(12 * MiB));
  HoleSource source(image, {{4 * MiB, 12 * MiB}}, 1, 9 * MiB);
  Result<void> result = copy_and_commit(disk, source);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().message(), "server: gone");
  EXPECT_TRUE(head_zero(disk.content()));
}

TEST(BlockWriter, ASourceLargerThanTheDiskIsRefused) {
  ByteVector image = make_image(4 * MiB + 1);
  FakeDisk disk(old_system(4 * MiB));
  HoleSource plain(image, {}, 1);
  EXPECT_FALSE(copy_and_commit(disk, plain).ok());
  EXPECT_TRUE(head_zero(disk.content()));
  ByteVector holes(20 * MiB);
  HoleSource all(holes, {{0, 20 * MiB}}, 1);
  FakeDisk other(old_system(4 * MiB));
  EXPECT_FALSE(copy_and_commit(other, all).ok());
  EXPECT_TRUE(head_zero(other.content()));
}

TEST(BlockWriter, ADiskThatIsNoMultipleOfAMebibyteIsFilledToItsEnd) {
  size_t size = 5 * MiB + 512 * 77;
  FakeDisk disk(old_system(size));
  ByteVector image = make_image(size);
  ASSERT_FALSE(install(disk, image).error);
  EXPECT_TRUE(disk.content() == image);
  EXPECT_EQ(disk.misuse(), "");
}

TEST(BlockWriter, ZeroesRunsInsteadOfWritingThem) {
  ByteVector image(200 * MiB, 0);
  for (size_t at : {size_t{0}, 60 * MiB, 200 * MiB - 1}) image[at] = 1;
  FakeDisk disk(ByteVector(200 * MiB, 0xEE));
  std::unique_ptr<BlockWriter> writer = begin_writer(disk).value();
  ASSERT_TRUE(writer->write(image).ok());
  ASSERT_TRUE(writer->finish().ok());
  uint64_t written = 0;
  uint64_t requests = 0;
  for (const FakeDisk::Operation& operation : disk.log()) {
    if (operation.kind == FakeDisk::Kind::Write) written += operation.length;
    if (operation.kind == FakeDisk::Kind::Zero) ++requests;
  }
  EXPECT_EQ(written, 64u * 1024);
  EXPECT_LE(requests, 3 + 6u) << "zero runs are not joined";
  EXPECT_EQ(writer->counters().zeroed, 198 * MiB - 64 * 1024);
  EXPECT_EQ(writer->counters().received, image.size());
  ASSERT_TRUE(writer->verify().ok());
  ASSERT_TRUE(writer->commit(VerifiedDigest::none_given()).ok());
  EXPECT_EQ(writer->image_size(), image.size());
  EXPECT_TRUE(disk.content() == image);
  EXPECT_TRUE(writer->verify().ok());
}

TEST(BlockWriter, WritesShortRunsOfZerosWithTheDataAroundThem) {
  constexpr size_t kStep = 64 * 1024;
  ByteVector image = random_bytes(8 * MiB, 5);
  std::fill_n(image.begin() + 2 * MiB, 3 * kStep, uint8_t{0});              // at a block's begin
  std::fill_n(image.begin() + 3 * MiB + 5 * kStep, 3 * kStep, uint8_t{0});  // within
  std::fill_n(image.begin() + 5 * MiB - 3 * kStep, 3 * kStep, uint8_t{0});  // at its end
  std::fill_n(image.begin() + 5 * MiB + 5 * kStep, 4 * kStep, uint8_t{0});  // long enough
  FakeDisk disk(old_system(8 * MiB));
  ASSERT_FALSE(install(disk, image).error);
  EXPECT_TRUE(disk.content() == image);
  std::vector<uint64_t> zeroed;
  for (const FakeDisk::Operation& operation : disk.log()) {
    bool in_body = operation.offset >= MiB && operation.offset < 6 * MiB;
    if (operation.kind == FakeDisk::Kind::Zero && in_body) zeroed.push_back(operation.offset);
  }
  EXPECT_EQ(zeroed, std::vector<uint64_t>{5 * MiB + 5 * kStep});
}

TEST(BlockWriter, WithholdsTheFirstAndLastMebibyteUntilCommit) {
  ByteVector image = make_image(6 * MiB);
  FakeDisk disk(old_system(6 * MiB));
  std::unique_ptr<BlockWriter> writer = begin_writer(disk).value();
  ASSERT_TRUE(writer->write(image).ok());
  ASSERT_TRUE(writer->finish().ok());
  ASSERT_TRUE(writer->verify().ok());
  EXPECT_TRUE(head_zero(disk.content()));
  EXPECT_TRUE(all_zero(ConstBytes(disk.content()).last(MiB)));
  ASSERT_TRUE(writer->commit(VerifiedDigest::none_given()).ok());
  EXPECT_TRUE(disk.content() == image);
  // The boot sector is the last thing written.
  auto last_write = std::find_if(disk.log().rbegin(), disk.log().rend(), [](const auto& operation) {
    return operation.kind == FakeDisk::Kind::Write;
  });
  EXPECT_EQ(last_write->offset, 0u);
  EXPECT_EQ(last_write->length, 512u);
}

TEST(BlockWriter, OthersMayChangeWhatIsThereBeforeTheFirstSector) {
  ByteVector image = make_image(6 * MiB);
  FakeDisk disk(old_system(6 * MiB));
  std::unique_ptr<BlockWriter> writer = begin_writer(disk).value();
  ASSERT_TRUE(writer->write(image).ok());
  ASSERT_TRUE(writer->finish().ok());
  EXPECT_FALSE(writer->write_first_sector().ok()) << "before the ends";
  writer = nullptr;

  writer = begin_writer(disk).value();
  ASSERT_TRUE(writer->write(image).ok());
  ASSERT_TRUE(writer->finish().ok());
  ASSERT_TRUE(writer->write_ends(VerifiedDigest::none_given()).ok());
  EXPECT_TRUE(all_zero(ConstBytes(disk.content()).first(512)));
  EXPECT_TRUE(
      std::ranges::equal(ConstBytes(disk.content()).subspan(512), ConstBytes(image).subspan(512)));
  ByteVector sector = random_bytes(4096, 9);
  for (uint64_t at : {MiB - 4096, 3 * MiB, 6 * MiB - 4096}) {
    ASSERT_TRUE(disk.write(at, sector).ok());
    std::ranges::copy(sector, image.begin() + static_cast<ptrdiff_t>(at));
  }
  ASSERT_TRUE(writer->write_first_sector().ok());
  EXPECT_TRUE(disk.content() == image);
  writer->withdraw();
  EXPECT_TRUE(disk.content() == image) << "it is bootable for good";
}

TEST(BlockWriter, EndsThatAreWithdrawnAreGone) {
  ByteVector image = make_image(6 * MiB);
  FakeDisk disk(old_system(6 * MiB));
  std::unique_ptr<BlockWriter> writer = begin_writer(disk).value();
  ASSERT_TRUE(writer->write(image).ok());
  ASSERT_TRUE(writer->finish().ok());
  writer->withdraw();  // Nothing is there yet.
  ASSERT_TRUE(writer->write_ends(VerifiedDigest::none_given()).ok());
  writer->withdraw();
  EXPECT_TRUE(head_zero(disk.content()));
  EXPECT_TRUE(all_zero(ConstBytes(disk.content()).last(MiB)));
  EXPECT_FALSE(writer->write_first_sector().ok());
  EXPECT_FALSE(writer->verify().ok());
  EXPECT_TRUE(head_zero(disk.content()));
}

TEST(BlockWriter, RefusesDisksItCannotWriteBeforeTouchingThem) {
  for (size_t size : {size_t{0}, size_t{512}, MiB, 2 * MiB - 512}) {
    FakeDisk disk(ByteVector(size, 0xEE));
    Result<std::unique_ptr<BlockWriter>> writer = begin_writer(disk);
    ASSERT_FALSE(writer.ok());
    EXPECT_EQ(disk.operations(), 0u);
  }
  FakeDisk disk(ByteVector(4 * MiB, 0xEE), 768);
  EXPECT_FALSE(begin_writer(disk).ok());
  EXPECT_EQ(disk.operations(), 0u);
}

TEST(BlockWriter, AnImageLargerThanTheDiskIsAnErrorAndNotBootable) {
  FakeDisk disk(old_system(4 * MiB));
  Outcome outcome = install(disk, make_image(4 * MiB + 1));
  ASSERT_TRUE(outcome.error);
  EXPECT_NE(outcome.error->message().find("larger than the disk"), std::string::npos);
  EXPECT_TRUE(head_zero(disk.content()));
}

TEST(BlockWriter, AnEmptyImageIsAnError) {
  FakeDisk disk(old_system(4 * MiB));
  Outcome outcome = install(disk, {});
  ASSERT_TRUE(outcome.error);
  EXPECT_TRUE(head_zero(disk.content()));
}

TEST(BlockWriter, CallsOutOfOrderAreErrors) {
  FakeDisk disk(old_system(4 * MiB));
  std::unique_ptr<BlockWriter> writer = begin_writer(disk).value();
  ByteVector image = make_image(3 * MiB);
  ASSERT_TRUE(writer->write(image).ok());
  EXPECT_FALSE(writer->verify().ok());
  EXPECT_FALSE(writer->commit(VerifiedDigest::none_given()).ok());
  EXPECT_TRUE(head_zero(disk.content()));
}

TEST(BlockWriter, AmendmentsThatAreNoneOfTheDiskAreRefused) {
  FakeDisk disk(old_system(6 * MiB));
  for (const Patches& wrong : {Patches{{6 * MiB - 512, ByteVector(1024)}},
                               Patches{{100, ByteVector(512)}}, Patches{{512, ByteVector(100)}},
                               Patches{{512, ByteVector(1024)}, {1024, ByteVector(512)}}}) {
    std::unique_ptr<BlockWriter> writer = BlockWriter::prepare(disk).value();
    EXPECT_FALSE(writer->amend(wrong).ok());
    EXPECT_FALSE(writer->begin().ok());
  }
  EXPECT_EQ(disk.operations(), 0U);
  EXPECT_FALSE(begin_writer(disk).value()->amend({}).ok());
}

TEST(BlockWriter, DroppedBeforeCommitItLeavesNoPartitionTable) {
  for (size_t size : {MiB / 2, 3 * MiB, 7 * MiB}) {
    FakeDisk disk(old_system(8 * MiB));
    {
      std::unique_ptr<BlockWriter> writer = begin_writer(disk).value();
      ASSERT_TRUE(writer->write(make_image(size)).ok());
    }
    EXPECT_TRUE(head_zero(disk.content()));
    EXPECT_TRUE(all_zero(ConstBytes(disk.content()).last(MiB)));
  }
}

// The promise of the project, for every point at which the power can go.
TEST(BlockWriterFaults, APowerCutNeverLeavesABootableDiskThatIsWrong) {
  constexpr size_t kDisk = 6 * MiB;
  const ByteVector old = old_system(kDisk);
  std::mt19937_64 random(7);
  for (size_t size : {size_t{700}, MiB + 5000, MiB + 5001, 4 * MiB + 70000, kDisk - 1, kDisk}) {
    const ByteVector image = make_image(size);
    const Patches patches = size % 2 != 0 ? make_patches(kDisk) : Patches();
    const ByteVector complete = expected_disk(image, old, 512, patches);
    FakeDisk whole(old);
    ASSERT_FALSE(install(whole, image, 300'000, true, patches).error);
    const size_t operations = whole.operations();
    ASSERT_GT(operations, 10u);
    size_t bootable_at = operations;
    const auto step = static_cast<size_t>(repetitions(9, 1));
    for (size_t cut = 0; cut <= operations; ++cut) {
      // The end is where the disk begins to boot: there every one.
      if (cut + 5 < operations && cut % step != 0) continue;
      FakeDisk disk(old);
      disk.cut_power_at(cut);
      Outcome outcome = install(disk, image, 300'000, true, patches);
      EXPECT_EQ(outcome.committed, cut >= operations) << cut;

      // What was not flushed is lost.
      const ByteVector& left = disk.after_power_cut();
      if (left == complete) {
        bootable_at = std::min(bootable_at, cut);
      } else if (left == old) {
        EXPECT_FALSE(outcome.started) << "the old system after the commit point, cut " << cut;
      } else {
        ByteVector but_first_sector = complete;
        std::fill_n(but_first_sector.begin(), 512, uint8_t{0});
        bool waits_for_the_boot_sector = left == but_first_sector;
        bool is_starting = !outcome.started && first_sector_zero(left);
        EXPECT_TRUE(head_zero(left) || waits_for_the_boot_sector || is_starting)
            << "size " << size << ", cut " << cut;
      }

      // Any part of what was not flushed may have reached the medium.
      for (int i = 0; i < 3; ++i) {
        ByteVector torn = disk.after_power_cut(random);
        ByteVector old_but_first_sector = old;
        std::copy_n(torn.begin(), 512, old_but_first_sector.begin());
        EXPECT_TRUE(first_sector_zero(torn) || torn == complete ||
                    (!outcome.started && torn == old_but_first_sector))
            << "size " << size << ", cut " << cut;
      }
    }
    EXPECT_LT(bootable_at, operations);  // The last checks read what is complete already.
    EXPECT_GT(bootable_at, operations / 2);
  }
}

TEST(BlockWriterFaults, AnyRequestThatFailsIsAnErrorAndLeavesNoBootableDisk) {
  constexpr size_t kDisk = 6 * MiB;
  const ByteVector old = old_system(kDisk);
  const ByteVector image = make_image(4 * MiB + 70000);
  const Patches patches = make_patches(kDisk);
  FakeDisk whole(old);
  ASSERT_FALSE(install(whole, image, 300'000, true, patches).error);
  for (size_t n = 0; n < whole.operations(); ++n) {
    FakeDisk disk(old);
    disk.fail_at(n);
    Outcome outcome = install(disk, image, 300'000, true, patches);
    ASSERT_TRUE(outcome.error) << n;
    EXPECT_FALSE(outcome.committed);
    EXPECT_NE(outcome.error->message().find("Input/output error"), std::string::npos)
        << outcome.error->message();
    if (n == 0) {
      EXPECT_TRUE(disk.content() == old);
    } else {
      EXPECT_TRUE(first_sector_zero(disk.content())) << n;
      EXPECT_TRUE(!outcome.started || head_zero(disk.content())) << n;
    }
  }
}

TEST(BlockWriterFaults, AfterAnErrorEveryCallReturnsIt) {
  FakeDisk disk(old_system(8 * MiB));
  std::unique_ptr<BlockWriter> writer = begin_writer(disk).value();
  disk.cut_power_at(disk.operations());
  ByteVector image = make_image(7 * MiB);
  Result<void> result = writer->write(image);
  if (result.ok()) result = writer->finish();
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code(), EIO);
  EXPECT_NE(result.error().message().find("bytes at byte "), std::string::npos);
  size_t operations = disk.operations();
  EXPECT_EQ(writer->write(image).error().message(), result.error().message());
  EXPECT_EQ(writer->finish().error().message(), result.error().message());
  EXPECT_EQ(writer->verify().error().message(), result.error().message());
  EXPECT_EQ(writer->commit(VerifiedDigest::none_given()).error().message(),
            result.error().message());
  EXPECT_EQ(disk.operations(), operations) << "a dead writer touched the disk";
}

TEST(BlockWriterFaults, ADiskThatStoresAWrongBitIsFoundOut) {
  constexpr size_t kDisk = 6 * MiB;
  const ByteVector old = old_system(kDisk);
  const ByteVector image = make_image(kDisk);
  FakeDisk whole(old);
  ASSERT_FALSE(install(whole, image).error);
  ASSERT_GT(whole.writes(), 5u);
  for (size_t n = 0; n < whole.writes(); ++n) {
    FakeDisk disk(old);
    disk.corrupt_write(n);
    Outcome outcome = install(disk, image);
    ASSERT_TRUE(outcome.error) << n;
    EXPECT_NE(outcome.error->message().find("read back"), std::string::npos);
    EXPECT_TRUE(head_zero(disk.content())) << n;
  }
  for (size_t n = 0; n < whole.reads(); ++n) {
    FakeDisk disk(old);
    disk.corrupt_read(n);
    Outcome outcome = install(disk, image);
    ASSERT_TRUE(outcome.error) << n;
    EXPECT_TRUE(first_sector_zero(disk.content())) << n;
  }
}

TEST(BlockWriterFaults, WithoutReadBackTheHeadAndTailAreStillChecked) {
  const ByteVector image = make_image(6 * MiB);
  FakeDisk whole(old_system(6 * MiB));
  ASSERT_FALSE(install(whole, image, 300'000, false).error);
  for (size_t n = whole.writes() - 3; n < whole.writes(); ++n) {
    FakeDisk disk(old_system(6 * MiB));
    disk.corrupt_write(n);
    EXPECT_TRUE(install(disk, image, 300'000, false).error) << n;
    EXPECT_TRUE(head_zero(disk.content())) << n;
  }
}

TEST(BlockWriterFaults, VerifyAfterCommitTakesAWrongSystemAwayAgain) {
  FakeDisk disk(old_system(6 * MiB));
  std::unique_ptr<BlockWriter> writer = begin_writer(disk).value();
  ASSERT_TRUE(writer->write(make_image(6 * MiB)).ok());
  ASSERT_TRUE(writer->finish().ok());
  ASSERT_TRUE(writer->commit(VerifiedDigest::none_given()).ok());
  disk.corrupt_read(disk.reads() + 1);
  EXPECT_FALSE(writer->verify().ok());
  EXPECT_TRUE(head_zero(disk.content()));
}

TEST(BlockWriterFaults, ADiskThatIgnoresTheZeroesIsFoundOutBeforeTheImage) {
  FakeDisk disk(old_system(6 * MiB));
  disk.ignore_zeroing();
  Result<std::unique_ptr<BlockWriter>> writer = begin_writer(disk);
  ASSERT_FALSE(writer.ok());
  EXPECT_NE(writer.error().message().find("does not read back"), std::string::npos);
  EXPECT_EQ(disk.writes(), 0u);
}

// 16 TiB of which only the pages written exist.
class SparseDisk final : public BlockTarget {
 public:
  BlockGeometry geometry() const override { return {uint64_t{16} << 40, 512, 512}; }
  Result<void> write(uint64_t offset, ConstBytes bytes) override {
    std::lock_guard lock(mutex_);
    for_pages(offset, bytes.size(), [&](uint64_t page, size_t within, size_t at, size_t n) {
      ByteVector& content = pages_.try_emplace(page, kPage).first->second;
      std::memcpy(content.data() + within, bytes.data() + at, n);
    });
    return {};
  }
  Result<void> zero(uint64_t offset, uint64_t length) override {
    std::lock_guard lock(mutex_);
    for_pages(offset, length, [&](uint64_t page, size_t within, size_t, size_t n) {
      auto found = pages_.find(page);
      if (found != pages_.end()) std::memset(found->second.data() + within, 0, n);
    });
    return {};
  }
  Result<void> read(uint64_t offset, MutableBytes into) override {
    std::lock_guard lock(mutex_);
    for_pages(offset, into.size(), [&](uint64_t page, size_t within, size_t at, size_t n) {
      auto found = pages_.find(page);
      if (found != pages_.end()) {
        std::memcpy(into.data() + at, found->second.data() + within, n);
      } else {
        std::memset(into.data() + at, 0, n);
      }
    });
    return {};
  }
  Result<void> flush() override { return {}; }
  void set(uint64_t offset, uint8_t value) {
    pages_.try_emplace(offset / kPage, kPage).first->second[offset % kPage] = value;
  }

 private:
  static constexpr uint64_t kPage = 65536;

  template <typename Visit>
  static void for_pages(uint64_t offset, uint64_t length, Visit visit) {
    for (uint64_t at = 0; at < length;) {
      uint64_t within = (offset + at) % kPage;
      uint64_t n = std::min(length - at, kPage - within);
      visit((offset + at) / kPage, within, at, n);
      at += n;
    }
  }

  std::mutex mutex_;
  std::map<uint64_t, ByteVector> pages_;
};

TEST(BlockWriter, AVeryLargeDiskHasLargerVerifiedBlocks) {
  ByteVector image = make_image(29 * MiB);
  for (size_t damage : {size_t{0}, MiB, 9 * MiB + 5, 17 * MiB, 26 * MiB}) {
    SparseDisk disk;
    std::unique_ptr<BlockWriter> writer = begin_writer(disk).value();
    ASSERT_TRUE(writer->write(image).ok());
    ASSERT_TRUE(writer->finish().ok());
    if (damage != 0) disk.set(damage, static_cast<uint8_t>(image[damage] ^ 1));
    Result<void> verified = writer->verify();
    EXPECT_EQ(verified.ok(), damage == 0) << damage;
    if (damage != 0) {
      size_t block = (damage - MiB) / (8 * MiB) * 8 * MiB + MiB;
      EXPECT_NE(verified.error().message().find(concat("the 8.0 MiB at byte ", block, " ")),
                std::string::npos)
          << verified.error().message();
    }
  }
}

TEST(VerifiedDigest, ComparesAndShowsBoth) {
  ByteVector a = {1, 2};
  ByteVector b = {1, 3};
  EXPECT_TRUE(VerifiedDigest::compare("sha256", a, a).ok());
  Result<VerifiedDigest> differs = VerifiedDigest::compare("sha256", a, b);
  ASSERT_FALSE(differs.ok());
  EXPECT_NE(differs.error().message().find("0102"), std::string::npos);
  EXPECT_NE(differs.error().message().find("0103"), std::string::npos);
  EXPECT_FALSE(VerifiedDigest::compare("sha256", a, {}).ok());
}

}  // namespace
}  // namespace curlingiron
