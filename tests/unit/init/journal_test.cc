#include "init/journal.h"

#include <gtest/gtest.h>

namespace curlingiron {
namespace {

TEST(Journal, PhaseLinesAreKeyValueWithQuotes) {
  EXPECT_EQ(
      format_phase_line("network", "ok", Time(1204ms), {{"if", "eth0"}, {"addr", "10.0.2.15/24"}}),
      "phase=network status=ok t=1.204 if=eth0 addr=10.0.2.15/24");
  EXPECT_EQ(format_phase_line("source", "failed", Time(61s), {{"reason", "a \"b\"\nc"}}),
            "phase=source status=failed t=61.000 reason=\"a 'b'?c\"");
  EXPECT_EQ(format_phase_line("disk", "ok", Time(0s), {{"model", "A\033[2J\nphase=x"}}),
            "phase=disk status=ok t=0.000 model=\"A?[2J?phase=x\"");
  EXPECT_EQ(format_phase_line("disk", "ok", Time(0s), {{"model", ""}, {"x", "a=b"}}),
            "phase=disk status=ok t=0.000 model=\"\" x=\"a=b\"");
}

}  // namespace
}  // namespace curlingiron
