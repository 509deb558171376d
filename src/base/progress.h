// What is done, for people.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/time.h"

namespace curlingiron {

// "writing 42.3% 1.2 GiB of 2.9 GiB, 93.1 MB/s, 18 s left"; without a total "writing 1.2 GiB,
// 93.1 MB/s".
// `stall`, where there is any, stands in place of the rate and what is left.
std::string progress_line(std::string_view verb, uint64_t done, std::optional<uint64_t> total,
                          Duration elapsed, std::string_view stall = {});
// Notices when nothing goes on. Not thread-safe.
class StallNote {
 public:
  // "waiting for the server for 40 s" where `done` has not grown for kQuiet; else empty. `what`:
  // "the server".
  std::string look(uint64_t done, std::string_view what, Time time);

 private:
  static constexpr Duration kQuiet = 5s;
  uint64_t done_ = 0;
  std::optional<Time> since_;
};

// The same with a bar, as wide as fits `columns`: "writing  42% [=====>      ] 1.2 GiB of …".
std::string progress_bar(std::string_view verb, uint64_t done, std::optional<uint64_t> total,
                         Duration elapsed, unsigned columns, std::string_view stall = {});

}  // namespace curlingiron
