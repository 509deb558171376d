#include "base/log.h"

#include <gtest/gtest.h>

#include <string>

namespace curlingiron {
namespace {

class Kept final : public LogSink {
 public:
  Kept() { set_log_sink(this); }
  ~Kept() override { set_log_sink(nullptr); }
  void log(LogLevel, std::string_view line) override { text += line; }

  std::string text;
};

TEST(Log, NobodysFileNameReachesTheTerminal) {
  Kept kept;
  log_warning("a\x1b[31mb\r\x7f", Error("caf\xc3\xa9\nsecond line"));
  EXPECT_EQ(kept.text, "a?[31mb??: caf\xc3\xa9\nsecond line");
}

}  // namespace
}  // namespace curlingiron
