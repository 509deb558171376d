#include "net/http/mirrors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.h"

namespace curlingiron {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr Time kStart{100s};
constexpr uint64_t kLongest = ~uint64_t{0};

Mirrors mirrors(std::initializer_list<std::string_view> hosts) {
  std::vector<Url> urls;
  for (std::string_view host : hosts)
    urls.push_back(parse_url(concat("http://", host, "/f")).value());
  return Mirrors(std::move(urls), 500ms);
}

// All fail, each without a wish: who is asked, and after which pause.
std::vector<std::string> failures(Mirrors& all, int count) {
  std::vector<std::string> asked;
  Time time = kStart;
  for (int i = 0; i < count; ++i) {
    Duration wait = all.on_transient(false, std::nullopt, time, 0);
    time += wait;
    asked.push_back(concat(all.current().url.host, '+', wait / 1ms));
  }
  return asked;
}

TEST(Mirrors, EachIsAskedBeforeAnybodyWaits) {
  Mirrors all = mirrors({"a", "b", "c"});
  EXPECT_THAT(failures(all, 6), ElementsAre("b+0", "c+0", "a+250", "b+0", "c+0", "a+500"));
}

TEST(Mirrors, PausesDoubleUpToEightSecondsAndSpread) {
  Mirrors all = mirrors({"a"});
  EXPECT_THAT(failures(all, 7),
              ElementsAre("a+250", "a+500", "a+1000", "a+2000", "a+4000", "a+4000", "a+4000"));
  for (uint64_t random : {uint64_t{1}, uint64_t{1} << 40, kLongest}) {
    Duration wait = all.on_transient(false, std::nullopt, kStart, random);
    EXPECT_GE(wait, 4s);
    EXPECT_LT(wait, 8s);
  }
}

TEST(Mirrors, ProgressBeginsAnew) {
  Mirrors all = mirrors({"a"});
  failures(all, 5);
  all.on_progress();
  EXPECT_THAT(failures(all, 1), ElementsAre("a+250"));
}

TEST(Mirrors, OneThatAsksForPatienceHasItAtMostAMinute) {
  Mirrors all = mirrors({"a"});
  EXPECT_EQ(all.on_transient(false, 7s, kStart, 0), 7s);
  EXPECT_EQ(all.on_transient(false, 3600s, kStart, 0), 60s);
  EXPECT_EQ(all.on_transient(false, 0s, kStart + 60s, 0), 1s)
      << "its own pause, of the third round";
}

TEST(Mirrors, AmongThoseWhoAskForPatienceTheFirstThatGivesIn) {
  Mirrors all = mirrors({"a", "b"});
  EXPECT_EQ(all.on_transient(false, 40s, kStart, 0), Duration(0));
  EXPECT_EQ(all.current().url.host, "b");
  EXPECT_EQ(all.on_transient(false, 20s, kStart, 0), 20s);
  EXPECT_EQ(all.current().url.host, "b");
}

TEST(Mirrors, ADroppedConnectionMayBeTriedAgainAtOnce) {
  Mirrors all = mirrors({"a", "b"});
  EXPECT_EQ(all.on_transient(true, std::nullopt, kStart, 0), Duration(0));
  EXPECT_EQ(all.current().url.host, "a");
}

TEST(Mirrors, OneThatIsGivenUpIsNeverAskedAgain) {
  Mirrors all = mirrors({"a", "b", "c"});
  EXPECT_TRUE(all.has_others());
  EXPECT_TRUE(all.exclude_current());
  EXPECT_THAT(failures(all, 3), ElementsAre("c+0", "b+250", "c+0"));
  EXPECT_TRUE(all.exclude_current());
  EXPECT_EQ(all.current().url.host, "b");
  EXPECT_FALSE(all.has_others());
  EXPECT_FALSE(all.exclude_current());
}

TEST(Mirrors, TheErrorHasTheCauseOfEach) {
  Mirrors all = mirrors({"a", "b"});
  EXPECT_FALSE(all.any_failed());
  all.current().cause = Error("a: 404", kNoRanges);
  EXPECT_TRUE(all.any_failed());
  EXPECT_THAT(all.all_causes().message(), HasSubstr("none of the 2 mirrors"));
  EXPECT_THAT(all.all_causes().message(), HasSubstr("[1] a: 404 [2] http://b/f: not tried yet"));
  EXPECT_EQ(all.all_causes().code(), kNoRanges);
  Mirrors one = mirrors({"a"});
  one.current().cause = Error("a: 404");
  EXPECT_EQ(one.all_causes().message(), "a: 404");
}

}  // namespace
}  // namespace curlingiron
