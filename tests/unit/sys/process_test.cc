#include "sys/process.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "sys/fd.h"

namespace curlingiron {
namespace {

using ::testing::HasSubstr;

class Terminal : public ::testing::Test {
 protected:
  Terminal() : master_(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)) {
    ::grantpt(master_.get());
    ::unlockpt(master_.get());
    name_ = ::ptsname(master_.get());
    // Held open, so that what is written stays to be read after the session.
    slave_ = open_path(name_, O_RDWR | O_NOCTTY).value();
  }
  Result<int> run(const std::string& script, std::vector<std::string> environment = {}) {
    return run_on_terminal(name_, {"/bin/sh", "-c", script}, environment);
  }

  UniqueFd master_;
  UniqueFd slave_;
  std::string name_;
};

TEST_F(Terminal, IsTheControllingTerminalOfASessionOfItsOwn) {
  // /dev/tty can be opened by a session with a terminal only; $$ leads session and group.
  EXPECT_EQ(run("read -r _ _ _ _ group session _ < /proc/$$/stat;"
                "[ $group = $$ ] && [ $session = $$ ] || exit 1;"
                "[ \"$(tty)\" = \"$NAME\" ] || exit 2; [ \"$PWD\" = / ] || exit 3;"
                "[ -t 1 ] && [ -t 2 ] || exit 4; : < /dev/tty || exit 5; exit 42",
                {"NAME=" + name_, "PATH=/usr/bin:/bin"})
                .value(),
            42);
}

TEST_F(Terminal, SaysHowTheSessionEnded) {
  EXPECT_EQ(run("kill -TERM $$").value(), 128 + SIGTERM);
  // Twice on the same terminal: the first session let go of it.
  EXPECT_EQ(run(": < /dev/tty || exit 5").value(), 0);
  EXPECT_THAT(run_on_terminal(name_, {"/no/such/shell"}, {}).error().message(),
              HasSubstr("cannot run /no/such/shell"));
}

TEST_F(Terminal, ReapsOthersMeanwhile) {
  pid_t other = ::fork();
  if (other == 0) ::_exit(0);
  // The session outlives it.
  EXPECT_EQ(run("while kill -0 $OTHER 2> /dev/null; do sleep 0.01; done",
                {"OTHER=" + std::to_string(other), "PATH=/usr/bin:/bin"})
                .value(),
            0);
  EXPECT_EQ(::waitpid(other, nullptr, 0), -1);
  EXPECT_EQ(errno, ECHILD);
}

TEST(UnwatchedChildren, AreReapedByTheKernel) {
  pid_t other = 0;
  {
    UnwatchedChildren unwatched;
    other = ::fork();
    if (other == 0) ::_exit(0);
    // Waits until there is no child, and reaps none itself.
    EXPECT_EQ(::waitpid(other, nullptr, 0), -1);
    EXPECT_EQ(errno, ECHILD);
  }
  // Afterwards they are this process's again.
  other = ::fork();
  if (other == 0) ::_exit(3);
  int status = 0;
  EXPECT_EQ(::waitpid(other, &status, 0), other);
  EXPECT_EQ(WEXITSTATUS(status), 3);
}

}  // namespace
}  // namespace curlingiron
