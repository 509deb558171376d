// Where all fuzz targets are one program (tests/CMakeLists.txt), the function of each has a name of
// its own: fuzz_ and FUZZ_SUBJECT.
#pragma once

#define FUZZ_JOIN(a, b) a##b
#define FUZZ_NAME(subject) FUZZ_JOIN(fuzz_, subject)
#define LLVMFuzzerTestOneInput FUZZ_NAME(FUZZ_SUBJECT)
