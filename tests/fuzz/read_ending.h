// What a file's end says of it: read within the file alone, and the same again.
#pragma once

#include <cstdlib>

#include "io/ending.h"
#include "io/random.h"

namespace curlingiron {

// As decoders are fuzzed: the first byte is no part of the file.
inline void fuzz_ending(Format format, ConstBytes input) {
  if (input.empty()) return;
  MemoryRandomSource file(input.subspan(1));
  DecodeLimits limits{.memory = 256_MiB, .threads = 1, .most_after_checked = 1_MiB};
  Result<Ending> ending = read_ending(format, file, limits);
  // MemoryRandomSource refuses what is not within the file.
  if (!ending.ok() && ending.error().code() == kUnreadable) std::abort();
  if (!ending.ok()) return;
  const Ending& said = ending.value();
  if (said.exact_size && said.exact_size != said.least_size) std::abort();
  if (said.least_size && said.known_by.empty()) std::abort();
}

}  // namespace curlingiron
