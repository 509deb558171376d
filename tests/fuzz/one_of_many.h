// Included before each fuzz target where all are one program (tests/CMakeLists.txt): each has a
// name of its own.
#pragma once

#ifdef FUZZ_SUBJECT
#define FUZZ_JOIN(a, b) a##b
#define FUZZ_NAME(subject) FUZZ_JOIN(fuzz_, subject)
#define LLVMFuzzerTestOneInput FUZZ_NAME(FUZZ_SUBJECT)
#endif
