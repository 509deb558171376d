// Images made by qemu-img and qemu-io, against what "qemu-img convert -O raw" makes of them.
#include "io/qcow2.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <map>
#include <random>
#include <thread>

#include "base/text.h"
#include "formats/qcow2.h"
#include "io/qcow2_map.h"
#include "io/random.h"
#include "support/effort.h"
#include "sys/file.h"
#include "sys/process.h"
#include "unit/io/sources.h"

namespace curlingiron {
namespace {

using testing::HasSubstr;
using Fetch = Qcow2Options::Fetch;

// A disk with a bit of everything: noise, text, holes of all sizes; not a multiple of anything.
constexpr size_t kSampleSize = 11 * 1024 * 1024 + 512;

ByteVector sample_disk() {
  ByteVector disk(kSampleSize, 0);
  ByteVector noise = random_bytes(2_MiB);
  auto noise_at = [&](size_t offset, size_t length) {
    std::copy_n(noise.begin(), length, disk.begin() + static_cast<ptrdiff_t>(offset));
  };
  auto text_at = [&](size_t offset, size_t length) {
    for (size_t i = 0; i < length; ++i) {
      disk[offset + i] =
          (i / 97) % 5 == 0 ? noise[i % noise.size()] : static_cast<uint8_t>("disk image "[i % 11]);
    }
  };
  text_at(0, 700'000);
  noise_at(1'500'000, 300'000);
  text_at(3'000'000, 2'000'000);
  noise_at(5'500'000, 1'000'000);
  for (size_t i = 0; i < 100; ++i) text_at(7'000'000 + i * 20'000, 1'000 + 97 * i);
  text_at(kSampleSize - 70'000, 70'000);
  return disk;
}

enum class Holes { Read, Skip };

// All of the disk, in pieces of at most `chunk`.
Result<ByteVector> read_disk(RandomSource& file, Fetch fetch, size_t chunk, Holes holes,
                             uint64_t limit = 256_MiB) {
  std::unique_ptr<Qcow2Source> source = TRY(Qcow2Source::open(file, {fetch}));
  if (source->virtual_size() > limit) return Error("too large for this test");
  ByteVector disk;
  disk.reserve(static_cast<size_t>(source->virtual_size()));
  ByteVector piece(chunk);
  for (;;) {
    if (holes == Holes::Skip) {
      if (uint64_t zeros = source->zeros_ahead(); zeros != 0) {
        // In two parts: the rest must still be known.
        uint64_t first = std::max<uint64_t>(1, zeros / 3);
        source->skip_zeros(first);
        if (source->zeros_ahead() < zeros - first) return Error("a hole became shorter");
        disk.resize(disk.size() + static_cast<size_t>(first));
        continue;
      }
    }
    size_t n = TRY(source->read(piece));
    if (source->position() != disk.size() + n) return Error("position() is wrong");
    if (n == 0) break;
    disk.resize(disk.size() + n);
    std::copy_n(piece.data(), n, disk.data() + disk.size() - n);
  }
  if (disk.size() != source->virtual_size()) return Error("not as many bytes as virtual_size()");
  if (TRY(source->read(piece)) != 0) return Error("bytes after the end");
  return disk;
}

class Qcow2Images : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (!program_exists("qemu-img") || !program_exists("qemu-io")) return;
    directory_ = new TemporaryDirectory(std::move(TemporaryDirectory::create()).value());
    ASSERT_TRUE(write_file_atomically(path("sample"), sample_disk()).ok());
  }
  static void TearDownTestSuite() {
    delete directory_;
    directory_ = nullptr;
  }
  void SetUp() override {
    if (directory_ == nullptr) GTEST_SKIP() << "needs qemu-img and qemu-io (qemu-utils)";
  }

  static std::string path(std::string_view name) { return concat(directory_->path(), "/", name); }

  // A shell script in the directory of the images.
  static void run(const std::string& script) {
    Result<int> status =
        run_program({"sh", "-ec", concat("cd ", directory_->path(), "; exec >log; ", script)});
    ASSERT_TRUE(status.ok()) << status.error().message();
    ASSERT_EQ(status.value(), 0) << script.substr(0, 300);
  }

  static ByteVector bytes_of(std::string_view name) {
    UniqueFd root = std::move(open_root("/")).value();
    return read_file(root, path(name), 256_MiB).value();
  }

  // The image's disk as QEMU sees it.
  static ByteVector expected(std::string_view image = "image") {
    run(concat("rm -f raw; qemu-img convert -f qcow2 -O raw ", image, " raw"));
    return bytes_of("raw");
  }

  static std::unique_ptr<FileRandomSource> open_image(std::string_view name = "image") {
    return FileRandomSource::open(open_path(path(name), O_RDONLY).value()).value();
  }

  static void compare() {
    ByteVector raw = expected();
    for (Fetch fetch : {Fetch::InReader, Fetch::OnThread}) {
      for (Holes holes : {Holes::Read, Holes::Skip}) {
        for (size_t chunk : {size_t{1} << 20, size_t{7001}}) {
          // Each image in some of the modes, each mode with some of the images.
          static unsigned turn = 0;
          if (++turn % static_cast<unsigned>(repetitions(11, 1)) != 0) continue;
          std::unique_ptr<FileRandomSource> file = open_image();
          Result<ByteVector> disk = read_disk(*file, fetch, chunk, holes);
          ASSERT_TRUE(disk.ok()) << disk.error().message();
          ASSERT_EQ(disk.value().size(), raw.size());
          ASSERT_TRUE(disk.value() == raw) << "differs";
        }
      }
    }
  }

  static std::string refusal() {
    std::unique_ptr<FileRandomSource> file = open_image();
    Result<std::unique_ptr<Qcow2Source>> source = Qcow2Source::open(*file);
    return source.ok() ? "not refused" : source.error().message();
  }

  static TemporaryDirectory* directory_;
};

TemporaryDirectory* Qcow2Images::directory_ = nullptr;

TEST_F(Qcow2Images, Converted) {
  for (const char* options :
       {"compat=0.10", "compat=1.1", "compat=1.1,lazy_refcounts=on", "cluster_size=512",
        "cluster_size=4k", "cluster_size=2M", "compat=0.10,cluster_size=1k",
        "preallocation=metadata", "preallocation=falloc", "preallocation=full", "refcount_bits=1",
        "refcount_bits=64", "extended_l2=on", "extended_l2=on,cluster_size=16k",
        "extended_l2=on,cluster_size=2M", "extended_l2=on,preallocation=metadata"}) {
    SCOPED_TRACE(options);
    run(concat("qemu-img convert -f raw -O qcow2 -o ", options, " sample image"));
    compare();
  }
}

TEST_F(Qcow2Images, Compressed) {
  for (const char* options :
       {"compat=0.10", "compat=1.1", "cluster_size=512", "cluster_size=4k", "cluster_size=2M",
        "compression_type=zstd", "compression_type=zstd,cluster_size=512",
        "compression_type=zstd,cluster_size=2M", "extended_l2=on",
        "extended_l2=on,compression_type=zstd,cluster_size=32k"}) {
    SCOPED_TRACE(options);
    run(concat("qemu-img convert -f raw -c -O qcow2 -o ", options, " sample image"));
    compare();
  }
}

TEST_F(Qcow2Images, CompressedInAnyOrder) {
  for (const char* compression : {"zlib", "zstd"}) {
    SCOPED_TRACE(compression);
    run(concat("qemu-img convert -f raw -W -m 16 -c -O qcow2 -o compression_type=", compression,
               " sample image"));
    compare();
  }
}

TEST_F(Qcow2Images, SizesThatAreNoMultiples) {
  for (uint64_t size : {0, 512, 1024, 65536, 66048, 1049088, 2097152, 2097664}) {
    SCOPED_TRACE(size);
    run(concat("qemu-img create -q -f qcow2 -o cluster_size=4k image ", size));
    compare();
    if (size == 0) continue;
    run(concat("qemu-io -t unsafe -f qcow2 -c 'write -P 7 ", size - 512, " 512' image"));
    compare();
  }
}

// QEMU rounds a size up to 512; others need not.
TEST_F(Qcow2Images, ADiskMayEndWithinASector) {
  for (const char* make : {"", "-c", "-o extended_l2=on"}) {
    run(concat("qemu-img convert -f raw -O qcow2 ", make, " sample image"));
    ByteVector image = bytes_of("image");
    for (uint64_t size : {uint64_t{1}, uint64_t{65537}, uint64_t{kSampleSize - 100}}) {
      for (unsigned i = 0; i < 8; ++i) image[24 + i] = static_cast<uint8_t>(size >> (56 - 8 * i));
      MemoryRandomSource file(image);
      ByteVector disk = read_disk(file, Fetch::InReader, 100'000, Holes::Skip).value();
      EXPECT_TRUE(std::ranges::equal(disk, ConstBytes(sample_disk()).first(size))) << size;
    }
  }
}

TEST_F(Qcow2Images, WrittenInRandomOrder) {
  std::mt19937_64 random(7);
  constexpr uint64_t kSectors = 40 * 2048;
  for (const char* options :
       {"compat=0.10", "compat=1.1", "cluster_size=512", "cluster_size=2M", "extended_l2=on",
        "extended_l2=on,cluster_size=16k", "lazy_refcounts=on"}) {
    SCOPED_TRACE(options);
    std::string script = concat("qemu-img create -q -f qcow2 -o ", options,
                                " image 40M; qemu-io -t unsafe -f qcow2");
    // Compressed clusters can only be written where there are none; each is partly overwritten.
    for (unsigned i = 0; i < 6; ++i) {
      script += concat(" -c 'write -c -P ", i, " ", ((i * 7) % 19) * 2_MiB, " 2M'");
    }
    for (unsigned i = 0; i < static_cast<unsigned>(repetitions(20, 120)); ++i) {
      uint64_t sector = random() % kSectors;
      uint64_t count = std::min(kSectors - sector, 1 + random() % (i % 10 == 0 ? 2000 : 100));
      uint64_t kind = random() % 10;
      std::string verb = kind < 7    ? concat("write -P ", i % 90 + 10)
                         : kind == 7 ? "write -z"
                         : kind == 8 ? "write -z -u"
                                     : "discard";
      script += concat(" -c '", verb, " ", sector * 512, " ", count * 512, "'");
    }
    run(script + " image");
    compare();
  }
}

TEST_F(Qcow2Images, SnapshotsAreIgnored) {
  run("qemu-img convert -f raw -O qcow2 sample image; qemu-img snapshot -c first image;"
      "qemu-io -t unsafe -f qcow2 -c 'write -P 5 1M 3M' -c 'write -z 6M 1M' image;"
      "qemu-img snapshot -c second image; qemu-io -t unsafe -f qcow2 -c 'write -P 6 2M 3M' image");
  compare();
}

TEST_F(Qcow2Images, TheDirtyMarkIsNoMatter) {
  run("qemu-img create -q -f qcow2 -o lazy_refcounts=on image 10M;"
      "qemu-io -t unsafe -f qcow2 -c 'write -P 5 1M 3M' -c flush -c abort image 2>/dev/null || "
      "true");
  // qemu-img repairs the image when it opens it: ours is read first.
  std::unique_ptr<FileRandomSource> file = open_image();
  ByteVector dirty = bytes_of("image");
  ASSERT_EQ(dirty[79] & 1, 1) << "the image is not dirty";
  ByteVector disk = read_disk(*file, Fetch::InReader, 65536, Holes::Read).value();
  EXPECT_TRUE(disk == expected());
}

TEST_F(Qcow2Images, SparseTerabyte) {
  run("qemu-img create -q -f qcow2 image 1T; qemu-io -t unsafe -f qcow2 -c 'write -P 1 0 64k'"
      " -c 'write -P 2 500G 64k' -c 'write -P 3 1099511562240 64k' image");
  for (Fetch fetch : {Fetch::InReader, Fetch::OnThread}) {
    std::unique_ptr<FileRandomSource> file = open_image();
    std::unique_ptr<Qcow2Source> source = Qcow2Source::open(*file, {fetch}).value();
    EXPECT_EQ(source->virtual_size(), 1024_GiB);
    ByteVector piece(65536);
    uint64_t position = 0;
    unsigned holes = 0;
    for (uint64_t place : {uint64_t{0}, 500_GiB, 1024_GiB - 65536}) {
      while (position < place) {
        uint64_t zeros = source->zeros_ahead();
        ASSERT_NE(zeros, 0u);
        source->skip_zeros(zeros);
        position += zeros;
        ++holes;
      }
      ASSERT_EQ(position, place);
      ASSERT_EQ(source->zeros_ahead(), 0u);
      ASSERT_EQ(read_full(*source, piece).value(), piece.size());
      EXPECT_TRUE(std::all_of(piece.begin(), piece.end(), [&](uint8_t b) {
        return b == (place == 0 ? 1 : place == 500_GiB ? 2 : 3);
      }));
      position += piece.size();
    }
    EXPECT_EQ(holes, 2u);
    EXPECT_EQ(source->read(piece).value(), 0u);
    EXPECT_LT(source->consumed(), 1_MiB);
  }
}

TEST_F(Qcow2Images, WhatCannotBeReadIsRefused) {
  run("qemu-img create -q -f qcow2 base.qcow2 1M;"
      "qemu-img create -q -f qcow2 -b base.qcow2 -F qcow2 image");
  EXPECT_THAT(refusal(), HasSubstr("backing file \"base.qcow2\""));
  // LUKS headers need a clock of CPU time that virtual machines may not have; AES needs nothing.
  run("rm -f image; qemu-img create -q -f qcow2 --object secret,id=s,data=abc -o "
      "encrypt.format=aes,encrypt.key-secret=s image 1M");
  EXPECT_THAT(refusal(), HasSubstr("encrypted (AES)"));
  run("rm -f image; qemu-img create -q -f qcow2 -o data_file=data.raw image 1M");
  EXPECT_THAT(refusal(), HasSubstr("external file \"data.raw\""));
  ASSERT_TRUE(write_file_atomically(path("image"), {}).ok());
  EXPECT_THAT(refusal(), HasSubstr("truncated"));
  ASSERT_TRUE(write_file_atomically(path("image"), random_bytes(4096)).ok());
  EXPECT_THAT(refusal(), HasSubstr("not a qcow2 image"));
}

// Checks that reads keep to what was announced, and counts.
class WatchedFile final : public RandomSource {
 public:
  explicit WatchedFile(RandomSource& inner) : inner_(inner) {}
  uint64_t size() const override { return inner_.size(); }
  Result<void> read_at(uint64_t offset, MutableBytes into) override {
    if (offset < begin_ || offset + into.size() > end_) ++surprises;
    begin_ = offset + into.size();
    bytes += into.size();
    ++reads;
    if (fail_after && bytes > *fail_after) return Error("the server went away", ECONNRESET);
    return inner_.read_at(offset, into);
  }
  void expect(uint64_t offset, uint64_t length) override {
    ++runs;
    begin_ = offset;
    end_ = offset + length;
    expected += length;
  }

  unsigned runs = 0;
  unsigned reads = 0;
  unsigned surprises = 0;
  uint64_t bytes = 0;
  uint64_t expected = 0;
  std::optional<uint64_t> fail_after;

 private:
  RandomSource& inner_;
  uint64_t begin_ = 0;
  uint64_t end_ = 0;
};

TEST_F(Qcow2Images, AnImageInOrderIsReadInFewRuns) {
  struct Case {
    std::string make;
    unsigned most_runs;
  };
  // The header, the two tables of reference counts, the first table, the second one, and the data.
  // Clusters of 4 KiB have a table for
  // each 2 MiB of the disk; those of 512 bytes so many that they come in one run, too.
  for (const Case& c : {Case{"-o cluster_size=64k", 6},
                        {"-c -o cluster_size=64k", 6},
                        {"-c -o compression_type=zstd", 6},
                        {"-o cluster_size=2M", 6},
                        {"-c -o cluster_size=4k", 10},
                        {"-o cluster_size=512", 7},
                        {"-o extended_l2=on", 6}}) {
    SCOPED_TRACE(c.make);
    run(concat("qemu-img convert -f raw -O qcow2 ", c.make, " sample image"));
    for (Fetch fetch : {Fetch::InReader, Fetch::OnThread}) {
      std::unique_ptr<FileRandomSource> file = open_image();
      WatchedFile watched(*file);
      ASSERT_TRUE(read_disk(watched, fetch, 65536, Holes::Read).ok());
      EXPECT_LE(watched.runs, c.most_runs);
      // A server gives a run once, from its begin to its end.
      EXPECT_TRUE(fetch == Fetch::InReader || watched.surprises == 0);
      EXPECT_LE(watched.bytes, file->size() + 256_KiB);
      EXPECT_LE(watched.expected, 2 * file->size() + 64_KiB);
    }
  }
}

TEST_F(Qcow2Images, OnlyWhatIsNeededIsRead) {
  // Half of the clusters are discarded: they are still in the file, and not read.
  run("qemu-img create -q -f qcow2 -o preallocation=full image 64M;"
      "qemu-io -t unsafe -f qcow2 -c 'write -P 1 0 64M' -c 'write -z 8M 48M' image");
  std::unique_ptr<FileRandomSource> file = open_image();
  WatchedFile watched(*file);
  std::unique_ptr<Qcow2Source> source = Qcow2Source::open(watched, {Fetch::InReader}).value();
  ByteVector piece(1 << 20);
  while (source->read(piece).value() != 0) {
  }
  EXPECT_EQ(watched.surprises, 0u);
  EXPECT_LE(watched.runs, 7u);
  EXPECT_LE(watched.bytes, 16_MiB + 384_KiB);
  EXPECT_LE(watched.expected, 16_MiB + 1_MiB);
  EXPECT_EQ(source->consumed(), watched.bytes);
}

TEST_F(Qcow2Images, ATruncatedFileIsNeverTakenForAWholeOne) {
  for (const char* make : {"", "-c", "-c -o compression_type=zstd", "-o cluster_size=512",
                           "-c -o cluster_size=4k", "-o extended_l2=on", "-o cluster_size=2M"}) {
    SCOPED_TRACE(make);
    run(concat("qemu-img convert -f raw -O qcow2 ", make, " sample image"));
    ByteVector raw = expected();
    ByteVector image = bytes_of("image");
    unsigned errors = 0;
    std::vector<size_t> cuts = {image.size() - 1, image.size() - 512, image.size() - 4096};
    for (size_t k = 0; k < 64; ++k) cuts.push_back(image.size() * k / 64);
    for (size_t cut : cuts) {
      MemoryRandomSource file(ConstBytes(image).first(cut));
      Fetch fetch = cut % 3 == 0 ? Fetch::OnThread : Fetch::InReader;
      Result<ByteVector> disk = read_disk(file, fetch, 1 << 20, Holes::Skip);
      if (disk.ok()) {
        ASSERT_TRUE(disk.value() == raw) << "cut at " << cut << " of " << image.size();
      } else {
        ++errors;
      }
    }
    EXPECT_GE(errors, 60u);
  }
}

// Damage that is seen is said; damage that is not seen (there are no checksums) gives as many bytes
// as the header says, and nothing worse.
TEST_F(Qcow2Images, FlippedBits) {
  std::mt19937_64 random(3);
  for (const char* make : {"", "-c", "-c -o compression_type=zstd", "-o cluster_size=512",
                           "-o extended_l2=on,cluster_size=16k"}) {
    SCOPED_TRACE(make);
    run(
        concat("dd if=sample of=small bs=64k count=12 status=none;"
               "qemu-img convert -f raw -O qcow2 ",
               make, " small image"));
    ByteVector image = bytes_of("image");
    Qcow2Header header =
        parse_qcow2_header(ConstBytes(image).first(std::min<size_t>(image.size(), 65536)),
                           image.size())
            .value();
    unsigned errors = 0;
    const int trials = repetitions(40, 400);
    for (int trial = 0; trial < trials; ++trial) {
      ByteVector copy = image;
      // The header, the first table, its second table, or anywhere.
      uint64_t l2 = 0;
      for (size_t i = 0; i < 8; ++i) l2 = l2 << 8 | image[header.l1_offset + i];
      l2 &= 0x00ff'ffff'ffff'fe00;
      uint64_t place = trial % 4 == 0   ? random() % 112
                       : trial % 4 == 1 ? header.l1_offset + random() % 8
                       : trial % 4 == 2 ? l2 + random() % 96
                                        : random() % image.size();
      copy[place] = static_cast<uint8_t>(copy[place] ^ 1 << random() % 8);
      MemoryRandomSource file(copy);
      Fetch fetch = trial % 8 == 0 ? Fetch::OnThread : Fetch::InReader;
      Result<ByteVector> disk = read_disk(file, fetch, 1 << 20, Holes::Skip, 64_MiB);
      if (!disk.ok()) ++errors;
    }
    EXPECT_GE(errors, static_cast<unsigned>(trials / 8));
  }
}

TEST_F(Qcow2Images, AFailingFileEndsTheReading) {
  for (const char* make : {"", "-c"}) {
    run(concat("qemu-img convert -f raw -O qcow2 ", make, " sample image"));
    for (Fetch fetch : {Fetch::InReader, Fetch::OnThread}) {
      for (uint64_t after : {0_KiB, 10_KiB, 80_KiB, 150_KiB, 300_KiB, 1_MiB}) {
        std::unique_ptr<FileRandomSource> file = open_image();
        WatchedFile watched(*file);
        watched.fail_after = after;
        Result<std::unique_ptr<Qcow2Source>> source = Qcow2Source::open(watched, {fetch});
        if (!source.ok()) {
          EXPECT_THAT(source.error().message(), HasSubstr("went away"));
          continue;
        }
        Result<ByteVector> all = read_all(*source.value());
        ASSERT_FALSE(all.ok());
        EXPECT_EQ(all.error().code(), ECONNRESET);
        unsigned reads = watched.reads;
        ByteVector piece(512);
        EXPECT_THAT(source.value()->read(piece).error().message(), HasSubstr("went away"));
        EXPECT_EQ(source.value()->zeros_ahead(), 0u);
        EXPECT_EQ(watched.reads, reads) << "asked again after an error";
      }
    }
  }
}

TEST_F(Qcow2Images, CanBeDroppedAtAnyTime) {
  for (const char* make : {"", "-c"}) {
    run(concat("qemu-img convert -f raw -O qcow2 ", make, " sample image"));
    for (size_t length : {0u, 1u, 100'000u, 2'000'000u}) {
      for (Fetch fetch : {Fetch::InReader, Fetch::OnThread}) {
        std::unique_ptr<FileRandomSource> file = open_image();
        std::unique_ptr<Qcow2Source> source = Qcow2Source::open(*file, {fetch}).value();
        ByteVector piece(length);
        if (length == 0) continue;
        ASSERT_EQ(read_full(*source, piece).value(), length);
      }
    }
  }
}

// Images that no tool makes, put together by hand.
class MadeImage {
 public:
  // One cluster of 64 KiB, compressed as `stream`.
  explicit MadeImage(ConstBytes stream) {
    ByteWriter out;
    out.be32(0x514649fb);
    out.be32(2);
    out.be64(0);
    out.be32(0);
    out.be32(16);
    out.be64(65536);
    out.be32(0);
    out.be32(1);
    out.be64(0x10000);
    out.zeros(24);
    out.zeros(0x10000 - out.size());
    out.be64(0x20000);
    out.zeros(0x20000 - out.size());
    uint64_t sectors = (stream.size() + 511) / 512;
    out.be64(uint64_t{1} << 62 | (sectors - 1) << 54 | 0x30000);
    out.zeros(0x30000 - out.size());
    out.append(stream);
    bytes_ = std::move(out).bytes();
  }
  Result<ByteVector> read() const {
    MemoryRandomSource file(bytes_);
    return read_disk(file, Fetch::InReader, 65536, Holes::Read);
  }
  ByteVector bytes_;
};

ByteVector deflated(size_t size) {
  ByteVector data(size);
  for (size_t i = 0; i < size; ++i) data[i] = static_cast<uint8_t>(i * i / 1000);
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, 6, Z_DEFLATED, -12, 8, Z_DEFAULT_STRATEGY), Z_OK);
  ByteVector result(deflateBound(&stream, size));
  stream.next_in = data.data();
  stream.avail_in = static_cast<uInt>(size);
  stream.next_out = result.data();
  stream.avail_out = static_cast<uInt>(result.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  result.resize(stream.total_out);
  deflateEnd(&stream);
  return result;
}

TEST(Qcow2Clusters, GiveACluster) {
  EXPECT_TRUE(MadeImage(deflated(65536)).read().ok());
  EXPECT_THAT(MadeImage(deflated(65535)).read().error().message(),
              HasSubstr("disk offset 0: its compressed data is shorter than a cluster"));
  EXPECT_THAT(MadeImage(deflated(65537)).read().error().message(),
              HasSubstr("disk offset 0: its compressed data is longer than a cluster"));
  ByteVector cut = deflated(65536);
  cut.pop_back();
  EXPECT_THAT(MadeImage(cut).read().error().message(), HasSubstr("ends early"));
  EXPECT_THAT(MadeImage(ByteVector(100, 0xff)).read().error().message(), HasSubstr("corrupt"));
}

TEST(RandomSources, ReadWithinTheirBounds) {
  ByteVector bytes = random_bytes(1000);
  MemoryRandomSource memory(bytes);
  TemporaryDirectory directory = std::move(TemporaryDirectory::create()).value();
  std::string path = directory.path() + "/file";
  ASSERT_TRUE(write_file_atomically(path, bytes).ok());
  std::unique_ptr<FileRandomSource> file =
      FileRandomSource::open(open_path(path, O_RDONLY).value()).value();
  for (RandomSource* source : std::initializer_list<RandomSource*>{&memory, file.get()}) {
    EXPECT_EQ(source->size(), 1000u);
    source->expect(0, 1000);
    source->expect(UINT64_MAX, UINT64_MAX);
    source->expect(100, UINT64_MAX);
    ByteVector piece(300);
    ASSERT_TRUE(source->read_at(700, piece).ok());
    EXPECT_TRUE(std::equal(piece.begin(), piece.end(), bytes.begin() + 700));
    EXPECT_FALSE(source->read_at(701, piece).ok());
    EXPECT_FALSE(source->read_at(UINT64_MAX, piece).ok());
    EXPECT_TRUE(source->read_at(1000, {}).ok());
  }
}

}  // namespace
}  // namespace curlingiron
