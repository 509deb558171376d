#include "host/next_system.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "sys/file.h"

namespace curlingiron {
namespace {

class NextSystemTest : public testing::Test {
 protected:
  std::string next(const std::string& running, const std::string& last) {
    std::filesystem::create_directories(home() / "proc");
    std::ofstream(home() / "proc/cmdline") << running << "\n";
    return next_command_line(open_root(home().string()).value(), last);
  }
  std::filesystem::path home() const { return directory_.path(); }

  TemporaryDirectory directory_ = TemporaryDirectory::create().value();
};

TEST_F(NextSystemTest, KeepsWhatTheHardwareNeeds) {
  EXPECT_EQ(next("BOOT_IMAGE=/vmlinuz root=/dev/vda1 ro quiet console=ttyS0,115200n8", "panic=30"),
            "quiet console=ttyS0,115200n8 panic=30");
  EXPECT_EQ(next("console=tty0 acpi=off x \"video=a b\"", "panic=30"),
            "console=tty0 acpi=off \"video=a b\" loglevel=4 panic=30");
}

TEST_F(NextSystemTest, NamesTheConsoleThatTheKernelChose) {
  std::filesystem::create_directories(home() / "sys/class/tty/console");
  std::ofstream(home() / "sys/class/tty/console/active") << "tty0 ttyS1\n";
  EXPECT_EQ(next("quiet", "panic=30"), "quiet console=tty0 console=ttyS1 panic=30");
  EXPECT_EQ(next("quiet", "console=ttyS0"), "quiet console=ttyS0");
}

// A payload that starts the next one does not hand on a longer line each time.
TEST_F(NextSystemTest, DoesNotGrow) {
  std::string last = "panic=30 oops=panic loglevel=4 console=ttyS0 again=100";
  std::string line = next("console=tty0 console=ttyS0 quiet", last);
  EXPECT_EQ(line, "console=tty0 quiet " + last);
  for (int generation = 0; generation < 3; ++generation) EXPECT_EQ(next(line, last), line);
}

}  // namespace
}  // namespace curlingiron
