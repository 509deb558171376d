#include "base/progress.h"

#include <gtest/gtest.h>

#include "base/units.h"

namespace curlingiron {
namespace {

TEST(Progress, ALineSaysShareRateAndRest) {
  EXPECT_EQ(progress_line("writing", 512_MiB, 2_GiB, 10s),
            "writing 25.0% 512.0 MiB of 2.0 GiB, 53.6 MB/s, 30 s left");
  EXPECT_EQ(progress_line("writing", 2_GiB, 2_GiB, 10s),
            "writing 100.0% 2.0 GiB of 2.0 GiB, 214.7 MB/s");
  EXPECT_EQ(progress_line("writing", 512_MiB, std::nullopt, 10s), "writing 512.0 MiB, 53.6 MB/s");
}

TEST(Progress, MoreThanTheTotalIsNotMoreThanAll) {
  EXPECT_TRUE(progress_line("x", 3_GiB, 2_GiB, 10s).starts_with("x 100.0% "));
}

TEST(Progress, ABarFitsEveryTerminal) {
  for (unsigned columns = 2; columns < 200; ++columns) {
    for (uint64_t done : {uint64_t{0}, 1_MiB, 1_GiB, 2_GiB}) {
      std::string bar = progress_bar("writing", done, 2_GiB, 10s, columns);
      EXPECT_LT(bar.size(), columns);
    }
  }
  EXPECT_EQ(progress_bar("writing", 1_GiB, 2_GiB, 10s, 80),
            "writing 50.0% [==========>          ] 1.0 GiB of 2.0 GiB, 107.3 MB/s, 10 s left");
}

TEST(Progress, WhatHoldsItUpStandsForTheRate) {
  StallNote note;
  Time start{100s};
  EXPECT_EQ(note.look(7, "the server", start), "");
  EXPECT_EQ(note.look(7, "the server", start + 4s), "");
  EXPECT_EQ(note.look(7, "the server", start + 40s), "waiting for the server for 40 s");
  EXPECT_EQ(note.look(8, "the server", start + 41s), "");
  EXPECT_EQ(note.look(8, "the disk", start + 50s), "waiting for the disk for 9 s");
  EXPECT_EQ(progress_line("writing", 512_MiB, 2_GiB, 10s, "waiting for the server for 40 s"),
            "writing 25.0% 512.0 MiB of 2.0 GiB, waiting for the server for 40 s");
  EXPECT_EQ(progress_line("writing", 512_MiB, std::nullopt, 10s, "waiting for the disk for 9 s"),
            "writing 512.0 MiB, waiting for the disk for 9 s");
}

}  // namespace
}  // namespace curlingiron
