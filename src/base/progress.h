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
std::string progress_line(std::string_view verb, uint64_t done, std::optional<uint64_t> total,
                          Duration elapsed);
// The same with a bar, as wide as fits `columns`: "writing  42% [=====>      ] 1.2 GiB of …".
std::string progress_bar(std::string_view verb, uint64_t done, std::optional<uint64_t> total,
                         Duration elapsed, unsigned columns);

}  // namespace curlingiron
