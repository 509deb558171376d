#include "sys/process.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "base/text.h"
#include "sys/fd.h"

namespace curlingiron {
namespace {

using ::testing::AnyOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::Optional;

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

pid_t start_shell(const std::string& script) {
  pid_t pid = ::fork();
  if (pid == 0) {
    ::execl("/bin/sh", "sh", "-c", script.c_str(), nullptr);
    ::_exit(127);
  }
  return pid;
}

// One that passes over these signals by now, and waits for a line that does not come.
pid_t start_deaf_shell(const std::string& signals) {
  int said[2];
  int line[2];
  EXPECT_EQ(::pipe(said), 0);
  EXPECT_EQ(::pipe(line), 0);
  pid_t pid = start_shell(concat("trap '' ", signals, "; echo >&", said[1],
                                 "; while :; do read -r _ <&", line[0], "; done"));
  char byte = 0;
  EXPECT_EQ(::read(said[0], &byte, 1), 1);
  for (int end : {said[0], said[1], line[0]}) ::close(end);  // line[1] stays open
  return pid;
}

// How `pid` ended, if it did.
std::optional<int> ended_by(pid_t pid) {
  int status = 0;
  if (::waitpid(pid, &status, WNOHANG) != pid) return std::nullopt;
  return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

TEST(OtherPrograms, AreThoseThatRunOne) {
  pid_t running = start_shell("exec sleep 100");
  pid_t ended = ::fork();
  if (ended == 0) ::_exit(0);
  siginfo_t info;
  ASSERT_EQ(::waitid(P_PID, ended, &info, WEXITED | WNOWAIT), 0);
  std::vector<int> pids = other_programs(open_root("/").value()).value();
  EXPECT_THAT(pids, Contains(running));
  EXPECT_THAT(pids, Not(Contains(ended)));
  EXPECT_THAT(pids, Not(Contains(::getpid())));
  ::kill(running, SIGKILL);
  ::waitpid(running, nullptr, 0);
  ::waitpid(ended, nullptr, 0);
}

TEST(EndPrograms, WaitsForThoseThatEnd) {
  // The second is stopped, and the third is a shell that somebody types into.
  pid_t plain = start_shell("exec sleep 100");
  pid_t stopped = start_shell("exec sleep 100");
  ASSERT_EQ(::kill(stopped, SIGSTOP), 0);
  ASSERT_EQ(::waitpid(stopped, nullptr, WUNTRACED), stopped);
  pid_t shell = start_deaf_shell("TERM");
  // A program that is gone already is no reason to wait.
  end_programs({plain, stopped, shell, 0x3fffff}, 60s);
  EXPECT_EQ(ended_by(plain), SIGTERM);
  EXPECT_THAT(ended_by(stopped), Optional(AnyOf(SIGTERM, SIGHUP)));  // both wait when it goes on
  EXPECT_EQ(ended_by(shell), SIGHUP);
}

TEST(EndPrograms, GivesUpOnOneThatDoesNot) {
  pid_t deaf = start_deaf_shell("TERM HUP");
  end_programs({deaf}, 50ms);
  EXPECT_EQ(ended_by(deaf), std::nullopt);
  ::kill(deaf, SIGKILL);
  ::waitpid(deaf, nullptr, 0);
}

TEST(RunPassingSignals, HandsThemOnAndWaits) {
  int said[2];
  ASSERT_EQ(::pipe(said), 0);
  pid_t caller = ::fork();
  if (caller == 0) {
    // It ends in its own time, and says how.
    std::string script =
        concat("trap 'exit 7' TERM; echo >&", said[1], "; while :; do sleep 0.01; done");
    Result<int> status = run_passing_signals({"/bin/sh", "-c", script});
    ::_exit(status.ok() ? status.value() : 100);
  }
  char byte = 0;
  ASSERT_EQ(::read(said[0], &byte, 1), 1);
  ASSERT_EQ(::kill(caller, SIGTERM), 0);
  int status = 0;
  ASSERT_EQ(::waitpid(caller, &status, 0), caller);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 7);
}

}  // namespace
}  // namespace curlingiron
