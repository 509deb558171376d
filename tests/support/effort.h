// How much a test does of what could go on for ever: a random search has found its mistakes early,
// and is run at length before a release (scripts/test --all).
#pragma once

#include <cstdlib>

namespace curlingiron {

inline bool is_thorough() { return std::getenv("CURLINGIRON_THOROUGH") != nullptr; }

// `whole` repetitions where it is thorough, else `usual` ones.
inline int repetitions(int usual, int whole) { return is_thorough() ? whole : usual; }

}  // namespace curlingiron
