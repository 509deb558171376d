#include "base/result.h"

#include <gtest/gtest.h>

#include <memory>

#include "base/log.h"
#include "base/text.h"

namespace curlingiron {
namespace {

Result<int> parse_digit(char c) {
  if (c < '0' || c > '9') return Error(concat("no digit: ", c), 22);
  return c - '0';
}

Result<int> sum(std::string_view text) {
  int total = 0;
  for (char c : text) total += TRY_CONTEXT(text, parse_digit(c));
  return total;
}

Result<void> check(std::string_view text) {
  TRY(sum(text));
  return {};
}

TEST(Result, TryPassesValuesDownAndErrorsUp) {
  EXPECT_EQ(sum("123").value(), 6);
  Result<int> failed = sum("1x3");
  ASSERT_FALSE(failed.ok());
  EXPECT_EQ(failed.error().message(), "1x3: no digit: x");
  EXPECT_EQ(failed.error().code(), 22);
  EXPECT_TRUE(check("1").ok());
  EXPECT_EQ(check("y").error().message(), "y: no digit: y");
}

TEST(Result, ContextIsAddedToErrorsOnly) {
  EXPECT_EQ(sum("12").with_context("outer").value(), 3);
  EXPECT_EQ(sum("z").with_context("outer").error().message(), "outer: z: no digit: z");
  EXPECT_EQ(check("z").with_context("outer").error().code(), 22);
}

TEST(Result, CarriesWhatCanOnlyBeMoved) {
  auto make = []() -> Result<std::unique_ptr<int>> { return std::make_unique<int>(7); };
  auto use = [&]() -> Result<int> {
    std::unique_ptr<int> value = TRY(make());
    return *value;
  };
  EXPECT_EQ(use().value(), 7);
}

class Lines final : public LogSink {
 public:
  void log(LogLevel, std::string_view line) override { text += concat(line, "\n"); }
  std::string text;
};

TEST(Log, GoesToTheSinkFromTheLevelUp) {
  Lines lines;
  set_log_sink(&lines);
  set_log_level(LogLevel::Info);
  log_debug("hidden");
  log_info("shown");
  log_warning("mtu unchanged", Error("EPERM"));
  set_log_sink(nullptr);
  EXPECT_EQ(lines.text, "shown\nmtu unchanged: EPERM\n");
}

}  // namespace
}  // namespace curlingiron
