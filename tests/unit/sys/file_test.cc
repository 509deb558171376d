#include "sys/file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "base/text.h"
#include "sys/clock.h"
#include "sys/process.h"

namespace curlingiron {
namespace {

class FileTest : public testing::Test {
 protected:
  void SetUp() override {
    Result<TemporaryDirectory> made = TemporaryDirectory::create();
    ASSERT_TRUE(made.ok());
    path_ = std::make_unique<TemporaryDirectory>(std::move(made).value());
    root_ = open_root(path_->path()).value();
  }
  std::string at(const std::string& name) const { return path_->path() + "/" + name; }

  std::unique_ptr<TemporaryDirectory> path_;
  UniqueFd root_;
};

TEST_F(FileTest, AtomicWriteIsReadBack) {
  ASSERT_TRUE(write_file_atomically(at("a"), as_bytes("first")).ok());
  ASSERT_TRUE(write_file_atomically(at("a"), as_bytes("second\nline")).ok());
  EXPECT_EQ(read_text(root_, "a").value(), "second\nline");
  EXPECT_EQ(read_line(root_, "a").value(), "second");
  EXPECT_EQ(list_directory(root_, ".").value(), std::vector<std::string>{"a"});
}

TEST_F(FileTest, FailedAtomicWriteLeavesNothing) {
  ASSERT_EQ(::mkdir(at("directory").c_str(), 0755), 0);
  ASSERT_TRUE(write_file_atomically(at("directory/x"), as_bytes("x")).ok());
  Result<void> result = write_file_atomically(at("directory"), as_bytes("x"));
  ASSERT_FALSE(result.ok());
  EXPECT_NE(result.error().message().find(at("directory")), std::string::npos);
  EXPECT_EQ(list_directory(root_, ".").value(), std::vector<std::string>{"directory"});
}

TEST_F(FileTest, LimitsAreErrors) {
  ASSERT_TRUE(write_file_atomically(at("a"), as_bytes("12345")).ok());
  EXPECT_TRUE(read_file(root_, "a", 5).ok());
  Result<ByteVector> result = read_file(root_, "a", 4);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code(), EFBIG);
}

TEST_F(FileTest, MissingFilesAreNamed) {
  Result<std::string> result = read_text(root_, "not/there");
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code(), ENOENT);
  EXPECT_NE(result.error().message().find("not/there"), std::string::npos);
  EXPECT_FALSE(exists(root_, "not/there"));
}

TEST_F(FileTest, StatusTellsTypes) {
  ASSERT_EQ(::symlink("nowhere", at("link").c_str()), 0);
  ASSERT_TRUE(write_file_atomically(at("file"), as_bytes("x"), 0755).ok());
  EXPECT_EQ(file_status(root_, "link", FollowLinks::No).value().type, FileType::SymbolicLink);
  EXPECT_FALSE(file_status(root_, "link", FollowLinks::Yes).ok());
  EXPECT_EQ(read_link(root_, "link").value(), "nowhere");
  FileStatus status = file_status(root_, "file").value();
  EXPECT_EQ(status.type, FileType::Regular);
  EXPECT_EQ(status.size, 1U);
  EXPECT_NE(status.permissions & 0100, 0U);
}

TEST_F(FileTest, ShortFilesDoNotFillABuffer) {
  ASSERT_TRUE(write_file_atomically(at("a"), as_bytes("abc")).ok());
  UniqueFd fd = open_at(root_, "a", O_RDWR).value();
  ByteVector four(4);
  EXPECT_FALSE(pread_exact(fd, four, 0).ok());
  ASSERT_TRUE(pwrite_all(fd, as_bytes("d"), 3).ok());
  EXPECT_TRUE(pread_exact(fd, four, 0).ok());
  EXPECT_EQ(as_text(four), "abcd");
  EXPECT_EQ(seek_end(fd).value(), 4U);
}

TEST_F(FileTest, TemporaryDirectoriesGoWithTheirTree) {
  std::string path;
  {
    TemporaryDirectory directory = TemporaryDirectory::create().value();
    path = directory.path();
    ASSERT_EQ(::mkdir((path + "/deep").c_str(), 0755), 0);
    ASSERT_TRUE(write_file_atomically(path + "/deep/file", as_bytes("x")).ok());
  }
  EXPECT_FALSE(exists(root_, path));
}

TEST(Fd, MemoryFilesAreReopenedReadOnly) {
  UniqueFd file = create_memory_file("test").value();
  ASSERT_TRUE(write_all(file, as_bytes("payload")).ok());
  UniqueFd reader = reopen_read_only(file).value();
  EXPECT_FALSE(write_all(reader, as_bytes("x")).ok());
  ByteVector bytes(7);
  ASSERT_TRUE(pread_exact(reader, bytes, 0).ok());
  EXPECT_EQ(as_text(bytes), "payload");
}

TEST(Fd, WakeEventsAreSeenByPoll) {
  WakeEvent event = WakeEvent::create().value();
  PollItem item{event.fd(), true, false, false};
  EXPECT_FALSE(poll_items({&item, 1}, 0ns).value());
  event.signal();
  event.signal();
  EXPECT_TRUE(poll_items({&item, 1}, 0ns).value());
  EXPECT_TRUE(item.ready);
  event.clear();
  EXPECT_FALSE(poll_items({&item, 1}, 0ns).value());
}

TEST(Process, ExitStatusAndSignalsAreTold) {
  EXPECT_EQ(run_program({"true"}).value(), 0);
  EXPECT_EQ(run_program({"false"}).value(), 1);
  EXPECT_EQ(run_program({"sh", "-c", "kill -TERM $$"}).value(), 128 + 15);
  EXPECT_FALSE(run_program({"no-such-program-anywhere"}).ok());
  EXPECT_TRUE(program_exists("sh"));
  EXPECT_FALSE(program_exists("no-such-program-anywhere"));
}

TEST(Process, ChildrenAreBounded) {
  EXPECT_EQ(run_quietly({"true"}, 10s), std::optional<int>(0));
  EXPECT_EQ(run_quietly({"sh", "-c", "exit 33"}, 10s), std::optional<int>(33));
  EXPECT_EQ(run_quietly({"sh", "-c", "kill -ABRT $$"}, 10s), std::optional<int>(128 + 6));
  EXPECT_EQ(run_quietly({"no-such-program-anywhere"}, 10s), std::nullopt);
  Time start = now();
  EXPECT_EQ(run_quietly({"sleep", "60"}, 50ms), std::nullopt);
  EXPECT_LT(now() - start, 30s);
}

}  // namespace
}  // namespace curlingiron
