// How much a test does of what could go on for ever: a random search has found its mistakes early,
// and is run at length before a release (scripts/test --all).
#pragma once

#include <cstdlib>

namespace curlingiron {

// `whole` repetitions where CURLINGIRON_THOROUGH is in the environment, else `usual` ones.
inline int repetitions(int usual, int whole) {
  return std::getenv("CURLINGIRON_THOROUGH") != nullptr ? whole : usual;
}

}  // namespace curlingiron
