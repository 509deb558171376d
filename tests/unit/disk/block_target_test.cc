// The real kernel: files, and a loop device where this process may make one.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>

#include "base/text.h"
#include "disk/block_writer.h"
#include "support/random_bytes.h"
#include "sys/file.h"
#include "unit/disk/loop_device.h"

namespace curlingiron {
namespace {

using testing::HasSubstr;

constexpr size_t MiB = size_t{1} << 20;

ByteVector image_with_holes(size_t size) {
  ByteVector image = random_bytes(size, 1);
  std::fill_n(image.begin() + 3 * MiB + 5000, 4 * MiB, uint8_t{0});
  return image;
}

Result<void> install(BlockTarget& target, ConstBytes image) {
  std::unique_ptr<BlockWriter> writer = TRY(BlockWriter::prepare(target));
  TRY(writer->begin());
  while (!image.empty()) {
    size_t n = std::min<size_t>(image.size(), 100'000);
    TRY(writer->write(image.first(n)));
    image = image.subspan(n);
  }
  TRY(writer->finish());
  TRY(writer->verify());
  return writer->commit(VerifiedDigest::none_given());
}

ByteVector content_of(const std::string& path) {
  UniqueFd root = open_root("/").value();
  return read_file(root, path, 100 * MiB).value();
}

class Files : public testing::Test {
 protected:
  std::string make_file(const char* name, size_t size) {
    std::string path = concat(folder_.path(), "/", name);
    EXPECT_TRUE(write_file_atomically(path, random_bytes(size, 2)).ok());
    return path;
  }
  TemporaryDirectory folder_ = TemporaryDirectory::create().value();
};

TEST_F(Files, AVirtualDiskIsWrittenInPlace) {
  for (size_t odd : {size_t{0}, size_t{512}}) {  // sectors that direct requests may not have
    std::string path = make_file("disk", 16 * MiB + odd);
    ByteVector image = image_with_holes(12 * MiB + 700);
    ByteVector expected = content_of(path);
    std::fill_n(expected.begin(), MiB, uint8_t{0});
    std::fill(expected.end() - 2 * MiB, expected.end(), uint8_t{0});
    std::copy(image.begin(), image.end(), expected.begin());
    std::fill_n(expected.begin() + static_cast<ptrdiff_t>(image.size()), 1024 - 700, uint8_t{0});
    {
      std::unique_ptr<BlockTarget> target = open_block_device(path).value();
      EXPECT_EQ(target->geometry().size, 16 * MiB + odd);
      Result<void> result = install(*target, image);
      ASSERT_TRUE(result.ok()) << result.error().message();
    }
    EXPECT_TRUE(content_of(path) == expected);
  }
}

TEST_F(Files, AFileSystemWithoutDirectRequestsWillDo) {
  const char* name = "/dev/shm";
  UniqueFd root = open_root("/").value();
  if (!exists(root, name)) GTEST_SKIP() << "no " << name;
  std::string path = concat(name, "/curlingiron-test-", ::getpid());
  ASSERT_TRUE(write_file_atomically(path, random_bytes(8 * MiB, 2)).ok());
  ByteVector image = image_with_holes(8 * MiB);
  Result<std::unique_ptr<BlockTarget>> target = open_block_device(path);
  Result<void> result = target.ok() ? install(*target.value(), image) : target.error();
  ByteVector content = content_of(path);
  ::unlink(path.c_str());
  ASSERT_TRUE(result.ok()) << result.error().message();
  EXPECT_TRUE(content == image);
}

TEST_F(Files, ErrorsNameThePath) {
  auto message = [](const std::string& path) {
    Result<std::unique_ptr<BlockTarget>> target = open_block_device(path);
    return target.ok() ? "opened" : target.error().message();
  };
  EXPECT_THAT(message(folder_.path() + "/none"), HasSubstr("none: "));
  EXPECT_THAT(message(folder_.path()), HasSubstr("neither a block device nor a regular file"));
  EXPECT_THAT(message("/dev/null"), HasSubstr("/dev/null: neither"));
  EXPECT_THAT(message(make_file("odd", 5 * MiB + 1)), HasSubstr("not a multiple of 512"));
}

TEST_F(Files, ALoopDeviceHoldsTheImage) {
  if (::geteuid() != 0) GTEST_SKIP() << "loop devices need root";
  for (uint32_t sector : {512u, 4096u}) {
    std::string file = make_file("disk", 16 * MiB);
    Result<LoopDevice> loop = LoopDevice::attach(file, sector);
    if (!loop.ok()) GTEST_SKIP() << loop.error().message();
    ByteVector image = image_with_holes(16 * MiB);
    {
      Result<std::unique_ptr<BlockTarget>> target = open_block_device(loop.value().path());
      ASSERT_TRUE(target.ok()) << target.error().message();
      EXPECT_EQ(target.value()->geometry().logical_sector, sector);
      EXPECT_EQ(target.value()->geometry().size, 16 * MiB);
      Result<void> result = install(*target.value(), image);
      ASSERT_TRUE(result.ok()) << result.error().message();

      Result<std::unique_ptr<BlockTarget>> second = open_block_device(loop.value().path());
      ASSERT_FALSE(second.ok()) << "not exclusive";
      EXPECT_EQ(second.error().code(), EBUSY);
      EXPECT_THAT(second.error().message(), HasSubstr("in use"));
    }
    EXPECT_TRUE(content_of(loop.value().path()) == image);
    EXPECT_TRUE(content_of(file) == image);
  }
}

TEST_F(Files, AMountedDiskIsRefusedAndSaysWhere) {
  if (::geteuid() != 0) GTEST_SKIP() << "loop devices need root";
  std::string file = make_file("disk", 16 * MiB);
  if (::system(concat("mkfs.ext4 -q -F ", file, " 2>/dev/null").c_str()) != 0) {
    GTEST_SKIP() << "mkfs.ext4 is missing";
  }
  Result<LoopDevice> loop = LoopDevice::attach(file, 512);
  if (!loop.ok()) GTEST_SKIP() << loop.error().message();
  std::string place = folder_.path() + "/mounted here";
  ASSERT_TRUE(make_directory(open_root("/").value(), place).ok());
  if (::mount(loop.value().path().c_str(), place.c_str(), "ext4", MS_RDONLY, nullptr) != 0) {
    GTEST_SKIP() << last_system_error("mount").message();
  }
  Result<std::unique_ptr<BlockTarget>> target = open_block_device(loop.value().path());
  ::umount2(place.c_str(), MNT_DETACH);
  ASSERT_FALSE(target.ok());
  EXPECT_EQ(target.error().code(), EBUSY);
  EXPECT_THAT(target.error().message(), HasSubstr("in use by another program"));
}

TEST_F(Files, AWriteProtectedDiskIsRefused) {
  if (::geteuid() != 0) GTEST_SKIP() << "loop devices need root";
  Result<LoopDevice> loop = LoopDevice::attach(make_file("disk", 4 * MiB), 512);
  if (!loop.ok()) GTEST_SKIP() << loop.error().message();
  UniqueFd device = open_path(loop.value().path(), O_RDONLY).value();
  int read_only = 1;
  ASSERT_EQ(::ioctl(device.get(), BLKROSET, &read_only), 0);
  Result<std::unique_ptr<BlockTarget>> target = open_block_device(loop.value().path());
  read_only = 0;  // It would outlive the loop device.
  ASSERT_EQ(::ioctl(device.get(), BLKROSET, &read_only), 0);
  ASSERT_FALSE(target.ok());
  EXPECT_THAT(target.error().message(), HasSubstr(loop.value().path()));
}

}  // namespace
}  // namespace curlingiron
