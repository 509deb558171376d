// Programs that a test needs beside itself.
#pragma once

#include <gtest/gtest.h>

#include <cstdio>
#include <string>

#include "base/text.h"

namespace curlingiron {

// What a command of the shell prints; its failure is the test's.
inline std::string output_of(const std::string& command) {
  FILE* pipe = ::popen(concat(command, " 2>&1").c_str(), "r");
  std::string text;
  char buffer[512];
  while (size_t n = std::fread(buffer, 1, sizeof buffer, pipe)) text.append(buffer, n);
  EXPECT_EQ(::pclose(pipe), 0) << command << ": " << text;
  return text;
}

}  // namespace curlingiron
